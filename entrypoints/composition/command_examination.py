"""What an operator's examination looks at: the database, over one connection."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from attrs import define
from typing_extensions import override

from adapters.postgres.clock.disciplined import boottime_ns, host_time
from adapters.postgres.clock.sample import ClockSample, from_ns, to_ns
from adapters.postgres.connections.inspection import Inspection, InspectionFailed, ServerUnreachable
from adapters.postgres.migrations.migration import AppliedMigration, Migration, indexes_of, load_migrations
from adapters.postgres.statement import Statement
from adapters.postgres.statements import Statements, load_statements
from domain.identity import ANONYMOUS
from entrypoints.cli.diagnosis.facts import (
    AccessFacts,
    ClockFacts,
    ConnectionFacts,
    DatabaseUnreached,
    IndexFacts,
    MissingRight,
    ReplicationFacts,
    SchemaFacts,
    ServerFacts,
    StandbyFacts,
    StoredFacts,
    TableFacts,
    Unseen,
)
from entrypoints.cli.diagnosis.ports import DatabaseExamination
from entrypoints.composition.options import gateway_options
from entrypoints.settings.environment import SettingsError
from entrypoints.settings.settings import Settings

_TIMEOUT_S = 3.0
"""What one connection, or one statement, may take."""

_SAMPLES = 8
_POOLERS_NAMES = "PGBOUNCER_"
_NS_PER_MS = 1_000_000


@asynccontextmanager
async def command_database_examination(settings: Settings) -> AsyncIterator[DatabaseExamination]:
    """Yield what looks at the database; raises Unreached."""
    try:
        options = gateway_options(settings)
    except SettingsError as error:
        raise DatabaseUnreached("address", str(error)) from error
    try:
        async with Inspection.connected(options, _TIMEOUT_S) as inspection:
            yield CommandDatabaseExamination(inspection, load_statements(), load_migrations())
    except ServerUnreachable as error:
        raise DatabaseUnreached(error.obstacle, str(error)) from error


@define(eq=False)
class CommandDatabaseExamination(DatabaseExamination):
    """Makes facts of the rows that statements give."""

    _inspection: Inspection
    _statements: Statements
    _steps: Sequence[Migration]

    @override
    async def connection(self) -> ConnectionFacts:
        examination, inspection = self._statements.examination, self._inspection
        server = await self.server()
        names = [name for (name,) in await self._rows(examination.select_prepared_names)]
        return ConnectionFacts(
            host=inspection.host,
            is_encrypted=inspection.is_encrypted,
            # A pooler greets with a process of its own making.
            is_pooled=inspection.process_id != server.process_id,
            keeps_prepared=any(name.startswith(_POOLERS_NAMES) for name in names),
        )

    @override
    async def server(self) -> ServerFacts:
        (row,) = await self._rows(self._statements.examination.select_server_facts)
        return ServerFacts(*row)

    @override
    async def missing_rights(self) -> Sequence[MissingRight]:
        return [MissingRight(*row) for row in await self._rows(self._statements.examination.select_rights)]

    @override
    async def schema(self) -> SchemaFacts:
        applied, known = await self._applied(), {step.version: step for step in self._steps}
        owners = await self._rows(self._statements.examination.select_other_owner)
        versions = {taken.version for taken in applied}
        return SchemaFacts(
            pending=[str(step) for step in self._steps if step.version not in versions],
            differing=[
                str(known[taken.version])
                for taken in applied
                if taken.version in known and known[taken.version].checksum != taken.checksum
            ],
            unknown=[f"{taken.version:04d}_{taken.name}" for taken in applied if taken.version not in known],
            taken=len(applied),
            other_owner=owners[0][0] if owners else None,
        )

    @override
    async def indexes(self) -> IndexFacts:
        versions = {taken.version for taken in await self._applied()}
        expected = indexes_of([step for step in self._steps if step.version in versions]) if versions else ()
        return IndexFacts(dict(await self._pairs(self._statements.examination.select_indexes)), expected)

    @override
    async def tables(self) -> Sequence[TableFacts]:
        return [TableFacts(*row) for row in await self._rows(self._statements.examination.select_table_health)]

    @override
    async def oldest_transaction(self) -> datetime | None:
        (row,) = await self._rows(self._statements.examination.select_oldest_transaction)
        since: datetime | None = row[0]
        return since

    @override
    async def clock(self) -> ClockFacts:
        best = min([await self._sample() for _ in range(_SAMPLES)], key=lambda sample: sample.error_ns)
        now_ns = boottime_ns() + best.offset_ns
        return ClockFacts(
            now=from_ns(now_ns),
            offset_ms=(now_ns - to_ns(host_time())) / _NS_PER_MS,
            error_bound_ms=best.error_ns / _NS_PER_MS,
            round_trip_ms=2 * best.error_ns / _NS_PER_MS,
        )

    @override
    async def replication(self) -> ReplicationFacts:
        examination = self._statements.examination
        return ReplicationFacts(
            [StandbyFacts(*row) for row in await self._rows(examination.select_standbys)],
            [name for (name,) in await self._rows(examination.select_idle_slots)],
        )

    @override
    async def access(self, counted_max: int) -> AccessFacts:
        asked = {"owner": ANONYMOUS, "rows_max": counted_max}
        ((sessions,),) = await self._rows(self._statements.owners.select_session_count, asked)
        ((has_keys,),) = await self._rows(self._statements.examination.select_api_keys_exist)
        return AccessFacts(sessions, has_keys)

    @override
    async def stored(self) -> StoredFacts:
        sizes = await self._rows(self._statements.storage.select_table_sizes)
        return StoredFacts(sum(size_bytes for _, size_bytes, _ in sizes))

    async def _sample(self) -> ClockSample:
        sent_ns = boottime_ns()
        ((server_at,),) = await self._rows(self._statements.clock.select_clock)
        return ClockSample.of(sent_ns, server_at, boottime_ns())

    async def _applied(self) -> Sequence[AppliedMigration]:
        ((there,),) = await self._rows(self._statements.migrations.select_migrations_exist)
        rows = await self._rows(self._statements.migrations.select_migrations) if there else []
        return [AppliedMigration(*row) for row in rows]

    async def _pairs(self, statement: Statement) -> list[tuple[Any, Any]]:
        return [(name, value) for name, value in await self._rows(statement)]

    async def _rows(self, statement: Statement, parameters: dict[str, object] | None = None) -> list[tuple[Any, ...]]:
        try:
            return await self._inspection.fetch(statement, parameters)
        except InspectionFailed as error:
            raise Unseen(str(error)) from error
