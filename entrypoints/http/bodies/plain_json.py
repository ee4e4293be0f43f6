"""Cheap scans that tell whether a JSON text needs a closer look."""

import codecs
import re
from collections.abc import Iterable

from domain.json_text import is_deeper, outside_strings

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
_SLICE_SIZE = 64 * 1024
_Decoder = codecs.getincrementaldecoder("utf-8")
FRACTION_DIGITS_MAX = 16_383
"""What PostgreSQL's numeric holds after the point."""


def is_plain(text: bytes, names: Iterable[bytes]) -> bool:
    """Tell whether a body is surely free of everything that a decoder lets pass and the service does not.

    That is invalid UTF-8, NUL, lone surrogates, numbers beyond a double, deep nesting, and members whose quoted
    `names` come twice. False means only that it must be examined.
    """
    shape = text.translate(_SHAPE)
    if b"\\ud" in shape or _may_hide_name(text, names):
        return False
    if _is_unusual(shape) and any(map(_is_unusual, outside_strings(shape))):
        return False
    return not is_deeper(text, DEPTH_MAX) and is_utf8(text)


def may_hide_fault(text: bytes, names: Iterable[bytes]) -> bool:
    """Return whether a body that its decoder accepts may still have NUL, a bad number, or one of the `names` twice."""
    return _may_hide_name(text, names) or has_unusual_numbers(text)


def has_unusual_numbers(text: bytes) -> bool:
    """Return whether a number may be outside of a double or too long to store; texts in strings count as well."""
    return _is_unusual(text.translate(_SHAPE))


def written_size(text: bytes) -> int:
    """Return the size in bytes when numbers are written without exponents, as PostgreSQL keeps them."""
    if b"0e" not in text.translate(_SHAPE):
        return len(text)
    exponents = (match.groups(b"") for part in outside_strings(text) for match in _EXPONENT.finditer(part))
    return len(text) + sum(_digits(up, DIGITS_MAX) + _digits(down, FRACTION_DIGITS_MAX) for up, down in exponents)


def _may_hide_name(text: bytes, names: Iterable[bytes]) -> bool:
    """Return whether one of the names may come twice; an escape of an ASCII character may be a part of one, or NUL."""
    return _ASCII_ESCAPE.search(text) is not None or any(text.count(name) > 1 for name in names)


def _is_unusual(shape: bytes) -> bool:
    return b"0e" in shape or _LONG in shape


def _digits(exponent: bytes, digits_max: int) -> int:
    """Return how many digits an exponent adds; numbers that it puts out of range are refused elsewhere."""
    return min(int(exponent[:_EXPONENT_DIGITS_MAX] or 0), digits_max)


def is_utf8(text: bytes) -> bool:
    """Return whether the bytes are UTF-8."""
    return text.isascii() or utf8_fault_at(text) is None


def utf8_fault_at(text: bytes) -> int | None:
    """Return the first byte that is not UTF-8, or None; decoded text can take four times the memory, so it is sliced."""
    decoder = _Decoder()
    for start in range(0, len(text), _SLICE_SIZE):
        end = start + _SLICE_SIZE
        begun, _ = decoder.getstate()
        try:
            decoder.decode(text[start:end], final=end >= len(text))
        except UnicodeDecodeError as error:
            return start - len(begun) + error.start
    return None
