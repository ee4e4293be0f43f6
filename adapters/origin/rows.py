"""Reads what the origin has stored in bounded pages."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from attrs import define, field
from typing_extensions import override

from adapters.origin.copied import page_of
from adapters.origin.database import OriginDatabase
from adapters.origin.statements import OriginRowStatements
from domain.json_text import JsonText
from domain.takeover.function_import import FunctionReader
from domain.takeover.functions import FunctionRow
from domain.takeover.ordinary import PageLimits, RowPage
from domain.takeover.reader_ports import OriginReader, RowHead, first_page
from domain.takeover.source_session import SourceSession, TakeoverPolicy
from domain.takeover.verification import OriginDigest

_FIRST_AT = "-infinity"
_FIRST_ID = ""
_NO_SHIFT = timedelta(0)
_HOUR = timedelta(hours=1)
_SECOND = timedelta(seconds=1)
_MICROSECOND = timedelta(microseconds=1)
ROW_COLUMNS = 17
"""Columns of `select_rows` that are those of a session."""

DIGEST_BYTES_MAX = 64 * 1024 * 1024
"""What one page of digests reads: a statement has seconds, and PostgreSQL hashes some hundred megabytes in a second."""


@define(eq=False)
class PostgresOriginReader(OriginReader):
    """Each page is a short transaction."""

    _database: OriginDatabase
    _statements: OriginRowStatements
    _shift: timedelta = _NO_SHIFT
    """By how much the takeover moves the expiry of a session that it hides."""
    _abilities: tuple[bool, bool] | None = field(default=None, init=False)
    """Whether rows can be read by expiry, and by column."""

    @override
    async def estimate(self, expired_after: datetime | None) -> int:
        parameters = {"expired_after": _instant(expired_after)}
        (((plan,),),) = await self._database.fetch(self._statements.explain_rows, parameters)
        return int(plan["Plan"]["Plan Rows"])

    @override
    async def heads(self, after: JsonText | None, expired_after: datetime | None, size: int) -> Sequence[RowHead]:
        by_expiry, _ = await self._able()
        statements = self._statements
        is_bounded = by_expiry and expired_after is not None
        sql = statements.select_heads_by_expiry if is_bounded else statements.select_heads_by_id
        parameters = {**_behind(after, expired_after), "rows_max": size}
        return [RowHead(*row) for row in await self._database.fetch(sql, parameters)]

    @override
    async def page(
        self, after: JsonText | None, limits: PageLimits, policy: TakeoverPolicy, now: datetime
    ) -> RowPage | None:
        expired_after = policy.expired_after(now)
        by_expiry, by_column = await self._able()
        if not by_column:
            return first_page(await self.heads(after, expired_after, limits.rows_max), limits)
        parameters = {
            **_behind(after, expired_after),
            "by_expiry": by_expiry and expired_after is not None,
            "rows_max": limits.rows_max,
            "bytes_max": limits.bytes_max,
            "now": now.isoformat(),
            "kept_after": _instant(expired_after),
            "lifetime_max": interval_text(policy.lifetime_max),
            "script_size_max": policy.script_size_max,
            "context_size_max": policy.context_size_max,
        }
        return page_of(await self._database.copy(self._statements.copy_page, parameters))

    @override
    async def sessions(self, ids: Sequence[str]) -> Sequence[SourceSession]:
        parameters = {"request_ids": list(ids), "shift": interval_text(self._shift)}
        rows = await self._database.fetch(self._statements.select_rows, parameters)
        return [session_of(*row[:ROW_COLUMNS]) for row in rows]

    @override
    async def hidden(self, ids: Sequence[str]) -> Mapping[str, bool]:
        return dict(await self._database.fetch(self._statements.select_hidden, {"request_ids": list(ids)}))

    @override
    async def digests(self, after: str, expired_after: datetime | None, size: int) -> Sequence[OriginDigest]:
        parameters = {
            "after_id": after,
            "expired_after": _instant(expired_after),
            "shift": interval_text(self._shift),
            "rows_max": size,
            "bytes_max": DIGEST_BYTES_MAX,
        }
        return [OriginDigest(*row) for row in await self._database.fetch(self._statements.select_digests, parameters)]

    async def _able(self) -> tuple[bool, bool]:
        if self._abilities is None:
            named = {"schema": self._database.options.address.schema}
            (self._abilities,) = await self._database.fetch(self._statements.select_abilities, named)
        return self._abilities


def _behind(after: JsonText | None, expired_after: datetime | None) -> Mapping[str, object]:
    cursor = {} if after is None else json.loads(after)
    return {
        "after_at": cursor.get("expires_at", _instant(expired_after)),
        "after_id": cursor.get("request_id", _FIRST_ID),
        "expired_after": _instant(expired_after),
    }


@define(eq=False)
class PostgresOriginFunctions(FunctionReader):
    """Reads the functions; scripts and JSON up to `bytes_max` each."""

    _database: OriginDatabase
    _statements: OriginRowStatements
    _bytes_max: int

    @override
    async def page(self, after: str, size: int) -> Sequence[FunctionRow]:
        bounds = {"after_title": after, "bytes_max": self._bytes_max, "rows_max": size}
        return [_function(*row) for row in await self._database.fetch(self._statements.select_functions, bounds)]


def _function(*row: Any) -> FunctionRow:
    title, description, schema, examples, created_at, updated_at, created_by, is_active, version, tags, *content = row
    times = utc(created_at), utc(updated_at)
    labels: tuple[Any, ...] = (created_by, is_active, version, tuple(tags))
    return FunctionRow(title, description, schema, examples, *times, *labels, *content)


def interval_text(span: timedelta) -> str:
    """Return a span as PostgreSQL reads it.

    A day is not always as long in every time zone, so it has none. Servers before PostgreSQL 15 read four bytes of
    seconds, and so many hours that a fence fits.
    """
    hours, rest = divmod(span, _HOUR)
    return f"{hours} hours {rest // _SECOND}.{rest % _SECOND // _MICROSECOND:06d} seconds"


def _instant(at: datetime | None) -> str:
    return _FIRST_AT if at is None else at.isoformat()


def session_of(  # noqa: PLR0913, PLR0917  # the columns of a row
    request_id: str,
    title: str,
    user_id: str | None,
    created_at: datetime | None,
    expires_at: datetime | None,
    executed_at: datetime | None,
    *rest: Any,
) -> SourceSession:
    """Return the session in the columns of `select_rows`."""
    return SourceSession(request_id, title, user_id, utc(created_at), utc(expires_at), utc(executed_at), *rest)


def utc(at: datetime | None) -> datetime | None:
    """Return an instant that the server gave without its zone, which is UTC."""
    return None if at is None else at.replace(tzinfo=UTC)
