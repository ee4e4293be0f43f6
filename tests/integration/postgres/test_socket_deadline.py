"""Deadlines and looks at a connection's socket."""

import asyncio
import os
import resource
import socket
import struct

import psycopg
import pytest

from adapters.postgres.connections.exchange import SocketDeadline, looks_alive
from tests.integration.postgres.silent_server import SilentServer, message
from tests.support.waiting import until


@pytest.fixture
async def server():
    server = SilentServer()
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def connection(server):
    async with await psycopg.AsyncConnection.connect(server.dsn, autocommit=True) as connection:
        yield connection


async def test_a_statement_fails_at_its_deadline(server, connection):
    server.silent = True
    with SocketDeadline(connection, 0.05) as deadline, pytest.raises(psycopg.OperationalError):
        await connection.execute("SELECT 1")
    assert deadline.passed


@pytest.fixture
def no_descriptors():
    """Let the process have as many descriptors as it has open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.dup(0)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_a_deadline_needs_no_descriptor(server, connection, no_descriptors):
    server.silent = True
    with pytest.raises(OSError, match="Too many open files"):
        os.dup(0)
    with SocketDeadline(connection, 0.05), pytest.raises(psycopg.OperationalError):
        async with asyncio.timeout(5):
            await connection.execute("SELECT 1")


async def test_a_statement_that_was_cut_is_not_delivered_later(server, connection):
    server.silent = True
    for writer in server.connections:
        writer.transport.pause_reading()
    with SocketDeadline(connection, 0.05), pytest.raises(psycopg.OperationalError):
        await connection.execute("SELECT %s", ["more than the server's kernel takes" * 30_000])
    await connection.close()
    for writer in server.connections:
        writer.transport.resume_reading()
    await until(lambda: not server.connections)
    assert server.statements == 0


async def test_a_statement_that_ends_in_time_keeps_its_connection(connection):
    with SocketDeadline(connection, 30.0) as deadline:
        await connection.execute("SELECT 1")
    assert not deadline.passed
    assert looks_alive(connection)


async def test_a_deadline_on_a_closed_connection_does_nothing(connection):
    with SocketDeadline(connection, 0.01) as deadline:
        await connection.close()
        await until(lambda: deadline.passed)


async def test_a_deadline_on_a_connection_that_the_server_reset_does_nothing_more(server, connection):
    for writer in server.connections:
        writer.transport.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )
        writer.transport.abort()
    await until(lambda: not server.connections)
    with SocketDeadline(connection, 0.01) as deadline:
        await until(lambda: deadline.passed)


async def test_a_connection_that_the_server_has_ended_does_not_look_alive(server, connection):
    for writer in server.connections:
        writer.transport.abort()
    await until(lambda: not looks_alive(connection))


async def test_a_closed_connection_does_not_look_alive(connection):
    await connection.close()
    assert not looks_alive(connection)


async def test_a_notice_does_not_make_a_connection_look_dead(server, connection):
    for writer in server.connections:
        writer.write(message(b"N", b"SNOTICE\x00MHello\x00\x00"))
    await asyncio.sleep(0)
    assert looks_alive(connection)


async def test_a_connection_that_keeps_sending_is_not_idle(server, connection):
    for writer in server.connections:
        writer.write(message(b"N", b"SNOTICE\x00M" + b"x" * 10_000 + b"\x00\x00") * 200)
    await until(lambda: not looks_alive(connection))
