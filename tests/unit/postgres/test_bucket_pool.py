"""A statement of a bucket that has moved, or moves, is sent again where the bucket lies then, and no other one is."""

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import psycopg
import pytest
from attrs import evolve
from psycopg import errors
from psycopg.pq import DiagnosticField

from adapters.postgres.buckets.node import Nodes
from adapters.postgres.buckets.placements import Node, Placement
from adapters.postgres.buckets.pool import BucketPool
from adapters.postgres.connections.connection import Rows
from adapters.postgres.connections.errors import BUCKET_MOVED, NO_CONNECTION, AttemptFailed, judge
from adapters.postgres.connections.held import Hold
from adapters.postgres.connections.statement import BoundStatement, Statement, UnknownTable
from adapters.postgres.gateway_options import GatewayOptions
from domain.errors import ShuttingDown
from domain.stats import PoolStats
from tests.unit.postgres.manual_gateway import turns
from tests.unit.postgres.test_node_statements import Messages

OPTIONS = GatewayOptions("dbname=x", request_timeout_s=1.0)
HOLD = Hold(Statement("select_hold", "SELECT 1"), 5)
HERE = Placement(1, "bucket_1", Node(2, "db2", 5432), {}, 1, False, HOLD)
THERE = evolve(HERE, node=Node(3, "db3", 5432))
READ = Statement("select_one", "SELECT 1")


def of_server(kind: type[psycopg.Error], context: str | None = None) -> AttemptFailed:
    """Return a failed attempt of which the server said so, in this context."""
    info = {} if context is None else {DiagnosticField.CONTEXT: context.encode()}
    error = kind(info=info)
    failed = AttemptFailed(judge(error))
    failed.__cause__ = error
    return failed


class Moved(psycopg.DatabaseError):
    """What the driver makes of the hold's own SQLSTATE."""

    sqlstate = BUCKET_MOVED


class Places:
    """Knows the place of one bucket; the database shows `found`."""

    def __init__(self, found: Placement = HERE) -> None:
        self.last, self.found, self.reads = HERE, found, 0

    def known(self, _: int) -> Placement:
        return self.last

    async def of(self, _: int) -> Placement:
        return self.last

    async def after(self, _: Placement) -> Placement:
        self.reads += 1
        self.last = self.found
        return self.found


class Servers:
    """Pools whose attempts have the given outcomes, one after the other, at whatever node."""

    def __init__(self, *outcomes: Rows | Exception) -> None:
        self.outcomes = list(outcomes)
        self.asked: list[str] = []
        self.closed: list[str] = []
        self.dropped: list[str] = []
        self.may_close = asyncio.Event()
        self.may_close.set()

    def make(self, _name: str, _size: int, options: GatewayOptions, *_: Any, **__: Any) -> "Server":
        return Server(self, options.dsn.split("host=")[1].split()[0])


class Server:
    """The pool at one node."""

    def __init__(self, servers: Servers, host: str) -> None:
        self._servers, self._host = servers, host

    async def attempt(self, _: Statement, parameters: Mapping[str, object], *__: Any) -> Rows:
        self._servers.asked.append(self._host)
        outcome = self._servers.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def stats(self) -> PoolStats:
        return PoolStats(1, 2, 0, 0, 0, 0, 0)

    async def open(self) -> None:
        return

    async def drop_idle(self) -> None:
        self._servers.dropped.append(self._host)

    async def close(self) -> None:
        await self._servers.may_close.wait()
        self._servers.closed.append(self._host)


async def ignore(_: float) -> None:
    return


def pool_of(places: Places, servers: Servers) -> BucketPool:
    return BucketPool("normal", 2, OPTIONS, None, ignore, number=1, placements=places, make=servers.make)


async def outcome_of(places: Places, servers: Servers, left_s: float = 60.0) -> Rows | Exception:
    """Return what an attempt gives its caller."""
    pool = pool_of(places, servers)
    try:
        return await pool.attempt(READ, {}, time.monotonic() + left_s)
    except (AttemptFailed, ShuttingDown) as error:
        return error
    finally:
        await pool.close()


def failed(cause: Exception) -> AttemptFailed:
    attempt = AttemptFailed(judge(cause))
    attempt.__cause__ = cause
    return attempt


async def test_a_statement_whose_bucket_is_elsewhere_is_sent_there_and_the_old_connections_are_closed():
    places, servers = Places(THERE), Servers(failed(Moved()), [(1,)])
    pool = pool_of(places, servers)
    assert await pool.attempt(READ, {}, time.monotonic() + 60) == [(1,)]
    await turns()
    assert (servers.asked, servers.closed) == (["db2", "db3"], ["db2"])
    await pool.close()
    assert servers.closed == ["db2", "db3"]


async def test_a_node_that_does_not_have_the_bucket_is_asked_again_until_the_database_shows_another():
    servers = Servers(*(failed(Moved()) for _ in range(3)), [(1,)])
    places = Places()
    assert await outcome_of(places, servers) == [(1,)]
    assert (servers.asked, places.reads) == (["db2"] * 4, 3)


@pytest.mark.parametrize("kind", [errors.LockNotAvailable, errors.QueryCanceled])
async def test_a_statement_that_waited_in_its_hold_for_the_end_of_a_move_is_sent_again(kind):
    servers, places = Servers(of_server(kind, "PL/pgSQL function bucket_1.hold(bigint[]) line 3"), [(1,)]), Places()
    assert await outcome_of(places, servers) == [(1,)]
    assert places.reads == 0, "the move has not ended, so the database shows nothing new"


@pytest.mark.parametrize("kind", [errors.LockNotAvailable, errors.QueryCanceled])
@pytest.mark.parametrize("context", [None, "SQL function other"])
async def test_a_statement_that_waited_for_a_row_is_not_sent_again(kind, context):
    servers, places = Servers(of_server(kind, context)), Places(THERE)
    assert isinstance(await outcome_of(places, servers), AttemptFailed)
    assert (servers.asked, places.reads) == (["db2"], 0)


async def test_another_error_that_names_the_hold_is_its_callers():
    servers = Servers(of_server(errors.RaiseException, "PL/pgSQL function bucket_1.hold(bigint[])"))
    assert isinstance(await outcome_of(Places(THERE), servers), AttemptFailed)


@pytest.mark.parametrize(
    "failure",
    [AttemptFailed(NO_CONNECTION), of_server(errors.UndefinedTable), errors.UndefinedFunction(), UnknownTable()],
)
async def test_what_a_move_may_explain_is_sent_again_if_the_bucket_has_moved_and_is_an_error_otherwise(failure):
    servers = Servers(failure, [(1,)])
    assert await outcome_of(Places(THERE), servers) == [(1,)]
    assert servers.asked == ["db2", "db3"]
    servers = Servers(failure)
    assert isinstance(await outcome_of(Places(), servers), AttemptFailed)
    assert servers.asked == ["db2"]


async def test_a_bucket_that_lacks_a_table_or_a_function_lacks_a_migration():
    for failure in (errors.UndefinedFunction("hold"), UnknownTable()):
        error = await outcome_of(Places(), Servers(failure))
        assert isinstance(error, AttemptFailed)
        assert error.decision == judge(errors.UndefinedTable())
        assert error.__cause__ is failure


async def test_a_failure_of_the_statement_itself_is_its_callers():
    servers = Servers(of_server(errors.SerializationFailure))
    assert isinstance(await outcome_of(Places(THERE), servers), AttemptFailed)
    assert servers.asked == ["db2"]


async def test_a_statement_whose_pool_was_left_meanwhile_is_sent_by_the_next_one():
    assert await outcome_of(Places(THERE), Servers(ShuttingDown(), [(1,)])) == [(1,)]


async def test_without_time_for_another_attempt_the_failure_is_the_callers():
    servers = Servers(failed(Moved()))
    error = await outcome_of(Places(THERE), servers, OPTIONS.socket_timeout_s * 0.9)
    assert isinstance(error, AttemptFailed)
    assert servers.asked == ["db2"]


async def test_a_pool_that_was_closed_sends_nothing_again():
    servers = Servers(failed(Moved()))
    pool = pool_of(Places(THERE), servers)
    await pool.close()
    with pytest.raises(AttemptFailed):
        await pool.attempt(READ, {}, time.monotonic() + 60)
    assert servers.asked == ["db2"]


async def test_a_bucket_without_connections_has_figures_too():
    pool = pool_of(Places(), Servers([(1,)]))
    assert pool.stats().pool_size_max == 0
    await pool.attempt(READ, {}, time.monotonic() + 60)
    assert pool.stats().pool_size_max == 2
    await pool.close()


async def test_idle_connections_are_dropped_where_the_bucket_lies():
    servers = Servers([(1,)])
    pool = pool_of(Places(), servers)
    await pool.drop_idle()
    await pool.attempt(READ, {}, time.monotonic() + 60)
    await pool.drop_idle()
    assert servers.dropped == ["db2"]
    await pool.close()


async def test_a_pool_is_closed_once_the_connections_to_an_earlier_node_are():
    servers = Servers(failed(Moved()), [(1,)])
    pool = pool_of(Places(THERE), servers)
    servers.may_close.clear()
    await pool.attempt(READ, {}, time.monotonic() + 60)
    closing = asyncio.ensure_future(pool.close())
    await turns()
    assert not closing.done()
    servers.may_close.set()
    await closing
    assert sorted(servers.closed) == ["db2", "db3"]


GATHERED_READ = Statement("select_sessions", "SELECT 1")


@pytest.mark.parametrize(
    ("name", "statement", "left_s", "given", "is_shared"),
    [
        ("normal", GATHERED_READ, OPTIONS.socket_timeout_s + 1, {}, True),
        ("normal", GATHERED_READ, OPTIONS.socket_timeout_s * 0.9, {}, False),
        ("normal", evolve(GATHERED_READ, prepare=False), 60.0, {}, False),
        ("normal", GATHERED_READ, 60.0, {"fence": [READ]}, False),
        ("normal", GATHERED_READ, 60.0, {"before": [BoundStatement(READ, {})]}, False),
        ("lock_wait", GATHERED_READ, 60.0, {}, False),
        ("normal", READ, 60.0, {}, False),
    ],
)
async def test_a_statement_shares_a_message_if_all_in_it_have_the_same_time_and_form(
    name, statement, left_s, given, is_shared
):
    messages, servers, places = Messages(), Servers([(7,)]), Places()
    places.last = evolve(HERE, gathers=True)
    nodes = Nodes(OPTIONS, make=lambda *_, **__: messages)
    pool = BucketPool(name, 2, OPTIONS, None, ignore, number=1, placements=places, nodes=nodes, make=servers.make)
    await pool.attempt(statement, {"a": 1}, time.monotonic() + left_s, **given)
    assert (len(messages.sent), len(servers.asked)) == ((1, 0) if is_shared else (0, 1))
    await pool.close()
