"""Ports to stored functions and to the validator of JSON Schemas."""

from collections.abc import Callable, Sequence
from typing import Protocol

from attrs import frozen

from domain.errors import Problem
from domain.functions.function import Function, FunctionSummary, FunctionType
from domain.functions.schema import FunctionSchema
from domain.json_text import JsonText
from domain.scripts.language import Language, LanguageTitle


@frozen
class FunctionFilter:
    """The functions that a list shows; None shows all."""

    language: Language | None = None
    type: FunctionType | None = None

    def shows(self, function: Function) -> bool:
        """Return whether the list shows a function; it shows no deactivated one."""
        by_language = self.language in (None, function.language_title.language)
        return function.deactivated_at is None and by_language and self.type in (None, function.type)


@frozen
class FunctionPage:
    """Functions in the order of their language-titles, and the number of functions on all pages."""

    total: int
    items: Sequence[FunctionSummary]


class FunctionRepository(Protocol):
    """Stores functions, and their versions for as long as sessions may be pinned to them.

    Every method may raise StorageUnavailable or Overloaded, as in SessionRepository.
    """

    async def get(self, title: LanguageTitle) -> Function:
        """Return the function, also a deactivated one, as all acknowledged writes left it.

        Raises FunctionNotFound if nothing was ever registered under the title.
        """
        ...

    async def schema(self, title: LanguageTitle, version: int) -> FunctionSchema:
        """Return the schema of a version, current or not. It never changes, so an adapter may cache it.

        Raises FunctionVersionNotFound.
        """
        ...

    async def update(self, title: LanguageTitle, change: Callable[[Function | None], Function]) -> Function:
        """Replace the stored function, None if there is none, with `change(stored)`, and return it.

        `change` is pure and may be called several times. Each of several concurrent updates sees the one before it. If
        `change` raises, or returns its argument, nothing is stored. A replaced version stays readable by `schema` while
        a session may be pinned to it. Raises FunctionConflict if races do not end in time.
        """
        ...

    async def page(self, wanted: FunctionFilter, offset: int, size: int) -> FunctionPage:
        """Return at most `size` functions that are not deactivated, after the first `offset` of them."""
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
