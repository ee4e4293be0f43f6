"""Statements of the buckets of one node that start together share a message."""

import asyncio
import time

import pytest
from attrs import evolve

from adapters.postgres.buckets.node import Nodes
from adapters.postgres.buckets.placements import Node, Placement
from adapters.postgres.buckets.pool import BucketPool
from adapters.postgres.connections.errors import NO_CONNECTION, AttemptFailed
from adapters.postgres.connections.held import Hold
from adapters.postgres.connections.node_connection import HeldStatement
from adapters.postgres.connections.statement import Statement
from adapters.postgres.gateway_options import GatewayOptions
from domain.errors import Overloaded
from tests.support.ports import free_port
from tests.unit.postgres.manual_gateway import turns

NODE, OTHER = Node(2, "127.0.0.1", 1), Node(3, "127.0.0.1", 1)
BEGIN, GET = Statement("begin_executions", "SELECT 1"), Statement("select_sessions", "SELECT 1")
HOLD = Hold(Statement("select_hold", "SELECT 1"), 5)
OPTIONS = GatewayOptions("dbname=x", request_timeout_s=1.0)


class Messages:
    """A pool that answers each message with the numbers of its statements, or with what a test wants."""

    def __init__(self):
        self.sent = []
        self.outcomes = None
        self.closed = 0

    async def attempt_each(self, statements, until_s):
        self.sent.append([each.parameters["a"] for each in statements])
        if isinstance(self.outcomes, Exception):
            raise self.outcomes
        return self.outcomes or [[(each.parameters["a"],)] for each in statements]

    async def open(self):
        return

    async def close(self):
        self.closed += 1


@pytest.fixture
def messages():
    return Messages()


@pytest.fixture
def nodes(messages):
    return Nodes(OPTIONS, make=lambda *_, **__: messages)


async def asked(nodes, a, statement=BEGIN, shard=5):
    node = await nodes.at(NODE)
    held = HeldStatement(evolve(HOLD, shard=shard), statement, {"a": a})
    return await node.attempt(held, time.monotonic() + 5)


async def test_statements_of_one_name_that_start_together_are_one_message(nodes, messages):
    found = await asyncio.gather(asked(nodes, 1), asked(nodes, 2), asked(nodes, 3, GET), asked(nodes, 4))
    assert found == [[(1,)], [(2,)], [(3,)], [(4,)]]
    assert messages.sent == [[1, 2, 4], [3]]
    await asked(nodes, 5)
    assert messages.sent[2:] == [[5]]


async def test_all_controllers_ask_buckets_in_one_order(nodes, messages):
    found = await asyncio.gather(asked(nodes, 1, shard=7), asked(nodes, 2, shard=6), asked(nodes, 3, shard=7))
    assert messages.sent == [[2, 1, 3]]
    assert found == [[(1,)], [(2,)], [(3,)]]


async def test_a_message_has_a_limit(nodes, messages):
    await asyncio.gather(*(asked(nodes, number) for number in range(20)))
    assert [len(each) for each in messages.sent] == [16, 4]


async def test_each_statement_has_the_outcome_that_is_its_own(nodes, messages):
    messages.outcomes = [AttemptFailed(NO_CONNECTION), [(2,)]]
    first, second = await asyncio.gather(asked(nodes, 1), asked(nodes, 2), return_exceptions=True)
    assert isinstance(first, AttemptFailed)
    assert second == [(2,)]
    messages.outcomes = Overloaded("the database")
    outcomes = await asyncio.gather(asked(nodes, 1), asked(nodes, 2), return_exceptions=True)
    assert [type(each) for each in outcomes] == [Overloaded, Overloaded]


async def test_a_caller_that_leaves_takes_no_other_one_along(nodes, messages):
    leaves, stays = asyncio.ensure_future(asked(nodes, 1)), asyncio.ensure_future(asked(nodes, 2))
    await asyncio.sleep(0)
    leaves.cancel()
    assert await stays == [(2,)]


async def test_a_node_ends_connections_of_a_controller_that_stops_while_it_holds_buckets(messages):
    given = []

    def make(_name, _size, options, *_, **__):
        given.append(options.holds_buckets)
        return messages

    await Nodes(OPTIONS, make=make).at(NODE)
    assert given == [True]


async def test_the_connections_to_a_node_without_buckets_are_closed(nodes, messages):
    await asked(nodes, 1)
    nodes.retain({NODE})
    await turns()
    assert messages.closed == 0
    nodes.retain({OTHER})
    await turns()
    assert messages.closed == 1
    await nodes.close()
    assert messages.closed == 1


class OnePlace:
    """Knows where one bucket is."""

    def __init__(self, node, buckets=2):
        self.placement = Placement(1, "bucket_1", node, {}, buckets, buckets > 1, HOLD)

    def known(self, _):
        return self.placement

    async def of(self, _):
        return self.placement

    async def after(self, _):
        return self.placement


async def ignore(_):
    return


async def test_a_bucket_whose_statement_failed_shares_no_message_for_a_while(nodes, messages):
    where = OnePlace(Node(2, "127.0.0.1", free_port()))
    pool = BucketPool("normal", 2, OPTIONS, None, ignore, number=1, placements=where, nodes=nodes)
    assert await pool.attempt(BEGIN, {"a": 1}, time.monotonic() + 5) == [(1,)]
    messages.outcomes = [AttemptFailed(NO_CONNECTION)]
    for _ in range(2):
        with pytest.raises(AttemptFailed):
            await pool.attempt(BEGIN, {"a": 2}, time.monotonic() + 5)
    assert messages.sent == [[1], [2]]
    await pool.close()


@pytest.mark.parametrize(
    ("name", "buckets"), [("select_others", 2), ("begin_keyed_executions", 2), ("begin_executions", 1)]
)
async def test_what_not_each_execute_needs_and_what_the_only_bucket_needs_is_sent_alone(nodes, messages, name, buckets):
    where = OnePlace(Node(2, "127.0.0.1", free_port()), buckets)
    pool = BucketPool("normal", 2, OPTIONS, None, ignore, number=1, placements=where, nodes=nodes)
    with pytest.raises(AttemptFailed):
        await pool.attempt(Statement(name, "SELECT 1"), {}, time.monotonic() + 5)
    assert messages.sent == []
    await pool.close()
