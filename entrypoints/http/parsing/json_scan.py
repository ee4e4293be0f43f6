"""Scans of JSON text that make no object for each value in it."""

import codecs
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache

import msgspec
from attrs import field, frozen
from msgspec import UNSET, Raw, Struct, UnsetType

from domain.json_text import outside_strings

DIGITS_MAX = 308
"""A number of so many digits always fits a double; longer numbers need a closer check."""

FRACTION_DIGITS_MAX = 16_383
"""The digits after the point that PostgreSQL's numeric can store."""

MEMBERS_MAX = 100
"""No body has so many fields."""

# Digits become 0, all brackets one kind, and letters that matter lower case, so that a few searches find rare parts.
_SHAPE = bytes.maketrans(b"123456789{}ED", b"000000000[]ed")
_ASCII_ESCAPE = re.compile(rb"\\u00[0-7]")
_SURROGATE_ESCAPES = (b"\\ud", b"\\uD")
_LONG = b"0" * (DIGITS_MAX + 1)
_SLICE_SIZE = 64 * 1024
_Decoder = codecs.getincrementaldecoder("utf-8")
_HIGH, _LOW = rb"\\u[dD][89abAB][0-9a-fA-F]{2}", rb"\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_HALF_PAIR = re.compile(rb"%b(?!%b)|(?<!%b)%b" % (_HIGH, _LOW, _HIGH, _LOW))
_PAIR_SIZE = 12
_REPLACEMENT = rb"\ufffd"  # as long as the half that it replaces


def is_plain(text: bytes, names: Iterable[bytes]) -> bool:
    """Return whether a check of a body stays cheap: it has no surrogates, and `may_hide_fault` is False."""
    return not any(escape in text for escape in _SURROGATE_ESCAPES) and not may_hide_fault(text, names)


def may_hide_fault(text: bytes, names: Iterable[bytes]) -> bool:
    """Return whether a body that its decoder accepts may contain NUL, a bad number, or one of the quoted `names` twice.

    An escape of an ASCII character may be NUL or a part of a name.
    """
    if _ASCII_ESCAPE.search(text) is not None or any(text.count(name) > 1 for name in names):
        return True
    shape = text.translate(_SHAPE)
    return _is_unusual(shape) and any(map(_is_unusual, outside_strings(shape)))


def may_have_unusual_numbers(text: bytes) -> bool:
    """Return whether a number may be beyond a double, or too long to store. Digits in strings count too."""
    return _is_unusual(text.translate(_SHAPE))


def _is_unusual(shape: bytes) -> bool:
    return b"0e" in shape or _LONG in shape


def is_utf8(text: bytes) -> bool:
    """Return whether the bytes are UTF-8."""
    return text.isascii() or utf8_fault_at(text) is None


def utf8_fault_at(text: bytes) -> int | None:
    """Return the index of the first byte that is not UTF-8, or None.

    Decoded text can take four times the memory, so it is decoded in slices.
    """
    decoder = _Decoder()
    for start in range(0, len(text), _SLICE_SIZE):
        end = start + _SLICE_SIZE
        begun, _ = decoder.getstate()
        try:
            decoder.decode(text[start:end], final=end >= len(text))
        except UnicodeDecodeError as error:
            return start - len(begun) + error.start
    return None


def has_half_pair(text: bytes) -> bool:
    """Return whether a JSON text escapes half a surrogate pair. Decoders reject it without naming the reason."""
    return any(True for _ in _half_pairs(text))


def without_half_pairs(text: bytes) -> bytes:
    """Return a JSON text of the same length, with a replacement character for each half surrogate pair."""
    replaced = bytearray()
    for start, end in _half_pairs(text):
        replaced = replaced or bytearray(text)
        replaced[start:end] = _REPLACEMENT
    return bytes(replaced) or text


def _half_pairs(text: bytes) -> Iterator[tuple[int, int]]:
    """Yield the places of escaped half surrogate pairs. Other threads can run between two slices."""
    if not any(escape in text for escape in _SURROGATE_ESCAPES):
        return
    escapes = text.replace(rb"\\", b"__")
    for start in range(0, len(escapes), _SLICE_SIZE):
        end = start + _SLICE_SIZE
        for found in _HALF_PAIR.finditer(escapes, start, end + _PAIR_SIZE):
            if found.start() < end:
                yield found.span()


def has_more_values(text: bytes, values_max: int) -> bool:
    """Return whether a JSON text may have more than `values_max` values."""
    if _values(text) <= values_max:
        return False
    return sum(map(_values, outside_strings(text))) > values_max


def _values(text: bytes) -> int:
    empty = text.count(b"{}") + text.count(b"[]")
    return text.count(b",") + text.count(b"[") + text.count(b"{") - empty


class _Name(str):
    """The name of a member. The decoder reports each key of a type of its own, also repeated ones."""

    __slots__ = ()


class _TooManyError(ValueError):
    """An object has more than `MEMBERS_MAX` members."""


@frozen
class Members:
    """The names of an object in order, and its values by name; for a repeated name the last value.

    `is_cut` says that the object has more than `MEMBERS_MAX` members; then no value is known.
    """

    names: tuple[str, ...]
    values: dict[str, Raw] = field(repr=False)
    is_cut: bool = False

    @property
    def repeated(self) -> tuple[str, ...]:
        """The names that the object has more than once."""
        return repeated(self.names)


def repeated(names: Iterable[str]) -> tuple[str, ...]:
    """Return the names that occur more than once."""
    seen: set[str] = set()
    twice = [name for name in names if name in seen or seen.add(name)]  # type: ignore[func-returns-value]
    return tuple(dict.fromkeys(twice))


def members(text: bytes | Raw) -> Members:
    """Return the members of a JSON object. Raises msgspec.MsgspecError or RecursionError if the text is no object."""
    names: list[str] = []

    def note(_: type, name: str) -> _Name:
        if len(names) == MEMBERS_MAX:
            raise _TooManyError
        names.append(name)
        return _Name(name)

    try:
        values = msgspec.json.decode(text, type=dict[_Name, Raw], dec_hook=note)
    except msgspec.ValidationError as error:
        if isinstance(error.__cause__, _TooManyError):
            return Members(tuple(names), {}, is_cut=True)
        raise
    return Members(tuple(names), {str(name): value for name, value in values.items()})


def elements(text: bytes | Raw, count_max: int) -> list[Raw] | None:
    """Return the elements of a JSON array, or None if there are more than `count_max`.

    Raises msgspec.MsgspecError or RecursionError if the text is no array.
    """
    try:
        decoded = msgspec.json.decode(text, type=_array(count_max))
    except msgspec.ValidationError:
        msgspec.json.decode(text, type=_array(0, forbid_more=False))
        return None
    return [value for value in msgspec.structs.astuple(decoded) if value is not UNSET]


def starts_with(text: Raw, bracket: bytes) -> bool:
    """Return whether a valid JSON value begins with a bracket, so that it is an array or an object."""
    return bytes(memoryview(text)[:1]) == bracket


@lru_cache(maxsize=8)
def _array(count_max: int, *, forbid_more: bool = True) -> type[Struct]:
    """Return a type for arrays of at most `count_max` elements. The decoder stops at the first one too many."""
    fields = [(f"element_{index}", Raw | UnsetType, UNSET) for index in range(count_max)]
    return msgspec.defstruct("Elements", fields, array_like=True, forbid_unknown_fields=forbid_more)
