"""The gateway on a server that is connected, and silent."""

import asyncio
import contextlib

import pytest
import uvloop

from adapters.postgres.connections.statement import Statement
from adapters.postgres.gateway import Gateway, GatewayOptions
from domain.errors import DomainError, StorageUnavailable
from tests.integration.postgres.silent_server import SilentServer
from tests.support.waiting import until, within

READ = Statement("select_something", "SELECT %(value)s::text")
WRITE = Statement("insert_something", "INSERT INTO something VALUES (%(value)s)")
VALUE = {"value": "x"}
TIMEOUT_S = 1.0


@contextlib.asynccontextmanager
async def serving():
    server = SilentServer()
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


@contextlib.asynccontextmanager
async def opened(dsn, observe=None, **options):
    gateway = Gateway(GatewayOptions(dsn, **{"request_timeout_s": TIMEOUT_S, **options}), observe)
    await gateway.open()
    try:
        yield gateway
    finally:
        await gateway.close()


@pytest.fixture
async def server():
    async with serving() as server:
        yield server


@pytest.fixture
async def gateway(server):
    async with opened(server.dsn) as gateway:
        await gateway.fetch(READ, VALUE)
        yield gateway


async def responds(gateway):
    with contextlib.suppress(DomainError):
        return await gateway.fetch(READ, VALUE) == []
    return False


async def fail(gateway, statement, **options):
    with within(gateway._options.request_timeout_s), pytest.raises(StorageUnavailable) as caught:
        await gateway.fetch(statement, VALUE, **options)
    return caught.value


async def test_a_read_ends_in_time(server, gateway):
    server.silent = True
    assert (await fail(gateway, READ)).stored is None


async def test_a_write_that_was_sent_may_be_stored(server, gateway):
    server.silent = True
    failure = await fail(gateway, WRITE)
    assert failure.stored == "unknown"
    assert failure.retry_after_ms is None


async def test_a_statement_is_repeated_once_within_its_time(server):
    server.silent = True
    observed = []
    note = lambda name, _, failure: observed.append((name, failure))  # noqa: E731
    async with opened(server.dsn, note, request_timeout_s=4.0) as gateway:
        await fail(gateway, READ)
    assert observed == [("select_something", "deadline")] * 2


async def test_a_statement_that_is_not_repeatable_is_sent_once(server, gateway):
    server.silent = True
    before = server.statements
    await fail(gateway, WRITE, repeatable=False)
    assert server.statements - before <= 1


async def test_a_large_statement_that_the_server_does_not_read_ends_in_time(server, gateway):
    server.silent = True
    with within(TIMEOUT_S), pytest.raises(StorageUnavailable):
        await gateway.fetch(WRITE, {"value": "x" * 8_000_000})


async def test_it_works_again_as_soon_as_the_server_does(server, gateway):
    server.silent = True
    await fail(gateway, READ)
    server.silent = False
    with within(1.0):
        await until(lambda: responds(gateway))


async def test_idle_connections_are_dropped_with_the_silent_one(server):
    async with opened(server.dsn, request_timeout_s=4.0) as gateway:
        await asyncio.gather(*(gateway.fetch(READ, VALUE) for _ in range(20)))
        await until(lambda: gateway.stats().pool_idle == gateway.stats().pool_size)
        before = set(server.connections)
        server.silent = True
        await fail(gateway, READ)
        await until(lambda: before.isdisjoint(server.connections))


async def test_statements_that_are_cut_at_once_all_end_in_time(server, gateway):
    server.silent = True
    with within(TIMEOUT_S):
        asked = [gateway.fetch(READ, VALUE) for _ in range(8)]
        outcomes = await asyncio.gather(*asked, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {StorageUnavailable}


async def test_a_cancelled_call_ends_at_once_and_its_statement_by_itself(server):
    async with opened(server.dsn, request_timeout_s=4.0) as gateway:
        await gateway.fetch(READ, VALUE)
        server.silent = True
        asked = asyncio.ensure_future(gateway.fetch(READ, VALUE))
        await until(lambda: gateway.stats().in_flight == 1)
        asked.cancel()
        with within(0.0), pytest.raises(asyncio.CancelledError):
            await asked
        assert gateway.stats().in_flight == 1
        await until(lambda: gateway.stats().in_flight == 0)


async def test_a_call_can_be_cancelled_while_it_waits_for_a_connection(server):
    server.mute = True
    async with opened(server.dsn, request_timeout_s=30.0) as gateway:
        asked = asyncio.ensure_future(gateway.fetch(READ, VALUE))
        await until(lambda: gateway.stats().pool_waiting == 1)
        asked.cancel()
        with within(0.0), pytest.raises(asyncio.CancelledError):
            await asked


async def test_a_ping_never_takes_longer_than_its_timeout(server):
    async with opened(server.dsn, request_timeout_s=30.0) as gateway:
        await gateway.fetch(READ, VALUE)
        server.silent = True
        with within(0.1), pytest.raises(StorageUnavailable):
            await gateway.ping(0.1)


async def test_a_ping_that_times_out_keeps_the_other_connections(server):
    async with opened(server.dsn, request_timeout_s=8.0) as gateway:
        await asyncio.gather(*(gateway.fetch(READ, VALUE) for _ in range(20)))
        await until(lambda: gateway.stats().pool_idle == gateway.stats().pool_size > 1)
        before = set(server.connections)
        server.silent = True
        with pytest.raises(StorageUnavailable):
            await gateway.ping(0.1)
        await until(lambda: len(before & server.connections) == len(before) - 1)
        server.silent = False
        await gateway.fetch(READ, VALUE)
        assert len(before & server.connections) == len(before) - 1


async def test_without_a_connection_nothing_is_stored(server):
    server.mute = True
    async with opened(server.dsn) as gateway:
        failure = await fail(gateway, WRITE)
        assert failure.stored == "no"
        assert failure.retry_after_ms == 1000


async def test_it_works_again_when_the_server_greets_again(server):
    server.mute = True
    async with opened(server.dsn) as gateway:
        await fail(gateway, READ)
        server.mute = False
        with within(1.5):
            await until(lambda: responds(gateway))


async def test_it_opens_without_a_database_and_connects_when_there_is_one():
    server = SilentServer()
    async with opened(server.dsn) as gateway:
        await until(lambda: gateway.pools()["normal"].connect_errors >= 3)
        await server.start()
        await until(lambda: gateway.stats().pool_idle >= 1)
        await server.stop()


async def test_without_a_database_a_call_ends_in_time():
    async with opened(SilentServer().dsn) as gateway:
        assert (await fail(gateway, WRITE)).stored == "no"


async def test_an_unavailable_database_is_never_reported_as_overloaded():
    async with opened(SilentServer().dsn, pool_queue_max=2) as gateway:
        failures = await asyncio.gather(*(fail(gateway, WRITE) for _ in range(6)))
    assert {failure.stored for failure in failures} == {"no"}


async def test_closing_is_bounded_while_the_server_is_silent(server):
    async with opened(server.dsn) as gateway:
        await gateway.fetch(READ, VALUE)
        server.silent = True
        asked = asyncio.ensure_future(gateway.fetch(READ, VALUE, repeatable=False))
        await until(lambda: gateway.stats().in_flight == 1)
        with within(TIMEOUT_S):
            await gateway.close()
        with pytest.raises(DomainError):
            await asked


async def test_closing_is_bounded_while_the_server_does_not_greet(server):
    server.mute = True
    async with opened(server.dsn) as gateway:
        await until(lambda: server.connections)
        with within(1.0):
            await gateway.close()


def test_the_deadline_also_holds_on_uvloop():
    async def live():
        async with serving() as server, opened(server.dsn) as gateway:
            await gateway.fetch(READ, VALUE)
            server.silent = True
            await fail(gateway, READ)
            server.silent = False
            await until(lambda: responds(gateway))

    uvloop.run(live())
