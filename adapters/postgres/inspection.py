"""Facts about a database for an operator, read over one connection."""

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Self
from uuid import UUID

from attrs import define

from adapters.postgres import codec
from adapters.postgres.bucket_inspection import BucketInspector, in_bucket
from adapters.postgres.clock.probe import AT_HOME, ServerTime
from adapters.postgres.clock.samples import ClockSample, boottime_ns, from_ns, host_time, to_ns
from adapters.postgres.connections.inspection import InspectionConnection
from adapters.postgres.connections.statement import Statement
from adapters.postgres.gateway_options import GatewayOptions
from adapters.postgres.migrations.migration import (
    AppliedMigration,
    Migration,
    SchemaState,
    indexes_of,
    load_migrations,
)
from adapters.postgres.repositories.environments import stored_environments
from adapters.postgres.repositories.runtime_hosts import host_of
from adapters.postgres.retention.gauge import part_of
from adapters.postgres.statements.catalogue import Statements
from domain.access.api_key import EXPIRY_NOTICE, UNUSED_AFTER
from domain.audit import ActName
from domain.environments.environment import VERSIONS_MAX, StoredEnvironment
from domain.hosts.host import RegisteredHost
from domain.identity import ANONYMOUS, EVERY_OWNER, uuid7_at, uuid7_time
from domain.inspection import (
    ArchiveFacts,
    BucketFacts,
    ClockFacts,
    ConnectionFacts,
    HorizonHolder,
    IndexFacts,
    MissingRight,
    NodeFacts,
    ReplicationFacts,
    SchemaFacts,
    ServerFacts,
    StandbyFacts,
    TableFacts,
)
from domain.schedules.schedule import ON_TIME
from domain.scripts.language import Language
from domain.storage.storage import Part
from domain.stored_facts import (
    AccessFacts,
    Contents,
    QueueLanguageFacts,
    RecordingFacts,
    ScheduleFacts,
    TakeoverFacts,
    WebhookFacts,
)
from domain.takeover.stages import Stage

_TIMEOUT_S = 3.0
"""The time limit of one connection attempt, and of one statement."""

_SAMPLES = 8
_POOLER_PREFIX = "PGBOUNCER_"
_NS_PER_MS = 1_000_000


@define(eq=False)
class DatabaseInspector:
    """Reads facts, each within seconds; a method raises InspectionFailed if the server does not return them."""

    _connection: InspectionConnection
    _statements: Statements
    _steps: Sequence[Migration]
    _buckets: BucketInspector

    @classmethod
    @asynccontextmanager
    async def connected(
        cls, options: GatewayOptions, statements: Statements, timeout_s: float = _TIMEOUT_S
    ) -> AsyncIterator[Self]:
        """Connect, and yield an inspector; each statement takes `timeout_s` at most. Raises DatabaseUnreachable."""
        async with InspectionConnection.opened(options, timeout_s) as connection:
            steps, node_timeout_s = load_migrations(), min(timeout_s, options.statement_timeout_s) / 2
            buckets = BucketInspector(connection, statements, steps, node_timeout_s)
            yield cls(connection, statements, steps, buckets)

    async def connection(self) -> ConnectionFacts:
        """Return where the connection leads."""
        inspection, connection = self._statements.inspection, self._connection
        server = await self.server()
        names = [name for (name,) in await self._rows(inspection.select_prepared_names)]
        return ConnectionFacts(
            host=connection.host,
            is_encrypted=connection.is_encrypted,
            # A pooler announces a process id that it has made up.
            is_pooled=connection.process_id != server.process_id,
            keeps_prepared=any(name.startswith(_POOLER_PREFIX) for name in names),
        )

    async def server(self) -> ServerFacts:
        """Return the server's settings and state."""
        (row,) = await self._rows(self._statements.inspection.select_server_facts)
        return ServerFacts(*row)

    async def missing_rights(self) -> Sequence[MissingRight]:
        """Return the rights on the schema, or else on those of buckets, that the service needs and this role lacks."""
        select = self._statements.inspection.select_rights
        missing = await self._rows(select)
        for schema in [] if missing else await self._buckets.schemas():
            missing += await self._rows(in_bucket(select, schema))
        return [MissingRight(*row) for row in missing]

    async def schema(self) -> SchemaFacts:
        """Return the state of the migrations."""
        applied = await self._applied()
        owners = await self._rows(self._statements.inspection.select_other_owner)
        state = SchemaState.of(self._steps, applied)
        return SchemaFacts(
            pending=[str(step) for step in state.pending],
            differing=[str(each) for each in state.differing],
            unknown=[str(each) for each in state.unknown],
            newer=[str(each) for each in state.newer],
            applied=len(applied),
            other_owner=owners[0][0] if owners else None,
        )

    async def buckets(self) -> tuple[Sequence[BucketFacts], Sequence[NodeFacts]]:
        """Return the buckets and the nodes of a distributed database; nothing of a plain one."""
        return await self._buckets.facts()

    async def indexes(self) -> IndexFacts:
        """Return the indexes of the schema, and those that the applied migrations make.

        After migrations of a newer release only the latter, because the release may need others.
        """
        applied = await self._applied()
        versions = {taken.version for taken in applied}
        expected = indexes_of([step for step in self._steps if step.version in versions]) if versions else ()
        found = dict(await self._rows(self._statements.inspection.select_indexes))
        if SchemaState.of(self._steps, applied).newer:
            found = {name: is_valid for name, is_valid in found.items() if name in expected}
        return IndexFacts(found, expected)

    async def tables(self) -> Sequence[TableFacts]:
        """Return the statistics of the tables."""
        return [TableFacts(*row) for row in await self._rows(self._statements.inspection.select_table_health)]

    async def horizon_holders(self) -> Sequence[HorizonHolder]:
        """Return what keeps dead rows from being removed, the oldest first, as far as this role may see."""
        return [HorizonHolder(*row) for row in await self._rows(self._statements.inspection.select_horizon_holders)]

    async def queue(self, count_max: int) -> Sequence[QueueLanguageFacts]:
        """Return the queue by language; none while migrations are pending."""
        if (await self.schema()).pending:
            return []
        asked = {"languages": codec.texts(Language), "now": (await self.clock()).now, "counted_max": count_max}
        rows = await self._everywhere(self._statements.queue_states.select_all_queue_facts, asked)
        return QueueLanguageFacts.together(QueueLanguageFacts(*row) for row in rows)

    async def webhooks(self, key_id: str | None) -> WebhookFacts:
        """Return what is wrong with webhooks and their secrets of this key; nothing while migrations are pending."""
        if (await self.schema()).pending:
            return WebhookFacts()
        rows = await self._everywhere(self._statements.inspection.select_webhook_facts, {"key_id": key_id})
        return WebhookFacts.together(*(WebhookFacts(*row) for row in rows))

    async def secret_keys(self) -> Mapping[str, int]:
        """Return how many secrets each key has sealed, by the id of the key; none while migrations are pending."""
        if (await self.schema()).pending:
            return {}
        return dict(await self._rows(self._statements.secrets.select_secret_keys, {"owner": EVERY_OWNER}))

    async def environments(self) -> Sequence[StoredEnvironment]:
        """Return the versions of all environments without locks and logs; none while migrations are pending."""
        if (await self.schema()).pending:
            return []
        asked = {"name": None, "rows_max": VERSIONS_MAX}
        return list(stored_environments(await self._rows(self._statements.environments.select_environments, asked)))

    async def schedules(self, count_max: int) -> ScheduleFacts:
        """Read which schedules are late, at most `count_max` of them; none while migrations are pending."""
        if (await self.schema()).pending:
            return ScheduleFacts(0, None, 0)
        asked = {"due_before": (await self.clock()).now - ON_TIME, "counted_max": count_max}
        rows = await self._everywhere(self._statements.inspection.select_schedule_facts, asked)
        return ScheduleFacts.together([ScheduleFacts(*row) for row in rows])

    async def registered_hosts(self) -> Sequence[RegisteredHost]:
        """Read the runtime hosts that have registered themselves; none while migrations are pending."""
        if (await self.schema()).pending:
            return []
        return [host_of(row) for row in await self._rows(self._statements.runtime_hosts.select_runtime_hosts)]

    async def clock(self) -> ClockFacts:
        """Measure the database's clock; that of the server, while migrations are pending."""
        statements = self._statements.clock
        select = statements.select_server_clock if (await self.schema()).pending else statements.select_clock
        parameters = AT_HOME if select is statements.select_clock else {}
        samples = [await self._sample(select, parameters) for _ in range(_SAMPLES)]
        best, correction_ms = min(samples, key=lambda sample: sample[0].error_ns)
        now_ns = boottime_ns() + best.offset_ns
        return ClockFacts(
            now=from_ns(now_ns),
            offset_ms=(now_ns - to_ns(host_time())) / _NS_PER_MS,
            error_bound_ms=best.error_ns / _NS_PER_MS,
            round_trip_ms=2 * best.error_ns / _NS_PER_MS,
            correction_ms=correction_ms,
        )

    async def replication(self) -> ReplicationFacts:
        """Return the standbys and the idle replication slots."""
        inspection = self._statements.inspection
        return ReplicationFacts(
            [StandbyFacts(*row) for row in await self._rows(inspection.select_standbys)],
            [name for (name,) in await self._rows(inspection.select_idle_slots)],
        )

    async def access(self, count_max: int) -> AccessFacts:
        """Return the number of anonymous sessions, counted up to `count_max`, and of API keys."""
        asked = {"owner": ANONYMOUS, "rows_max": count_max}
        rows = await self._everywhere(self._statements.owners.select_session_count, asked)
        sessions = min(count_max, sum(count for (count,) in rows))
        now = (await self.clock()).now
        used_before = now - UNUSED_AFTER
        ((keys, expiring, unused),) = await self._rows(
            self._statements.inspection.count_api_keys,
            {
                "now": now,
                "expires_until": now + EXPIRY_NOTICE,
                "used_before": used_before,
                "made_before": uuid7_at(used_before, 0),
            },
        )
        return AccessFacts(sessions, keys, expiring, unused)

    async def archive(self) -> ArchiveFacts:
        """Return whether the server archives its WAL, and what became of it."""
        (row,) = await self._rows(self._statements.inspection.select_archiver)
        return ArchiveFacts(*row)

    async def takeover(self) -> TakeoverFacts | None:
        """Return how far a takeover is; None if there is none that is not finished."""
        if (await self.schema()).pending:
            return None
        rows = await self._rows(self._statements.cleanup.select_unserved)
        return TakeoverFacts(rows[0][0], Stage(rows[0][1]), *rows[0][2:]) if rows else None

    async def recordings(self) -> RecordingFacts | None:
        """Return what is recorded of calls; None on a standby, which does not have the calls."""
        if (await self.schema()).pending or (await self.server()).is_standby:
            return None
        ((calls, oldest, until),) = await self._rows(self._statements.inspection.select_recorded)
        return RecordingFacts(calls, None if oldest is None else uuid7_time(oldest), until)

    async def last_act(self, name: ActName) -> tuple[datetime, str] | None:
        """Return when the newest act of a kind was made, and its subject; None if the audit record has none."""
        ((exists,),) = await self._rows(self._statements.migrations.select_audit_exists)
        rows = await self._rows(self._statements.inspection.select_last_act, {"act": name}) if exists else []
        return (uuid7_time(rows[0][0]), rows[0][1]) if rows else None

    async def contents(self, after: UUID) -> Contents:
        """Count what is stored, and what has a greater id than a UUIDv7."""
        (row,) = await self._rows(self._statements.inspection.select_contents, {"after": after})
        return Contents(*row)

    async def stored_bytes(self) -> Mapping[Part, int]:
        """Return the sizes of all tables with their indexes, those of buckets too, by the part that they store."""
        sizes, (buckets, _) = Counter[Part](), await self.buckets()
        tables = [row[:2] for row in await self._rows(self._statements.storage.select_table_sizes)]
        tables += await self._rows(self._statements.buckets.select_shard_sizes) if buckets else []
        for table, size_bytes in tables:
            sizes[part_of(table)] += size_bytes
        return sizes

    async def _sample(self, select: Statement, parameters: Mapping[str, object]) -> tuple[ClockSample, float]:
        """Return a sample, and the correction in milliseconds."""
        sent_ns = boottime_ns()
        ((at, *added),) = await self._rows(select, parameters)
        sample = ClockSample.of(sent_ns, at, boottime_ns())
        return sample, ServerTime(at, *added).correction_ms

    async def _applied(self) -> Sequence[AppliedMigration]:
        ((there,),) = await self._rows(self._statements.migrations.select_migrations_exist)
        rows = await self._rows(self._statements.migrations.select_migrations) if there else []
        return [AppliedMigration(*row) for row in rows]

    async def _everywhere(self, statement: Statement, asked: Mapping[str, object]) -> list[tuple[Any, ...]]:
        """Return the rows of `meta` first, and then those of the buckets that can be read."""
        return [*await self._rows(statement, asked), *await self._buckets.rows_of_each(statement, asked)]

    async def _rows(
        self, statement: Statement, parameters: Mapping[str, object] | None = None
    ) -> list[tuple[Any, ...]]:
        return await self._connection.fetch(statement, parameters)
