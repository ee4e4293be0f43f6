"""JSON as text: it travels through the service as it came and is decoded by nobody on the way."""

import re
from itertools import accumulate
from typing import NewType

JsonText = NewType("JsonText", str)
"""A valid JSON value as text without NUL characters or lone surrogates."""

EMPTY_OBJECT = JsonText("{}")

# A string without an end goes to the end of the text: were it no match, each of its quotes would be tried in vain.
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
_OTHER_THAN_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_STEPS = bytes.maketrans(b"[]{}", b"\x01\xff\x01\xff")


def without_strings(text: bytes) -> bytes:
    """Return a JSON text without its strings."""
    return _STRING.sub(b"", text)


def levels(outside: bytes) -> int:
    """Return how deep the brackets of a JSON text without strings are nested."""
    brackets = outside.translate(_STEPS, _OTHER_THAN_BRACKETS)
    return max(accumulate(memoryview(brackets).cast("b")), default=0)


def is_deeper(text: bytes, depth_max: int) -> bool:
    """Tell whether a JSON text is nested deeper than `depth_max`; decoders differ in what they bear."""
    opened = text.count(b"[") + text.count(b"{")
    return opened > depth_max and levels(without_strings(text)) > depth_max
