"""Compares two JSON values by value, as the origin and this service return them."""

import math
import re
from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import TypeGuard

from attrs import frozen

_POINTER_SIZE_MAX = 200
_NAME_SIZE_MAX = 60
_LAST_DIGITS = 2
"""Units in the last place by which the origin's reader of numbers may miss a floating-point number."""
_UNSIGNED_MAX = 2**64 - 1
_SIGNED_MIN = -(2**63)

_Path = tuple[str | int, ...]
"""Names of members and indexes of items."""


class Note(StrEnum):
    """A difference between numbers that is none of the values: the origin reads numbers less exactly.

    LARGE_INTEGER: an integer beyond 64 bits became a floating-point number there. LAST_DIGITS: a floating-point number
    differs in its last digits.
    """

    LARGE_INTEGER = "P6"
    LAST_DIGITS = "last-digits"


@frozen
class Comparison:
    """The first place where two JSON values differ, as a JSON pointer; None if they are equal but for the notes."""

    pointer: str | None
    notes: frozenset[Note] = frozenset()


def compared(origin: object, here: object, source: str = "") -> Comparison:
    """Compare two decoded JSON values: the order of members does not count, and 1 is equal to 1.0.

    `source` is the script. A member whose name it does not have is `*` in the pointer: a caller may have chosen it.
    """
    notes: set[Note] = set()
    path = _difference(origin, here, (), notes)
    return Comparison(None if path is None else _pointer(path, source), frozenset(notes))


def is_word_of(source: str, name: str) -> bool:
    """Return whether a script has a name as a word, so that nobody but its author has chosen it."""
    is_name = len(name) <= _NAME_SIZE_MAX and name.isprintable()
    return is_name and re.search(rf"(?<![\w$]){re.escape(name)}(?![\w$])", source) is not None


def _pointer(path: _Path, source: str) -> str:
    names = [str(each) if isinstance(each, int) or is_word_of(source, each) else "*" for each in path]
    return "".join(f"/{name.replace('~', '~0').replace('/', '~1')}" for name in names)[:_POINTER_SIZE_MAX]


def _difference(origin: object, here: object, path: _Path, notes: set[Note]) -> _Path | None:
    if isinstance(origin, dict) and isinstance(here, dict):
        return _first(_members(origin, here, path, notes))
    if isinstance(origin, list) and isinstance(here, list):
        return _first(_items(origin, here, path, notes))
    if _is_number(origin) and _is_number(here):
        return path if _numbers_differ(origin, here, notes) else None
    return None if type(origin) is type(here) and origin == here else path


def _members(
    origin: dict[str, object], here: dict[str, object], path: _Path, notes: set[Note]
) -> Iterator[_Path | None]:
    for name in sorted(origin.keys() | here.keys()):
        inner = (*path, name)
        is_on_both = name in origin and name in here
        yield _difference(origin[name], here[name], inner, notes) if is_on_both else inner


def _items(origin: list[object], here: list[object], path: _Path, notes: set[Note]) -> Iterator[_Path | None]:
    for index, (there, own) in enumerate(zip(origin, here, strict=False)):
        yield _difference(there, own, (*path, index), notes)
    if len(origin) != len(here):
        yield (*path, min(len(origin), len(here)))


def _first(paths: Iterable[_Path | None]) -> _Path | None:
    return next((path for path in paths if path is not None), None)


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _numbers_differ(origin: float, here: float, notes: set[Note]) -> bool:
    if origin == here:
        return False
    note = _note_on(origin, here)
    if note is not None:
        notes.add(note)
    return note is None


def _note_on(origin: float, here: float) -> Note | None:
    """Return why two numbers may be one and the same, as the origin reads it."""
    if isinstance(origin, int):
        return None
    if isinstance(here, int) and _SIGNED_MIN <= here <= _UNSIGNED_MAX:
        return None
    try:
        is_close = abs(origin - float(here)) <= _LAST_DIGITS * math.ulp(origin)
    except OverflowError:
        return None
    return (Note.LARGE_INTEGER if isinstance(here, int) else Note.LAST_DIGITS) if is_close else None
