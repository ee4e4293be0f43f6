"""Where functions are kept."""

from collections.abc import Callable, Sequence
from typing import Protocol

from attrs import frozen

from domain.functions.function import Function, FunctionSummary, FunctionType
from domain.functions.schema import FunctionSchema
from domain.scripts.language import Language, LanguageTitle


@frozen
class FunctionFilter:
    """Which functions a list shows; None shows all."""

    language: Language | None = None
    type: FunctionType | None = None

    def shows(self, function: Function) -> bool:
        """Tell whether a function is in the list; one that has been deactivated is in none."""
        by_language = self.language in (None, function.language_title.language)
        return function.deactivated_at is None and by_language and self.type in (None, function.type)


@frozen
class FunctionPage:
    """Functions in the order of their language-titles, and how many there are on all pages."""

    total: int
    items: Sequence[FunctionSummary]


class FunctionRepository(Protocol):
    """Keeps functions, and their versions for as long as sessions may be pinned to them.

    Any method may raise StorageUnavailable or Overloaded, as in SessionRepository.
    """

    async def get(self, title: LanguageTitle) -> Function:
        """Return the function, deactivated or not, as all acknowledged writes left it.

        Raises FunctionNotFound when nothing was ever registered under the title.
        """
        ...

    async def schema(self, title: LanguageTitle, version: int) -> FunctionSchema:
        """Return the schema of a version, be it current or not; it never changes, so an adapter may keep it.

        Raises FunctionVersionNotFound.
        """
        ...

    async def update(self, title: LanguageTitle, change: Callable[[Function | None], Function]) -> Function:
        """Replace the stored function, or None where there is none, with `change(stored)` and return it.

        `change` is pure and may be called several times. Of concurrent updates each sees the one before it. If
        `change` raises, or returns what it was given, nothing is stored. A version that is replaced stays readable by
        `schema` while a session may be pinned to it. Raises FunctionConflict when races do not end in time.
        """
        ...

    async def page(self, wanted: FunctionFilter, offset: int, size: int) -> FunctionPage:
        """Return at most `size` functions that are not deactivated, after the first `offset` of them."""
        ...
