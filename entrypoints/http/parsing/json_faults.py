"""Values that PostgreSQL or a double cannot hold, found in JSON text or in the objects made from it."""

import json
import re
from collections.abc import Iterator
from typing import Any, NoReturn

from domain.errors import Problem
from domain.json_pointer import pointer
from domain.json_text import DEPTH_MAX, is_deeper, outside_strings
from entrypoints.http.parsing.json_scan import (
    DIGITS_MAX,
    FRACTION_DIGITS_MAX,
    may_have_unusual_numbers,
    repeated,
)

NUL = "must not contain NUL (\\u0000), which PostgreSQL cannot store"
FILTER_VALUES_MAX = 8
"""Values of a filter by metadata. For each, the index may read an entry of every session of the owner."""
HALF_PAIR = "must not contain half of a surrogate pair"

_NUMBER = re.compile(r"-?[0-9]+(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?")
_EXPONENT_LENGTH_MAX = 12
# Numbers with less than 150 digits and an exponent below 100 are within a double, and short.
_DOUBTFUL = re.compile(rb"(?<![0-9.])-?(?:[0-9.]{150,}+(?:[eE][+-]?[0-9]+)?|[0-9.]++[eE][+-]?0*+[1-9][0-9]{2,}+)")


def text_fault(text: bytes, *, stored: bool) -> str | None:
    """Return the first fault in a valid JSON text, without an object for each value.

    It finds what `value_faults` finds, except half surrogate pairs, which no decoder accepts. `stored` adds the rules
    of PostgreSQL.
    """
    if stored and rb"\u0000" in text.replace(rb"\\", b"__"):
        return NUL
    if not may_have_unusual_numbers(text):
        return None
    doubtful = (match[0].decode() for part in outside_strings(text) for match in _DOUBTFUL.finditer(part))
    return next((found for number in doubtful if (found := _number_fault(number, stored=stored))), None)


def value_faults(value: Any, path: tuple[str | int, ...], *, stored: bool) -> Iterator[Problem]:
    """Yield the faults inside a value of `read_json` that stands at `path`; `stored` adds the rules of PostgreSQL.

    It keeps one iterator for each level, so that the garbage collector has little to go through.
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


def filter_fault(text: str) -> str | None:
    """Return why a text cannot filter by metadata; None for a JSON object that an index finds."""
    if is_deeper(text.encode(), DEPTH_MAX):
        return f"is nested deeper than {DEPTH_MAX} levels"
    try:
        value = read_json(text)
    except ValueError:
        value = None
    scalars = _scalars(value) if isinstance(value, Object) else 0
    if not scalars:
        return 'must be a JSON object with a string, number, boolean or null in it, such as {"order": "4711"}'
    if scalars > FILTER_VALUES_MAX:
        return f"must have at most {FILTER_VALUES_MAX} strings, numbers, booleans and nulls"
    found = next(value_faults(value, ("metadata",), stored=True), None)
    return None if found is None else f"{found.message} (at {found.pointer})"


def _scalars(value: Any) -> int:
    """Return the number of values in it that an index of `jsonb_path_ops` has an entry for."""
    if isinstance(value, dict):
        value = list(value.values())
    return sum(map(_scalars, value)) if isinstance(value, list) else 1


def _scalar_fault(item: Any, *, stored: bool) -> str | None:
    if isinstance(item, NumberText):
        return _number_fault(item, stored=stored)
    return _string_fault(item, stored=stored) if isinstance(item, str) else None


def _string_fault(text: str, *, stored: bool) -> str | None:
    if stored and "\0" in text:
        return NUL
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
        return f"must be a number with at most {FRACTION_DIGITS_MAX} digits after the point, written without exponent"
    return None


def _fraction_digits(text: str) -> int:
    match = _NUMBER.fullmatch(text)
    assert match is not None
    fraction, exponent = match.groups(default="")
    return len(fraction) - int(exponent[:_EXPONENT_LENGTH_MAX] or 0)


class NumberText(str):
    """A number that is no plain integer, as it was written."""

    __slots__ = ()


class Object(dict[str, Any]):
    """An object, and the names that it had more than once."""

    __slots__ = ("repeated",)

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.repeated = () if len(self) == len(pairs) else repeated(name for name, _ in pairs)


def read_json(text: str) -> Any:
    """Return the value of a JSON text that is not nested too deep; raises ValueError if the text is not JSON."""
    return _decoder.decode(text)


def _integer(text: str) -> int | NumberText:
    return int(text) if len(text) <= DIGITS_MAX else NumberText(text)


def _reject_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_decoder = json.JSONDecoder(
    object_pairs_hook=Object, parse_int=_integer, parse_float=NumberText, parse_constant=_reject_constant
)
