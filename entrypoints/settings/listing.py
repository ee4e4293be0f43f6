"""The settings as a list for people and programs."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, get_type_hints

import msgspec

from entrypoints.settings.settings import Settings

_MASK = "********"
_CREDENTIALS = re.compile(r"(?<=://)[^/?#\s]*@")


def setting_lines(settings: Settings, *, describe: bool = False) -> Iterator[str]:
    """Yield `NAME=value` for each setting; secrets are masked, and unset values are empty."""
    for name, kind in get_type_hints(Settings, include_extras=True).items():
        if describe:
            yield f"# {_description(kind)}"
        yield f"{name.upper()}={_shown(getattr(settings, name))}"


def setting_document(settings: Settings) -> Mapping[str, Any]:
    """Return `{NAME: {"value", "description"}}` for programs; secrets are masked, and unset values are None."""
    return {
        name.upper(): {"value": _plain(getattr(settings, name)), "description": _description(kind)}
        for name, kind in get_type_hints(Settings, include_extras=True).items()
    }


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(map(_masked, value))
    return value if isinstance(value, (bool, int, float, type(None))) else _masked(str(value))


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return _masked(",".join(value) if isinstance(value, tuple) else str(value))


def _masked(text: str) -> str:
    """Return the text with masked credentials (user name and password) in URLs."""
    return _CREDENTIALS.sub(f"{_MASK}@", text)


def _description(kind: Any) -> str:
    return next(each.description for each in kind.__metadata__ if isinstance(each, msgspec.Meta) and each.description)
