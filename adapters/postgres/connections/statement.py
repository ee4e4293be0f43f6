"""A named statement, which the connections of a gateway run."""

import re
from collections.abc import Mapping, Sequence

from attrs import Factory, evolve, field, frozen
from psycopg.adapt import PyFormat

_MARKS = re.compile(r"%\((\w+)\)s|%%")
_HOME = "meta"
"""The schema that the texts of statements name."""


class UnknownTable(Exception):
    """A text names a table of which the bucket has no shard, so a migration is missing there."""


def placed(text: str, schema: str, shards: Mapping[str, int], placed_from: str = _HOME) -> str:
    """Return the text with the names of a bucket: its schema, and its shards by the numbers that their tables have.

    A name before a parenthesis is a function. Without shards the text names the tables, as on the coordinator. Raises
    UnknownTable if only some of the tables have shards.
    """

    def renamed(mark: re.Match[str]) -> str:
        name, parenthesis = mark.groups()
        if name is None:
            return schema
        if parenthesis or not shards:
            return f"{schema}.{name}{parenthesis}"
        if name not in shards:
            raise UnknownTable(name)
        return f"{schema}.{name}_{shards[name]}"

    return re.sub(rf"\b{placed_from}\b(?:\.(\w+)(\(?))?", renamed, text)


@frozen
class Statement:
    """SQL text with psycopg's named placeholders (`%(name)s`) under the name that logs and metrics use.

    With `prepare=False` the server plans it for each set of values. A statement whose name begins with `select_` reads;
    every other one counts as a write, so that a failure says whether its effect is stored.
    """

    name: str
    sql: str = field(repr=False)
    prepare: bool = True
    _names: Sequence[str] = field(
        init=False, repr=False, eq=False, default=Factory(lambda self: _names_in(self.sql), takes_self=True)
    )
    numbered: bytes = field(
        init=False,
        repr=False,
        eq=False,
        default=Factory(lambda self: _numbered(self.sql, self._names), takes_self=True),
    )
    """The text with the server's own placeholders; the driver would translate the text for each call."""

    formats: Sequence[PyFormat] = field(
        init=False,
        repr=False,
        eq=False,
        default=Factory(lambda self: [PyFormat.AUTO] * len(self._names), takes_self=True),
    )

    @property
    def writes(self) -> bool:
        """Whether a failure must say if the write is stored."""
        return not self.name.startswith("select_")

    def at(self, schema: str, shards: Mapping[str, int]) -> "Statement":
        """Return this statement for a bucket, as `placed` does."""
        return evolve(self, sql=placed(self.sql, schema, shards))

    def values(self, parameters: Mapping[str, object]) -> Sequence[object]:
        """Return the values of the numbered placeholders; raises KeyError if one is missing."""
        return [parameters[name] for name in self._names]


@frozen
class BoundStatement:
    """A statement with its parameters, which runs in front of another one and in its transaction."""

    statement: Statement
    parameters: Mapping[str, object] = field(repr=False)


def _names_in(sql: str) -> Sequence[str]:
    """Return the names of the placeholders, each once, in the order of their first use."""
    return list(dict.fromkeys(mark[1] for mark in _MARKS.finditer(sql) if mark[1] is not None))


def _numbered(sql: str, names: Sequence[str]) -> bytes:
    numbers = {name: f"${number}" for number, name in enumerate(names, start=1)}
    return _MARKS.sub(lambda mark: "%" if mark[1] is None else numbers[mark[1]], sql).encode()
