"""JSON as text: it travels through the service as it came and is decoded by nobody on the way."""

from typing import NewType

JsonText = NewType("JsonText", str)
"""A valid JSON value as text without NUL characters or lone surrogates."""

EMPTY_OBJECT = JsonText("{}")
