"""Buckets of a distributed database: where their statements run, and what a move or a lost node does to them."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing, contextmanager
from datetime import UTC, datetime, timedelta
from secrets import randbits
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from attrs import evolve, fields
from psycopg.pq.abc import PGconn
from structlog.testing import capture_logs

from adapters.memory.manual_clock import ManualClock
from adapters.postgres.batching.call_queue import BatchKeys
from adapters.postgres.buckets.node import Nodes
from adapters.postgres.buckets.placements import Placement, Placements, PostgresBucketRegister
from adapters.postgres.buckets.pool import bucket_gateway
from adapters.postgres.clock.probe import DatabaseClock, ServerClock, ServerTime
from adapters.postgres.codec import PARTITIONS, day_at
from adapters.postgres.connections.statement import Statement
from adapters.postgres.gateway import Gateway, GatewayOptions
from adapters.postgres.inspection import DatabaseInspector
from adapters.postgres.migrations.announcement import OPTIONS, Announcement
from adapters.postgres.migrations.buckets import BucketMigrations
from adapters.postgres.migrations.database import DatabaseDistributed, DatabaseMigrations, NodesAway
from adapters.postgres.migrations.distribution import Distribution
from adapters.postgres.migrations.down import MigrationFailed
from adapters.postgres.migrations.migration import Migration, load_migrations
from adapters.postgres.migrations.options import MigrationOptions
from adapters.postgres.migrations.runner import MigrationRunner
from adapters.postgres.repositories.executions import PostgresExecutionRepository
from adapters.postgres.repositories.sessions import PostgresSessionRepository
from adapters.postgres.retention.cleanup import empty_partition
from adapters.postgres.retention.gauge import StorageGauge
from adapters.postgres.statements.catalogue import Statements
from adapters.system_clock import SystemClock
from domain.buckets.bucket_map import ANNOUNCED
from domain.identity import Owner, SessionRef, uuid7_at
from domain.scripts.script import Script
from domain.storage.storage import Part
from tests.citus.cluster import Cluster
from tests.integration.postgres.conftest import storage_on
from tests.support.waiting import until, within
from tests.unit.domain.builders import session_at

NUMBERS = (1, 2)
SCRIPT = Script("1", "ab" * 32)
_HOME_ONLY = {
    "server",
    "clock",
    "functions",
    "api_keys",
    "secrets",
    "egress_rules",
    "environments",
    "takeover",
    "recordings",
    "session_returns",
    "verification",
}
_HOME_ONLY |= {"migrations", "buckets", "inspection"}


@pytest.fixture(scope="session")
def database(cluster: Cluster, statements: Statements) -> str:
    """The name of a database with two buckets, one on each worker."""
    name = cluster.database()
    asyncio.run(distribute(cluster.url(name), statements))
    return name


async def distribute(url: str, statements: Statements, buckets: int = 2) -> None:
    """Migrate a database, and divide it into buckets."""
    await MigrationRunner(url, statements.migrations, SystemClock()).up()
    distribution = distribution_on(url, statements)
    await distribution.run(await distribution.plan(buckets), lambda _: None)


def distribution_on(
    url: str, statements: Statements, server: ServerClock | None = None, options: MigrationOptions = OPTIONS
) -> Distribution:
    clock = SystemClock()
    home, buckets = MigrationRunner(url, statements.migrations, clock), BucketMigrations(url, statements, clock)
    server = server or DatabaseClock(buckets.connections.fetch, statements.clock, 1.0)
    announcement = Announcement(buckets.connections, statements, clock, server, options=options)
    return Distribution(home, buckets, statements, lambda each: 10 * each, announcement)


class SteppingClock(ServerClock):
    """A clock by which the given time passes between two readings."""

    def __init__(self, step: timedelta) -> None:
        self._at, self._step = datetime(2030, 1, 1, tzinfo=UTC), step

    async def read(self) -> ServerTime:
        self._at += self._step
        return ServerTime(self._at)

    async def settle(self, time: ServerTime, correction: timedelta) -> None:
        raise AssertionError


async def test_buckets_that_are_stored_late_are_an_error_and_buckets_whose_statement_is_slow_are_not_stored(
    cluster, statements
):
    url = cluster.url(cluster.database())
    await MigrationRunner(url, statements.migrations, SystemClock()).up()
    buckets = BucketMigrations(url, statements, SystemClock())
    slow = Statement(
        "insert_buckets",
        f"WITH w AS (SELECT pg_sleep(60)) {statements.buckets.insert_buckets.sql}".replace(
            "FROM unnest", "FROM w, unnest"
        ),
    )
    quick = evolve(OPTIONS, statement_timeout_s=0.3)
    waiting = distribution_on(
        url, evolve(statements, buckets=evolve(statements.buckets, insert_buckets=slow)), options=quick
    )
    with pytest.raises(MigrationFailed, match=r"statement timeout.*Controllers see none of it"):
        await waiting.run(await waiting.plan(1), lambda _: None)
    assert await buckets.known() == []
    late = distribution_on(url, statements, SteppingClock(timedelta(seconds=20)))
    with pytest.raises(MigrationFailed, match="stored them 40 s before, and controllers need 45 s"):
        await late.run(await late.plan(1), lambda _: None)


@contextmanager
def commits_that_wait(url: str) -> Iterator[Callable[[], None]]:
    """Yield a function after whose return all commits at a server wait for a standby that it does not have."""
    with (
        psycopg.connect(url, autocommit=True, options="-c synchronous_commit=local") as connection,
        psycopg.connect(url, autocommit=True) as waiting,
        ThreadPoolExecutor(1) as threads,
    ):

        def begin() -> None:
            connection.execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
            connection.execute("SELECT pg_reload_conf()")
            threads.submit(commit_until, waiting)
            ended_at = time.monotonic() + 20
            while not connection.execute(_WAITS, [waiting.info.backend_pid]).fetchall():
                assert time.monotonic() < ended_at, "no commit waits"

        try:
            yield begin
        finally:
            connection.execute("ALTER SYSTEM RESET synchronous_standby_names")
            connection.execute("SELECT pg_reload_conf()")


_WAITS = "SELECT FROM pg_stat_activity WHERE pid = %s AND wait_event = 'SyncRep'"


def commit_until(connection: psycopg.Connection) -> None:
    """Commit until one has waited."""
    started_at = time.monotonic()
    while time.monotonic() - started_at < 0.2:
        started_at = time.monotonic()
        connection.execute("SELECT pg_logical_emit_message(TRUE, 'test', '')")


async def test_buckets_are_seen_at_once_though_no_standby_confirms_them_and_the_command_says_so(cluster, statements):
    url = cluster.url(cluster.database())
    await MigrationRunner(url, statements.migrations, SystemClock()).up()
    distribution = distribution_on(url, statements, options=evolve(OPTIONS, socket_timeout_s=2.0))
    plan = await distribution.plan(1)
    with commits_that_wait(url) as begin, pytest.raises(MigrationFailed, match="no standby has confirmed it"):
        await distribution.run(plan, lambda _: begin())
    assert [bucket.number for bucket in await BucketMigrations(url, statements, SystemClock()).known()] == [1]


@asynccontextmanager
async def opened(
    url: str, statements: Statements, numbers: Sequence[int] = NUMBERS, **given: Any
) -> AsyncIterator[tuple[Placements, dict[int, Gateway]]]:
    """Yield the placements, and a gateway for each bucket, as one process has them."""
    options = GatewayOptions(url, request_timeout_s=4, **given)
    home = Gateway(options)
    placements = Placements(home, statements.buckets)
    nodes = Nodes(options)
    gateways = {number: bucket_gateway(number, placements, options, nodes=nodes) for number in numbers}
    for gateway in (home, *gateways.values()):
        await gateway.open()
    try:
        yield placements, gateways
    finally:
        for each in (*gateways.values(), nodes, home):
            await each.close()


def all_of(statements: Statements) -> Iterator[tuple[str, Statement]]:
    for holder in fields(Statements):
        if holder.name not in _HOME_ONLY:
            group = getattr(statements, holder.name)
            yield from ((f"{holder.name}.{each.name}", getattr(group, each.name)) for each in fields(type(group)))


def explained(connection: psycopg.Connection, statement: Statement) -> str:
    """Return the generic plan of a statement, which is that of a prepared one."""
    text = statement.numbered.decode().rstrip().rstrip(";")
    return "\n".join(
        row for (row,) in connection.execute(f"EXPLAIN (GENERIC_PLAN, VERBOSE, COSTS OFF) {text}".encode())
    )


async def test_every_statement_of_a_bucket_is_planned_by_its_node_alone(cluster, database, statements):
    async with opened(cluster.url(database), statements) as (placements, _):
        placement = await placements.of(1)
    dsn = placement.node.dsn(cluster.url(database))
    with psycopg.connect(dsn, autocommit=True) as connection:
        for name, statement in all_of(statements):
            placed = placement.statement(statement)
            if placed.sql.lstrip().startswith(("LOCK", "DO", "SET")):
                continue
            plan = explained(connection, placed)
            assert not re.search("Citus|Distributed|Task Count", plan), f"{name}\n{plan}"
            named = set(re.findall(r" on (\w+)\.(\w+)", plan))
            shards = {f"{table}_{number}" for table, number in placement.shards.items()}
            assert all(table in shards for schema, table in named if schema != "pg_catalog"), f"{name}\n{plan}"


async def test_the_history_of_a_bucket_is_measured_and_emptied_by_connections_without_start_up_options(
    cluster, database, statements
):
    async with opened(cluster.url(database), statements, server_timeouts=False) as (_, gateways):
        storage = storage_on(gateways[2], statements)
        session = await storage.add(Owner("bob"))
        await storage.executions.finish(storage.finished(await storage.begin(session.ref)))
        sizes = (await StorageGauge(gateways[2], statements.storage).stored()).parts
        day = day_at(storage.clock.now())
        assert sizes[Part.SESSIONS].size_bytes > 0
        assert await empty_partition(gateways[2], statements.cleanup, day % PARTITIONS, day + 1)


_LOCKS = "SELECT FROM pg_locks WHERE pid = %s AND locktype = 'advisory' AND granted"


@pytest.mark.parametrize("takes_results", [True, False], ids=["sends no more", "takes no result"])
async def test_a_controller_that_stops_within_a_message_holds_its_bucket_for_the_time_of_a_statement(
    cluster, database, statements, takes_results
):
    url, limits = cluster.url(database), Statement("select_limits", _LIMITS)
    async with opened(url, statements) as (placements, gateways):
        placement = await placements.of(2)
        assert await gateways[2].fetch(limits, {}) == [("1400",), ("1400",)]
    dsn = placement.node.dsn(url)
    options = GatewayOptions(dsn, request_timeout_s=4, holds_buckets=True)
    with closing(psycopg.connect(options.conninfo)) as stopped, psycopg.connect(dsn, autocommit=True) as other:

        def locks() -> Sequence[object]:
            return other.execute(_LOCKS, [stopped.info.backend_pid]).fetchall()

        stop_within_a_message(stopped.pgconn, placement, takes_results=takes_results)
        await until(locks)
        with within(options.socket_timeout_s):
            await until(lambda: not locks(), 10.0)


_LIMITS = "SELECT s.setting FROM pg_settings AS s WHERE s.name IN ('tcp_user_timeout', 'transaction_timeout')"


def stop_within_a_message(pgconn: PGconn, placement: Placement, *, takes_results: bool) -> None:
    """Send the hold of a bucket without its end, or with a statement whose result does not fit into any buffer."""
    pgconn.enter_pipeline_mode()
    pgconn.send_query_params(placement.hold.statement.numbered, [b"{%d}" % placement.hold.shard])
    if takes_results:
        pgconn.send_flush_request()
    else:
        pgconn.send_query_params(b"SELECT repeat('x', 100000000)", [])
        pgconn.pipeline_sync()
    pgconn.flush()


async def test_a_slow_statement_is_logged_with_its_bucket(cluster, database, statements):
    async with opened(cluster.url(database), statements) as (_, gateways):
        with capture_logs() as lines:
            await gateways[2].fetch(Statement("select_sleep", "SELECT pg_sleep(0.12)"), {})
    slow = [(line["statement"], line["bucket"]) for line in lines if line["event"] == "slow_statement"]
    assert slow == [("select_sleep", 2)]


async def test_the_buckets_of_a_database_are_read_with_their_instants(cluster, database, statements):
    home = Gateway(GatewayOptions(cluster.url(database)))
    await home.open()
    first, second = (await PostgresBucketRegister(home, statements.buckets).read()).buckets
    await home.close()
    assert (first.number, second.number) == NUMBERS
    assert first.from_at == second.from_at
    assert ANNOUNCED / 2 < first.from_at - datetime.now(UTC) <= ANNOUNCED


async def test_a_bucket_that_moves_under_writers_loses_nothing(cluster, database, statements):
    clock = ManualClock()
    acknowledged = []
    async with opened(cluster.url(database), statements) as (placements, gateways):
        sessions = PostgresSessionRepository(gateways[1], statements.sessions, BatchKeys())
        executions = PostgresExecutionRepository(gateways[1], statements.executions, clock, BatchKeys())
        left = (await placements.of(1)).node
        target = next(port for port in cluster.ports[1:] if port != left.port)

        async def write(moving: asyncio.Task[None]) -> None:
            while not moving.done():
                session = session_at(clock.now(), ref=SessionRef(Owner("alice"), uuid4()))
                await sessions.add(session, SCRIPT)
                await executions.begin(uuid7_at(clock.now(), randbits(62)), session.ref, timedelta(minutes=5))
                acknowledged.append(session.ref.session_id)
                await asyncio.sleep(0.001)

        for port in (target, left.port):  # on its way back it shares a node, and messages to it
            moving = asyncio.create_task(asyncio.to_thread(move, cluster.url(database), "bucket_1", port))
            await asyncio.gather(*(write(moving) for _ in range(6)), moving)
            assert (await placements.of(1)).node.port == port
        assert placements.moves == 2
        assert len(acknowledged) > 100
        found = await gateways[1].fetch(Statement("select_ids", "SELECT request_id FROM meta.sessions"), {})
        begun = await gateways[1].fetch(Statement("select_open", "SELECT request_id FROM meta.open_executions"), {})
    assert {row[0] for row in found} == set(acknowledged)
    assert sorted(row[0] for row in begun) == sorted(acknowledged), "each was begun once"


_LEFTOVERS = "SELECT count(*) FROM pg_dist_cleanup"
_CLEANED_S = 60.0


def move(url: str, schema: str, port: int) -> None:
    """Move a bucket once Citus has dropped what earlier moves left: it does not return to a node that has a leftover."""
    with psycopg.connect(url, autocommit=True, options="-c client_min_messages=error") as connection:
        ends_at_s = time.monotonic() + _CLEANED_S
        while connection.execute(_LEFTOVERS).fetchall() != [(0,)]:
            assert time.monotonic() < ends_at_s, "Citus cannot drop what a move left"
            connection.execute("CALL citus_cleanup_orphaned_resources()")
        connection.execute(
            "SELECT citus_schema_move(%s::regnamespace, '127.0.0.1', %s, 'force_logical')", [schema, port]
        )


_STEPS = ("distribute_schema", "create_hold", "select_function_texts", "insert_buckets", "exclude_older_releases")
"""Statements of a distribution, in their order."""


async def test_a_distribution_that_ends_at_any_step_changes_nothing_and_is_completed_by_the_next(cluster, statements):
    url = cluster.url(cluster.database())
    await MigrationRunner(url, statements.migrations, SystemClock()).up()
    buckets = BucketMigrations(url, statements, SystemClock())
    for name in _STEPS:
        broken = evolve(statements, buckets=evolve(statements.buckets, **{name: Statement(name, "SELECT 1 / 0")}))
        ending = distribution_on(url, broken)
        with pytest.raises(MigrationFailed, match=r"division by zero.*run the command again"):
            await ending.run(await ending.plan(1), lambda _: None)
        assert await buckets.known() == []
    distribution = distribution_on(url, statements)
    await distribution.run(await distribution.plan(1), lambda _: None)
    assert [bucket.number for bucket in await buckets.known()] == [1]
    assert (await distribution.plan(1)).numbers == []
    async with opened(url, statements, (1,)) as (_, gateways):
        storage = storage_on(gateways[1], statements)
        session = await storage.add(Owner("alice"))
        assert await storage.sessions.get(session.ref) == session


async def test_doctor_sees_where_each_bucket_lies_and_what_each_node_has_free(cluster, database, statements):
    options = GatewayOptions(cluster.url(database))
    async with DatabaseInspector.connected(options, statements) as inspector:
        buckets, nodes = await inspector.buckets()
    assert [(each.schema, len(each.location.nodes), each.pending) for each in buckets] == [
        ("bucket_1", 1, []),
        ("bucket_2", 1, []),
    ]
    with psycopg.connect(cluster.url(database)) as connection:
        shards = dict(connection.execute("SELECT logicalrelid::text, shardid FROM pg_dist_shard").fetchall())
    assert [each.location.shard for each in buckets] == [shards[f"bucket_{n}.sessions"] for n in NUMBERS]
    placed = await BucketMigrations(cluster.url(database), statements, SystemClock()).status()
    assert [each.location for each in placed] == [each.location for each in buckets]
    assert [node.address for node in nodes] == [f"127.0.0.1:{port}" for port in cluster.ports]
    assert all(node.free_connections > 0 for node in nodes)


_STORAGE = """
    SELECT a.attstorage::text, a.attstattarget FROM pg_attribute AS a
    WHERE a.attrelid = 'meta.sessions'::regclass AND a.attname = 'metadata'
"""
_BODY = "SELECT p.prosrc ~ 'more_[0-9]' FROM pg_proc AS p WHERE p.oid = 'meta.all_of_it()'::regprocedure"


async def test_migrations_reach_every_bucket_and_are_not_reverted(cluster, database, statements):
    url, clock = cluster.url(database), SystemClock()
    text = "CREATE TABLE meta.more (a int PRIMARY KEY);\nCREATE FUNCTION meta.all_of_it() RETURNS bigint LANGUAGE sql "
    text += "AS $$ SELECT count(*) FROM meta.more $$;\nALTER TABLE meta.sessions ADD COLUMN more int DEFAULT 7;\n"
    text += (
        "ALTER TABLE meta.sessions ALTER COLUMN metadata SET STORAGE EXTERNAL, ALTER COLUMN metadata SET STATISTICS 7;"
    )
    text += "\n-- works beside 0016\n"
    steps = [*load_migrations(), Migration(len(load_migrations()) + 1, "more", text, "DROP TABLE meta.more")]
    options = MigrationOptions()
    home = MigrationRunner(url, statements.migrations, clock, options, steps)
    migrations = DatabaseMigrations(home, BucketMigrations(url, statements, clock, options, steps))
    states = await migrations.bucket_status()
    assert [(len(each.pending), len(each.location.nodes)) for each in states] == [(1, 1), (1, 1)]
    step = str(steps[-1])
    unplaced = evolve(statements.buckets, select_function_texts=Statement("select_function_texts", "SELECT 1 / 0"))
    ending = BucketMigrations(url, evolve(statements, buckets=unplaced), clock, options, steps)
    with pytest.raises(psycopg.errors.DivisionByZero):
        await DatabaseMigrations(home, ending).up()
    assert [str(each) for each in await migrations.up()] == [f"{step} in bucket_2"]
    async with opened(url, statements) as (_, gateways):
        for gateway in gateways.values():
            column = Statement("select_column", "SELECT coalesce(max(s.more), 7) FROM meta.sessions AS s")
            assert await gateway.fetch(column, {}) == [(7,)]
            assert await gateway.fetch(Statement("select_all", "SELECT meta.all_of_it()"), {}) == [(0,)]
            assert await gateway.fetch(Statement("select_text", _BODY), {}) == [(True,)]
            assert await gateway.fetch(Statement("select_storage", _STORAGE), {}) == [("e", 7)]
    with pytest.raises(DatabaseDistributed, match="has 2 buckets"):
        await migrations.down()


async def test_with_a_node_away_migrations_are_refused_by_its_name_and_the_other_buckets_are_listed(
    cluster, statements
):
    url, clock, options = cluster.url(cluster.database()), SystemClock(), MigrationOptions()
    await distribute(url, statements)
    step = Migration(len(load_migrations()) + 1, "more", "CREATE TABLE meta.more (a int);", "DROP TABLE meta.more")
    steps = [*load_migrations(), step]

    def migrations_to(steps: Sequence[Migration]) -> DatabaseMigrations:
        buckets = BucketMigrations(url, statements, clock, options, steps)
        return DatabaseMigrations(MigrationRunner(url, statements.migrations, clock, options, steps), buckets)

    lost = cluster.ports[1]
    cluster.kill(lost)
    try:
        assert await migrations_to(load_migrations()).up() == [], "no step is pending that is known"
        for dry_run in (True, False):
            with pytest.raises(NodesAway, match=rf"_more.*node 127.0.0.1:{lost} .failed to connect.*Nothing was"):
                await migrations_to(steps).up(dry_run=dry_run)
        assert [step.name for step in await migrations_to(steps).home.pending()] == ["more"]
        states = await migrations_to(steps).bucket_status()
        assert sorted((bool(each.away), len(each.pending)) for each in states) == [(False, 1), (True, 0)]
        assert [node.is_away for node in await migrations_to(steps).node_facts()] == [False, True, False]
        async with DatabaseInspector.connected(GatewayOptions(url, request_timeout_s=8), statements) as inspector:
            seen, nodes = await inspector.buckets()
        assert ([each.pending for each in seen], [node.is_away for node in nodes]) == ([[], []], [False, True, False])
    finally:
        cluster.start(lost)
    assert len(await migrations_to(steps).up()) == 3


async def test_a_node_that_is_frozen_holds_no_report_up(cluster, database, statements):
    url = cluster.url(database)
    buckets = BucketMigrations(url, statements, SystemClock())
    async with opened(url, statements) as (placements, _):
        ports = [(await placements.of(number)).node.port for number in NUMBERS]
    with cluster.frozen(ports[0]), within(10):
        states = await buckets.status()
        async with DatabaseInspector.connected(GatewayOptions(url, request_timeout_s=8), statements) as inspector:
            _, nodes = await inspector.buckets()
    assert [bool(each.away) for each in states] == [port == ports[0] for port in ports]
    assert [node.is_away for node in nodes] == [port == ports[0] for port in cluster.ports]
