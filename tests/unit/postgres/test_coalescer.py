"""The coalescer runs calls of one kind in few statements."""

import asyncio
import contextvars

import pytest

from adapters.postgres.batching.call_queue import BatchKeys
from adapters.postgres.connections.errors import StatementRefused, TookTooLong
from adapters.postgres.gateway import CALLER, DatabaseWaiter
from domain.errors import Overloaded, ShuttingDown, StorageUnavailable
from tests.support.waiting import until
from tests.unit.postgres.manual_gateway import FunctionGateway, ManualGateway, coalescer, turns


@pytest.fixture
def gateway():
    return ManualGateway()


def submit(calls, *what):
    return [asyncio.ensure_future(calls.submit(call)) for call in what]


async def test_a_lone_call_starts_at_once(gateway):
    (asked,) = submit(coalescer(gateway), "a")
    await turns()
    assert gateway.batches == [["a"]]
    gateway.respond()
    assert await asked == "response to a"


async def test_calls_of_one_turn_run_in_one_statement_and_get_their_own_responses(gateway):
    asked = submit(coalescer(gateway), "a", "b", "c")
    await turns()
    gateway.respond()
    assert await asyncio.gather(*asked) == ["response to a", "response to b", "response to c"]
    assert gateway.batches == [["a", "b", "c"]]


async def test_calls_that_arrive_while_all_statements_are_in_flight_run_together_next(gateway):
    calls = coalescer(gateway, concurrency=1)
    submit(calls, "a")
    await turns()
    submit(calls, "b")
    await turns()
    submit(calls, "c")
    await turns()
    assert gateway.batches == [["a"]]
    gateway.respond()
    await turns()
    assert gateway.batches == [["a"], ["b", "c"]]
    gateway.respond()
    await calls.drain()


async def test_the_number_of_statements_in_flight_is_bounded(gateway):
    calls = coalescer(gateway, concurrency=2, batch_max=1)
    asked = submit(calls, *"abcde")
    await turns()
    assert gateway.batches == [["a"], ["b"]]
    while gateway.in_flight:
        gateway.respond()
        await turns()
    assert gateway.busiest == 2
    assert len(await asyncio.gather(*asked)) == 5


async def test_a_batch_is_bounded_in_calls(gateway):
    calls = coalescer(gateway, concurrency=9, batch_max=2)
    submit(calls, *"abcde")
    await turns()
    assert gateway.batches == [["a", "b"], ["c", "d"], ["e"]]


async def test_a_batch_is_bounded_in_bytes_but_never_empty(gateway):
    calls = coalescer(gateway, concurrency=9, batch_bytes_max=4)
    submit(calls, "aa", "bb", "c", "dddddd", "e")
    await turns()
    assert gateway.batches == [["aa", "bb"], ["c"], ["dddddd"], ["e"]]


async def test_calls_of_one_key_may_be_in_one_batch_and_stay_in_order(gateway):
    calls = coalescer(gateway, key=lambda call: call[0], exclusive=BatchKeys())
    asked = submit(calls, "a1", "b1", "a2")
    await turns()
    assert gateway.batches == [["a1", "a2", "b1"]]
    gateway.respond()
    assert await asyncio.gather(*asked) == ["response to a1", "response to b1", "response to a2"]


async def test_the_rest_of_a_key_runs_in_the_next_batch_and_in_order(gateway):
    calls = coalescer(gateway, key=lambda call: call[0], batch_max=2, concurrency=4)
    submit(calls, "a1", "a2", "b1", "a3")
    await turns()
    assert gateway.batches == [["a1", "a2"], ["a3", "b1"]]


async def test_a_call_that_is_cancelled_after_its_batch_was_made_is_not_sent(gateway):
    calls = coalescer(gateway)
    (a,) = submit(calls, "a")
    await turns(1)
    asyncio.get_running_loop().call_soon(a.cancel)
    await calls.drain()
    assert gateway.batches == []
    assert a.cancelled()


async def test_a_call_beyond_the_queue_is_refused_at_once(gateway):
    calls = coalescer(gateway, concurrency=1, queue_max=2)
    submit(calls, "a")
    await turns()
    submit(calls, "b", "c")
    await turns()
    with pytest.raises(Overloaded) as caught:
        await calls.submit("d")
    assert caught.value.stored == "no"
    assert calls.stats().overloaded == 1
    assert calls.stats().waiting == 2


async def test_the_queue_is_bounded_in_bytes(gateway):
    calls = coalescer(gateway, concurrency=1, queue_bytes_max=4)
    submit(calls, "aaa")
    await turns()
    submit(calls, "bbb")
    await turns()
    with pytest.raises(Overloaded):
        await calls.submit("cc")


async def test_equal_reads_that_have_not_started_are_one_call(gateway):
    calls = coalescer(gateway, share=True, concurrency=1)
    asked = submit(calls, "a", "b", "a")
    await turns()
    asked += submit(calls, "a", "a")
    await turns()
    assert gateway.batches == [["a", "b"]]
    gateway.respond()
    await turns()
    assert gateway.batches == [["a", "b"], ["a"]]
    gateway.respond()
    assert await asyncio.gather(*asked) == [f"response to {call}" for call in "abaaa"]


async def test_a_shared_read_is_sent_while_one_of_its_callers_waits(gateway):
    calls = coalescer(gateway, share=True)
    left, stayed = submit(calls, "a", "a")
    await turns(1)
    left.cancel()
    await turns()
    assert gateway.batches == [["a"]]
    gateway.respond()
    assert await stayed == "response to a"


async def test_a_call_that_is_cancelled_before_it_starts_is_not_sent(gateway):
    calls = coalescer(gateway, concurrency=1)
    submit(calls, "a")
    await turns()
    b, c = submit(calls, "b", "c")
    await turns()
    b.cancel()
    gateway.respond()
    await turns()
    assert gateway.batches == [["a"], ["c"]]
    gateway.respond()
    assert await c == "response to c"


async def test_a_batch_without_callers_is_not_sent(gateway):
    calls = coalescer(gateway, concurrency=1)
    submit(calls, "a")
    await turns()
    (b,) = submit(calls, "b")
    await turns()
    b.cancel()
    await turns()
    gateway.respond()
    await calls.drain()
    assert gateway.batches == [["a"]]
    assert calls.stats().waiting == 0
    assert calls.stats().waiting_bytes == 0


async def test_a_cancelled_caller_does_not_disturb_its_batch(gateway):
    a, b = submit(coalescer(gateway), "a", "b")
    await turns()
    a.cancel()
    await turns()
    assert a.cancelled()
    gateway.respond()
    assert await b == "response to b"


async def test_an_exception_among_the_responses_is_raised_to_its_own_caller(gateway):
    a, b = submit(coalescer(gateway), "a", "b")
    await turns()
    gateway.respond(outcome=lambda calls: [KeyError("a"), "fine"])
    with pytest.raises(KeyError):
        await a
    assert await b == "fine"


async def test_a_failed_statement_fails_all_of_its_callers(gateway):
    asked = submit(coalescer(gateway), "a", "b")
    await turns()
    gateway.fail(StorageUnavailable(stored="unknown"))
    for outcome in await asyncio.gather(*asked, return_exceptions=True):
        assert isinstance(outcome, StorageUnavailable)
        assert outcome.stored == "unknown"


async def test_tracebacks_of_a_shared_failure_do_not_grow(gateway):
    asked = submit(coalescer(gateway), *"abcdefgh")
    await turns()
    gateway.fail(StorageUnavailable())
    depths = []
    for caller in asked:
        with pytest.raises(StorageUnavailable) as caught:
            await caller
        depths.append(len(caught.traceback))
    assert len(set(depths)) == 1


@pytest.mark.parametrize("bad", [0, 1, 4, 6])
async def test_a_refused_value_fails_only_its_own_caller(bad):
    async def send(calls):
        if bad in calls:
            raise StatementRefused(f"{bad} is bad")
        return [call * 10 for call in calls]

    asked = submit(coalescer(FunctionGateway(send), size=lambda call: 1), *range(7))
    outcomes = await asyncio.gather(*asked, return_exceptions=True)
    assert isinstance(outcomes.pop(bad), StatementRefused)
    assert outcomes == [call * 10 for call in range(7) if call != bad]


async def test_one_refused_value_in_a_full_batch_costs_few_statements():
    statements = []

    async def send(calls):
        statements.append(calls)
        if 77 in calls:
            raise StatementRefused
        return calls

    asked = submit(coalescer(FunctionGateway(send), size=lambda call: 1), *range(256))
    await asyncio.gather(*asked, return_exceptions=True)
    assert len(statements) <= 17


async def test_a_batch_that_takes_too_long_is_halved_until_a_single_call_fails():
    statements = []

    async def send(calls):
        statements.append(len(calls))
        if len(calls) > 2 or "endless" in calls:
            raise TookTooLong
        return calls

    asked = submit(coalescer(FunctionGateway(send)), *"abcdefg", "endless")
    *results, failure = await asyncio.gather(*asked, return_exceptions=True)
    assert results == [*"abcdefg"]
    assert isinstance(failure, TookTooLong)
    assert failure.stored == "no"
    assert statements == [8, 4, 2, 2, 4, 2, 2, 1, 1]


async def test_a_failure_of_one_half_is_raised_to_the_callers_without_response(gateway):
    a, b = submit(coalescer(gateway), "a", "b")
    await turns()
    gateway.refuse()
    await turns()
    gateway.respond()
    await turns()
    gateway.fail(StorageUnavailable())
    assert await a == "response to a"
    with pytest.raises(StorageUnavailable):
        await b


async def test_a_failed_half_does_not_fail_the_half_that_was_not_sent(gateway):
    a, b = submit(coalescer(gateway), "a", "b")
    await turns()
    gateway.refuse()
    await turns()
    gateway.fail(StorageUnavailable(stored="unknown"))
    await turns()
    assert gateway.batches[2:] == [["b"]]
    gateway.respond()
    with pytest.raises(StorageUnavailable):
        await a
    assert await b == "response to b"


async def test_a_cancelled_statement_leaves_no_caller_waiting(gateway):
    asked = submit(coalescer(gateway), "a", "b")
    await turns()
    gateway.in_flight[0].cancel()
    for caller in asked:
        with pytest.raises(asyncio.CancelledError):
            await caller


async def test_an_exclusive_key_is_in_one_batch_at_a_time_across_coalescers():
    keys, first, second = BatchKeys(), ManualGateway(), ManualGateway()
    begins = coalescer(first, exclusive=keys, key=lambda call: call[0])
    ends = coalescer(second, exclusive=keys, key=lambda call: call[0])
    submit(begins, "a1")
    await turns()
    asked = submit(ends, "a2", "b2", "a3")
    await turns()
    assert second.batches == [["b2"]]
    first.respond()
    await turns()
    assert second.batches == [["b2"], ["a2", "a3"]]
    second.respond()
    second.respond(1)
    assert await asyncio.gather(*asked) == ["response to a2", "response to b2", "response to a3"]
    assert len(keys) == 0


async def test_a_held_key_passes_on_in_the_order_of_arrival():
    keys, first, second = BatchKeys(), ManualGateway(), ManualGateway()
    begins, ends = coalescer(first, exclusive=keys), coalescer(second, exclusive=keys)
    submit(begins, "a")
    await turns()
    submit(ends, "a")
    await turns()
    submit(begins, "a")
    await turns()
    first.respond()
    await turns()
    assert (len(first.batches), len(second.batches)) == (1, 1)
    second.respond()
    await turns()
    assert (len(first.batches), len(second.batches)) == (2, 1)


async def test_the_rest_of_an_exclusive_key_waits_for_its_batch(gateway):
    calls = coalescer(gateway, exclusive=BatchKeys(), key=lambda call: call[0], batch_max=2, concurrency=4)
    submit(calls, "a1", "a2", "a3", "b1")
    await turns()
    assert gateway.batches == [["a1", "a2"], ["b1"]]
    gateway.respond(0)
    await turns()
    assert gateway.batches == [["a1", "a2"], ["b1"], ["a3"]]


async def test_a_key_whose_callers_were_cancelled_is_free_again():
    keys, first, second = BatchKeys(), ManualGateway(), ManualGateway()
    begins, ends = coalescer(first, exclusive=keys), coalescer(second, exclusive=keys)
    submit(begins, "a")
    await turns()
    (left,) = submit(ends, "a")
    await turns()
    left.cancel()
    await turns()
    first.respond()
    await ends.drain()
    await begins.drain()
    assert second.batches == []
    assert len(keys) == 0


async def test_a_failed_batch_releases_its_keys(gateway):
    keys = BatchKeys()
    calls = coalescer(gateway, exclusive=keys)
    (asked,) = submit(calls, "a")
    await turns()
    gateway.fail(StorageUnavailable())
    with pytest.raises(StorageUnavailable):
        await asked
    await calls.drain()
    assert len(keys) == 0


async def test_closing_refuses_further_calls_and_waits_for_the_others(gateway):
    calls = coalescer(gateway, concurrency=1, batch_max=1)
    asked = submit(calls, "a", "b")
    await turns()
    closing = asyncio.ensure_future(calls.close())
    await turns()
    with pytest.raises(ShuttingDown):
        await calls.submit("c")
    gateway.respond()
    await turns()
    assert not closing.done()
    gateway.respond()
    await closing
    assert await asyncio.gather(*asked) == ["response to a", "response to b"]


async def test_a_cancelled_drain_does_not_disturb_another(gateway):
    calls = coalescer(gateway)
    submit(calls, "a")
    await turns()
    impatient, patient = asyncio.ensure_future(calls.drain()), asyncio.ensure_future(calls.drain())
    await turns()
    impatient.cancel()
    await turns()
    gateway.respond()
    await patient


async def test_draining_without_calls_returns(gateway):
    await coalescer(gateway).drain()


async def test_a_statement_runs_in_the_context_of_no_caller():
    whose = contextvars.ContextVar("whose", default="nobody")
    seen = []

    async def send(calls):
        seen.append(whose.get())
        return calls

    whose.set("the caller")
    await coalescer(FunctionGateway(send)).submit("a")
    assert seen == ["nobody"]


async def test_the_stats_count_waiting_and_finished_calls(gateway):
    calls = coalescer(gateway, concurrency=1)
    submit(calls, "a")
    await turns()
    submit(calls, "bb", "ccc")
    await turns()
    stats = calls.stats()
    assert (stats.waiting, stats.waiting_bytes, stats.in_flight, stats.calls, stats.batches) == (2, 5, 1, 3, 1)


async def test_sizes_of_batches_and_the_wait_of_their_oldest_call_are_counted(gateway):
    calls = coalescer(gateway, concurrency=1)
    asked = submit(calls, "a")
    await turns()
    asked += submit(calls, "b", "c", "d")
    await turns()
    gateway.respond()
    await turns()
    gateway.respond()
    await asyncio.gather(*asked)
    sizes, waits = calls.stats().sizes, calls.stats().waits
    assert {bound: count for bound, count in zip(sizes.bounds, sizes.counts, strict=False) if count} == {1: 1, 4: 1}
    assert sum(waits.counts) == 2
    assert waits.total > 0


async def test_a_wait_is_reported_to_the_caller_also_after_a_failure(gateway):
    waits = []

    class Waiting(DatabaseWaiter):
        def waited(self, name, duration_s):
            waits.append((name, duration_s >= 0))

    calls = coalescer(gateway)
    CALLER.set(Waiting())
    asked = [*submit(calls, "a"), asyncio.create_task(calls.submit("b"), context=contextvars.Context())]
    await turns()
    gateway.fail(Overloaded("x"))
    assert len(await asyncio.gather(*asked, return_exceptions=True)) == 2
    assert waits == [("calls", True)]


async def test_the_next_statement_starts_beside_another_that_has_run_for_a_while(gateway):
    now_s = 1.0
    calls = coalescer(gateway, overlap_s=0.02, monotonic_s=lambda: now_s)
    for call in "abc":
        submit(calls, call)
        await turns()
    assert gateway.batches == [["a"]]
    now_s = 1.02
    await until(lambda: len(gateway.batches) == 2)
    assert gateway.batches == [["a"], ["b", "c"]]
    gateway.respond(0)
    gateway.respond(1)
    await calls.drain()


async def test_the_rest_of_a_pause_is_awaited_with_one_timer(gateway, monkeypatch):
    loop, pauses_s = asyncio.get_running_loop(), []
    monkeypatch.setattr(loop, "call_later", lambda pause_s, *_, **__: pauses_s.append(pause_s))
    calls = coalescer(gateway, overlap_s=0.0001, monotonic_s=lambda: 1.0)
    submit(calls, "a")
    await turns()
    submit(calls, "b")
    await turns()
    monkeypatch.undo()
    assert pauses_s == [0.001]
    gateway.respond(0)
    await turns()
    gateway.respond(1)
    await calls.drain()


async def test_the_next_statement_starts_at_once_when_none_is_in_flight(gateway):
    calls = coalescer(gateway, overlap_s=3600)
    submit(calls, "a")
    await turns()
    submit(calls, "b")
    await turns()
    gateway.respond()
    await turns()
    assert gateway.batches == [["a"], ["b"]]
    gateway.respond()
    await calls.drain()
