"""The file that maps additional spellings of language-titles to languages."""

import json
import re
from pathlib import Path
from typing import Any

from domain.scripts.language import Language, LanguageMapping

_SIZE_MAX = 64 * 1024
_FORM = 'Use the form {"prefixes": {"js-": "nodejs"}, "patterns": {"ml-.*": "python"}}.'


class WrongMappingFile(ValueError):
    """The file cannot be read, or has another form.

    The form is `{"prefixes": {"js-": "nodejs"}, "patterns": {"ml-.*": "python"}}`.
    """


def read_mapping(path: Path) -> LanguageMapping:
    """Read the file; raises WrongMappingFile, which names the file, its fault and the form."""
    try:
        return _mapping(json.loads(_content(path)))
    except OSError as error:
        reason = f"cannot be read: {error.strerror}. Name a file that this user can read."
    except json.JSONDecodeError as error:
        reason = f"is not JSON: {error}. {_FORM}"
    except ValueError as error:
        reason = f"{error}. {_FORM}"
    raise WrongMappingFile(f"{str(path)!r} {reason}")


def _content(path: Path) -> bytes:
    with path.open("rb") as file:
        content = file.read(_SIZE_MAX + 1)
    if len(content) > _SIZE_MAX:
        raise ValueError(f"is larger than {_SIZE_MAX} bytes")
    return content


def _mapping(content: Any) -> LanguageMapping:
    if not isinstance(content, dict) or content.keys() - {"prefixes", "patterns"}:
        raise ValueError('is not an object with "prefixes" and "patterns" only')
    prefixes, patterns = (_languages(content, name) for name in ("prefixes", "patterns"))
    return LanguageMapping(prefixes, tuple((_pattern(text), language) for text, language in patterns.items()))


def _languages(content: dict[str, Any], name: str) -> dict[str, Language]:
    entries = content.get(name, {})
    if not isinstance(entries, dict) or not all(entries):
        raise ValueError(f'has "{name}" that is not an object whose keys are not empty')
    return {spelling: _language(spelling, language) for spelling, language in entries.items()}


def _language(spelling: str, language: Any) -> Language:
    if language not in list(Language):
        names = " or ".join(f'"{each}"' for each in Language)
        raise ValueError(f"maps {spelling!r} to {json.dumps(language)}, which is not {names}")
    return Language(language)


def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise ValueError(f"has the pattern {text!r}, which is not a regular expression ({error})") from error
