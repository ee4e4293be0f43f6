"""Ordinary rows as the origin's server sends them, which are stored without decoding them.

A row has the binary form of COPY: two bytes with the number of its fields, then each field as four bytes with its
size, -1 for null, and its bytes. An array of PostgreSQL has its elements in the same form.
"""

from collections.abc import Iterable, Iterator, Sequence
from struct import Struct
from typing import overload
from uuid import UUID

from attrs import frozen
from typing_extensions import override

COPY_HEAD = b"PGCOPY\n\xff\r\n\0" + bytes(8)
"""What precedes the rows."""

COPY_END = b"\xff\xff"
NULL = b"\xff\xff\xff\xff"

_ID = slice(4, 20)
_SIZE = Struct("!i")
_ARRAY_HEAD = Struct("!iiIii")
_ONE_DIMENSION, _MAY_HAVE_NULLS, _FIRST_INDEX = 1, 1, 1


@frozen
class CopiedRows:
    """The own fields of each row, and the hash that the origin stores for its script, if it stores one."""

    tails: Sequence[memoryview]
    own_hashes: Sequence[bytes | None]

    def id_bytes(self, numbers: Iterable[int]) -> bytes:
        """Return the ids of some rows, 16 bytes each."""
        return b"".join([self.tails[number][_ID] for number in numbers])


@frozen
class RowIds(Sequence[str]):
    """The ids of rows. Few are wanted, so each is decoded when it is."""

    _tails: Sequence[memoryview]

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...
    @override
    def __getitem__(self, index: int | slice) -> str | Sequence[str]:
        if isinstance(index, slice):
            return RowIds(self._tails[index])
        return str(UUID(bytes=bytes(self._tails[index][_ID])))

    @override
    def __len__(self) -> int:
        return len(self._tails)


def sent_fields(values: Iterable[bytes | None]) -> bytes:
    """Return values as fields."""
    return b"".join([NULL if value is None else _SIZE.pack(len(value)) + value for value in values])


def read_fields(row: memoryview, at: int, number: int) -> Iterator[memoryview | None]:
    """Yield as many fields from a place on."""
    for _ in range(number):
        (size,) = _SIZE.unpack_from(row, at)
        at += _SIZE.size
        yield None if size < 0 else row[at : at + size]
        at += max(size, 0)


def columns(tails: Sequence[memoryview], types: Sequence[int]) -> Sequence[bytes]:
    """Return the own fields of rows by column, as arrays of the types with these OIDs."""
    fields: list[list[memoryview]] = [[] for _ in types]
    for tail in tails:
        at = 0
        for column in fields:
            (size,) = _SIZE.unpack_from(tail, at)
            end = at + _SIZE.size + max(size, 0)
            column.append(tail[at:end])
            at = end
    sizes = [_ARRAY_HEAD.pack(_ONE_DIMENSION, _MAY_HAVE_NULLS, oid, len(tails), _FIRST_INDEX) for oid in types]
    return [head + b"".join(column) for head, column in zip(sizes, fields, strict=True)]
