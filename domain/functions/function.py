"""Functions: scripts that an owner has registered under a language-title, in versions."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import ClassVar
from uuid import UUID

from attrs import define, evolve, field, frozen

from domain.errors import Conflict, NotFound, PreconditionFailed
from domain.functions.schema import FunctionSchema
from domain.grants.grants import Grants
from domain.grants.ports import Pin
from domain.identity import Owner
from domain.json_equality import same_json
from domain.json_text import JsonText
from domain.scripts.convention import Convention
from domain.scripts.language import LanguageTitle
from domain.scripts.script import Script

DESCRIPTION_SIZE_MAX = 4096
"""Bytes of UTF-8 in a description."""

EXAMPLES_MAX = 16
EXAMPLES_SIZE_MAX = 256 * 1024
"""Bytes of UTF-8 in the examples of a function together."""

TAGS_MAX = 16
TAG_LENGTH_MAX = 64

_TAG_DIGITS = 8
"""Random hexadecimal digits of the function's id in a tag."""


class FunctionType(StrEnum):
    """The origin of a version: installed with the schema, or registered by a caller."""

    PREDEFINED = "predefined"
    DYNAMIC = "dynamic"


@define(eq=False)
class FunctionNotFound(NotFound):
    """No function is registered under the title: for the owner, or, without an owner, for the caller and as shared."""

    code: ClassVar[str] = "FUNCTION_NOT_FOUND"
    language_title: LanguageTitle
    owner: Owner | None = None

    @property
    def message(self) -> str:
        where = "you or for everybody" if self.owner is None else self.owner
        return (
            f"No function is registered as {self.language_title} for {where}. Correct the title, register one with PUT "
            f"/api/v1/functions/{self.language_title}, or initialize a session with a script_content of its own."
        )

    @property
    def details(self) -> Mapping[str, object]:
        facts = {"language_title": str(self.language_title)}
        return facts if self.owner is None else facts | {"owner": self.owner}


@define(eq=False)
class FunctionVersionNotFound(NotFound):
    """The function has no such version, or no longer keeps it; `kept` are the versions that it has, newest first."""

    code: ClassVar[str] = "FUNCTION_VERSION_NOT_FOUND"
    owner: Owner
    language_title: LanguageTitle
    version: int
    kept: Sequence[int]

    @property
    def message(self) -> str:
        return (
            f"Version {self.version} of {self.language_title} of the owner {self.owner} is not kept. Use one of: "
            f"{', '.join(map(str, self.kept))}."
        )

    @property
    def details(self) -> Mapping[str, object]:
        facts = {"language_title": str(self.language_title), "owner": self.owner, "version": self.version}
        return {**facts, "kept_versions": list(self.kept)}


@define(eq=False)
class FunctionConditionFailed(PreconditionFailed):
    """The function is not in the state that the caller requires; `version` is None if it is not registered."""

    code: ClassVar[str] = "PRECONDITION_FAILED"
    language_title: LanguageTitle
    version: int | None

    @property
    def message(self) -> str:
        if self.version is None:
            return f"No function is registered as {self.language_title}. Repeat without If-Match to register it."
        return f"{self.language_title} is at version {self.version}. Read it again and repeat with its ETag."

    @property
    def details(self) -> Mapping[str, object]:
        facts = {"language_title": str(self.language_title), "version": self.version, "stored": "no"}
        return {name: fact for name, fact in facts.items() if fact is not None}


@define(eq=False)
class FunctionConflict(Conflict):
    """Other writers changed the function again and again until the call's time was over."""

    code: ClassVar[str] = "CONFLICT"

    @property
    def message(self) -> str:
        return "Other calls change the function at the same time, so nothing was stored. Repeat the call."

    @property
    def details(self) -> Mapping[str, object]:
        return {"stored": "no", "retry_after_ms": 1000}


@frozen
class PinnedVersion:
    """The version that a session is pinned to, with the session's language-title."""

    function_id: UUID
    version: int
    language_title: LanguageTitle

    @property
    def pin(self) -> Pin:
        """The version alone, by which grants are judged."""
        return Pin(self.function_id, self.version)


@frozen
class Example:
    """Params, and the result that they must produce."""

    params: JsonText = field(repr=False)
    result: JsonText = field(repr=False)


@frozen
class Definition:
    """The content of one version of a function."""

    script: Script
    description: str = field(default="", repr=False)
    schema: FunctionSchema = field(factory=FunctionSchema)
    examples: tuple[Example, ...] = ()
    tags: tuple[str, ...] = ()
    convention: Convention = Convention.OWN
    grants: Grants | None = None

    @property
    def size(self) -> int:
        """The size in bytes of UTF-8, roughly what storing it takes."""
        texts = (self.script.source, self.description, *self.tags, *(text or "" for text in self.texts()))
        return sum(len(text.encode()) for text in texts)

    def same(self, other: "Definition") -> bool:
        """Return whether another definition is equal, however its JSON is written."""
        texts, others = list(self.texts()), list(other.texts())
        return _plain(self) == _plain(other) and len(texts) == len(others) and all(map(_same, texts, others))

    def texts(self) -> Iterator[JsonText | None]:
        """Yield the JSON texts of the schemas and examples; None for a schema that is not given."""
        yield from (self.schema.params, self.schema.result)
        for example in self.examples:
            yield from (example.params, example.result)


@frozen
class Function:
    """A version of a registered script: the current one, unless another one was wanted.

    `function_id` stays the same under another owner. `version` counts from 1 and never goes back, not even after a
    deactivation. After the removal of a deactivated function, another one of its title has another id, and begins at 1.
    Instants are aware and in UTC; `updated_at` is when this version was registered. `author` is the owner whose call
    registered it, None if that is not recorded.
    """

    function_id: UUID
    owner: Owner
    language_title: LanguageTitle
    definition: Definition
    created_at: datetime
    updated_at: datetime
    version: int = 1
    type: FunctionType = FunctionType.DYNAMIC
    author: Owner | None = None
    deactivated_at: datetime | None = None

    def require_registered(self) -> "Function":
        """Return the function; raises FunctionNotFound if it is deactivated."""
        if self.deactivated_at is not None:
            raise FunctionNotFound(self.language_title)
        return self

    @property
    def tag(self) -> str:
        """What differs for each version, also from that of another function that had the title before."""
        return f"{self.version}.{self.function_id.hex[-_TAG_DIGITS:]}"

    @property
    def pinned(self) -> "PinnedVersion":
        """The version, as sessions are pinned to it."""
        return PinnedVersion(self.function_id, self.version, self.language_title)

    def replace(self, definition: Definition, author: Owner, now: datetime) -> "Function":
        """Return the next version, or the function itself if it already has this definition."""
        if self.deactivated_at is None and definition.same(self.definition):
            return self
        return evolve(
            self,
            definition=definition,
            updated_at=now,
            version=self.version + 1,
            type=FunctionType.DYNAMIC,
            author=author,
            deactivated_at=None,
        )

    def deactivate(self, now: datetime) -> "Function":
        """Return the deactivated function; deactivating it again changes nothing."""
        return self if self.deactivated_at is not None else evolve(self, deactivated_at=now)


@frozen
class Precondition:
    """A condition on a function: that it has one of these tags, that it is registered, or that it is not.

    A version alone, as text, stands for the tag of that version. None accepts every state.
    """

    tags: frozenset[str] | None = None
    registered: bool | None = None

    def require(self, title: LanguageTitle, stored: Function | None) -> None:
        """Raise FunctionConditionFailed unless the stored function fulfils the condition."""
        found = None if stored is None or stored.deactivated_at is not None else stored
        wrong_state = self.registered is not None and self.registered != (found is not None)
        wrong_tag = self.tags is not None and (found is None or self.tags.isdisjoint({found.tag, str(found.version)}))
        if wrong_state or wrong_tag:
            raise FunctionConditionFailed(title, None if found is None else found.version)


def _plain(definition: Definition) -> tuple[object, ...]:
    return definition.script, definition.description, definition.tags, definition.convention, definition.grants


def _same(one: JsonText | None, other: JsonText | None) -> bool:
    return one == other or (one is not None and other is not None and same_json(one, other))
