"""Reads the rows of `copy_page`, which are mostly passed on as they are."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from struct import Struct

import psycopg
from attrs import define, field
from psycopg.abc import PQGen
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGconn, PGresult
from psycopg.waiting import Wait

from adapters.copied_rows import COPY_END, COPY_HEAD, NULL, CopiedRows, RowIds, read_fields
from domain.takeover.ordinary import OrdinaryRows, RowKind, RowPage
from domain.takeover.reader_ports import RowHead

_FRONT = Struct("!hiiiqiq")
"""The number of fields, and the first three fields with their sizes: kind_bytes, size_bytes, stored_expiry."""

_ODD = -1
_LARGE = -2
_KIND_AT = _FRONT.size + 2 * len(NULL)
"""Where the kind of an ordinary row begins: its odd_expiry and odd_id are null."""
_KIND_FIELDS = 8
_HASH_BYTES = 64
_TRUE = b"\x01"
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


@define
class _Page:
    """What was read of a page."""

    size_bytes: int = 0
    odd: list[str] = field(factory=list)
    large: list[str] = field(factory=list)
    numbers: dict[bytes, int] = field(factory=dict)
    """The number of each kind by its fields."""
    kind_numbers: list[int] = field(factory=list)
    tails: list[memoryview] = field(factory=list)
    own_hashes: list[bytes | None] = field(factory=list)

    def add_ordinary(self, row: memoryview, kind_bytes: int) -> None:
        end = _KIND_AT + kind_bytes
        self.kind_numbers.append(self.numbers.setdefault(bytes(row[_KIND_AT:end]), len(self.numbers)))
        behind = end + len(NULL)
        if row[end:behind] == NULL:
            self.own_hashes.append(None)
        else:
            end, behind = behind, behind + _HASH_BYTES
            self.own_hashes.append(bytes(row[end:behind]))
        self.tails.append(row[behind:])

    @property
    def ordinary(self) -> OrdinaryRows:
        kinds = [_kind(memoryview(fields)) for fields in self.numbers]
        content = CopiedRows(self.tails, self.own_hashes)
        return OrdinaryRows(RowIds(self.tails), kinds, self.kind_numbers, content)


def copied_rows(pgconn: PGconn, sql: bytes) -> PQGen[list[memoryview]]:
    """Run a statement that copies rows out, and return them.

    The driver waits for each row by itself, which takes longer than the origin takes to make one.
    """
    rows: list[memoryview] = []
    pgconn.send_query(sql)
    while pgconn.flush():
        yield Wait.W
    result = yield from _next_result(pgconn)
    if result is not None and result.status == ExecStatus.COPY_OUT:
        while (received := pgconn.get_copy_data(1))[0] >= 0:
            if received[0]:
                rows.append(received[1])
            else:
                yield Wait.R
                pgconn.consume_input()
    failure = None
    while result is not None:
        if result.status == ExecStatus.FATAL_ERROR:
            failure = failure or result
        result = yield from _next_result(pgconn)
    if failure is not None:
        raise psycopg.errors.error_from_result(failure)
    return rows


def _next_result(pgconn: PGconn) -> PQGen[PGresult | None]:
    while pgconn.is_busy():
        yield Wait.R
        pgconn.consume_input()
    return pgconn.get_result()


def page_of(received: Sequence[memoryview]) -> RowPage | None:
    """Return the page in what the server has sent; None if there is no row."""
    rows = _rows(received)
    if not rows:
        return None
    page = _Page()
    for row in rows:
        _, _, kind_bytes, _, size_bytes, _, _ = _FRONT.unpack_from(row)
        page.size_bytes += size_bytes
        if kind_bytes >= 0:
            page.add_ordinary(row, kind_bytes)
        else:
            (page.odd if kind_bytes == _ODD else page.large).append(_odd(row)[1])
    cursor = RowHead(*_place(rows[-1], page), 0).cursor
    return RowPage(len(rows), page.size_bytes, cursor, page.odd, page.large, page.ordinary)


def _rows(received: Sequence[memoryview]) -> Sequence[memoryview]:
    """Return the rows without the head, which a server sends by itself or before the first row, and without the end."""
    first, *others = received
    return [row for row in (first[len(COPY_HEAD) :], *others) if row and row != COPY_END]


def _odd(row: memoryview) -> tuple[str, str]:
    """Return the expiry and the id of a row that is not ordinary."""
    expiry, request_id = (_text(each) or "" for each in read_fields(row, _FRONT.size, 2))
    return expiry, request_id


def _place(row: memoryview, page: _Page) -> tuple[str, str]:
    """Return the id of a row, and its expiry as the origin reads it: without time zone it ignores that of the text."""
    _, _, kind_bytes, _, _, _, stored_expiry = _FRONT.unpack_from(row)
    if kind_bytes < 0:
        return _odd(row)[::-1]
    return RowIds(page.tails)[-1], (_EPOCH + timedelta(microseconds=stored_expiry)).isoformat()


def _kind(fields: memoryview) -> RowKind:
    *texts, has_hash, is_expired = read_fields(fields, 0, _KIND_FIELDS)
    title, user_id, options, compile_status, compile_error, metadata = map(_text, texts)
    flags = {"has_hash": _is_true(has_hash), "is_expired": _is_true(is_expired)}
    return RowKind(title or "", user_id, options, compile_status, compile_error, metadata, **flags)


def _is_true(value: memoryview | None) -> bool:
    return value is not None and bytes(value) == _TRUE


def _text(field_: memoryview | None) -> str | None:
    return None if field_ is None else str(field_, "utf-8")
