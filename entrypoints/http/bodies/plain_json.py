"""Cheap scans that tell whether a JSON text needs a closer look."""

import re
from collections.abc import Iterable

from domain.json_text import levels, without_strings

DEPTH_MAX = 100
"""How deep objects and arrays may be nested in a body, the body itself included."""

DIGITS_MAX = 308
"""So many digits always fit a double; numbers of more are looked at closely."""

# Digits become 0, all brackets one kind, and letters that matter one case, so that a few searches find what is rare.
_SHAPE = bytes.maketrans(b"123456789{}ED", b"000000000[]ed")
_EXPONENT = re.compile(rb"[0-9][eE](?:\+?0*([0-9]+)|-0*([0-9]+))")
_ASCII_ESCAPE = re.compile(rb"\\u00[0-7]")
_LONG = b"0" * (DIGITS_MAX + 1)
_EXPONENT_DIGITS_MAX = 6
FRACTION_DIGITS_MAX = 16_383
"""What PostgreSQL's numeric holds after the point."""


def is_plain(text: bytes, names: Iterable[bytes]) -> bool:
    """Tell whether a body is surely free of everything that a decoder lets pass and the service does not.

    That is invalid UTF-8, NUL, lone surrogates, numbers beyond a double, deep nesting, and members whose quoted
    `names` come twice. False means only that it must be examined.
    """
    shape = text.translate(_SHAPE)
    if b"\\ud" in shape or _ASCII_ESCAPE.search(text) or any(text.count(name) > 1 for name in names):
        return False
    if shape.count(b"[") > DEPTH_MAX or b"0e" in shape or _LONG in shape:
        shape = without_strings(shape)
        if b"0e" in shape or _LONG in shape or levels(shape) > DEPTH_MAX:
            return False
    return text.isascii() or _is_utf8(text)


def written_size(text: bytes) -> int:
    """Return the size in bytes when numbers are written without exponents, as PostgreSQL keeps them."""
    if b"0e" not in text.translate(_SHAPE):
        return len(text)
    exponents = _EXPONENT.findall(without_strings(text))
    return len(text) + sum(_digits(up, DIGITS_MAX) + _digits(down, FRACTION_DIGITS_MAX) for up, down in exponents)


def _digits(exponent: bytes, digits_max: int) -> int:
    """Return how many digits an exponent adds; numbers that it puts out of range are refused elsewhere."""
    return min(int(exponent[:_EXPONENT_DIGITS_MAX] or 0), digits_max)


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True
