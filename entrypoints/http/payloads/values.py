"""Values of fields: JSON text that passes as it is, and what was left out."""

from typing import Any

from msgspec import UNSET, Raw, UnsetType

from domain.json_text import EMPTY_OBJECT, JsonText


def embedded(text: str) -> Raw:
    """Return JSON text to be embedded as it is."""
    return Raw(text.encode())


def json_text(raw: Raw | UnsetType) -> JsonText:
    """Return a checked JSON value as text; what was left out is an empty object."""
    return EMPTY_OBJECT if isinstance(raw, UnsetType) else JsonText(str(raw, "utf-8"))


def given(value: Any) -> Any:
    """Return a value, or None where it was left out."""
    return None if value is UNSET else value
