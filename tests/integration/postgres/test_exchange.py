"""Statements by libpq's own calls: what is sent, what comes back, and connections that end meanwhile."""

import asyncio
from uuid import UUID

import psycopg
import pytest

from adapters.copied_rows import COPY_END, COPY_HEAD
from adapters.postgres.connections.connection import LOADED, GatewayConnection
from adapters.postgres.connections.exchange import SocketDeadline, looks_alive
from adapters.postgres.connections.statement import Statement
from tests.integration.postgres.silent_server import SilentServer, message
from tests.support.waiting import until, within

MODES = pytest.mark.parametrize("prepare_threshold", [0, None], ids=["prepared", "not prepared"])
ECHO = Statement("select_echo", "SELECT %(value)s::text")
LARGE = "x" * 8_000_000


async def connect(url, prepare_threshold=0):
    return await GatewayConnection.connect(
        url, autocommit=True, prepare_threshold=prepare_threshold, address_timeout_s=10.0
    )


@pytest.fixture(params=[0, None], ids=["prepared", "not prepared"])
async def connection(request, database_url):
    connection = await connect(database_url, request.param)
    yield connection
    await connection.close()


@pytest.fixture
async def server():
    server = SilentServer()
    await server.start()
    yield server
    await server.stop()


async def twice(connection, statement, parameters, error):
    """Run a statement that fails, at first and once it may be prepared; return both errors."""
    failures = []
    for _ in range(2):
        with pytest.raises(error) as caught:
            await connection.run(statement, parameters)
        failures.append(caught.value)
    return failures


async def test_parameters_and_results_may_be_larger_than_what_the_socket_takes(connection):
    for _ in range(2):
        assert await connection.run(ECHO, {"value": LARGE}) == [(LARGE,)]


async def test_values_of_other_types_are_another_statement_of_the_server(connection):
    typed = Statement("select_typed", "SELECT %(value)s::bigint, %(id)s::uuid")
    number = UUID("0b8f2b9a-5b8e-7c3d-8e9f-0a1b2c3d4e5f")
    for value in (1, 70_000, 2**40, None, 1):
        assert await connection.run(typed, {"value": value, "id": number}) == [(value, number)]


async def test_a_statement_without_rows_or_parameters_has_no_rows(connection):
    for _ in range(2):
        assert await connection.run(Statement("create_scratch", "CREATE TEMP TABLE IF NOT EXISTS scratch ()"), {}) == []
        assert await connection.run(Statement("select_scratch", "SELECT FROM scratch"), {}) == []


async def test_a_refused_statement_has_the_drivers_error_and_leaves_the_connection_usable(connection):
    divide = Statement("select_quotient", "SELECT 1 / %(divisor)s::integer")
    for failure in await twice(connection, divide, {"divisor": 0}, psycopg.errors.DivisionByZero):
        assert failure.sqlstate == "22012"
        assert failure.diag.message_primary == "division by zero"
    assert await connection.run(divide, {"divisor": 1}) == [(1,)]


LOAD = Statement(
    "load_words",
    "UPDATE words SET word = word || %(mark)s WHERE (SELECT count(*) FROM words) < 2 RETURNING word; "
    "COPY words FROM STDIN (FORMAT binary)",
    prepare=False,
)


def sent(*words):
    """Return rows of one text as a COPY takes them."""
    rows = [b"\0\1" + len(word).to_bytes(4, "big") + word.encode() for word in words]
    return b"".join([COPY_HEAD, *rows, COPY_END])


async def test_rows_are_copied_in_with_what_precedes_them_or_not_at_all(connection):
    await connection.run(Statement("create_words", "CREATE TEMP TABLE words AS SELECT 'a' AS word"), {})
    words = Statement("select_words", "SELECT word FROM words")
    assert await connection.run(LOAD, {"mark": "'%", LOADED: sent("b", LARGE)}) == [("a'%",)]
    assert await connection.run(words, {}) == [("a'%",), ("b",), (LARGE,)]
    assert await connection.run(LOAD, {"mark": "!", LOADED: sent("c")}) == []
    assert connection.pgconn.error_message == b""
    assert await connection.run(words, {}) == [("a'%",), ("b",), (LARGE,)]


@pytest.mark.parametrize("rows", [b"no rows", sent("\0"), sent("x" * 100_000)[:-3]], ids=["head", "value", "end"])
async def test_rows_that_the_server_refuses_change_nothing(connection, rows):
    await connection.run(Statement("create_words", "CREATE TEMP TABLE words AS SELECT 'a' AS word"), {})
    with pytest.raises(psycopg.DataError):
        await connection.run(LOAD, {"mark": "!", LOADED: rows})
    assert await connection.run(Statement("select_words", "SELECT word FROM words"), {}) == [("a",)]


async def test_a_copy_for_which_there_are_no_rows_fails_at_once(database_url):
    connection = await connect(database_url, None)
    await connection.run(Statement("create_words", "CREATE TEMP TABLE words AS SELECT 'a' AS word"), {})
    with pytest.raises(psycopg.errors.QueryCanceled):
        await connection.run(Statement("copy_words", "COPY words FROM STDIN"), {})
    assert await connection.run(ECHO, {"value": "x"}) == [("x",)]
    await connection.close()


async def test_a_statement_that_was_not_accepted_is_prepared_once_it_is(connection):
    later = Statement("select_later", "SELECT * FROM later WHERE value = %(value)s::text")
    await twice(connection, later, {"value": "x"}, psycopg.errors.UndefinedTable)
    await connection.run(Statement("create_later", "CREATE TABLE later AS SELECT 'x'::text AS value"), {})
    assert await connection.run(later, {"value": "x"}) == [("x",)]


async def test_a_value_that_the_driver_refuses_is_not_sent(connection):
    await twice(connection, ECHO, {"value": "\0"}, psycopg.DataError)
    await twice(connection, ECHO, {"value": "\ud800"}, UnicodeEncodeError)
    assert await connection.run(ECHO, {"value": "x"}) == [("x",)]


async def test_a_write_that_is_refused_at_its_commit_fails(connection):
    await connection.execute("CREATE TABLE pair (a integer, UNIQUE (a) DEFERRABLE INITIALLY DEFERRED)")
    insert = Statement("insert_pair", "INSERT INTO pair VALUES (%(value)s::integer), (%(value)s::integer)")
    await twice(connection, insert, {"value": 1}, psycopg.errors.UniqueViolation)


async def test_a_changed_table_shows_as_an_error_of_its_own(database_url):
    connection, other = await connect(database_url), await connect(database_url)
    await other.execute("CREATE TABLE changing AS SELECT 1 AS first")
    read = Statement("select_changing", "SELECT * FROM changing")
    assert await connection.run(read, {}) == [(1,)]
    await other.execute("ALTER TABLE changing ADD COLUMN second integer")
    await other.close()
    with pytest.raises(psycopg.errors.FeatureNotSupported) as caught:
        await connection.run(read, {})
    assert caught.value.diag.source_function == "RevalidateCachedQuery"
    await connection.close()


async def test_the_driver_may_use_the_connection_between_statements(connection):
    planned = Statement("select_planned", "SELECT %(value)s::text", prepare=False)
    for value in ("a", "b"):
        assert await connection.run(ECHO, {"value": value}) == [(value,)]
        assert await connection.run(planned, {"value": value}) == [(value,)]


async def test_a_connection_prepares_a_limited_number_of_statements(database_url):
    connection = await connect(database_url)
    for number in range(110):
        statement = Statement(f"select_{number}", f"SELECT {number}, %(value)s::text")
        assert await connection.run(statement, {"value": "x"}) == [(number, "x")]
    count = Statement("select_count", "SELECT count(*) FROM pg_prepared_statements", prepare=False)
    assert await connection.run(count, {}) == [(100,)]
    await connection.close()


@MODES
@pytest.mark.parametrize("runs_before", [0, 1])
async def test_the_last_words_of_the_server_are_the_error(database_url, prepare_threshold, runs_before):
    connection, other = await connect(database_url, prepare_threshold), await connect(database_url)
    sleep = Statement("select_sleep", "SELECT pg_sleep(%(seconds)s::double precision)")
    for _ in range(runs_before):
        await connection.run(sleep, {"seconds": 0.0})
    running = asyncio.ensure_future(connection.run(sleep, {"seconds": 30.0}))
    kill = Statement(
        "select_killed",
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = %(pid)s::integer AND wait_event = 'PgSleep'",
    )
    await until(lambda: other.run(kill, {"pid": connection.info.backend_pid}))
    with within(0.0), pytest.raises(psycopg.errors.AdminShutdown):
        await running
    assert not looks_alive(connection)
    await connection.close()
    await other.close()


@MODES
@pytest.mark.parametrize("runs_before", [0, 1])
@pytest.mark.parametrize("last", [b"", b"C", b"D"], ids=["nothing", "its completion", "half a row"])
async def test_a_statement_whose_response_is_cut_has_failed(server, prepare_threshold, runs_before, last):
    connection = await connect(server.dsn, prepare_threshold)
    for _ in range(runs_before):
        await connection.run(ECHO, {"value": "x"})
    server.cut_after = last
    with within(0.0), pytest.raises(psycopg.OperationalError) as caught:
        await connection.run(ECHO, {"value": "x"})
    assert caught.value.sqlstate is None
    await connection.close()


@MODES
async def test_a_statement_on_a_connection_that_has_ended_fails(server, prepare_threshold):
    connection = await connect(server.dsn, prepare_threshold)
    for writer in server.connections:
        writer.transport.abort()
    await until(lambda: not server.connections)
    with within(0.0), pytest.raises(psycopg.OperationalError):
        await connection.run(ECHO, {"value": "x"})
    await connection.close()


@MODES
@pytest.mark.parametrize("value", ["x", LARGE], ids=["sent", "not sent"])
async def test_a_statement_ends_at_the_socket_deadline(server, prepare_threshold, value):
    connection = await connect(server.dsn, prepare_threshold)
    server.silent = True
    for writer in server.connections:
        writer.transport.pause_reading()
    with within(0.05), SocketDeadline(connection, 0.05) as deadline, pytest.raises(psycopg.OperationalError):
        await connection.run(ECHO, {"value": value})
    assert deadline.passed
    await connection.close()


async def test_a_large_statement_is_sent_while_the_server_reads_slowly(server):
    connection = await connect(server.dsn)
    for writer in server.connections:
        writer.transport.pause_reading()
    running = asyncio.ensure_future(connection.run(ECHO, {"value": LARGE}))
    for writer in server.connections:
        writer.write(message(b"N", b"SNOTICE\x00MHello\x00\x00"))
        await writer.drain()
        writer.transport.resume_reading()
    assert await running == []
    await connection.close()


async def test_a_notice_between_statements_is_read(server):
    connection = await connect(server.dsn)
    seen = []
    connection.add_notice_handler(seen.append)
    await connection.run(ECHO, {"value": "x"})
    for writer in server.connections:
        writer.write(message(b"N", b"SNOTICE\x00MHello\x00\x00"))
    await until(lambda: seen)
    assert await connection.run(ECHO, {"value": "x"}) == []
    await connection.close()


async def test_a_connection_that_ends_between_statements_is_watched_no_more(server):
    connection = await connect(server.dsn)
    descriptor = connection.fileno()
    await connection.run(ECHO, {"value": "x"})
    for writer in server.connections:
        writer.transport.abort()
    await until(lambda: connection.closed)
    assert not asyncio.get_running_loop().remove_reader(descriptor)
    await connection.close()


async def test_closing_a_connection_ends_its_statement_and_leaves_its_descriptor(server):
    connection = await connect(server.dsn)
    descriptor = connection.fileno()
    server.silent = True
    running = asyncio.ensure_future(connection.run(ECHO, {"value": "x"}))
    await until(lambda: server.statements)
    await connection.close()
    with within(0.0), pytest.raises(psycopg.OperationalError):
        await running
    assert not asyncio.get_running_loop().remove_reader(descriptor)


async def test_a_cancelled_statement_leaves_a_connection_that_can_be_closed(server):
    connection = await connect(server.dsn)
    server.silent = True
    running = asyncio.ensure_future(connection.run(ECHO, {"value": "x"}))
    await until(lambda: server.statements)
    running.cancel()
    with within(0.0), pytest.raises(asyncio.CancelledError):
        await running
    await connection.close()
    await until(lambda: not server.connections)
