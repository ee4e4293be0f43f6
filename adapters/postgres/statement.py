"""A named SQL statement."""

import re
from collections.abc import Mapping, Sequence

from attrs import Factory, field, frozen

_MARKS = re.compile(r"%\((\w+)\)s|%%")


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

    @property
    def writes(self) -> bool:
        """Whether a failure must say if the write is stored."""
        return not self.name.startswith("select_")

    def values(self, parameters: Mapping[str, object]) -> Sequence[object]:
        """Return the values of the numbered placeholders; raises KeyError if one is missing."""
        return [parameters[name] for name in self._names]


def _names_in(sql: str) -> Sequence[str]:
    """Return the names of the placeholders, each once, in the order of their first use."""
    return list(dict.fromkeys(mark[1] for mark in _MARKS.finditer(sql) if mark[1] is not None))


def _numbered(sql: str, names: Sequence[str]) -> bytes:
    numbers = {name: f"${number}" for number, name in enumerate(names, start=1)}
    return _MARKS.sub(lambda mark: "%" if mark[1] is None else numbers[mark[1]], sql).encode()
