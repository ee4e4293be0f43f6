"""A function of the origin, and what becomes of it here."""

import json
import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from attrs import field, frozen

from domain.functions.function import DESCRIPTION_SIZE_MAX, TAG_LENGTH_MAX, TAGS_MAX, Example, FunctionType
from domain.functions.schema import FunctionSchema
from domain.json_text import JsonText
from domain.scripts.language import TITLE_PATTERN, TITLE_SIZE_MAX, LanguageTitle
from domain.takeover.languages import OriginLanguages, OriginRuntime
from domain.takeover.reasons import Worded

_TITLE = re.compile(TITLE_PATTERN)
_DOCUMENTED = frozenset({"params", "result"})


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


class FunctionReason(Worded):
    """Why a function is not imported."""

    LANGUAGE_NOT_SERVED = "language_not_served", "This service does not run its language."
    LANGUAGE_UNKNOWN = "language_unknown", "The origin has no runtime for this language-title."
    TITLE_OUTSIDE_GRAMMAR = (
        "title_outside_grammar",
        "Callers cannot name this title here. Register it under another one.",
    )
    NO_SCRIPT = "no_script", "It has no script."
    SCRIPT_TOO_LARGE = "script_too_large", "The script is larger than MAX_SCRIPT_SIZE."
    SYNTAX_ERROR = "syntax_error", "The script does not parse, here and at the origin. Correct it and register it."
    NAME_TAKEN = "name_taken", "It is not active at the origin, and another function has its name here."


class FunctionFlag(Worded):
    """What is unusual about a function that is imported."""

    EVENT_FIRST = "event_first", "Its one parameter `context` is the event, so it has the convention event-first."
    CONVENTION_ORIGIN = "convention_origin", "It parses under the convention origin only, and has it."
    SCHEMA_REFUSED = "schema_refused", "Its schema is not accepted here, so it has none. Every params fit."
    EXAMPLES_UNREADABLE = "examples_unreadable", "Examples that have neither of the known forms were left out."
    EXAMPLES_DROPPED = (
        "examples_dropped",
        "Some examples did not hold when they were run, or are too many, and were left out.",
    )
    DESCRIPTION_LEFT = (
        "description_left",
        f"Its description has more than {DESCRIPTION_SIZE_MAX:,} bytes, and was left out.",
    )
    TAGS_LEFT = (
        "tags_left",
        f"Tags beyond the first {TAGS_MAX}, empty ones and those over {TAG_LENGTH_MAX} characters were left out.",
    )
    VERSION_LEFT = "version_left", "Its version text is not kept: versions here are numbers."
    DEACTIVATED = "deactivated", "It is not active at the origin, so it is deactivated here."


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


def read_schema(text: str | None) -> FunctionSchema:
    """Return the schemas: of params alone, as the samples have it, or `{params, result}` as it was documented."""
    stored = _value(text)
    if isinstance(stored, dict) and stored and stored.keys() <= _DOCUMENTED:
        return FunctionSchema(_text_or_none(stored.get("params")), _text_or_none(stored.get("result")))
    return FunctionSchema(_text_or_none(stored))


def is_json(text: str | None) -> bool:
    """Return whether a text can be read as JSON here; None stands for null."""
    return text in (None, "null") or _value(text) is not None


def read_examples(text: str | None) -> Sequence[tuple[Example, ...]]:
    """Return the readings of each example, none for one that has neither form."""
    stored = _value(text)
    if stored is None and is_json(text):
        return []
    return [tuple(_readings(each)) for each in stored] if isinstance(stored, list) else [()]


def _readings(stored: Any) -> Iterator[Example]:
    """Yield the readings of one example.

    The samples have params beside `result`, which is the result or a member of it. The documents have
    `{"request": {"params": ...}, "response": {"result": ...}}`, whose response is the result or has it.
    """
    if not isinstance(stored, dict):
        return
    request, response = stored.get("request"), stored.get("response")
    if isinstance(request, dict) and "params" in request and response is not None:
        if isinstance(response, dict) and "result" in response:
            yield from _example(request["params"], response["result"])
        yield from _example(request["params"], response)
    elif "result" in stored:
        params = {name: value for name, value in stored.items() if name != "result"}
        yield from _example(params, stored["result"])
        yield from _example(params, {"result": stored["result"]})


def _example(params: Any, result: Any) -> Iterator[Example]:
    try:
        yield Example(_text(params), _text(result))
    except ValueError:
        return  # a number beyond a double


def _value(text: str | None) -> Any:
    """Return a JSON value; None for null, and for one that is nested too deep or has a number that is too long."""
    try:
        return None if text is None else json.loads(text)
    except (ValueError, RecursionError):
        return None


def _text(value: Any) -> JsonText:
    return JsonText(json.dumps(value, ensure_ascii=False, allow_nan=False))


def _text_or_none(value: Any) -> JsonText | None:
    try:
        return None if value is None else _text(value)
    except (ValueError, RecursionError):
        return None
