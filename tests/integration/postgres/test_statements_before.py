"""Statements in front of another one: one message and one transaction, of which all is stored or nothing."""

from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest

from adapters.postgres.connections.connection import GatewayConnection
from adapters.postgres.connections.held import HeldConnection, Hold
from adapters.postgres.connections.statement import BoundStatement, Statement
from adapters.postgres.gateway_options import GatewayOptions

HOLD = Statement("select_hold", "SELECT 1 / (7 <> ALL(%(shards)s::bigint[]))::int")
"""Refuses the bucket 7, as one that has moved away."""
ADD = Statement("insert_noted", "INSERT INTO noted VALUES (%(a)s::int)")
COUNT = Statement("insert_counted", "INSERT INTO noted SELECT count(*) + %(a)s::int FROM noted RETURNING a")
END = Statement("end_backend", "SELECT pg_terminate_backend(pg_backend_pid()), %(a)s::int")
KINDS = ["plain", "held"]


@pytest.fixture(params=[(kind, threshold) for kind in KINDS for threshold in (0, None)], ids=str)
async def connection(request: pytest.FixtureRequest, database_url: str) -> AsyncIterator[GatewayConnection]:
    kind, threshold = request.param
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as setup:
        await setup.execute("DROP TABLE IF EXISTS noted")
        await setup.execute("CREATE TABLE noted (a integer CHECK (a <> 13))")
    connection = await connected(kind, database_url, threshold)
    yield connection
    await connection.close()


async def connected(kind: str, url: str, threshold: int | None, shard: int = 1) -> GatewayConnection:
    options: dict[str, Any] = {"autocommit": True, "prepare_threshold": threshold, "address_timeout_s": 5.0}
    if kind == "plain":
        return await GatewayConnection.connect(GatewayOptions(url).conninfo, **options)
    return await HeldConnection.connect(GatewayOptions(url).conninfo, hold=Hold(HOLD, shard), **options)


def bound(statement: Statement, a: object) -> BoundStatement:
    return BoundStatement(statement, {"a": a})


async def noted(url: str) -> list[int]:
    async with await psycopg.AsyncConnection.connect(url) as reader:
        return [a for (a,) in await (await reader.execute("SELECT a FROM noted ORDER BY a")).fetchall()]


async def test_the_statement_sees_what_stands_before_it_and_returns_its_own_rows(
    connection: GatewayConnection, database_url: str
) -> None:
    for nth in range(3):  # the first run prepares, the next ones find it prepared
        rows = await connection.run(COUNT, {"a": 100}, before=[bound(ADD, 1), bound(ADD, 2)])
        assert rows == [(100 + 3 * nth + 2,)]
    assert await connection.run(COUNT, {"a": 0}) == [(9,)]
    assert await noted(database_url) == [1, 1, 1, 2, 2, 2, 9, 102, 105, 108]


@pytest.mark.parametrize("values", [(13, 2, 3), (1, 13, 3), (1, 2, 8)], ids=["first", "second", "last"])
async def test_nothing_is_stored_if_one_of_the_statements_is_refused(
    connection: GatewayConnection, database_url: str, values: tuple[int, int, int]
) -> None:
    one, two, three = values
    for _ in range(2):
        refused = three + 3 if three == 8 else three  # two rows and eleven are 13
        with pytest.raises(psycopg.errors.CheckViolation):
            await connection.run(COUNT, {"a": refused}, before=[bound(ADD, one), bound(ADD, two)])
    assert await noted(database_url) == []
    assert await connection.run(COUNT, {"a": 0}, before=[bound(ADD, 5)]) == [(1,)]


async def test_nothing_is_stored_if_the_backend_dies_after_the_statements_before(
    connection: GatewayConnection, database_url: str
) -> None:
    with pytest.raises(psycopg.OperationalError):
        await connection.run(END, {"a": 0}, before=[bound(ADD, 1), bound(ADD, 2)])
    assert await noted(database_url) == []


async def test_a_value_that_cannot_be_sent_leaves_the_connection_usable(
    connection: GatewayConnection, database_url: str
) -> None:
    with pytest.raises(psycopg.DataError):
        await connection.run(COUNT, {"a": 0}, before=[bound(ADD, 1), bound(ADD, "\0")])
    assert await connection.run(COUNT, {"a": 0}, before=[bound(ADD, 5)]) == [(1,)]
    assert await noted(database_url) == [1, 5]


async def test_nothing_is_stored_if_the_bucket_has_moved(connection: GatewayConnection, database_url: str) -> None:
    moved = await connected("held", database_url, connection.prepare_threshold, shard=7)
    try:
        for _ in range(2):
            with pytest.raises(psycopg.errors.DivisionByZero):
                await moved.run(COUNT, {"a": 0}, before=[bound(ADD, 1)])
    finally:
        await moved.close()
    assert await noted(database_url) == []
