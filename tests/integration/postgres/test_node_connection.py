"""Statements of several buckets in one message: each has its own result, and none fails with another one."""

from collections.abc import AsyncIterator

import psycopg
import pytest

from adapters.postgres.connections.exchange import SocketDeadline
from adapters.postgres.connections.held import Hold
from adapters.postgres.connections.node_connection import HeldStatement, NodeConnection
from adapters.postgres.connections.statement import Statement
from adapters.postgres.gateway_options import GatewayOptions

HOLD = Statement("select_hold", "SELECT 1 / (7 <> ALL(%(shards)s::bigint[]))::int")
"""Refuses the bucket 7, as one that has moved away."""
ADD = Statement("select_sum", "SELECT %(a)s::int + 1")
DIVIDE = Statement("select_quotient", "SELECT 1 / %(a)s::int")
SLEEP = Statement("select_slowly", "SELECT pg_sleep(60), %(a)s::int")
END = Statement("select_end", "SELECT pg_terminate_backend(pg_backend_pid()), %(a)s::int")


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[NodeConnection]:
    options = GatewayOptions(database_url)
    connection = await NodeConnection.connect(
        options.conninfo, autocommit=True, prepare_threshold=0, address_timeout_s=5.0
    )
    yield connection
    await connection.close()


def added_to(shard: int) -> Statement:
    """Return the statement for one bucket, whose text names its shard."""
    return Statement(ADD.name, f"SELECT %(a)s::int + {shard}")


def held(statement: Statement, a: object, shard: int = 1) -> HeldStatement:
    return HeldStatement(Hold(HOLD, shard), statement, {"a": a})


async def test_each_statement_has_its_own_rows_whether_it_is_prepared_or_not(connection: NodeConnection) -> None:
    for _ in range(3):
        found = await connection.run_each([held(ADD, 1), held(ADD, 2, shard=2), held(ADD, 3), held(DIVIDE, 1, shard=2)])
        assert found == [[(2,)], [(3,)], [(4,)], [(1,)]]
    assert await connection.run(ADD, {"a": 5}) == [(6,)]


async def test_a_statement_whose_text_has_changed_is_prepared_anew(connection: NodeConnection) -> None:
    for shard in (5, 6):
        assert await connection.run_each([held(added_to(shard), 1, shard=4)]) == [[(shard + 1,)]]


async def test_a_statement_that_fails_or_is_not_held_leaves_the_others_alone(connection: NodeConnection) -> None:
    for _ in range(2):
        found = await connection.run_each(
            [held(ADD, 1), held(DIVIDE, 0), held(ADD, 1, shard=7), held(ADD, "\ud800"), held(ADD, 2)]
        )
        rows, divided, moved, unsendable, last = found
        assert (rows, last) == ([(2,)], [(3,)])
        assert isinstance(divided, psycopg.errors.DivisionByZero)
        assert isinstance(moved, psycopg.errors.DivisionByZero)
        assert isinstance(unsendable, UnicodeEncodeError)


async def test_no_statement_has_rows_if_the_connection_is_lost_before_their_transaction_ends(
    connection: NodeConnection,
) -> None:
    found = await connection.run_each([held(ADD, 1), held(END, 1), held(ADD, 2)])
    assert [isinstance(each, psycopg.OperationalError) for each in found] == [True, True, True]
    assert connection.closed


async def test_what_has_ended_before_the_connection_is_lost_keeps_its_rows(connection: NodeConnection) -> None:
    first, divided, *others = await connection.run_each([held(ADD, 1), held(DIVIDE, 0), held(END, 1), held(ADD, 2)])
    assert first == [(2,)]
    assert isinstance(divided, psycopg.errors.DivisionByZero)
    assert [isinstance(each, psycopg.OperationalError) for each in others] == [True, True]


async def test_a_statement_that_is_cut_off_fails_with_those_behind_it(connection: NodeConnection) -> None:
    with SocketDeadline(connection, 0.2):  # before the statement timeout of the server
        first, _, *others = await connection.run_each([held(ADD, 1), held(DIVIDE, 0), held(SLEEP, 1), held(ADD, 2)])
    assert first == [(2,)]
    assert [isinstance(each, psycopg.OperationalError) for each in others] == [True, True]


async def test_the_time_limit_of_one_statement_ends_no_other(connection: NodeConnection) -> None:
    await connection.execute("SET statement_timeout = 200")
    first, slow, last = await connection.run_each([held(ADD, 1), held(SLEEP, 1), held(ADD, 2)])
    assert isinstance(slow, psycopg.errors.QueryCanceled)
    assert (first, last) == ([(2,)], [(3,)])


async def test_an_error_at_the_end_of_their_transaction_belongs_to_one_statement(connection: NodeConnection) -> None:
    await connection.execute("CREATE TEMPORARY TABLE kept (a int UNIQUE DEFERRABLE INITIALLY DEFERRED)")
    add = Statement("add", "INSERT INTO kept VALUES (%(a)s) RETURNING a")
    first, second, third = await connection.run_each([held(add, 1), held(add, 1), held(add, 2)])
    assert (first, third) == ([(1,)], [(2,)])
    assert isinstance(second, psycopg.errors.UniqueViolation)


async def test_what_a_connection_prepares_has_a_limit_beyond_one_message(connection: NodeConnection) -> None:
    for first in range(100, 420, 16):
        shards = range(first, first + 16)
        found = await connection.run_each([held(added_to(shard), 1, shard=shard) for shard in shards])
        assert found == [[(shard + 1,)] for shard in shards]
    ((prepared,),) = await connection.run(
        Statement("select_prepared", "SELECT count(*) FROM pg_prepared_statements"), {}
    )
    assert 256 <= prepared < 256 + 2 * 16


async def test_a_pooler_that_keeps_no_prepared_statements_is_sent_the_texts(database_url: str) -> None:
    options = GatewayOptions(database_url)
    connection = await NodeConnection.connect(
        options.conninfo, autocommit=True, prepare_threshold=None, address_timeout_s=5.0
    )
    assert await connection.run_each([held(ADD, 1), held(ADD, 2, shard=2)]) == [[(2,)], [(3,)]]
    assert await connection.run(Statement("select_prepared", "SELECT name FROM pg_prepared_statements"), {}) == []
    await connection.close()
