"""The service behind PgBouncer, and before several servers."""

import asyncio
import contextlib

import pytest
from msgspec.structs import replace

from adapters.postgres.connections.statement import Statement
from adapters.postgres.gateway import Gateway, GatewayOptions
from domain.errors import Overloaded, StorageUnavailable
from entrypoints.cli.doctor.command import check_database
from entrypoints.cli.doctor.report import Level
from entrypoints.composition.commands import Commands
from tests.faults.conftest import serving
from tests.faults.history import GET, INITIALIZE
from tests.faults.pgbouncer import find_pgbouncer, running_pgbouncer
from tests.faults.receiver import Receiver
from tests.faults.server import SERVICE_ROLE, awaited_standby, execute, running_server
from tests.faults.test_asynchronous import accepted, ended
from tests.faults.test_idempotency import KEY, SCRIPT, TITLE
from tests.faults.trial import USUAL, Trial
from tests.support.waiting import until

pytestmark = pytest.mark.timeout(120)

TRIES = 5


@contextlib.asynccontextmanager
async def nothing():
    yield


async def accept(_):
    return "accept"


@pytest.fixture
def pooled(server):
    if find_pgbouncer() is None:
        pytest.skip("PgBouncer is not installed (Debian and Ubuntu: apt-get install pgbouncer)")
    return lambda **options: running_pgbouncer(server, **options)


@pytest.fixture
def limited(server):
    """The service's role has the time limits that PgBouncer does not let through."""
    execute(server, "postgres", f"ALTER ROLE {SERVICE_ROLE} SET lock_timeout = '300ms'")
    execute(server, "postgres", f"ALTER ROLE {SERVICE_ROLE} SET statement_timeout = '500ms'")
    yield
    execute(server, "postgres", f"ALTER ROLE {SERVICE_ROLE} RESET ALL")


@pytest.fixture
def pooled_settings(server, database, settings_for, limited):
    """Return the settings that PgBouncer asks for."""

    def load(port, **variables):
        return settings_for(server.dsn(database, SERVICE_ROLE, port), DB_SERVER_TIMEOUTS="false", **variables)

    return load


@pytest.mark.parametrize("prepares", [True, False], ids=["prepared", "not prepared"])
async def test_it_works_through_pgbouncer_in_transaction_mode(pooled, pooled_settings, stored, prepares):
    with pooled(prepared_statements_max=100 if prepares else 0) as port:
        async with serving(pooled_settings(port, DB_PREPARE=str(prepares).lower())) as client:
            name = f"none, through PgBouncer, {'prepared' if prepares else 'not prepared'}"
            await Trial(name, errors=USUAL, bites=False).run(client, nothing, stored)


@pytest.mark.parametrize("prepares", [True, False], ids=["prepared", "not prepared"])
async def test_what_runs_later_works_through_pgbouncer_in_transaction_mode(pooled, pooled_settings, prepares):
    async with Receiver(accept).running() as receiver:
        with pooled(prepared_statements_max=100 if prepares else 0) as port:
            settings = pooled_settings(port, DB_PREPARE=str(prepares).lower(), **receiver.settings)
            async with serving(settings) as client:
                webhook = await receiver.register(client, "/", ["execution.succeeded"])
                session_id = (await client.post("/api/v1/initialize", headers=TITLE, json=SCRIPT)).json()["request_id"]
                timed = {"name": "x", "request_id": session_id, "interval_seconds": 10}
                schedule = (await client.post("/api/v1/schedules", json=timed)).headers["location"]
                runs = [await accepted(client, session_id, 1), await client.post(f"{schedule}/run", headers=KEY)]
                ids = [response.json()["execution_id"] for response in runs]
                assert [(await ended(client, each))["status"] for each in ids] == ["succeeded"] * 2
                again = await client.post(f"{schedule}/run", headers=KEY)
                assert again.json()["execution_id"] == ids[1]
                events = {"Accept": "text/event-stream"}
                streamed = await client.post(f"/api/v1/execute/{session_id}", headers=events, json={"params": 3})
                assert "event: end" in streamed.text
                later = await accepted(client, session_id, 2, **{"async": {"delay_seconds": 60}})
                cancelled = await client.post(f"/api/v1/executions/{later.json()['execution_id']}/cancel")
                assert cancelled.json()["executed"] == "no"
                await until(lambda: len(receiver.accepted()) == 3)
                assert (await client.delete(f"/api/v1/sessions/{session_id}?purge=true")).status_code == 204
    reported = {message.verify(webhook["secret"])["data"]["execution_id"] for message in receiver.messages}
    assert len(reported) == 3
    assert reported >= set(ids)


@pytest.mark.parametrize("kept", [True, False], ids=["kept", "not kept"])
async def test_the_doctor_sees_the_pooler_and_whether_it_keeps_prepared_statements(pooled, pooled_settings, kept):
    with pooled(prepared_statements_max=100 if kept else 0) as port:
        settings = pooled_settings(port)
        found = {each.seen: each.level for each in await _examined(settings)}
        (pooler,) = [seen for seen in found if seen.startswith("a pooler is between")]
        assert found[pooler] is (Level.OK if kept else Level.WARNING)
        assert found["lock_timeout 300 ms, statement_timeout 500 ms, below the socket deadline of 700 ms"] is Level.OK


async def test_the_doctor_says_that_a_pooler_takes_no_options(pooled, pooled_settings):
    with pooled(prepared_statements_max=100) as port:
        (found,) = await _examined(replace(pooled_settings(port), db_server_timeouts=True))
    assert found.seen.startswith("no connection (options)")
    assert "DB_SERVER_TIMEOUTS=false" in found.remedy


async def _examined(settings):
    return await check_database(Commands(settings=settings))


async def test_a_server_behind_pgbouncer_that_is_killed_and_restarted(server, pooled, pooled_settings, stored):
    @contextlib.asynccontextmanager
    async def fault():
        server.kill()
        yield
        await asyncio.to_thread(server.start)

    with pooled(prepared_statements_max=100) as port:
        async with serving(pooled_settings(port)) as client:
            await Trial("server behind PgBouncer killed and restarted", away=True).run(client, fault, stored)


async def test_pgbouncer_refuses_the_time_limits_that_are_sent_to_it(server, database, settings_for, pooled):
    with pooled(prepared_statements_max=100) as port:
        async with serving(settings_for(server.dsn(database, SERVICE_ROLE, port))) as client:
            assert (await client.get("/readyz")).status_code == 503


@pytest.fixture
def standby(database):
    """Another server that takes no writes, with a database and a role of the same names."""
    with running_server() as standby:
        standby.create_database(database)
        execute(standby, "postgres", "ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()")
        yield standby


async def test_of_several_hosts_the_writable_one_is_taken(server, standby, database, settings_for, stored):
    hosts = f"127.0.0.1:{standby.port},127.0.0.1:{server.port}"
    url = f"postgresql://{SERVICE_ROLE}@{hosts}/{database}?sslmode=disable&gssencmode=disable"
    async with serving(settings_for(url)) as client:
        trial = Trial("none, a read-only standby named before the primary", errors=USUAL, bites=False)
        await trial.run(client, nothing, stored)


@pytest.fixture
def follower(server, database):
    """A standby that has every acknowledged write."""
    with awaited_standby(server) as standby:
        yield standby


@pytest.fixture
def over_both(server, follower, database, settings_for):
    hosts = f"127.0.0.1:{server.port},127.0.0.1:{follower.port}"
    return settings_for(f"postgresql://{SERVICE_ROLE}@{hosts}/{database}?sslmode=disable&gssencmode=disable")


async def test_a_primary_that_is_killed_and_whose_standby_takes_over(server, follower, database, over_both, stored_in):
    @contextlib.asynccontextmanager
    async def fault():
        server.kill()
        yield
        await asyncio.to_thread(execute, follower, database, "SELECT pg_promote()")

    async with serving(over_both) as client:
        await Trial("primary killed, its standby promoted", away=True).run(client, fault, stored_in(database, follower))


async def test_a_standby_that_is_waited_for_and_away(follower, over_both, stored):
    @contextlib.asynccontextmanager
    async def fault():
        follower.freeze()
        try:
            yield
        finally:
            follower.thaw()

    def tells(callers, during_s):
        calls = [call for call in callers.calls if during_s[0] + 0.5 <= call.began_s <= call.ended_s <= during_s[1]]
        assert not [call for call in calls if call.operation == GET and call.failed], "it can still be read"
        assert not [call for call in calls if call.operation == INITIALIZE and not call.failed]

    async with serving(over_both) as client:
        await Trial("the standby that is waited for is away", tells=tells).run(client, fault, stored)


WHERE = Statement("select_port", "SELECT inet_server_port()")


async def test_a_primary_that_was_frozen_and_replaced_answers_nobody_any_more(server, follower):
    hosts = f"postgresql://postgres@127.0.0.1:{server.port},127.0.0.1:{follower.port}/postgres?sslmode=disable"
    gateway = Gateway(GatewayOptions(hosts))
    await gateway.open()
    assert await gateway.fetch(WHERE, {}) == [(server.port,)]
    server.freeze()
    await asyncio.to_thread(execute, follower, "postgres", "SELECT pg_promote()")
    await until(lambda: _asks(gateway, follower.port), 10)
    server.thaw()
    end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pglambda'"
    await asyncio.to_thread(execute, follower, "postgres", end)
    for _ in range(TRIES):
        assert await _port(gateway) in {None, follower.port}
    server.kill()
    await until(lambda: _asks(gateway, follower.port), 10)
    await gateway.close()


async def _port(gateway):
    with contextlib.suppress(StorageUnavailable, Overloaded):
        ((port,),) = await gateway.fetch(WHERE, {})
        return port
    return None


async def _asks(gateway, port):
    return await _port(gateway) == port
