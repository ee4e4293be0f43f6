"""The file that maps additional spellings of language-titles to languages."""

import json
import re
from pathlib import Path
from typing import Any

from domain.scripts.language import Language, LanguageMapping

_SIZE_MAX = 64 * 1024


class WrongMappingFile(ValueError):
    """The file cannot be read, or has another form.

    The form is `{"prefixes": {"js-": "nodejs"}, "patterns": {"ml-.*": "python"}}`.
    """


def read_mapping(path: Path) -> LanguageMapping:
    """Read the file; raises WrongMappingFile, which names the file and its fault."""
    try:
        with path.open("rb") as file:
            content = json.loads(file.read(_SIZE_MAX))
        return _mapping(content)
    except (OSError, ValueError, re.error) as error:
        raise WrongMappingFile(f"{path}: {error}") from error


def _mapping(content: Any) -> LanguageMapping:
    if not isinstance(content, dict) or content.keys() - {"prefixes", "patterns"}:
        raise ValueError('must be an object with "prefixes" and "patterns" only')
    prefixes, patterns = (_languages(content, name) for name in ("prefixes", "patterns"))
    return LanguageMapping(prefixes, tuple((re.compile(text), language) for text, language in patterns.items()))


def _languages(content: dict[str, Any], name: str) -> dict[str, Language]:
    entries = content.get(name, {})
    if not isinstance(entries, dict) or not all(entries):
        raise ValueError(f'"{name}" must be an object whose keys are not empty')
    return {spelling: Language(language) for spelling, language in entries.items()}
