"""A function of the origin, and what becomes of it here."""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from enum import StrEnum

from attrs import field, frozen

from domain.functions.function import (
    DESCRIPTION_SIZE_MAX,
    TAG_LENGTH_MAX,
    TAGS_MAX,
    Example,
    FunctionType,
)
from domain.functions.schema import FunctionSchema
from domain.scripts.language import TITLE_PATTERN, TITLE_SIZE_MAX, LanguageTitle
from domain.takeover.function_forms import is_json, read_examples, read_schema
from domain.takeover.languages import OriginLanguages, OriginRuntime

_TITLE = re.compile(TITLE_PATTERN)


@frozen
class FunctionRow:
    """A row of the origin's `meta.functions` with its script. JSON is the text that PostgreSQL gives for it.

    A script that is larger than the reader takes is None, and such JSON is a text that is no JSON. Times that are
    infinite, before 1970 or after 9999 are None.
    """

    language_title: str
    description: str | None = field(repr=False)
    schema_definition: str | None = field(repr=False)
    examples: str | None = field(repr=False)
    created_at: datetime | None
    updated_at: datetime | None
    created_by: str | None
    is_active: bool
    version: str
    tags: tuple[str, ...]
    content: str | None = field(repr=False)
    content_bytes: int | None


class FunctionReason(StrEnum):
    """Why a function is not imported."""

    LANGUAGE_NOT_SERVED = "language_not_served"
    LANGUAGE_UNKNOWN = "language_unknown"
    TITLE_OUTSIDE_GRAMMAR = "title_outside_grammar"
    NO_SCRIPT = "no_script"
    SCRIPT_TOO_LARGE = "script_too_large"
    SYNTAX_ERROR = "syntax_error"
    NAME_TAKEN = "name_taken"

    @property
    def words(self) -> str:
        """The reason as a sentence, with what the operator can do."""
        return _REASONS[self]


_REASONS: Mapping[FunctionReason, str] = {
    FunctionReason.LANGUAGE_NOT_SERVED: "This service does not run its language.",
    FunctionReason.LANGUAGE_UNKNOWN: "The origin has no runtime for this language-title.",
    FunctionReason.TITLE_OUTSIDE_GRAMMAR: "Callers cannot name this title here. Register it under another one.",
    FunctionReason.NO_SCRIPT: "It has no script.",
    FunctionReason.SCRIPT_TOO_LARGE: "The script is larger than MAX_SCRIPT_SIZE.",
    FunctionReason.SYNTAX_ERROR: "The script does not parse, here and at the origin. Correct it and register it.",
    FunctionReason.NAME_TAKEN: "It is not active at the origin, and another function has its name here.",
}


class FunctionFlag(StrEnum):
    """What is unusual about a function that is imported."""

    EVENT_FIRST = "event_first"
    CONVENTION_ORIGIN = "convention_origin"
    SCHEMA_REFUSED = "schema_refused"
    EXAMPLES_UNREADABLE = "examples_unreadable"
    EXAMPLES_DROPPED = "examples_dropped"
    DESCRIPTION_LEFT = "description_left"
    TAGS_LEFT = "tags_left"
    VERSION_LEFT = "version_left"
    DEACTIVATED = "deactivated"

    @property
    def words(self) -> str:
        """The observation as a sentence."""
        return _FLAGS[self]


_FLAGS: Mapping[FunctionFlag, str] = {
    FunctionFlag.EVENT_FIRST: "Its one parameter `context` is the event, so it has the convention event-first.",
    FunctionFlag.CONVENTION_ORIGIN: "It parses under the convention origin only, and has it.",
    FunctionFlag.SCHEMA_REFUSED: "Its schema is not accepted here, so it has none. Every params fit.",
    FunctionFlag.EXAMPLES_UNREADABLE: "Examples that have neither of the known forms were left out.",
    FunctionFlag.EXAMPLES_DROPPED: "Some examples did not hold when they were run, or are too many, and were left out.",
    FunctionFlag.DESCRIPTION_LEFT: f"Its description has more than {DESCRIPTION_SIZE_MAX:,} bytes, and was left out.",
    FunctionFlag.TAGS_LEFT: f"Tags beyond the first {TAGS_MAX}, empty ones and those over {TAG_LENGTH_MAX} characters "
    "were left out.",
    FunctionFlag.VERSION_LEFT: "Its version text is not kept: versions here are numbers.",
    FunctionFlag.DEACTIVATED: "It is not active at the origin, so it is deactivated here.",
}


@frozen
class LeftFunction:
    """A function that is not imported; `detail` says more about the reason."""

    language_title: str
    reason: FunctionReason
    detail: str = ""


@frozen
class FunctionOffer:
    """A function as it can be registered here, before its script was parsed and its examples were run.

    Each example has the readings of its result that are possible, the most likely one first.
    """

    language_title: LanguageTitle
    source: str = field(repr=False)
    description: str = field(repr=False)
    schema: FunctionSchema
    examples: tuple[tuple[Example, ...], ...]
    tags: tuple[str, ...]
    type: FunctionType
    created_at: datetime | None
    updated_at: datetime | None
    is_active: bool
    flags: tuple[FunctionFlag, ...]


def offered(row: FunctionRow, languages: OriginLanguages, script_size_max: int) -> FunctionOffer | LeftFunction:
    """Return what a row of the origin can be here, or why it is left."""
    title = languages.resolve(row.language_title)
    reason = next(_reasons(row, title, script_size_max), None)
    if reason is not None:
        return LeftFunction(row.language_title, reason)
    assert isinstance(title, LanguageTitle), "another one is a reason"
    assert row.content is not None, "its absence is a reason"
    examples = read_examples(row.examples)
    return FunctionOffer(
        language_title=title,
        source=row.content,
        description="" if _is_long(row.description) else row.description or "",
        schema=read_schema(row.schema_definition),
        examples=tuple(readings for readings in examples if readings),
        tags=tuple(_tags(row.tags))[:TAGS_MAX],
        type=FunctionType.PREDEFINED if row.created_by is None else FunctionType.DYNAMIC,
        created_at=row.created_at,
        updated_at=row.updated_at,
        is_active=row.is_active,
        flags=tuple(_flags(row, is_readable=all(examples))),
    )


def _reasons(
    row: FunctionRow, title: LanguageTitle | OriginRuntime | None, script_size_max: int
) -> Iterator[FunctionReason]:
    if title is None:
        yield FunctionReason.LANGUAGE_UNKNOWN
    elif not isinstance(title, LanguageTitle):
        yield FunctionReason.LANGUAGE_NOT_SERVED
    elif _TITLE.fullmatch(str(title)) is None or len(str(title)) > TITLE_SIZE_MAX:
        yield FunctionReason.TITLE_OUTSIDE_GRAMMAR
    if (row.content_bytes or 0) > script_size_max:
        yield FunctionReason.SCRIPT_TOO_LARGE
    if not row.content:
        yield FunctionReason.NO_SCRIPT


def _flags(row: FunctionRow, *, is_readable: bool) -> Iterator[FunctionFlag]:
    if _is_long(row.description):
        yield FunctionFlag.DESCRIPTION_LEFT
    if tuple(_tags(row.tags))[:TAGS_MAX] != row.tags:
        yield FunctionFlag.TAGS_LEFT
    if row.version != "1.0.0":
        yield FunctionFlag.VERSION_LEFT
    if not row.is_active:
        yield FunctionFlag.DEACTIVATED
    if not is_readable:
        yield FunctionFlag.EXAMPLES_UNREADABLE
    if not is_json(row.schema_definition):
        yield FunctionFlag.SCHEMA_REFUSED


def _is_long(description: str | None) -> bool:
    return description is not None and len(description.encode()) > DESCRIPTION_SIZE_MAX


def _tags(tags: Sequence[str]) -> Iterator[str]:
    yield from (tag for tag in dict.fromkeys(tags) if 0 < len(tag) <= TAG_LENGTH_MAX)
