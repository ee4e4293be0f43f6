"""What PostgreSQL or a double cannot hold, found in JSON text; and JSON read into objects to say where it is."""

import json
import re
from collections.abc import Iterator
from typing import Any, NoReturn

from domain.errors import Problem
from domain.json_pointer import pointer
from domain.json_text import outside_strings
from entrypoints.http.bodies.plain_json import DIGITS_MAX, FRACTION_DIGITS_MAX, has_unusual_numbers

_NUMBER = re.compile(r"-?[0-9]+(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?")
_EXPONENT_LENGTH_MAX = 12
# Numbers with less than 150 digits and an exponent below 100 are within a double, and short.
_DOUBTFUL = re.compile(rb"(?<![0-9.])-?(?:[0-9.]{150,}+(?:[eE][+-]?[0-9]+)?|[0-9.]++[eE][+-]?0*+[1-9][0-9]{2,}+)")
_HIGH, _LOW = rb"\\u[dD][89abAB][0-9a-fA-F]{2}", rb"\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_HALF_PAIR = re.compile(rb"%b(?!%b)|(?<!%b)%b" % (_HIGH, _LOW, _HIGH, _LOW))
_PAIR_SIZE = 12
_REPLACEMENT = rb"\ufffd"  # as long as the half that it replaces
_SLICE_SIZE = 64 * 1024
_NUL = "must not contain NUL (\\u0000), which PostgreSQL cannot hold"
HALF_PAIR = "must not contain half of a surrogate pair"


class NumberText(str):
    """A number that is no plain integer, as it was written."""

    __slots__ = ()


class Object(dict[str, Any]):
    """An object, and the names that came more than once in it."""

    __slots__ = ("repeated",)

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.repeated = () if len(self) == len(pairs) else _repeated(pairs)


def read_json(text: str) -> Any:
    """Return the value of a JSON text that is not nested too deep; raises ValueError where it is none."""
    return _decoder.decode(text)


def has_half_pair(text: bytes) -> bool:
    """Return whether a JSON text escapes half of a surrogate pair; decoders refuse it without saying so."""
    return any(True for _ in _half_pairs(text))


def without_half_pairs(text: bytes) -> bytes:
    """Return a JSON text with the replacement character in place of each half of a surrogate pair."""
    replaced = bytearray()
    for start, end in _half_pairs(text):
        replaced = replaced or bytearray(text)
        replaced[start:end] = _REPLACEMENT
    return bytes(replaced) or text


def _half_pairs(text: bytes) -> Iterator[tuple[int, int]]:
    """Yield where halves of surrogate pairs are escaped; between two slices other threads can run."""
    if b"\\ud" not in text and b"\\uD" not in text:
        return
    escapes = text.replace(rb"\\", b"__")
    for start in range(0, len(escapes), _SLICE_SIZE):
        end = start + _SLICE_SIZE
        for found in _HALF_PAIR.finditer(escapes, start, end + _PAIR_SIZE):
            if found.start() < end:
                yield found.span()


def is_of_more_values(text: bytes, values_max: int) -> bool:
    """Return whether a JSON text may have more than `values_max` values."""
    if _values(text) <= values_max:
        return False
    return sum(map(_values, outside_strings(text))) > values_max


def _values(text: bytes) -> int:
    empty = text.count(b"{}") + text.count(b"[]")
    return text.count(b",") + text.count(b"[") + text.count(b"{") - empty


def fault(text: bytes, *, stored: bool) -> str | None:
    """Return what is wrong somewhere in valid JSON text, found without an object for each value.

    Finds what `flaws` finds, half pairs apart, which no decoder accepts.
    """
    if stored and rb"\u0000" in text.replace(rb"\\", b"__"):
        return _NUL
    if not has_unusual_numbers(text):
        return None
    doubtful = (match[0].decode() for part in outside_strings(text) for match in _DOUBTFUL.finditer(part))
    return next((found for number in doubtful if (found := _number_fault(number, stored=stored))), None)


def flaws(value: Any, path: tuple[str | int, ...], *, stored: bool) -> Iterator[Problem]:
    """Yield what is wrong inside a value that stands at `path`; `stored` holds it to what PostgreSQL can keep.

    One iterator for each level is all that is kept, so that the garbage collector has nothing to go through.
    """
    above = list(path[:-1])
    todo: list[Iterator[tuple[str | int, Any]]] = [iter([(path[-1], value)])]
    while todo:
        segment, item = next(todo[-1], (None, None))
        if segment is None:
            todo.pop()
            if todo:
                above.pop()
        elif isinstance(item, dict):
            above.append(segment)
            todo.append(iter(item.items()))
            for name in item:
                if found := _string_fault(name, stored=stored):
                    yield Problem(pointer((*above, name)), f"its name {found}")
        elif isinstance(item, list):
            above.append(segment)
            todo.append(enumerate(item))
        elif found := _scalar_fault(item, stored=stored):
            yield Problem(pointer((*above, segment)), found)


def _scalar_fault(item: Any, *, stored: bool) -> str | None:
    if isinstance(item, NumberText):
        return _number_fault(item, stored=stored)
    return _string_fault(item, stored=stored) if isinstance(item, str) else None


def _string_fault(text: str, *, stored: bool) -> str | None:
    if stored and "\0" in text:
        return _NUL
    return None if text.isascii() or _is_unicode(text) else HALF_PAIR


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _number_fault(text: str, *, stored: bool) -> str | None:
    if abs(float(text)) == float("inf"):
        return "must be a number within the range of a double"
    if stored and _fraction_digits(text) > FRACTION_DIGITS_MAX:
        return f"must be a number with at most {FRACTION_DIGITS_MAX} digits after the point, written out"
    return None


def _fraction_digits(text: str) -> int:
    match = _NUMBER.fullmatch(text)
    assert match is not None
    fraction, exponent = match.groups(default="")
    return len(fraction) - int(exponent[:_EXPONENT_LENGTH_MAX] or 0)


def _integer(text: str) -> int | NumberText:
    return int(text) if len(text) <= DIGITS_MAX else NumberText(text)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _repeated(pairs: list[tuple[str, Any]]) -> tuple[str, ...]:
    seen: set[str] = set()
    twice = [name for name, _ in pairs if name in seen or seen.add(name)]  # type: ignore[func-returns-value]
    return tuple(dict.fromkeys(twice))


_decoder = json.JSONDecoder(
    object_pairs_hook=Object, parse_int=_integer, parse_float=NumberText, parse_constant=_refuse_constant
)
