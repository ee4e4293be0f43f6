"""Columns of a batch as PostgreSQL's array literals.

The driver would choose an array's type by its values (small numbers, large numbers, only nulls), and each choice would
be a statement of its own to the server; a literal has one type, which the statement states.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID

_MICROSECOND = timedelta(microseconds=1)


def uuids(values: Iterable[UUID]) -> str:
    """Return a literal for `uuid[]`."""
    return "{" + ",".join([value.hex for value in values]) + "}"


def texts(values: Iterable[str | None]) -> str:
    """Return a literal for `text[]`."""
    return "{" + ",".join(["NULL" if value is None else _quoted(value) for value in values]) + "}"


def numbers(values: Iterable[float | None]) -> str:
    """Return a literal for an array of integers or of double precision."""
    return "{" + ",".join(["NULL" if value is None else repr(value) for value in values]) + "}"


def booleans(values: Iterable[bool | None]) -> str:
    """Return a literal for `boolean[]`."""
    return "{" + ",".join(["NULL" if value is None else "t" if value else "f" for value in values]) + "}"


def instants(values: Iterable[datetime | None]) -> str:
    """Return a literal for `timestamptz[]`."""
    return "{" + ",".join(["NULL" if value is None else f'"{value.isoformat()}"' for value in values]) + "}"


def intervals(values: Iterable[timedelta]) -> str:
    """Return a literal for `interval[]`, exact to the microsecond."""
    return "{" + ",".join([f'"{value // _MICROSECOND} us"' for value in values]) + "}"


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
