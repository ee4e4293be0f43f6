"""What checking with a schema costs at worst, told from the schema alone."""

from collections.abc import Callable, Iterator, Sequence

from attrs import frozen

from adapters.json_schema.document import Document, Subschema
from adapters.json_schema.numbers import UNIQUE_PAIR, Numbers

WEIGHT_MAX = 100_000
"""Steps that a schema may take for one value; schemas that people write take some tens."""

BYTE_WEIGHT_MAX = 10_000
"""The same for one byte."""

_HEAVIEST = 10_000_000
"""Weights beyond this are all alike."""

_BYTES_READ = 256
"""Bytes of a string that any keyword reads in a step, or in less."""

_LEVELS = 100
"""How deep a value may be; a schema that refers to itself is looked at so far down."""


class Endless(Exception):
    """A schema refers to itself without looking at another value."""


@frozen
class Weight:
    """Steps (of 10 ns, about) for each value, be it an object's member name or a part of it, and for each byte.

    Numbers that are no small integers cost `fraction` beyond that; `unique` is how often all items of a value are
    compared with each other.
    """

    value: int
    byte: int
    fraction: int
    unique: int

    @property
    def is_excessive(self) -> bool:
        """Tell whether hardly any value could be checked."""
        return self.value > WEIGHT_MAX or self.byte > BYTE_WEIGHT_MAX

    def work(self, text: bytes, length: int) -> int:
        """Return the steps that checking a text of this length takes at worst; its strings may have been taken out."""
        values = 1 + sum(map(text.count, (b"[", b"{", b",", b":"))) + length // _BYTES_READ
        steps = length * self.byte + values * self.value
        if self.fraction:
            found = Numbers.of(text)
            steps += self.fraction * found.fractions + self.unique * UNIQUE_PAIR * found.long**2
        return steps

    @classmethod
    def of(cls, document: Document) -> "Weight":
        """Weigh a schema; raises Endless."""
        ordered = _inner_first(document)
        return cls(
            _heaviest(document.root, ordered, lambda subschema: subschema.literals),
            _heaviest(document.root, ordered, lambda subschema: subschema.scan),
            _heaviest(document.root, ordered, lambda subschema: subschema.fractions),
            _heaviest(document.root, ordered, lambda subschema: subschema.unique),
        )


def _heaviest(root: Subschema, ordered: Sequence[Subschema], own: Callable[[Subschema], int]) -> int:
    """Return the most that any one value costs, however often and by whichever ways the schema comes to it."""
    here: dict[Subschema, int] = {}
    for one in ordered:
        here[one] = min(own(one) + one.repeats * sum(here[other] for other in one.beside), _HEAVIEST)
    below = dict.fromkeys(ordered, 0)
    for _ in range(_LEVELS):
        most = {one: max(here[one], below[one]) for one in ordered}
        deeper: dict[Subschema, int] = {}
        for one in ordered:
            beside = one.repeats * sum(deeper[other] for other in one.beside)
            deeper[one] = min(beside + one.repeats * _of_one_member(one, most), _HEAVIEST)
        if deeper == below:
            break
        below = deeper
    return max(here[root], below[root])


def _of_one_member(one: Subschema, most: dict[Subschema, int]) -> int:
    alternatives = (max((most[other] for other in group), default=0) for group in (one.named, one.listed))
    return max(alternatives) + sum(most[other] for other in one.every)


def _inner_first(document: Document) -> Sequence[Subschema]:
    """Return the subschemas so that those beside a schema come before it; raises Endless where there is no such order."""
    ordered: dict[Subschema, None] = {}
    for one in document.subschemas:
        if one not in ordered:
            ordered.update(_descend(one, ordered))
    return list(ordered)


def _descend(start: Subschema, ordered: dict[Subschema, None]) -> dict[Subschema, None]:
    path: dict[Subschema, Iterator[Subschema]] = {start: iter(start.beside)}
    found: dict[Subschema, None] = {}
    while path:
        one, others = next(reversed(path.items()))
        other = next(others, None)
        if other is None:
            found[one] = None
            del path[one]
        elif other in path:
            raise Endless
        elif other not in ordered and other not in found:
            path[other] = iter(other.beside)
    return found
