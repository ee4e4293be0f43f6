"""Ports to stored functions and to the validator of JSON Schemas."""

from collections.abc import Callable, Sequence
from typing import Protocol
from uuid import UUID

from attrs import frozen

from domain.audit import Act
from domain.errors import Problem
from domain.functions.function import Function, PinnedVersion
from domain.functions.lists import FunctionFilter, FunctionPage, FunctionPlace, FunctionVersion
from domain.functions.schema import FunctionSchema
from domain.identity import SHARED, Owner
from domain.json_text import JsonText
from domain.scripts.language import LanguageTitle


@frozen
class FunctionLookup:
    """A name to look up: the function of `owner`, or else that of `other`; at a version, or at the current one."""

    owner: Owner
    other: Owner
    language_title: LanguageTitle
    version: int | None = None

    @classmethod
    def usable(cls, owner: Owner, title: LanguageTitle, version: int | None = None) -> "FunctionLookup":
        """Return the look-up of a function that the owner may use: its own, or else the shared one."""
        return cls(owner, SHARED, title, version)

    @classmethod
    def exact(cls, owner: Owner, title: LanguageTitle, version: int | None = None) -> "FunctionLookup":
        """Return the look-up of a function of this owner alone."""
        return cls(owner, owner, title, version)


@frozen
class FunctionUsage:
    """The registered functions of an owner, and the bytes that all their stored versions take."""

    functions: int
    stored_bytes: int


class FunctionRepository(Protocol):
    """Stores functions by owner and language-title, with their newest versions.

    A number of versions of each function is kept, which the adapter is given. Older ones are kept for `schema`, while a
    session is pinned to them. Every method may raise StorageUnavailable or Overloaded, as in SessionRepository.
    """

    async def find(self, lookup: FunctionLookup) -> Function:
        """Return the function, also a deactivated one, as all acknowledged writes left it.

        A registered function comes before a deactivated one. Raises FunctionNotFound if nothing was ever registered
        under the name, FunctionVersionNotFound if the function found has no such version or keeps newer ones only.
        """
        ...

    async def callable(self, lookup: FunctionLookup) -> PinnedVersion:
        """Return the version that `find` finds of a registered function, as all acknowledged writes left it.

        It costs less than `find`. Raises FunctionNotFound, also for a deactivated function, or FunctionVersionNotFound.
        """
        ...

    async def versions(self, function_id: UUID) -> Sequence[FunctionVersion]:
        """Return the versions that are kept, the newest first; none for an unknown id."""
        ...

    async def schema(self, function_id: UUID, version: int) -> FunctionSchema | None:
        """Return the schema of a version that is stored, None if there is none.

        A version never changes, so an adapter may cache its schema.
        """
        ...

    async def update(
        self, owner: Owner, title: LanguageTitle, change: Callable[[Function | None], Function], act: Act
    ) -> Function:
        """Replace the owner's function, None if there is none, with `change(stored)`, and return it.

        `change` is pure and may be called several times. Each of several concurrent updates sees the one before it. A
        function that has moved to another owner since it was read stays as it is, and is read again. If `change`
        raises, or returns its argument, nothing is stored. The act is recorded with the change. Raises FunctionConflict
        if races do not end in time.
        """
        ...

    async def page(self, wanted: FunctionFilter, after: FunctionPlace, size: int) -> FunctionPage:
        """Return at most `size` functions that are not deactivated, behind the place `after`."""
        ...

    async def usage(self, owners: Sequence[Owner], functions_max: int | None = None) -> Sequence[FunctionUsage]:
        """Return what each owner has registered; it covers at most `functions_max` functions of each.

        None stands for the adapter's own bound.
        """
        ...


class Schema(Protocol):
    """A compiled JSON Schema."""

    def problems(self, value: JsonText) -> tuple[Problem, ...]:
        """Return the problems of the value, by JSON pointers into it; no problem means that it fits.

        The number of problems is bounded, and so is the work: a value that is too large for a schema of this cost does
        not fit, and the problem says so.
        """
        ...


class SchemaCompiler(Protocol):
    """Compiles JSON Schemas of draft 2020-12; it never fetches anything."""

    async def compile(self, text: JsonText) -> Schema:
        """Return the compiled schema; raises SchemaRefused with every reason, by JSON pointers into the schema."""
        ...
