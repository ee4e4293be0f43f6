"""What checking with a schema costs at worst, computed from the schema alone."""

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from operator import attrgetter
from typing import Any

from attrs import Factory, define, fields, frozen

WEIGHT_MAX = 100_000
"""Steps that a schema may take for one value; schemas that people write take some tens."""

BYTE_WEIGHT_MAX = 10_000
"""The same for one byte."""

DEPTH = 4
"""The depth of the values for which a schema is judged; one that refers to itself may cost more for deeper values."""

_DEPTH_MAX = 100
"""How deep a value may be."""

_DEAREST = 10_000_000
"""Prices beyond this are all alike."""

_BYTES_READ = 256
"""Bytes of a string that any keyword reads in a step, or in less."""

_SINGLE, _OPTION, _OPTION_PART, _UNIQUE_ITEM = 5, 20, 2, 100
"""Steps to compare with one literal, with one of several that are not alike, with a part of it, and to hash an item."""

_APART = frozenset({"$defs", "definitions", "contentSchema"})
"""Keywords that cost nothing."""

_BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
_FRACTIONS = {**dict.fromkeys(_BOUNDS, 100), "enum": 150, "const": 150, "multipleOf": 300}
"""Steps to compare two fractions: the library takes all numbers but small integers for exact fractions."""

_UNIQUE_FRACTION = 1000
"""The same among unique items: up to fifteen are compared with each other, more are hashed."""

_STRANGE, _STRANGE_LITERAL = 16, 8
"""A number with an exponent or many digits counts for so many plain fractions, in a value and in a schema."""

_INTEGER_DIGITS, _LONG_DIGITS = 16, 20
_UNIQUE_PAIR = 105
"""Steps for the square of the count of long integers among unique items, which all have the same hash."""

_SHAPE = bytes(ord("0") if 48 <= byte <= 57 else {46: 46, 69: 101, 101: 101}.get(byte, 32) for byte in range(256))
"""Turns a text into digits, points, exponents and spaces, which bytes.count finds at the speed of C."""

SAME_VALUE, NAMED, LISTED, EVERY, NOWHERE = "same value", "named member", "listed member", "every member", "nowhere"
"""To what a subschema applies: a member has one name or one place."""


class Endless(Exception):
    """A schema refers to itself without descending into the value."""


@frozen
class Price:
    """Steps of about 10 ns at worst: for each value, for each byte of it, and more for each fraction in it.

    `unique` is how often the items of a value are compared with each other.
    """

    value: int = 1
    byte: int = 0
    fraction: int = 0
    unique: int = 0

    @classmethod
    def of(cls, schema: Mapping[str, Any], byte: int) -> "Price":
        """Return the price of a schema's own keywords; `byte` is the price of its patterns."""
        unique = int(schema.get("uniqueItems") is True)
        value, fraction = 1 + unique * _UNIQUE_ITEM, unique * _UNIQUE_FRACTION
        for name, operand in schema.items():
            if name in _FRACTIONS:
                steps, numbers = _of_literals(operand if name == "enum" else [operand], _FRACTIONS[name])
                value, fraction = value + steps, fraction + _FRACTIONS[name] * numbers
            elif name not in _APART:
                value += 1 + (len(operand) if isinstance(operand, (dict, list)) else 0)
        return cls(value, byte, fraction, unique)


@define(eq=False)
class Subschema:
    """One schema of a document, the price of its own keywords, and its parts, which may be applied `repeats` times."""

    schema: Any
    path: tuple[str | int, ...]
    price: Price = Price()
    repeats: int = 1
    parts: Mapping[str, list["Subschema"]] = Factory(
        lambda: {relation: [] for relation in (SAME_VALUE, NAMED, LISTED, EVERY, NOWHERE)}
    )


@frozen
class Weight:
    """The price of the most expensive part of a value, by its depth; the last one holds for all deeper ones."""

    levels: tuple[Price, ...]

    @property
    def is_excessive(self) -> bool:
        """Whether hardly any value could be checked."""
        price = self._at(DEPTH)
        return price.value > WEIGHT_MAX or price.byte > BYTE_WEIGHT_MAX

    @property
    def grows(self) -> bool:
        """Whether deeper values cost more."""
        return len(self.levels) > 1

    def work(self, text: bytes, length: int, depth: int | None = None) -> int:
        """Return the steps that checking a text of this length takes at worst; its strings may have been taken out.

        Without a depth each object and array counts as one level.
        """
        parts = text.count(b"[") + text.count(b"{")
        price = self._at(parts if depth is None else depth)
        values = 1 + parts + text.count(b",") + text.count(b":") + length // _BYTES_READ
        steps = length * price.byte + values * price.value
        if price.fraction:
            fractions, long = _numbers(text)
            steps += price.fraction * fractions + price.unique * _UNIQUE_PAIR * long**2
        return steps

    def _at(self, depth: int) -> Price:
        return self.levels[min(depth, len(self.levels) - 1)]

    @classmethod
    def of(cls, root: Subschema, subschemas: Collection[Subschema]) -> "Weight":
        """Weigh a schema; raises Endless."""
        try:
            ordered = tuple(TopologicalSorter({one: one.parts[SAME_VALUE] for one in subschemas}).static_order())
        except CycleError:
            raise Endless from None
        columns = [_levels(root, ordered, attrgetter(f"price.{one.name}")) for one in fields(Price)]
        depths = range(max(map(len, columns)))
        return cls(tuple(Price(*(column[min(depth, len(column) - 1)] for column in columns)) for depth in depths))


def _levels(root: Subschema, ordered: Sequence[Subschema], price: Callable[[Subschema], int]) -> Sequence[int]:
    """Return the most that one value costs, in whichever ways the schema comes to it, by the depth of the whole.

    The result has one element if the price does not grow with the depth.
    """
    here: dict[Subschema, int] = {}
    for one in ordered:
        beside = sum(here[other] for other in one.parts[SAME_VALUE])
        here[one] = min(price(one) + one.repeats * beside, _DEAREST)
    below = dict.fromkeys(ordered, 0)
    levels = [here[root]]
    for _ in range(_DEPTH_MAX):
        most = {one: max(here[one], below[one]) for one in ordered}
        deeper: dict[Subschema, int] = {}
        for one in ordered:
            beside = sum(deeper[other] for other in one.parts[SAME_VALUE])
            deeper[one] = min(one.repeats * (beside + _of_one_member(one, most)), _DEAREST)
        if deeper == below:
            return levels if levels[-1] == _DEAREST else levels[-1:]
        below = deeper
        levels.append(max(here[root], below[root]))
    return levels


def _of_one_member(one: Subschema, most: Mapping[Subschema, int]) -> int:
    alternatives = (max((most[other] for other in one.parts[relation]), default=0) for relation in (NAMED, LISTED))
    return max(alternatives) + sum(most[other] for other in one.parts[EVERY])


def _of_literals(options: Sequence[Any], fraction: int) -> tuple[int, int]:
    """Return the steps to look for a value among the options, and with how many numbers it is compared.

    The library finds options of one simple kind by their hash, and compares all others one after the other.
    """
    parts = [part for option in options for part in _parts(option)]
    numbers = [part for part in parts if isinstance(part, (int, float)) and not isinstance(part, bool)]
    comparisons = fraction * sum(min(_numbers(json.dumps(one).encode())[0], _STRANGE_LITERAL) for one in numbers)
    if len(parts) == 1:
        return max(_SINGLE, comparisons), len(numbers)
    if (len(numbers) == len(parts) and not comparisons) or all(isinstance(option, str) for option in options):
        return len(options), len(numbers)
    return _OPTION * len(options) + _OPTION_PART * len(parts) + comparisons, len(numbers)


def _parts(value: Any) -> Iterator[Any]:
    yield value
    if isinstance(value, (dict, list)):
        for member in value.values() if isinstance(value, dict) else value:
            yield from _parts(member)


def _numbers(text: bytes) -> tuple[int, int]:
    """Return at most how many plain fractions a text's numbers count for, and how many of them are long integers."""
    shape = b" " + text.translate(_SHAPE)
    long = shape.count(b"0" * _LONG_DIGITS)
    strange = shape.count(b"0e") + shape.count(b" " + b"0" * _INTEGER_DIGITS) + long
    return shape.count(b".") + _STRANGE * strange, long
