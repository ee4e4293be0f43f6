"""JSON read for examination: everything that came is kept, be it right or wrong."""

import json
import re
from collections.abc import Iterator
from typing import Any, NoReturn

from domain.errors import Problem
from domain.json_pointer import pointer
from entrypoints.http.bodies.plain_json import DIGITS_MAX, FRACTION_DIGITS_MAX

_NUMBER = re.compile(r"-?[0-9]+(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?")
_EXPONENT_LENGTH_MAX = 12


class NumberText(str):
    """A number that is no plain integer, as it was written."""

    __slots__ = ()


class Members(dict[str, Any]):
    """An object, and the names that came more than once in it."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.repeated = () if len(self) == len(pairs) else _repeated(pairs)


def read_json(text: str) -> Any:
    """Return the value of a JSON text that is not nested too deep; raises ValueError where it is none."""
    return _decoder.decode(text)


def flaws(value: Any, path: tuple[str | int, ...], *, stored: bool) -> Iterator[Problem]:
    """Yield what is wrong inside a value; `stored` holds it to what PostgreSQL can keep."""
    todo: list[tuple[Any, Any]] = [(value, None)]
    while todo:
        item, place = todo.pop()
        if isinstance(item, dict):
            for name, member in item.items():
                todo.append((member, (name, place)))
                if fault := _string_fault(name, stored=stored):
                    yield Problem(_pointer(path, (name, place)), f"its name {fault}")
        elif isinstance(item, list):
            todo.extend((member, (index, place)) for index, member in enumerate(item))
        elif fault := _scalar_fault(item, stored=stored):
            yield Problem(_pointer(path, place), fault)


def _pointer(path: tuple[str | int, ...], place: Any) -> str:
    inner = []
    while place is not None:
        segment, place = place
        inner.append(segment)
    return pointer((*path, *reversed(inner)))


def _scalar_fault(item: Any, *, stored: bool) -> str | None:
    if isinstance(item, NumberText):
        return _number_fault(item, stored=stored)
    return _string_fault(item, stored=stored) if isinstance(item, str) else None


def _string_fault(text: str, *, stored: bool) -> str | None:
    if stored and "\0" in text:
        return "must not contain NUL (\\u0000), which PostgreSQL cannot hold"
    return None if text.isascii() or _is_unicode(text) else "must not contain half of a surrogate pair"


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
    object_pairs_hook=Members, parse_int=_integer, parse_float=NumberText, parse_constant=_refuse_constant
)
