"""What numbers cost: the library compares all but small integers as exact fractions of their digits."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from attrs import frozen

_FORM = bytes(
    ord("0") if chr(byte) in "0123456789" else ord("e") if chr(byte) in "eE" else byte if chr(byte) == "." else ord(" ")
    for byte in range(256)
)
"""A text as digits, points, exponents and anything else, in which these can be counted at the speed of C."""

_INTEGER_DIGITS = 16
_LONG_DIGITS = 20

_STRANGE = 16
"""A number with an exponent, or with many digits, costs as much as so many ordinary fractions (measured: 25 to 60 us)."""

_STRANGE_OPERAND = 8
"""The same, where such a number stands in the schema."""

_COMPARISON = {"minimum": 100, "maximum": 100, "exclusiveMinimum": 100, "exclusiveMaximum": 100, "multipleOf": 300}
"""Steps of one comparison with a fraction."""

_EQUALITY = 150
_COMPOSITE = 20
_EACH_PART = 2

UNIQUE = 1000
"""Steps of a fraction among unique items: up to fifteen are compared with each other, more are hashed."""

UNIQUE_PAIR = 105
"""Steps for the square of the count of long integers among unique items: they all have the same hash."""


@frozen
class Numbers:
    """The numbers of a JSON text that are no small integers, in ordinary fractions; `long` of them are long integers."""

    fractions: int
    long: int

    @classmethod
    def of(cls, text: bytes) -> "Numbers":
        """Count at least as many as there are; digits in strings count as well."""
        form = b" " + text.translate(_FORM)
        long = form.count(b"0" * _LONG_DIGITS)
        strange = form.count(b"0e") + form.count(b" " + b"0" * _INTEGER_DIGITS) + long
        return cls(form.count(b".") + _STRANGE * strange, long)


@frozen
class Operands:
    """What a keyword's numbers cost, in steps: for each value, and for each fraction in a value beyond that."""

    value: int
    fraction: int


def of_bound(name: str, bound: float) -> Operands:
    """Return what a keyword costs that compares with one number."""
    steps, factor = _COMPARISON[name], _factor(bound)
    return Operands(steps * factor if factor else 5, steps * max(factor, 1))


def of_options(options: Sequence[Any]) -> Operands:
    """Return what it costs to look for a value among these; those of one simple kind the library finds by their hash."""
    by_hash = all(isinstance(one, str) for one in options) or all(
        _is_number(one) and not _factor(one) for one in options
    )
    value = fraction = 0
    for option in options:
        value += 1 if by_hash else _COMPOSITE
        for part in _parts(option):
            factor = _factor(part) if _is_number(part) else None
            value += (0 if by_hash else _EACH_PART) + _EQUALITY * (factor or 0)
            fraction += 0 if factor is None else _EQUALITY * max(factor, 1)
    return Operands(value, fraction)


def is_bound(name: str) -> bool:
    """Tell whether a keyword compares with one number."""
    return name in _COMPARISON


def _factor(number: float) -> int:
    """Return how many ordinary fractions a number counts for; 0 for a small integer."""
    fractions = Numbers.of(json.dumps(number).encode()).fractions
    return _STRANGE_OPERAND if fractions > 1 else fractions


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _parts(value: Any) -> Iterator[Any]:
    todo = [value]
    while todo:
        one = todo.pop()
        yield one
        if isinstance(one, (dict, list)):
            todo += one.values() if isinstance(one, dict) else one
