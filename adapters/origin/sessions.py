"""Changes which sessions the origin serves."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID

import psycopg
from attrs import define, evolve, field
from typing_extensions import override

from adapters.origin.database import OriginDatabase, OriginTransaction
from adapters.origin.rows import ROW_COLUMNS, interval_text, session_of, utc
from adapters.origin.statements import OriginStatements
from domain.takeover.fence import HIDDEN_BEFORE, Fence
from domain.takeover.mover_ports import OriginSession, OriginSessions
from domain.takeover.moving import InboundSession
from domain.takeover.outgoing import outgoing_row
from domain.takeover.source import SourceRefused, SourceUnavailable
from domain.takeover.source_session import SourceSession

Row = TypeVar("Row")
Convert = Callable[[SourceSession, datetime], InboundSession | None]
"""Returns what is stored here for a row, at an instant of the origin's clock; None if the row is left."""

_REFUSES_VALUES = frozenset({"22", "23", "P0", "54"})
"""Classes of errors by which a server refuses values: data, constraints, errors that triggers raise, limits."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = datetime(9999, 12, 31, tzinfo=UTC)


@define(eq=False)
class OriginConnections:
    """A bounded number of connections to the origin's database; a call waits for one that is idle."""

    _databases: Sequence[OriginDatabase]
    _idle: "asyncio.LifoQueue[OriginDatabase]" = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._idle = asyncio.LifoQueue()
        for database in self._databases:
            self._idle.put_nowait(database)

    async def close(self) -> None:
        """Close all connections."""
        for database in self._databases:
            await database.close()

    @asynccontextmanager
    async def transaction(self, *, writes: bool = False) -> AsyncIterator[OriginTransaction]:
        """Run a transaction on an idle connection; raises as `OriginDatabase.transaction`."""
        database = await self._idle.get()
        try:
            async with database.transaction(writes=writes) as transaction:
                yield transaction
        except asyncio.CancelledError:
            await database.close()  # a statement may still run on it
            raise
        finally:
            self._idle.put_nowait(database)


@define(eq=False)
class PostgresOriginSessions(OriginSessions):
    """Each method is one transaction. `makes_users` adds users to whom sessions refer."""

    _connections: OriginConnections
    _statements: OriginStatements
    _fence: Fence
    _convert: Convert
    _makes_users: bool = False
    _shift: str = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._shift = interval_text(self._fence.shift)

    @override
    async def require_writable(self) -> None:
        """Do nothing: commands compare their rights before, and a lost connection is made again."""

    @override
    async def prepare(self) -> int:
        return 0

    @override
    async def live(self, after: UUID | None, size: int) -> Sequence[UUID]:
        return await self._ids(self._statements.moves.select_live_ids, {"after": _text(after), "rows_max": size})

    @override
    async def fenced(self, after: UUID | None, size: int) -> Sequence[UUID]:
        parameters = {"after": _text(after), "rows_max": size, "shift": self._shift, "hidden_before": HIDDEN_BEFORE}
        return await self._ids(self._statements.moves.select_fenced_ids, parameters)

    @override
    async def look(self, ids: Sequence[UUID]) -> Sequence[OriginSession]:
        async with self._connections.transaction() as transaction:
            return await self._seen(transaction, [str(each) for each in ids])

    @override
    async def fence(self, ids: Sequence[UUID]) -> Sequence[OriginSession]:
        parameters = {"request_ids": [str(each) for each in ids], "shift": self._shift}
        async with self._connections.transaction(writes=True) as transaction:
            fenced = await transaction.fetch(self._statements.moves.fence_sessions, parameters)
            return await self._seen(transaction, [request_id for (request_id,) in fenced])

    @override
    async def restore(self, sessions: Sequence[InboundSession]) -> Sequence[UUID]:
        async def write(part: Sequence[InboundSession]) -> None:
            async with self._connections.transaction(writes=True) as transaction:
                await self._write(transaction, [outgoing_row(each) for each in part])

        return [each.session.ref.session_id for each in await stored_rows(sessions, write)]

    @override
    async def missing_users(self, user_ids: Collection[str]) -> Collection[str]:
        moves = self._statements.moves
        async with self._connections.transaction() as transaction:
            if not (await transaction.fetch(moves.select_user_reference))[0][0]:
                return []
            found = await transaction.fetch(moves.select_missing_users, {"user_ids": list(user_ids)})
        return [user_id for (user_id,) in found]

    @override
    async def unfence(self, sessions: Sequence[OriginSession]) -> None:
        parameters = {
            "request_ids": [str(each.session_id) for each in sessions],
            "stored_ats": [each.stored_at for each in sessions],
            "shift": self._shift,
        }
        async with self._connections.transaction(writes=True) as transaction:
            await transaction.fetch(self._statements.moves.unfence_sessions, parameters)

    @override
    async def counts(self, ids: Sequence[UUID]) -> Mapping[UUID, int]:
        parameters = {"request_ids": [str(each) for each in ids]}
        async with self._connections.transaction() as transaction:
            found = await transaction.fetch(self._statements.moves.select_counts, parameters)
        return {UUID(request_id): count for request_id, count in found}

    async def _write(self, transaction: OriginTransaction, rows: Sequence[SourceSession]) -> None:
        found = await transaction.fetch(
            self._statements.moves.lock_sessions, {"request_ids": [row.request_id for row in rows]}
        )
        stored = {request_id: (count, utc(last_at)) for request_id, count, last_at in found}
        kept = [_grown(row, *stored[row.request_id]) for row in rows if row.request_id in stored]
        missing = [row for row in rows if row.request_id not in stored]
        if kept:
            await transaction.fetch(self._statements.moves.update_sessions, _changes(kept))
            await transaction.fetch(self._statements.moves.correct_counts, _counts(kept))
        if missing:
            await self._insert(transaction, missing)

    async def _insert(self, transaction: OriginTransaction, rows: Sequence[SourceSession]) -> None:
        if self._makes_users:
            user_ids = {"user_ids": [row.user_id for row in rows]}
            await transaction.fetch(self._statements.moves.insert_users, user_ids)
        await transaction.fetch(self._statements.moves.insert_sessions, columns_of(rows))

    async def _ids(self, sql: str, parameters: Mapping[str, object]) -> Sequence[UUID]:
        async with self._connections.transaction() as transaction:
            return [UUID(request_id) for (request_id,) in await transaction.fetch(sql, parameters)]

    async def _seen(self, transaction: OriginTransaction, ids: Sequence[str]) -> Sequence[OriginSession]:
        if not ids:
            return []
        parameters = {"request_ids": list(ids), "shift": self._shift}
        return [self._session(row) for row in await transaction.fetch(self._statements.rows.select_rows, parameters)]

    def _session(self, columns: tuple[Any, ...]) -> OriginSession:
        row = session_of(*columns[:ROW_COLUMNS])
        stored_at, is_live, would_live, seen_at = columns[ROW_COLUMNS:]
        return OriginSession(
            UUID(row.request_id),
            row.created_at or _EPOCH,
            utc(stored_at) or _LATEST,
            is_live,
            would_live,
            row.execution_count or 0,
            row.last_executed_at,
            self._convert(row, seen_at.replace(tzinfo=UTC)),
        )


def _text(after: UUID | None) -> str:
    return "" if after is None else str(after)


async def stored_rows(rows: Sequence[Row], write: Callable[[Sequence[Row]], Awaitable[None]]) -> Sequence[Row]:
    """Write rows, and return those that are stored.

    A batch that the tables refuse for its values is halved. One row alone that they refuse is left out.
    """
    try:
        await write(rows)
    except (SourceUnavailable, SourceRefused) as error:
        cause = error.__cause__
        if not isinstance(cause, psycopg.Error) or (cause.sqlstate or "")[:2] not in _REFUSES_VALUES:
            raise
        middle = len(rows) // 2
        halves = (rows[:middle], rows[middle:]) if middle else ()
        return [row for half in halves for row in await stored_rows(half, write)]
    return rows


def _grown(row: SourceSession, count: int, last_at: datetime | None) -> SourceSession:
    """Return the row with the greater count and the later instant of both sides."""
    lasts = [each for each in (row.last_executed_at, last_at) if each is not None]
    return evolve(row, execution_count=max(row.execution_count or 0, count), last_executed_at=max(lasts, default=None))


def _counts(rows: Sequence[SourceSession]) -> Mapping[str, object]:
    return {
        "request_ids": [row.request_id for row in rows],
        "counts": [row.execution_count for row in rows],
        "lasts": [row.last_executed_at for row in rows],
    }


def _changes(rows: Sequence[SourceSession]) -> Mapping[str, object]:
    return {
        **_counts(rows),
        "expiries": [row.expires_at for row in rows],
        "statuses": [row.status for row in rows],
        "contexts": [row.context for row in rows],
        "metadatas": [row.metadata for row in rows],
    }


def columns_of(rows: Sequence[SourceSession]) -> Mapping[str, object]:
    """Return the parameters of `insert_sessions`."""
    return {
        **_changes(rows),
        "titles": [row.language_title for row in rows],
        "user_ids": [row.user_id for row in rows],
        "creations": [row.created_at for row in rows],
        "scripts": [row.script_content for row in rows],
        "script_hashes": [row.script_hash for row in rows],
        "options": [row.compile_options for row in rows],
        "compile_statuses": [row.compile_status for row in rows],
        "compile_errors": [row.compile_error for row in rows],
    }
