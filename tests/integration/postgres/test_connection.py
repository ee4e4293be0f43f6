"""Connecting within a limit, and running a statement in one round trip."""

import asyncio

import psycopg
import pytest

from adapters.postgres.connections.connection import GatewayConnection
from adapters.postgres.connections.statement import Statement
from tests.integration.postgres.silent_server import SilentServer
from tests.support.ports import free_port
from tests.support.waiting import until, within

READ = Statement("select_something", "SELECT %(value)s::text")


@pytest.fixture
async def server():
    server = SilentServer()
    await server.start()
    yield server
    await server.stop()


async def connect(dsn, address_timeout_s=0.2, **options):
    return await GatewayConnection.connect(dsn, autocommit=True, address_timeout_s=address_timeout_s, **options)


async def test_a_server_that_does_not_greet_is_given_up_in_time(server):
    server.mute = True
    with within(0.2), pytest.raises(psycopg.errors.ConnectionTimeout):
        await connect(server.dsn)
    await until(lambda: not server.connections)


async def test_a_name_that_is_not_resolved_is_given_up_in_time(monkeypatch):
    async def silence(*_, **__):
        await asyncio.Event().wait()

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", silence)
    with within(0.2), pytest.raises(psycopg.errors.ConnectionTimeout):
        await connect("host=db.example.com user=u dbname=d")


async def test_a_caller_may_stop_waiting_for_a_greeting(server):
    server.mute = True
    asked = asyncio.ensure_future(connect(server.dsn, 30.0))
    await until(lambda: server.connections)
    asked.cancel()
    with within(0.0), pytest.raises(asyncio.CancelledError):
        await asked


@pytest.mark.parametrize("hosts", ["host=127.0.0.1,127.0.0.1", "hostaddr=127.0.0.1,127.0.0.1"])
async def test_the_next_host_is_tried_when_one_refuses(server, hosts):
    dsn = f"{hosts} port={free_port()},{server.port} user=u dbname=d sslmode=disable gssencmode=disable"
    connection = await connect(dsn, 1.0)
    assert connection.info.port == server.port
    await connection.close()


async def test_silent_hosts_before_one_that_greets_are_not_waited_for_and_left(server):
    silent = SilentServer()
    await silent.start()
    silent.mute = True
    try:
        dsn = f"host=127.0.0.1,127.0.0.1,127.0.0.1 port={silent.port},{silent.port},{server.port} user=u dbname=d"
        with within(1.0):
            connection = await connect(f"{dsn} sslmode=disable gssencmode=disable", 30.0)
        assert connection.info.port == server.port
        await until(lambda: not silent.connections)
        await connection.close()
    finally:
        await silent.stop()


@pytest.mark.parametrize("host", ["host=/nowhere", "host=", "host=no-such-host.invalid"])
async def test_an_unreachable_server_fails_with_the_drivers_error(host):
    with pytest.raises(psycopg.OperationalError):
        await connect(f"{host} port={free_port()} user=u dbname=d", 5.0)


@pytest.mark.parametrize("prepare_threshold", [0, None])
async def test_a_statement_takes_one_round_trip_at_its_first_run_too(server, prepare_threshold):
    connection = await connect(server.dsn, 1.0, prepare_threshold=prepare_threshold)
    for _ in range(2):
        before = server.exchanges
        assert await connection.run(READ, {"value": "x"}) == []
        assert server.exchanges - before == 1
    await connection.close()
