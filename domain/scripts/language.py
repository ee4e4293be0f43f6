"""Languages, and the titles of scripts."""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import ClassVar

from attrs import define, evolve, field, frozen

from domain.errors import Invalid, NotFound

TITLE_PATTERN = "^[a-z][a-z0-9]*-[A-Za-z0-9][A-Za-z0-9._-]*$"
"""The grammar of language-titles, in the regular expressions of JSON Schema."""

TITLE_SIZE_MAX = 128
"""Characters of a language-title."""

EMPTY_TITLE = "_"
"""The title of a text that is a prefix alone, such as `nodejs-`, which the origin accepts."""

PINNED_PATTERN = TITLE_PATTERN.removesuffix("$") + "(?:@[1-9][0-9]{0,17})?$"
"""The grammar of language-titles that may name a version, such as `python-adder@3`."""

PINNED_SIZE_MAX = TITLE_SIZE_MAX + len("@") + 18

_GRAMMAR = re.compile(TITLE_PATTERN)
_PINNED = re.compile(PINNED_PATTERN)


class Language(StrEnum):
    """A language of scripts."""

    NODEJS = "nodejs"
    PYTHON = "python"


_BY_NAME: Mapping[str, Language] = {str(language): language for language in Language}


@define(eq=False)
class InvalidLanguageTitle(Invalid):
    """The title does not follow the grammar `<language>-<title>`; None if the call has no title."""

    code: ClassVar[str] = "INVALID_LANGUAGE_TITLE"
    value: str | None

    @property
    def message(self) -> str:
        if self.value is None:
            names = " or ".join(f"{language}-NAME" for language in Language)
            return f"The header Language-Title is missing. Send Language-Title: {names}."
        return (
            "The language-title is not valid. Send <language>-<title>, like nodejs-calculator: lower-case letters and "
            f"digits, a hyphen, then letters, digits, '.', '_' or '-', at most {TITLE_SIZE_MAX} characters in all. "
            "A version, like nodejs-calculator@3, may end it only to initialize a session, to execute a function by "
            "name and to list its executions. To read a version, send ?version=3."
        )

    @property
    def details(self) -> Mapping[str, object]:
        return {"value": self.value if self.value is None else self.value[:TITLE_SIZE_MAX]}


def pinned_title(value: str | None) -> str:
    """Return a title that may end with a version, if it follows the grammar; raises InvalidLanguageTitle."""
    if value is None or len(value) > PINNED_SIZE_MAX or not _PINNED.fullmatch(value):
        raise InvalidLanguageTitle(value)
    return value


@define(eq=False)
class LanguageNotServed(NotFound):
    """The title is valid, but no runtime serves its language."""

    code: ClassVar[str] = "RUNTIME_NOT_FOUND"
    value: str

    @property
    def message(self) -> str:
        served = ", ".join(f"{language}-" for language in Language)
        return f"No runtime serves {self.value!r}. Use a title that begins with one of: {served}."

    @property
    def details(self) -> Mapping[str, object]:
        return {"value": self.value, "languages": [str(language) for language in Language]}


@frozen
class LanguageTitle:
    """The canonical name of a script: its language and its title."""

    language: Language
    title: str

    def __str__(self) -> str:
        return f"{self.language}-{self.title}"

    @classmethod
    def of(cls, canonical: str) -> "LanguageTitle":
        """Return the title of a canonical name; raises ValueError if it is not one."""
        language, _, title = canonical.partition("-")
        return cls(Language(language), title)


@frozen
class LanguageMapping:
    """Additional spellings: prefixes (`js-` for nodejs), and patterns for whole titles, tried in order.

    A prefix is replaced by the language. A text that matches a pattern becomes the title as a whole.
    """

    prefixes: Mapping[str, Language] = field(factory=dict)
    patterns: tuple[tuple[re.Pattern[str], Language], ...] = ()

    def resolve(self, value: str | None) -> LanguageTitle:
        """Return the canonical title; raises InvalidLanguageTitle or LanguageNotServed."""
        if value is None or len(value) > TITLE_SIZE_MAX or not _GRAMMAR.fullmatch(value):
            raise InvalidLanguageTitle(value)
        return (self._by_language(value) or self._by_prefix(value) or self._by_pattern(value)) or _refuse(value)

    def resolve_loosely(self, value: str) -> LanguageTitle:
        """Return the title of a text that need not follow the grammar, as the origin reads it.

        Patterns come first, because an origin with patterns does not look at prefixes. What follows the language may be
        any text; `_` stands for none. Raises LanguageNotServed.
        """
        found = self._by_pattern(value) or self._by_language(value) or self._by_prefix(value) or _refuse(value)
        title = found.title.removeprefix(f"{found.language}-") if found.title == value else found.title
        return evolve(found, title=title or EMPTY_TITLE)

    def resolve_pinned(self, value: str | None) -> tuple[LanguageTitle, int | None]:
        """Return the canonical title, and the version behind an `@` if there is one.

        Raises InvalidLanguageTitle or LanguageNotServed.
        """
        name, _, version = pinned_title(value).partition("@")
        return self.resolve(name), int(version) if version else None

    def _by_language(self, value: str) -> LanguageTitle | None:
        prefix, hyphen, title = value.partition("-")
        language = _BY_NAME.get(prefix) if hyphen else None
        return None if language is None else LanguageTitle(language, title)

    def _by_prefix(self, value: str) -> LanguageTitle | None:
        for prefix, language in self.prefixes.items():
            if value.startswith(prefix) and len(value) > len(prefix):
                return LanguageTitle(language, value.removeprefix(prefix))
        return None

    def _by_pattern(self, value: str) -> LanguageTitle | None:
        for pattern, language in self.patterns:
            if pattern.fullmatch(value):
                return LanguageTitle(language, value)
        return None


def _refuse(value: str) -> LanguageTitle:
    raise LanguageNotServed(value)
