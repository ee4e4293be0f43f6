"""Lists of functions, and of the versions of one function."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

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
    """The functions that a list shows; None shows all.

    `text` is a part of the language-title or the description, in upper or lower case.
    """

    owners: frozenset[Owner] | None = None
    language: Language | None = None
    type: FunctionType | None = None
    tag: str | None = None
    text: str | None = None

    def shows(self, function: Function) -> bool:
        """Return whether the list shows a function; it shows no deactivated one."""
        by_owner = self.owners is None or function.owner in self.owners
        by_language = self.language in (None, function.language_title.language)
        by_type, by_tag = self.type in (None, function.type), self.tag in (None, *function.definition.tags)
        searched = f"{function.language_title} {function.definition.description}".lower()
        by_text = self.text is None or self.text.lower() in searched
        return function.deactivated_at is None and by_owner and by_language and by_type and by_tag and by_text


class FunctionPlace(NamedTuple):
    """The place of a function in lists, which are in this order."""

    language: str
    title: str
    owner: str

    @classmethod
    def of(cls, function: Function) -> "FunctionPlace":
        """Return the place of a function."""
        title = function.language_title
        return cls(title.language, title.title, function.owner)


FIRST_PLACE = FunctionPlace("", "", "")
"""The place before all functions."""


@frozen
class FunctionPage:
    """Functions in order, and the place after which the next page begins; None on the last page.

    A page with `next_after` may hold fewer functions than requested, because the number of examined rows is bounded.
    """

    items: Sequence[FunctionSummary]
    next_after: FunctionPlace | None
