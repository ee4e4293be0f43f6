"""Lists of functions, and of the versions of one function."""

from collections.abc import Sequence
from datetime import datetime

from attrs import field, frozen

from domain.functions.function import Function, FunctionType
from domain.identity import Owner
from domain.scripts.language import Language, LanguageTitle


@frozen
class FunctionSummary:
    """A function in a list."""

    owner: Owner
    language_title: LanguageTitle
    version: int
    type: FunctionType
    description: str = field(repr=False)
    tags: tuple[str, ...]
    created_at: datetime
    updated_at: datetime
    author: Owner | None

    @classmethod
    def of(cls, function: Function) -> "FunctionSummary":
        """Return the summary of a function."""
        definition = function.definition
        return cls(
            owner=function.owner,
            language_title=function.language_title,
            version=function.version,
            type=function.type,
            description=definition.description,
            tags=definition.tags,
            created_at=function.created_at,
            updated_at=function.updated_at,
            author=function.author,
        )


@frozen
class FunctionVersion:
    """A version in a list of the versions of one function."""

    version: int
    type: FunctionType
    author: Owner | None
    registered_at: datetime
    script_hash: str
    description: str = field(repr=False)

    @classmethod
    def of(cls, function: Function) -> "FunctionVersion":
        """Return a version of a function for the list."""
        definition = function.definition
        return cls(
            version=function.version,
            type=function.type,
            author=function.author,
            registered_at=function.updated_at,
            script_hash=definition.script.hash,
            description=definition.description,
        )


@frozen
class FunctionFilter:
    """The functions that a list shows; None shows all."""

    owners: frozenset[Owner] | None = None
    language: Language | None = None
    type: FunctionType | None = None

    def shows(self, function: Function) -> bool:
        """Return whether the list shows a function; it shows no deactivated one."""
        by_owner = self.owners is None or function.owner in self.owners
        by_language = self.language in (None, function.language_title.language)
        return function.deactivated_at is None and by_owner and by_language and self.type in (None, function.type)


@frozen
class FunctionPage:
    """Functions in the order of their language-titles and owners, and the number of functions on all pages."""

    total: int
    items: Sequence[FunctionSummary]
