"""JSON as text: the service passes JSON of callers on without decoding it."""

import re
from collections.abc import Iterator
from itertools import accumulate
from math import isinf
from typing import NewType

JsonText = NewType("JsonText", str)
"""A valid JSON value as text without NUL characters or lone surrogates."""

EMPTY_OBJECT = JsonText("{}")

DEPTH_MAX = 100
"""How deep objects and arrays may be nested in a body, including the body itself."""

VALUE_DEPTH_MAX = DEPTH_MAX - 1
"""How deep params may be nested, and so results: each result can be the params of another call."""

_SLICE_SIZE = 4 * 1024
"""A long text is read in slices of about this many bytes, so that other threads can run between them."""

_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_TOKENS = re.compile(rb'(?:[^"]++|"[^"\\]*+(?:\\.[^"\\]*+)*+")*+', re.DOTALL)
_INSIDE = re.compile(rb'(?:[^"\\]++|\\.)*+', re.DOTALL)
_NUMBER_END = re.compile(rb"[0-9eE+.\-]*+")
_OTHER_THAN_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_STEPS = bytes.maketrans(b"[]{}", b"\x01\xff\x01\xff")
_PAIR = b"\x01\xff"
_DIGITS_MAX = 4300
"""The digits of the longest integer that Python reads by default."""
_DIGITS = bytes.maketrans(b"123456789E", b"000000000e")
_MANY_DIGITS = b"0" * (_DIGITS_MAX + 1)
_LARGE_EXPONENTS = (b"0e000", b"0e+000")
_WITH_EXPONENT = re.compile(rb"-?[0-9][0-9.]*+[eE]\+?[0-9]{3,}+")


def outside_strings(text: bytes) -> Iterator[bytes]:
    """Yield a JSON text without its strings, in slices of bounded size; no slice ends within a number.

    It makes no Python object for each value. A string without an end extends to the end of the text.
    """
    start = 0
    while start < len(text):
        end = _end(_TOKENS, text, start)
        end = _NUMBER_END.match(text, end).end()  # type: ignore[union-attr]  # it matches the empty string
        if end > start:
            yield _STRING.sub(b"", text[start:end])
            start = end
        else:
            start = _string_end(text, start)


def without_strings(text: bytes) -> bytes:
    """Return a JSON text without its strings."""
    return b"".join(outside_strings(text))


def is_deeper(text: bytes, depth_max: int) -> bool:
    """Return whether a JSON text is nested deeper than `depth_max`; decoders differ in the depth that they accept."""
    if text.count(b"[") + text.count(b"{") <= depth_max:
        return False
    depth = 0
    for part in outside_strings(text):
        steps = part.translate(_STEPS, _OTHER_THAN_BRACKETS)
        # Without its innermost pairs the text is at most one level less deep, and mostly much shorter.
        depths = _depths(steps.replace(_PAIR, b""), depth)
        if max(depths) >= depth_max and max(_depths(steps, depth)) > depth_max:
            return True
        depth = depths[-1]
    return False


def has_unreadable_number(text: bytes) -> bool:
    """Return whether a JSON text has a number that many decoders refuse, or read as infinity."""
    shape = text.translate(_DIGITS)
    if _MANY_DIGITS not in shape and not any(each in shape for each in _LARGE_EXPONENTS):
        return False
    return any(map(_is_unreadable, outside_strings(text)))


def _is_unreadable(part: bytes) -> bool:
    if _MANY_DIGITS in part.translate(_DIGITS):
        return True
    return any(isinf(float(number)) for number in _WITH_EXPONENT.findall(part))


def depth_of(text: bytes) -> int:
    """Return how deep a JSON text is nested; a value without parts has depth 0."""
    depths, deepest = [0], [0]
    for part in outside_strings(text):
        depths = _depths(part.translate(_STEPS, _OTHER_THAN_BRACKETS), depths[-1])
        deepest.append(max(depths))
    return max(deepest)


def _depths(steps: bytes, depth: int) -> list[int]:
    return list(accumulate(memoryview(steps).cast("b"), initial=depth))


def _string_end(text: bytes, start: int) -> int:
    """Return where the string that begins at `start` ends; a slice is too short for it."""
    end = start + 1
    while end < len(text):
        end = _end(_INSIDE, text, end)
        if text[end : end + 1] == b'"':
            return end + 1
        if end >= len(text) - 1:  # a backslash is the last character
            break
    return len(text)


def _end(pattern: re.Pattern[bytes], text: bytes, start: int) -> int:
    match = pattern.match(text, start, start + _SLICE_SIZE)
    assert match is not None, "the pattern matches the empty string"
    return match.end()
