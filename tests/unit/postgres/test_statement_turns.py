"""Statements of several buckets start in turn, and messages of several nodes in rounds."""

import asyncio

import pytest

from adapters.postgres.batching.statement_turns import MessageRounds, NodeTurns, StatementTurns
from domain.errors import StorageUnavailable
from tests.support.waiting import until
from tests.unit.postgres.manual_gateway import ManualGateway, coalescer, turns

NEVER_S = 3600.0
MANY = [str(n) for n in range(8)]
"""Calls that the other nodes wait for."""


@pytest.fixture
def gateway():
    return ManualGateway()


def submit(calls, *what):
    return [asyncio.ensure_future(calls.submit(call)) for call in what]


def of_node(gateway, number, rounds, **options):
    """Return coalescers of buckets of one node, whose statements share messages."""
    together = NodeTurns(rounds=rounds)
    calls = [coalescer(gateway, **options) for _ in range(number)]
    for each in calls:
        each.share(together)
    return calls


def of_buckets(gateway, number, **options):
    """Return coalescers of one kind of calls that start their statements in turn."""
    together = StatementTurns()
    calls = [coalescer(gateway, **options) for _ in range(number)]
    for each in calls:
        each.share(together)
    return calls


async def test_statements_of_several_buckets_count_together_and_start_in_turn(gateway):
    buckets = of_buckets(gateway, 3, concurrency=1)
    asked = [each for nth, calls in enumerate(buckets) for each in submit(calls, f"{nth}a")]
    await turns()
    for nth, calls in enumerate(buckets):
        asked += submit(calls, f"{nth}b", f"{nth}c")
    while gateway.in_flight:
        gateway.respond()
        await turns()
    assert gateway.busiest == 1
    assert gateway.batches[0] == ["0a"]
    assert sorted(gateway.batches[1:]) == [["0b", "0c"], ["1a", "1b", "1c"], ["2a", "2b", "2c"]]
    assert len(await asyncio.gather(*asked)) == 9


async def test_a_bucket_with_many_calls_does_not_hold_up_the_others(gateway):
    busy, other = of_buckets(gateway, 2, concurrency=1, batch_max=1)
    submit(busy, *(str(n) for n in range(20)))
    await turns()
    submit(other, "other")
    for _ in range(2):
        gateway.respond()
        await turns()
    assert ["other"] in gateway.batches
    while gateway.in_flight:
        gateway.respond()
        await turns()
    await busy.drain()


async def test_a_failed_statement_of_one_bucket_lets_another_start(gateway):
    first, second = of_buckets(gateway, 2, concurrency=1)
    (failed,) = submit(first, "a")
    await turns()
    (asked,) = submit(second, "b")
    await turns()
    gateway.fail(StorageUnavailable())
    await turns()
    gateway.respond()
    assert await asked == "response to b"
    with pytest.raises(StorageUnavailable):
        await failed


async def test_a_statement_of_one_bucket_starts_once_that_of_another_has_run_for_a_while(gateway):
    now_s = 1.0
    first, second = of_buckets(gateway, 2, overlap_s=0.02, monotonic_s=lambda: now_s)
    submit(first, "a")
    await turns()
    submit(second, "b")
    await turns()
    assert gateway.batches == [["a"]]
    now_s = 1.02
    await until(lambda: len(gateway.batches) == 2)
    gateway.respond(0)
    gateway.respond(1)
    await second.drain()


async def test_a_bucket_that_moves_starts_in_turn_with_those_of_its_new_node_and_wakes_those_of_its_old_one(gateway):
    moves, stays = of_buckets(gateway, 2, concurrency=1)
    there, together = coalescer(gateway, concurrency=1), StatementTurns()
    there.share(together)
    asked = [*submit(moves, "a"), *submit(there, "b")]
    await turns()
    asked += submit(stays, "c")
    moves.share(together)
    asked += submit(moves, "d")
    await turns()
    assert gateway.batches == [["a"], ["b"]]
    gateway.respond(0)
    await turns()
    assert gateway.batches[2:] == [["c"]], "the old node has no other statement now"
    gateway.respond(1)
    await turns()
    assert gateway.batches[3:] == [["d"]]
    for number in (2, 3):
        gateway.respond(number)
    assert len(await asyncio.gather(*asked)) == 4


async def test_statements_of_buckets_that_share_a_message_start_together_and_count_as_one(gateway):
    buckets = of_node(gateway, 3, MessageRounds(), concurrency=1)
    asked = [each for nth, calls in enumerate(buckets) for each in submit(calls, f"{nth}a")]
    await turns()
    assert gateway.batches == [["0a"], ["1a"], ["2a"]]
    asked += [each for nth, calls in enumerate(buckets) for each in submit(calls, f"{nth}b", f"{nth}c")]
    await turns()
    for number in (0, 1):
        gateway.respond(number)
        await turns()
    assert len(gateway.batches) == 3, "one of them has not ended"
    gateway.respond(2)
    await turns()
    assert sorted(gateway.batches[3:]) == [["0b", "0c"], ["1b", "1c"], ["2b", "2c"]]
    while gateway.in_flight:
        gateway.respond()
        await turns()
    assert len(await asyncio.gather(*asked)) == 9


async def test_batches_of_one_bucket_do_not_share_a_message(gateway):
    full, other = of_node(gateway, 2, MessageRounds(), concurrency=2, batch_max=1)
    asked = [*submit(full, *(str(n) for n in range(9))), *submit(other, "other")]
    while not all(each.done() for each in asked):
        await turns()
        assert len(gateway.in_flight) <= 3, "two messages, one of them with a statement of the other bucket"
        if gateway.in_flight:
            gateway.respond()
    assert len(await asyncio.gather(*asked)) == 10


async def test_messages_to_several_nodes_start_together_once_all_of_the_last_ones_have_ended(gateway):
    rounds = MessageRounds(NEVER_S)
    (here,), (there,) = of_node(gateway, 1, rounds), of_node(gateway, 1, rounds)
    asked = [*submit(here, *MANY), *submit(there, "a")]
    await turns()
    assert gateway.batches == [MANY, ["a"]]
    asked += [*submit(here, "b"), *submit(there, "c")]
    await turns()
    gateway.respond(0)
    await turns()
    asked += [*submit(here, "d"), *submit(there, "e")]
    await turns()
    assert len(gateway.batches) == 2, "one message has not ended"
    gateway.respond(1)
    await turns()
    assert sorted(gateway.batches[2:]) == [["b", "d"], ["c", "e"]]
    gateway.respond(2)
    gateway.respond(3)
    assert len(await asyncio.gather(*asked)) == 13


async def test_a_node_waits_for_the_message_to_a_silent_one_for_a_bounded_time(gateway):
    rounds = MessageRounds(0.001)
    (silent,), (other,) = of_node(gateway, 1, rounds, concurrency=1), of_node(gateway, 1, rounds, concurrency=1)
    asked = submit(silent, *MANY)
    await turns()
    asked += submit(other, "a")
    await until(lambda: gateway.batches[1:] == [["a"]])
    gateway.respond(1)
    await turns()
    asked += [*submit(silent, "b"), *submit(other, "c")]
    await turns()
    assert gateway.batches[2:] == [["c"]], "the other node does not wait for the same message again"
    gateway.respond(0)
    await turns()
    assert gateway.batches[3:] == [["b"]], "its end starts the next message to its node"
    gateway.respond(2)
    gateway.respond(3)
    assert len(await asyncio.gather(*asked)) == 11


async def test_the_end_of_a_message_that_nobody_waits_for_starts_none_beside_the_present_round(gateway):
    rounds = MessageRounds(0.05)
    (silent,), (other,) = of_node(gateway, 1, rounds), of_node(gateway, 1, rounds)
    asked = submit(silent, *MANY)
    await turns()
    asked += submit(other, *MANY)
    await until(lambda: len(gateway.batches) == 2)
    asked += submit(silent, "a")
    gateway.respond(0)
    await turns()
    assert len(gateway.batches) == 2
    gateway.respond(1)
    await turns()
    assert gateway.batches[2:] == [["a"]]
    gateway.respond(2)
    assert len(await asyncio.gather(*asked)) == 17


async def test_nobody_waits_for_a_message_of_few_calls(gateway):
    rounds = MessageRounds(NEVER_S)
    (here,), (there,) = of_node(gateway, 1, rounds), of_node(gateway, 1, rounds)
    asked = submit(here, *MANY[1:])
    await turns()
    asked += submit(there, "a")
    await turns()
    assert gateway.batches == [MANY[1:], ["a"]]
    gateway.respond(0)
    gateway.respond(1)
    assert len(await asyncio.gather(*asked)) == 8


async def test_a_failed_message_ends_its_round(gateway):
    rounds = MessageRounds(NEVER_S)
    (here,), (there,) = of_node(gateway, 1, rounds), of_node(gateway, 1, rounds)
    failed = submit(here, *MANY)
    await turns()
    (asked,) = submit(there, "a")
    gateway.fail(StorageUnavailable())
    await turns()
    gateway.respond()
    assert await asked == "response to a"
    assert all(isinstance(each, StorageUnavailable) for each in await asyncio.gather(*failed, return_exceptions=True))
