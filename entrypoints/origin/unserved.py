"""Sessions that the origin accepts although each of their executions fails."""

import json

from domain.scripts.language import Language, LanguageTitle

_WHOLE = "="
"""Begins a title that is the whole text of the header, because its start names no language here."""

_THROW = {
    Language.NODEJS: "throw new Error({});",
    Language.PYTHON: "raise RuntimeError({})",
}


def whole_title(spelled: str) -> LanguageTitle:
    """Return the title under which a session of no language is stored."""
    return LanguageTitle(Language.NODEJS, _WHOLE + spelled)


def unambiguous(title: LanguageTitle) -> LanguageTitle:
    """Return the title of a language as it is stored, so that it cannot be taken for a whole one."""
    is_ambiguous = title.title.startswith(_WHOLE)
    return LanguageTitle(title.language, f"{_WHOLE}{title}") if is_ambiguous else title


def spelling(title: LanguageTitle) -> str:
    """Return the language-title as its client wrote it, or the canonical one."""
    return title.title.removeprefix(_WHOLE) if title.title.startswith(_WHOLE) else str(title)


def failing_script(language: Language, reason: str) -> str:
    """Return a script that fails with this reason, which is ASCII."""
    return _THROW[language].format(json.dumps(reason))
