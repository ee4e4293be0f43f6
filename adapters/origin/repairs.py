"""Writes to the rows of the origin what only its Redis has."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from attrs import define, field
from typing_extensions import override

from adapters.origin.rows import utc
from adapters.origin.sessions import OriginConnections, columns_of, stored_rows
from adapters.origin.statements import OriginMoveStatements
from domain.takeover.cache_ports import OriginRepairs
from domain.takeover.cached import ExecutionCount
from domain.takeover.inspection import UPDATE_TRIGGER
from domain.takeover.source_session import SourceSession


@define(eq=False)
class PostgresOriginRepairs(OriginRepairs):
    """Each method is one transaction; `add` has more of them where the tables refuse a row. `schema` has the tables."""

    _connections: OriginConnections
    _schema: str
    _statements: OriginMoveStatements
    _runs_ahead: bool | None = field(default=None, init=False)

    @override
    async def now(self) -> datetime:
        async with self._connections.transaction() as transaction:
            ((now,),) = await transaction.fetch(self._statements.select_now)
        at: datetime = now.replace(tzinfo=UTC)
        return at

    @override
    async def runs_ahead(self) -> bool:
        if self._runs_ahead is None:
            named = {"schema": self._schema, "trigger_name": UPDATE_TRIGGER}
            async with self._connections.transaction() as transaction:
                ((self._runs_ahead,),) = await transaction.fetch(self._statements.select_runs_ahead, named)
        return self._runs_ahead

    @override
    async def executions(self, ids: Sequence[str]) -> Mapping[str, ExecutionCount]:
        async with self._connections.transaction() as transaction:
            found = await transaction.fetch(self._statements.select_executions, {"request_ids": list(ids)})
        return {request_id: ExecutionCount(count, utc(at)) for request_id, count, at in found}

    @override
    async def correct(self, executions: Mapping[str, ExecutionCount]) -> None:
        parameters = {
            "request_ids": list(executions),
            "counts": [each.count for each in executions.values()],
            "lasts": [each.last_at for each in executions.values()],
        }
        async with self._connections.transaction(writes=True) as transaction:
            await transaction.fetch(self._statements.lock_sessions, {"request_ids": list(executions)})
            # A trigger adds one more to a count that grows, and leaves one that becomes less.
            await transaction.fetch(self._statements.correct_counts, parameters)
            await transaction.fetch(self._statements.correct_counts, parameters)

    @override
    async def add(self, rows: Sequence[SourceSession]) -> Sequence[str]:
        async def write(part: Sequence[SourceSession]) -> None:
            async with self._connections.transaction(writes=True) as transaction:
                await transaction.fetch(self._statements.insert_sessions, columns_of(part))

        return [row.request_id for row in await stored_rows(rows, write)]
