"""What becomes of the service when its server is killed, frozen, full, busy or of no mind to write."""

import asyncio
import contextlib
from uuid import uuid4

import psycopg
import pytest

from tests.faults.conftest import serving
from tests.faults.history import DELETE, EXECUTE, GET, INITIALIZE, PATCH
from tests.faults.server import CONNECTIONS_MAX, SERVICE_ROLE, execute, fill_disk
from tests.faults.trial import WRITE_INTERVAL_S, Trial

pytestmark = pytest.mark.timeout(120)

RESERVED = 3
"""Connections that PostgreSQL keeps for superusers."""
PADDING = 50_000


@pytest.fixture
def settings(server, database, settings_for):
    return settings_for(server.dsn(database, SERVICE_ROLE))


@pytest.fixture
def killed(server):
    @contextlib.asynccontextmanager
    async def fault():
        server.kill()
        yield
        await asyncio.to_thread(server.start)

    return fault


@pytest.mark.parametrize("sandboxed", [False, True], ids=["in process", "sandboxed"])
async def test_a_server_that_is_killed_and_restarted(settings, killed, stored, sandboxed):
    async with serving(settings, sandboxed=sandboxed) as client:
        name = "server killed and restarted" + (", scripts in the sandbox" if sandboxed else "")
        await Trial(name, clients=16 if sandboxed else 32, away=True).run(client, killed, stored)


@pytest.mark.parametrize("lasting_s", [0.5, 3.0])
async def test_a_server_that_is_frozen_and_thawed(server, settings, stored, lasting_s):
    @contextlib.asynccontextmanager
    async def fault():
        server.freeze()
        try:
            yield
        finally:
            server.thaw()

    async with serving(settings) as client:
        long = lasting_s > 1
        trial = Trial(f"server frozen for {lasting_s} s", lasting_s=lasting_s, away=long, bites=long)
        await trial.run(client, fault, stored)


async def test_a_row_that_somebody_else_has_locked(server, database, settings, stored):
    locked = []

    @contextlib.asynccontextmanager
    async def fault():
        with psycopg.connect(server.dsn(database)) as somebody:
            row = somebody.execute(
                "SELECT request_id FROM meta.sessions WHERE closed_at IS NULL LIMIT 1 FOR UPDATE SKIP LOCKED"
            ).fetchone()
            locked.append(str(row[0]))
            yield

    def tells(callers, during_s):
        others = [
            call
            for call in callers.calls
            if call.session_id != locked[0] and during_s[0] <= call.began_s <= during_s[1]
        ]
        assert others
        assert not [call for call in others if call.failed], "those of other sessions do not fail"
        waits_s = sorted(call.ended_s - call.began_s for call in others)
        assert waits_s[len(waits_s) * 95 // 100] < 0.3, "those of other sessions do not wait for the lock"

    async with serving(settings) as client:
        await Trial("row locked by somebody else", tells=tells).run(client, fault, stored)


async def test_a_pool_that_is_exhausted(server, database, settings_for, stored):
    @contextlib.asynccontextmanager
    async def fault():
        with psycopg.connect(server.dsn(database)) as somebody:
            await asyncio.to_thread(somebody.execute, "LOCK TABLE meta.sessions IN ACCESS EXCLUSIVE MODE")
            yield

    settings = settings_for(server.dsn(database, SERVICE_ROLE), DB_POOL_MAX="4")
    async with serving(settings) as client:
        await Trial("pool exhausted, its statements blocked", clients=64).run(client, fault, stored)


async def test_a_server_that_has_too_many_connections(server, settings, stored):
    @contextlib.asynccontextmanager
    async def fault():
        with server.admin() as admin, contextlib.ExitStack() as others:
            taken = []
            # One is the admin's; who has been terminated may hold a place for a moment yet.
            while len(taken) < CONNECTIONS_MAX - RESERVED - 1:
                admin.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", [SERVICE_ROLE]
                )
                _take_all(server, others, taken)
                await asyncio.sleep(0)
            yield

    async with serving(settings) as client:
        await Trial("too many connections", away=True).run(client, fault, stored)


def _take_all(server, others, taken):
    with contextlib.suppress(psycopg.OperationalError):
        while True:
            connection = psycopg.connect(server.dsn("postgres", "somebody"), connect_timeout=2)
            taken.append(others.enter_context(connection))


@pytest.fixture(autouse=True)
def _somebody(server):
    execute(server, "postgres", "DROP ROLE IF EXISTS somebody", "CREATE ROLE somebody LOGIN")


async def test_a_server_that_is_read_only(server, settings, stored):
    @contextlib.asynccontextmanager
    async def fault():
        execute(server, "postgres", "ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()")
        try:
            yield
        finally:
            execute(
                server,
                "postgres",
                "SET default_transaction_read_only = off",
                "ALTER SYSTEM RESET default_transaction_read_only",
                "SELECT pg_reload_conf()",
            )

    def tells(callers, during_s):
        calls = [call for call in callers.calls if during_s[0] + 0.5 <= call.began_s <= call.ended_s <= during_s[1]]
        assert not [call for call in calls if call.operation == GET and call.failed], "it can still be read"
        assert not [call for call in calls if call.operation in (INITIALIZE, EXECUTE) and not call.failed]

    async with serving(settings) as client:
        noticed = {"away": True, "noticed_s": WRITE_INTERVAL_S + 1, "lasting_s": WRITE_INTERVAL_S + 3}
        trial = Trial("read-only server", readiness_s=WRITE_INTERVAL_S, tells=tells, **noticed)
        await trial.run(client, fault, stored)


@pytest.fixture
def small_database(server, template, small_tablespace):
    name = server.create_database(f"small_{uuid4().hex}", template, "small")
    yield name
    server.drop_database(name)


async def test_a_disk_that_is_full(server, small_database, small_tablespace, settings_for, stored_in):
    filler = small_tablespace / "filler"

    @contextlib.asynccontextmanager
    async def fault():
        fill_disk(filler)
        yield
        filler.unlink()

    def tells(callers, during_s):
        refused = [call for call in callers.calls if call.operation in (INITIALIZE, PATCH, DELETE) and call.failed]
        assert refused
        assert {call.response.details["stored"] for call in refused} == {"no"}

    async with serving(settings_for(server.dsn(small_database, SERVICE_ROLE))) as client:
        trial = Trial("disk full", clients=16, padding=PADDING, readiness_s=WRITE_INTERVAL_S, tells=tells)
        await trial.run(client, fault, stored_in(small_database))
