"""The schema goes up and down, once for many, without losing a session."""

import asyncio
from types import SimpleNamespace
from uuid import uuid4

import psycopg
import pytest
from attrs import evolve
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from adapters.memory.manual_clock import ManualClock
from adapters.postgres.clock.probe import DatabaseClock
from adapters.postgres.gateway import Gateway, GatewayOptions
from adapters.postgres.migrations.announcement import Announcement
from adapters.postgres.migrations.buckets import BucketMigrations
from adapters.postgres.migrations.distribution import CannotDistribute, Distribution
from adapters.postgres.migrations.migration import (
    Migration,
    MigrationsDiffer,
    UnknownMigration,
    load_migrations,
)
from adapters.postgres.migrations.options import MigrationOptions
from adapters.postgres.migrations.runner import MigrationRunner
from adapters.postgres.migrations.server import StepForbidden, UnsupportedServer, require_usable
from domain.audit import Actor
from domain.errors import StorageUnavailable
from tests.contracts.storage import Storage
from tests.integration.postgres.conftest import storage_on
from tests.integration.postgres.silent_server import SilentServer
from tests.support.ports import free_port
from tests.support.waiting import within

STEPS = load_migrations()
READ_ONLY = "-c default_transaction_read_only=on"
QUICK = MigrationOptions(connect_timeout_s=2, lock_timeout_s=0.05, attempts_max=3, pause_s=0.01)


@pytest.fixture
def runner_on(statements):
    def new(url: str, steps=STEPS, options: MigrationOptions = QUICK) -> MigrationRunner:
        return MigrationRunner(url, statements.migrations, ManualClock(), options, steps)

    return new


@pytest.fixture
def runner(empty_database_url, runner_on) -> MigrationRunner:
    return runner_on(empty_database_url)


@pytest.fixture
def migrated(database_url, runner_on) -> MigrationRunner:
    """A runner on a database to which every step was applied."""
    return runner_on(database_url)


@pytest.fixture
async def storage(database_url, statements):
    gateway = Gateway(GatewayOptions(database_url, request_timeout_s=10))
    await gateway.open()
    yield storage_on(gateway, statements)
    await gateway.close()


def schema_of(url: str) -> list[tuple[object, ...]]:
    """Return what there is: relations, columns, constraints, functions."""
    with psycopg.connect(url) as connection:
        return connection.execute(
            """
            SELECT c.relname, c.reloptions::text, a.attname, a.attnotnull, a.attstorage, format_type(a.atttypid, a.atttypmod)
            FROM pg_class AS c LEFT JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
            WHERE c.relnamespace = to_regnamespace('meta')
            UNION ALL
            SELECT conname, pg_get_constraintdef(oid), NULL, NULL, NULL, NULL FROM pg_constraint
            WHERE connamespace = to_regnamespace('meta')
            UNION ALL
            SELECT proname, prosrc, NULL, NULL, NULL, NULL FROM pg_proc WHERE pronamespace = to_regnamespace('meta')
            ORDER BY 1, 2, 3
            """
        ).fetchall()


def step_after(up: str) -> Migration:
    """Return a step after those of this release."""
    return Migration(STEPS[-1].version + 1, "next", up, "SELECT 1")


def names(steps) -> list[str]:
    return [step.name for step in steps]


class TestUp:
    async def test_it_applies_every_step_in_order(self, runner):
        assert await runner.pending() == STEPS
        assert await runner.up() == STEPS
        assert await runner.pending() == []
        assert [step.name for step in await runner.status()] == [str(step) for step in STEPS]
        assert {step.applied_at for step in await runner.status()} == {ManualClock().now()}

    async def test_applied_steps_are_not_applied_again(self, migrated):
        assert await migrated.up() == []

    async def test_a_dry_run_applies_no_step(self, runner, empty_database_url):
        assert await runner.up(dry_run=True) == STEPS
        assert await runner.up(1, dry_run=True) == STEPS[:1]
        assert schema_of(empty_database_url) == []
        assert [step.applied_at for step in await runner.status()] == [None] * len(STEPS)

    async def test_several_runners_at_once_apply_each_step_once(self, empty_database_url, runner_on):
        patient = MigrationOptions(lock_timeout_s=5)
        runners = [runner_on(empty_database_url, options=patient) for _ in range(5)]
        taken = await asyncio.gather(*(runner.up() for runner in runners))
        assert sorted(step.version for steps in taken for step in steps) == [step.version for step in STEPS]

    async def test_a_step_that_fails_is_rolled_back(self, empty_database_url, runner_on):
        broken = Migration(1, "broken", "CREATE TABLE meta.half (); SELECT 1 / 0;", "")
        with pytest.raises(psycopg.errors.DivisionByZero):
            await runner_on(empty_database_url, [broken]).up()
        assert schema_of(empty_database_url) == []

    async def test_a_lock_that_is_not_released_is_given_up_after_several_attempts(self, empty_database_url, runner_on):
        await runner_on(empty_database_url, STEPS[:1]).up()
        blocked = [*STEPS[:1], Migration(2, "blocked", "ALTER TABLE meta.sessions ADD COLUMN more text;", "")]
        runner = runner_on(empty_database_url, blocked)
        with psycopg.connect(empty_database_url) as connection:
            connection.execute("LOCK TABLE meta.sessions IN ACCESS SHARE MODE")
            with pytest.raises(StorageUnavailable) as caught:
                await runner.up()
        assert isinstance(caught.value.__cause__, psycopg.errors.LockNotAvailable)
        assert await runner.up() == blocked[1:]

    async def test_calls_are_not_delayed_behind_a_step_that_waits(self, database_url, runner_on):
        column = "ALTER TABLE meta.sessions {} COLUMN another integer"
        steps = [*STEPS, Migration(STEPS[-1].version + 1, "another", column.format("ADD"), column.format("DROP"))]
        runner = runner_on(database_url, steps, MigrationOptions(pause_s=0.05, long_every=100))
        with psycopg.connect(database_url, autocommit=True) as calls, psycopg.connect(database_url) as dump:
            dump.execute("SELECT FROM meta.sessions")
            calls.execute("SET lock_timeout = '10s'")
            up = asyncio.create_task(runner.up())
            for _ in range(10):
                await asyncio.to_thread(calls.execute, "SELECT FROM meta.sessions")
                await asyncio.sleep(0.05)
            assert not up.done()
            dump.rollback()
            assert await up == steps[-1:]

    def test_some_attempts_wait_until_the_server_ends_a_vacuum(self):
        options = MigrationOptions()
        waits_s = [options.lock_timeout_of(attempt) for attempt in range(1, 11)]
        assert waits_s == ([0.2] * 4 + [1.5]) * 2
        assert options.lock_timeout_s < GatewayOptions("").lock_timeout_s


class TestDown:
    async def test_it_reverts_the_latest_step(self, migrated):
        assert names(await migrated.down()) == [str(STEPS[-1])]
        assert await migrated.pending() == STEPS[-1:]

    async def test_migrating_up_again_makes_the_same_schema(self, migrated, database_url):
        schema = schema_of(database_url)
        assert names(await migrated.down(0)) == [str(step) for step in STEPS[::-1]]
        assert {row[0] for row in schema_of(database_url)} == {
            row[0] for row in schema if str(row[0]).startswith("migrations")
        }
        assert await migrated.down() == []
        await migrated.up()
        assert schema_of(database_url) == schema

    async def test_a_dry_run_reverts_no_step(self, migrated):
        assert names(await migrated.down(STEPS[-3].version, dry_run=True)) == [str(step) for step in STEPS[:-3:-1]]
        assert await migrated.pending() == []

    async def test_several_runners_at_once_revert_a_step_once(self, database_url, runner_on):
        patient = MigrationOptions(lock_timeout_s=5)
        runners = [runner_on(database_url, options=patient) for _ in range(3)]
        taken = await asyncio.gather(*(runner.down(0) for runner in runners))
        assert sorted(name for steps in taken for name in names(steps)) == [str(step) for step in STEPS]

    async def test_every_step_but_the_first_keeps_the_sessions(self, storage: Storage, database_url, runner_on):
        sessions = [await storage.add() for _ in range(5)]
        counts = [await storage.execute(session.ref) for session in sessions]
        await storage.begin(sessions[0].ref)
        before = [await storage.sessions.get(session.ref) for session in sessions]
        runner = runner_on(database_url)
        await runner.down(1, destroy={"history"})
        await runner.up()
        assert [await storage.sessions.get(session.ref) for session in sessions] == before
        assert [await storage.execute(session.ref) for session in sessions] == [count + 1 for count in counts]


FUNCTIONS_OF_9 = """
INSERT INTO meta.functions (language, title, version, created_at, updated_at)
VALUES ('python', 'x', 3, '2026-02-01Z', '2026-02-03Z');
INSERT INTO meta.function_versions (
    language, title, version, type, description, tags, script, script_hash, examples, registered_at
)
SELECT 'python', 'x', n, 'dynamic', '', '{}', '', repeat('0', 64), '[]', CASE WHEN n = 2 THEN '2026-02-02Z'::timestamptz END
FROM generate_series(1, 3) AS n;
INSERT INTO meta.sessions (
    request_id, owner, language, title, timeout_ms, memory_mb, isolation, renewal, ttl_seconds, expires_at,
    expires_max_at, context, metadata, function_version
)
SELECT
    gen_random_uuid(), 'alice', 'python', 'x', 1, 1, 'session', 'fixed', 1, '2026-02-04Z', '2026-02-04Z', '{}', '{}', pin
FROM unnest(ARRAY[2, NULL]) AS pin;
"""
SHARED_OF_10 = """
SELECT f.owner, v.version, v.author, v.registered_at::date::text, count(s.request_id)
FROM meta.functions AS f
INNER JOIN meta.function_versions AS v ON f.function_id = v.function_id
LEFT JOIN meta.sessions AS s ON v.function_id = s.function_id AND v.version = s.function_version
WHERE f.title = 'x'
GROUP BY f.owner, v.version, v.author, v.registered_at
ORDER BY v.version
"""


class TestFunctionOwners:
    async def test_functions_from_before_are_shared_with_their_versions_and_pins(self, runner, empty_database_url):
        await runner.up(9)
        with psycopg.connect(empty_database_url, options="-c timezone=UTC", autocommit=True) as connection:
            connection.execute(FUNCTIONS_OF_9)
            await runner.up(10)
            migrated = [
                ("shared", 1, None, "2026-02-01", 0),
                ("shared", 2, None, "2026-02-02", 1),
                ("shared", 3, None, "2026-02-03", 0),
            ]
            assert connection.execute(SHARED_OF_10).fetchall() == migrated
            await runner.down(9)
            await runner.up(10)
            assert connection.execute(SHARED_OF_10).fetchall() == migrated

    async def test_the_way_down_keeps_shared_functions_and_the_scripts_of_sessions(self, runner, empty_database_url):
        await runner.up(9)
        with psycopg.connect(empty_database_url, autocommit=True) as connection:
            connection.execute(FUNCTIONS_OF_9)
            await runner.up(10)
            connection.execute("UPDATE meta.functions SET owner = 'alice' WHERE title = 'x'")
            await runner.down(9, destroy={"owned-functions"})
            titles = connection.execute("SELECT title FROM meta.functions ORDER BY title").fetchall()
            assert titles == [("calculator",), ("text_processor",)]
            pins = connection.execute("SELECT function_version FROM meta.sessions").fetchall()
            assert pins == [(None,), (None,)]


INDEX = """-- concurrently
DROP INDEX CONCURRENTLY IF EXISTS meta.by_title;
CREATE INDEX CONCURRENTLY by_title ON meta.sessions (title);
"""
IS_VALID = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('meta.by_title')"


class TestOutsideOfATransaction:
    async def test_an_index_is_built_while_calls_write_and_built_again_after_a_failure(self, database_url, runner_on):
        step = Migration(STEPS[-1].version + 1, "index", INDEX, "DROP INDEX meta.by_title;")
        runner = runner_on(database_url, [*STEPS, step], evolve(QUICK, build_timeout_s=0.5))
        with psycopg.connect(database_url) as writer, psycopg.connect(database_url, autocommit=True) as others:
            writer.execute("DELETE FROM meta.sessions WHERE FALSE")
            others.execute("SET lock_timeout = '1s'")
            with pytest.raises(StorageUnavailable):
                await runner.up()
            others.execute("DELETE FROM meta.sessions WHERE FALSE")
            assert others.execute(IS_VALID).fetchall() == [(False,)]
            writer.rollback()
            assert await runner.up() == [step]
            assert others.execute(IS_VALID).fetchall() == [(True,)]
        assert names(await runner.down()) == [str(step)]

    async def test_several_runners_at_once_build_once(self, database_url, runner_on):
        step = Migration(STEPS[-1].version + 1, "index", INDEX, "DROP INDEX meta.by_title;")
        runners = [runner_on(database_url, [*STEPS, step], MigrationOptions(pause_s=0.05)) for _ in range(3)]
        taken = await asyncio.gather(*(runner.up() for runner in runners))
        assert sorted(map(len, taken)) == [0, 0, 1]


class TestNewerSchema:
    async def test_a_release_works_beside_a_newer_step_that_allows_it(self, migrated, database_url, runner_on):
        newer = [*STEPS, step_after(f"-- works beside {STEPS[-1].version:04d}")]
        await runner_on(database_url, newer).up()
        assert await migrated.pending() == await migrated.up() == []
        last = (await migrated.status())[-1]
        assert (last.name, last.is_newer, last.applied_at) == (str(newer[-1]), True, ManualClock().now())

    async def test_only_the_newer_release_reverts_its_step(self, migrated, database_url, runner_on):
        newer = [*STEPS, step_after(f"-- works beside {STEPS[-1].version:04d}")]
        await runner_on(database_url, newer).up()
        for to in (None, 3):
            with pytest.raises(MigrationsDiffer, match=f"Use that release to migrate down to {STEPS[-1].version}"):
                await migrated.down(to)
        assert names(await runner_on(database_url, newer).down(STEPS[-1].version)) == [str(newer[-1])]
        assert names(await migrated.down()) == [str(STEPS[-1])]


class TestRefusals:
    async def test_a_changed_step_is_refused(self, database_url, runner_on):
        changed = [*STEPS[:-1], evolve(STEPS[-1], up=STEPS[-1].up + "-- more")]
        for call in (runner_on(database_url, changed).up, runner_on(database_url, changed).down):
            with pytest.raises(MigrationsDiffer, match="has changed"):
                await call()

    async def test_a_step_of_a_newer_release_that_declares_nothing_is_refused(self, migrated, database_url, runner_on):
        await runner_on(database_url, [*STEPS, step_after("SELECT 1")]).up()
        with pytest.raises(MigrationsDiffer, match=r"0\d{3}_next, which .* does not work beside"):
            await migrated.pending()

    def test_a_server_that_is_too_old_is_refused(self):
        with pytest.raises(UnsupportedServer, match=r"PostgreSQL 14.* 15 or later"):
            require_usable(SimpleNamespace(info=SimpleNamespace(server_version=140012)))

    async def test_a_database_that_cannot_store_every_script_is_refused(self, server_url, runner_on):
        name = f"test_{uuid4().hex}"
        create = sql.SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'")
        with psycopg.connect(server_url, autocommit=True) as connection:
            connection.execute(create.format(sql.Identifier(name)))
        with pytest.raises(UnsupportedServer, match="encoding SQL_ASCII"):
            await runner_on(make_conninfo(server_url, dbname=name)).up()

    async def test_a_role_that_may_not_create_the_schema_is_refused(self, empty_database_url, runner_on):
        role = f"role_{uuid4().hex}"
        with psycopg.connect(empty_database_url, autocommit=True) as connection:
            connection.execute(f"CREATE ROLE {role}")
            try:
                runner = runner_on(make_conninfo(empty_database_url, options=f"-c role={role}"))
                with pytest.raises(StepForbidden, match=r"permission denied for database .* grant it"):
                    await runner.up()
            finally:
                connection.execute(f"DROP ROLE {role}")

    async def test_a_database_with_a_foreign_schema_meta_is_refused(self, empty_database_url, runner):
        with psycopg.connect(empty_database_url, autocommit=True) as connection:
            connection.execute("CREATE SCHEMA meta")
            connection.execute("CREATE TABLE meta.sessions (theirs int)")
        with pytest.raises(StepForbidden, match=r"\"sessions\" already exists.* a database of its own.* takeover plan"):
            await runner.up()

    async def test_a_read_only_server_is_refused(self, empty_database_url, runner_on):
        runner = runner_on(make_conninfo(empty_database_url, options=READ_ONLY))
        with pytest.raises(StepForbidden, match=r"read-only transaction.* writable server"):
            await runner.up()

    async def test_a_read_only_server_among_several_hosts_is_skipped(self, empty_database_url, runner_on):
        host = conninfo_to_dict(empty_database_url)["host"]
        runner = runner_on(make_conninfo(empty_database_url, host=f"{host},{host}", options=READ_ONLY))
        with pytest.raises(StorageUnavailable):
            await runner.up()

    async def test_an_unknown_version_is_refused(self, runner):
        for call in (runner.up, runner.down):
            with pytest.raises(UnknownMigration, match=rf"no migration {STEPS[-1].version + 1}\. The latest is"):
                await call(STEPS[-1].version + 1)

    async def test_an_unreachable_server_is_unavailable(self, runner_on):
        runner = runner_on(f"host=127.0.0.1 port={free_port()} dbname=d user=u")
        with within(1), pytest.raises(StorageUnavailable):
            await runner.pending()

    async def test_a_server_that_stops_responding_is_unavailable(self, runner_on):
        server = SilentServer()
        await server.start()
        server.silent = True
        try:
            with within(1), pytest.raises(StorageUnavailable):
                await runner_on(server.dsn, options=evolve(QUICK, socket_timeout_s=0.2)).up()
        finally:
            await server.stop()

    async def test_a_server_that_does_not_greet_is_unavailable(self, runner_on):
        server = SilentServer()
        await server.start()
        server.mute = True
        try:
            with within(2), pytest.raises(StorageUnavailable):
                await runner_on(server.dsn).pending()
        finally:
            await server.stop()


def test_a_step_is_named_by_its_number_and_name():
    assert str(STEPS[0]) == "0001_sessions"


async def test_migrations_are_recorded_with_who_applied_and_reverted_them(empty_database_url, statements):
    operator = Actor("root@example", "cli")
    runner = MigrationRunner(empty_database_url, statements.migrations, ManualClock(), QUICK, STEPS, operator)
    await runner.up()
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        found = connection.execute("SELECT act, subject, actor, origin, owner, details FROM meta.audit").fetchall()
    assert found[0] == ("migrations.up", "0012_audit", "root@example", "cli", None, {})
    assert len(found) == len(STEPS) - 11


async def test_a_plain_database_has_no_buckets_and_cannot_be_distributed(database_url, statements):
    home = MigrationRunner(database_url, statements.migrations, ManualClock())
    buckets = BucketMigrations(database_url, statements, ManualClock())
    assert await buckets.known() == []
    server = DatabaseClock(buckets.connections.fetch, statements.clock, 1.0)
    announcement = Announcement(buckets.connections, statements, ManualClock(), server)
    with pytest.raises(CannotDistribute, match="does not have the extension Citus"):
        await Distribution(home, buckets, statements, lambda each: each, announcement).plan(None)


async def test_before_the_migration_there_are_no_buckets(empty_database_url, statements):
    assert await BucketMigrations(empty_database_url, statements, ManualClock()).known() == []
