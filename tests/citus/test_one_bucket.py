"""One bucket on two workers: roles have the same rights in it as in `meta`, and the other worker is shown too."""

import asyncio
import re
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import psycopg
import pytest

from adapters.postgres.gateway import GatewayOptions
from adapters.postgres.inspection import DatabaseInspector
from adapters.postgres.migrations.buckets import BucketMigrations
from adapters.postgres.migrations.database import DatabaseMigrations
from adapters.postgres.migrations.migration import load_migrations
from adapters.postgres.migrations.options import MigrationOptions
from adapters.postgres.migrations.runner import MigrationRunner
from adapters.postgres.statements.catalogue import Statements
from adapters.system_clock import SystemClock
from domain.audit import ActName
from domain.buckets.bucket_map import in_bucket
from domain.grants.environment import EnvironmentGrant
from domain.grants.grants import Grants
from domain.identity import ANONYMOUS, SessionRef, uuid7_at
from domain.scripts.language import Language
from entrypoints.composition.commands import Commands
from entrypoints.composition.controller import create_controller
from entrypoints.settings.loading import load_settings
from tests.citus.cluster import Cluster
from tests.citus.test_buckets import distribute, opened
from tests.contracts.environments import version
from tests.contracts.execution_queue import QueueOfOne
from tests.contracts.schedule_repository import Planner
from tests.integration.application.conftest import Api, serving, settings_for
from tests.integration.postgres.conftest import storage_on
from tests.support.acts import act
from tests.support.commands import run_command
from tests.support.folders import shared_folder
from tests.support.waiting import until

BEFORE = """
    GRANT USAGE ON SCHEMA meta TO {0};
    GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON ALL TABLES IN SCHEMA meta TO {0};
"""
WITHOUT = "REVOKE ALL ON ALL TABLES IN SCHEMA bucket_1 FROM {0}; REVOKE ALL ON SCHEMA bucket_1 FROM {0}"
SPOOFED = """
    CREATE TABLE {0}.seen (who text);
    GRANT ALL ON {0}.seen TO PUBLIC;
    CREATE FUNCTION {0}.eq(a integer, b integer) RETURNS boolean LANGUAGE plpgsql AS
        $$ BEGIN INSERT INTO {0}.seen VALUES (current_user); RETURN a OPERATOR(pg_catalog.=) b; END $$;
    CREATE OPERATOR {0}.= (LEFTARG = integer, RIGHTARG = integer, FUNCTION = {0}.eq);
"""
SHARD = """
    SELECT n.nodeport, s.shardid FROM pg_dist_shard AS s
    JOIN pg_dist_placement AS p USING (shardid) JOIN pg_dist_node AS n USING (groupid)
    WHERE s.logicalrelid = 'bucket_1.sessions'::regclass
"""
LOCALLY = "-c citus.enable_ddl_propagation=off"


def run(url: str, statements: str, options: str = "") -> list[tuple]:
    with psycopg.connect(url, autocommit=True, options=options) as connection:
        cursor = connection.execute(statements)
        return cursor.fetchall() if cursor.description else []


@pytest.fixture(scope="module")
def role(cluster: Cluster) -> str:
    """A role without rights, on each server."""
    name = f"app_{uuid4().hex}"
    for port in cluster.ports:
        run(cluster.url("postgres", port), f"CREATE ROLE {name} LOGIN", LOCALLY)
    return name


@pytest.fixture(scope="module")
def url(cluster: Cluster, statements: Statements, role: str) -> str:
    """The address of a database with one bucket, whose `meta` the role may use."""
    url = cluster.url(cluster.database())
    asyncio.run(MigrationRunner(url, statements.migrations, SystemClock()).up())
    run(url, BEFORE.format(role))
    asyncio.run(distribute(url, statements, 1))
    run(url, "UPDATE meta.buckets SET from_at = '2026-01-01'")
    return url


def of(role: str, url: str) -> str:
    return url.replace("postgres@", f"{role}@")


async def served(url: str) -> tuple[int, dict, dict]:
    """Return how a controller of these rights initializes with a key, its error, and the health of its buckets."""
    with shared_folder() as folder:
        settings = settings_for(url, folder, DATABASE_NODES="auto", REQUEST_TIMEOUT_MS="2000")
        async with serving(create_controller(settings)) as api:
            made = await keyed(api)
            health = (await api.client.get("/health")).json()["components"]["buckets"]
            return made.status_code, made.json().get("error", {}).get("details", {}), health


async def keyed(api: Api):
    headers = {"Language-Title": "python-a", "Idempotency-Key": "once"}
    return await api.client.post("/api/v1/initialize", headers=headers, json={"script_content": "result = 1"})


def doctor(url: str) -> str:
    return run_command("doctor", DATABASE_URL=url, DATABASE_NODES="auto").stdout


def test_a_role_gets_the_rights_in_buckets_that_it_has_in_meta(url: str, role: str) -> None:
    assert asyncio.run(served(of(role, url)))[0] == 200
    assert f"the role {role} has all rights" in doctor(of(role, url))


def test_rights_that_a_bucket_lacks_are_named_and_migrate_up_gives_them(url: str, role: str) -> None:
    run(url, WITHOUT.format(role))
    status, details, health = asyncio.run(served(of(role, url)))
    assert (status, details["reason"], details["bucket"]) == (503, "right_missing", 1)
    assert health["reason"].startswith("The role lacks rights in bucket 1 (")
    found = doctor(of(role, url))
    assert f"the role {role} lacks" in found, found
    assert "pglambda migrate up" in found
    given = run_command("migrate", "up", DATABASE_URL=url)
    assert given.returncode == 0, given.stderr
    assert asyncio.run(served(of(role, url)))[0] == 200


async def test_a_role_has_its_rights_in_a_bucket_that_has_moved(cluster: Cluster, url: str, role: str) -> None:
    ((port, _),) = run(url, SHARD)
    (other,) = set(cluster.ports[1:]) - {port}
    with shared_folder() as folder:
        settings = settings_for(of(role, url), folder, DATABASE_NODES="auto")
        async with serving(create_controller(settings)) as api:
            before = await api.initialize("python-a", "result = 1")
            await asyncio.to_thread(run, url, f"SELECT citus_schema_move('bucket_1', '127.0.0.1', {other})")
            for request_id in (before, await api.initialize("python-a", "result = 1")):
                assert (await api.execute(request_id)).json()["result"] == 1
            assert (await api.client.delete(f"/api/v1/sessions/{before}")).status_code == 204
    assert run(url, SHARD)[0][0] == other
    assert f"the role {role} has all rights" in doctor(of(role, url))
    assert (await served(of(role, url)))[0] == 200, "a controller that starts after the move"


def test_the_hold_runs_no_code_of_its_caller_and_is_for_roles_with_rights_alone(
    cluster: Cluster, url: str, role: str
) -> None:
    other, name = f"other_{uuid4().hex}", url.rpartition("/")[2]
    ((port, shard),) = run(url, SHARD)
    worker = cluster.url(name, port)
    run(worker, f"CREATE ROLE {other} LOGIN", LOCALLY)
    for each in (role, other):
        run(worker, f"CREATE SCHEMA {each} AUTHORIZATION {each}", LOCALLY)
        run(worker, f"GRANT USAGE ON SCHEMA bucket_1 TO {each}", LOCALLY)
    run(of(role, worker), SPOOFED.format(role), LOCALLY)
    path = f"{LOCALLY} -c search_path={role},pg_catalog"
    run(of(role, worker), f"SELECT bucket_1.hold(ARRAY[{shard}]::bigint[])", path)
    assert run(worker, f"SELECT who FROM {role}.seen") == []
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        run(of(other, worker), f"SELECT bucket_1.hold(ARRAY[{shard}]::bigint[])", LOCALLY)


OLDEST_BUCKETS = 30
"""No release has buckets without these migrations, some of which Citus refuses in a bucket that exists."""

TABLES = """
    SELECT
        c.relname, c.reloptions, c.relkind,
        (
            SELECT array_agg((a.attname, a.atttypid, a.attnotnull, a.attstorage, a.attcompression, a.attstattarget)::text
                ORDER BY a.attnum)
            FROM pg_attribute AS a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        ),
        (
            SELECT array_agg(k.facts ORDER BY k.facts)
            FROM (
                SELECT concat_ws(' ', i.indisunique, (
                    SELECT string_agg(pg_get_indexdef(x.oid, n, TRUE), ',') FROM generate_series(1, i.indnatts) AS n
                ), pg_get_expr(i.indpred, c.oid), x.reloptions) AS facts
                FROM pg_index AS i JOIN pg_class AS x ON i.indexrelid = x.oid WHERE i.indrelid = c.oid
            ) AS k
        ),
        (SELECT array_agg(k.contype ORDER BY k.contype) FROM pg_constraint AS k WHERE k.conrelid = c.oid)
    FROM pg_class AS c
    WHERE c.relnamespace = to_regnamespace('{}') AND c.relkind IN ('r', 'p')
    ORDER BY c.relname
"""


SHARD_NAME = re.compile(r"(\w+)_\d{6,}")


def has_what_meta_has(cluster: Cluster, url: str) -> None:
    """Compare the shards of the bucket with the tables of `meta`."""
    ((port, _),) = run(url, SHARD)
    worker = cluster.url(url.rpartition("/")[2], port)
    shards = run(worker, TABLES.format("bucket_1"), "-c citus.override_table_visibility=off")
    found = {match[1]: facts for name, *facts in shards if (match := SHARD_NAME.fullmatch(name))}
    wanted = {name: facts for name, *facts in run(url, TABLES.format("meta"))}
    assert found.keys() == wanted.keys()
    assert {name: facts for name, facts in found.items() if facts != wanted[name]} == {}


async def test_the_tables_of_a_bucket_that_has_moved_have_what_those_of_meta_have(
    cluster: Cluster, url: str, statements: Statements
) -> None:
    await BucketMigrations(url, statements, SystemClock()).up("bucket_1")
    has_what_meta_has(cluster, url)


async def test_later_migrations_give_a_bucket_what_they_give_meta(cluster: Cluster, statements: Statements) -> None:
    url, clock, steps = cluster.url(cluster.database()), SystemClock(), load_migrations()
    home = MigrationRunner(url, statements.migrations, clock)
    await home.up()
    before = [step for step in steps if step.version <= OLDEST_BUCKETS]
    await BucketMigrations(url, statements, clock, MigrationOptions(), before).make("bucket_1")
    run(url, "INSERT INTO meta.buckets (number, schema, from_at) VALUES (1, 'bucket_1', '2026-01-01')")
    applied = await DatabaseMigrations(home, BucketMigrations(url, statements, clock)).up()
    assert len(applied) == len(steps) - len(before)
    has_what_meta_has(cluster, url)


async def test_doctor_counts_what_is_stored_in_a_bucket(url: str, statements: Statements) -> None:
    before = await inspected(url, statements)
    async with opened(url, statements, (1,)) as (_, gateways):
        storage = storage_on(gateways[1], statements)
        session = await storage.add()
        await QueueOfOne(storage).add(session)
        await Planner(storage, storage.schedules).add(session)
    after = await inspected(url, statements)
    assert [now - then for now, then in zip(after[:3], before[:3], strict=True)] == [1, 1, 1]
    ((_, at_home),) = run(url, statements.buckets.select_home_size.sql)
    assert after[3] > at_home


async def inspected(url: str, statements: Statements) -> tuple[int, int, int, int]:
    """Return the queued executions, late schedules, anonymous sessions and bytes that an inspection counts."""
    async with DatabaseInspector.connected(GatewayOptions(url, request_timeout_s=8), statements) as inspector:
        queued = sum(each.queued for each in await inspector.queue(1000))
        late, sessions = (await inspector.schedules(1000)).late, (await inspector.access(1000)).anonymous_sessions
        assert await inspector.webhooks(None) is not None
        return queued, late, sessions, sum((await inspector.stored_bytes()).values())


@pytest.mark.parametrize("used", [True, False], ids=["used", "unused"])
async def test_a_retired_environment_stays_while_a_session_in_a_bucket_has_it(
    url: str, statements: Statements, used: bool
) -> None:
    now, name = datetime.now(UTC), "used" if used else "unused"
    retired_at = now - timedelta(hours=2)
    granted = Grants(environment=EnvironmentGrant("used", 1, Language.PYTHON))
    async with opened(url, statements, (1,)) as (_, gateways):
        session_id = in_bucket(uuid7_at(retired_at, 1), 1)
        await storage_on(gateways[1], statements).add(ref=SessionRef(ANONYMOUS, session_id), grants=granted)
        commands = Commands(settings=load_settings({"DATABASE_URL": url, "DATABASE_NODES": "auto"}))
        async with commands.database_access().opened():
            environments = commands.database.environments()
            for number in (1, 2):
                assert await environments.add(version(number, name=name), act(ActName.ENVIRONMENTS_CREATE))
            await environments.retire(name, 1, retired_at, act(ActName.ENVIRONMENTS_RETIRE))
            removed = await environments.remove_retired(now - timedelta(hours=1))
            left = [each.version.version for each in await environments.versions(name)]
    assert (removed, left) == ((0, [2, 1]) if used else (1, [2]))


async def test_the_node_without_buckets_is_shown_with_its_clock(cluster: Cluster, url: str) -> None:
    with shared_folder() as folder:
        async with serving(create_controller(settings_for(url, folder, DATABASE_NODES="auto"))) as api:

            async def shown() -> dict:
                return (await api.client.get("/health")).json()["components"]["buckets"]

            async def are_measured() -> bool:
                return len((await shown())["clock_offsets_ms"]) == 3

            await until(are_measured, 20)
            found = await shown()
    workers = [f"127.0.0.1:{port}" for port in cluster.ports[1:]]
    assert set(found["clock_offsets_ms"]) == {"home", *workers}
    assert all(abs(ms) < 1000 for ms in found["clock_offsets_ms"].values())
    assert sorted(each["node"] for each in found["nodes"]) == sorted(workers)
    assert sorted(each["buckets"] for each in found["nodes"]) == [[], [1]]
