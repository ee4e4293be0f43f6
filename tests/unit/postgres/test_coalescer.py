"""The coalescer."""

import asyncio
import contextvars

import pytest

from adapters.postgres.batching.batch_keys import BatchKeys
from adapters.postgres.batching.coalescer import Coalescer, CoalescerOptions
from adapters.postgres.connections.errors import StatementRefused, TookTooLong
from adapters.postgres.connections.observer import CALLER, DatabaseWaiter
from domain.errors import Overloaded, ShuttingDown, StorageUnavailable
from tests.support.waiting import until
from tests.unit.postgres.manual_send import ManualSend, turns


@pytest.fixture
def send():
    return ManualSend()


def coalescer(send, *, share=False, exclusive=None, key=lambda call: call, size=len, **options):
    return Coalescer(
        "calls", send, key=key, size=size, options=CoalescerOptions(**options), exclusive=exclusive, share=share
    )


def ask(calls, *what):
    return [asyncio.ensure_future(calls.ask(call)) for call in what]


async def test_a_lone_call_leaves_at_once(send):
    (asked,) = ask(coalescer(send), "a")
    await turns()
    assert send.batches == [["a"]]
    send.answer()
    assert await asked == "answer to a"


async def test_calls_of_one_turn_leave_together_and_get_their_own_answers(send):
    asked = ask(coalescer(send), "a", "b", "c")
    await turns()
    send.answer()
    assert await asyncio.gather(*asked) == ["answer to a", "answer to b", "answer to c"]
    assert send.batches == [["a", "b", "c"]]


async def test_calls_that_arrive_while_all_statements_are_under_way_leave_together_next(send):
    calls = coalescer(send, concurrency=1)
    ask(calls, "a")
    await turns()
    ask(calls, "b")
    await turns()
    ask(calls, "c")
    await turns()
    assert send.batches == [["a"]]
    send.answer()
    await turns()
    assert send.batches == [["a"], ["b", "c"]]
    send.answer()
    await calls.drain()


async def test_no_more_statements_are_under_way_than_allowed(send):
    calls = coalescer(send, concurrency=2, batch_max=1)
    asked = ask(calls, *"abcde")
    await turns()
    assert send.batches == [["a"], ["b"]]
    while send.under_way:
        send.answer()
        await turns()
    assert send.busiest == 2
    assert len(await asyncio.gather(*asked)) == 5


async def test_a_batch_is_bounded_in_calls(send):
    calls = coalescer(send, concurrency=9, batch_max=2)
    ask(calls, *"abcde")
    await turns()
    assert send.batches == [["a", "b"], ["c", "d"], ["e"]]


async def test_a_batch_is_bounded_in_bytes_but_never_empty(send):
    calls = coalescer(send, concurrency=9, batch_bytes_max=4)
    ask(calls, "aa", "bb", "c", "dddddd", "e")
    await turns()
    assert send.batches == [["aa", "bb"], ["c"], ["dddddd"], ["e"]]


async def test_calls_of_one_key_may_be_in_one_batch_and_stay_in_order(send):
    calls = coalescer(send, key=lambda call: call[0], exclusive=BatchKeys())
    asked = ask(calls, "a1", "b1", "a2")
    await turns()
    assert send.batches == [["a1", "a2", "b1"]]
    send.answer()
    assert await asyncio.gather(*asked) == ["answer to a1", "answer to b1", "answer to a2"]


async def test_what_a_full_batch_leaves_behind_of_a_key_leaves_next_and_in_order(send):
    calls = coalescer(send, key=lambda call: call[0], batch_max=2, concurrency=4)
    ask(calls, "a1", "a2", "b1", "a3")
    await turns()
    assert send.batches == [["a1", "a2"], ["a3", "b1"]]


async def test_a_call_that_is_cancelled_after_its_batch_was_made_up_is_not_sent(send):
    calls = coalescer(send)
    (a,) = ask(calls, "a")
    await turns(1)
    asyncio.get_running_loop().call_soon(a.cancel)
    await calls.drain()
    assert send.batches == []
    assert a.cancelled()


async def test_beyond_the_queue_a_call_is_refused_at_once(send):
    calls = coalescer(send, concurrency=1, queue_max=2)
    ask(calls, "a")
    await turns()
    ask(calls, "b", "c")
    await turns()
    with pytest.raises(Overloaded) as caught:
        await calls.ask("d")
    assert caught.value.stored == "no"
    assert calls.stats().overloaded == 1
    assert calls.stats().waiting == 2


async def test_the_queue_is_bounded_in_bytes_too(send):
    calls = coalescer(send, concurrency=1, queue_bytes_max=4)
    ask(calls, "aaa")
    await turns()
    ask(calls, "bbb")
    await turns()
    with pytest.raises(Overloaded):
        await calls.ask("cc")


async def test_equal_reads_that_have_not_left_are_one_call(send):
    calls = coalescer(send, share=True, concurrency=1)
    asked = ask(calls, "a", "b", "a")
    await turns()
    asked += ask(calls, "a", "a")
    await turns()
    assert send.batches == [["a", "b"]]
    send.answer()
    await turns()
    assert send.batches == [["a", "b"], ["a"]]
    send.answer()
    assert await asyncio.gather(*asked) == [f"answer to {call}" for call in "abaaa"]


async def test_a_shared_read_is_sent_while_one_of_its_callers_waits(send):
    calls = coalescer(send, share=True)
    left, stayed = ask(calls, "a", "a")
    await turns(1)
    left.cancel()
    await turns()
    assert send.batches == [["a"]]
    send.answer()
    assert await stayed == "answer to a"


async def test_a_call_that_is_cancelled_before_it_leaves_is_not_sent(send):
    calls = coalescer(send, concurrency=1)
    ask(calls, "a")
    await turns()
    b, c = ask(calls, "b", "c")
    await turns()
    b.cancel()
    send.answer()
    await turns()
    assert send.batches == [["a"], ["c"]]
    send.answer()
    assert await c == "answer to c"


async def test_a_batch_that_everybody_has_left_is_not_sent(send):
    calls = coalescer(send, concurrency=1)
    ask(calls, "a")
    await turns()
    (b,) = ask(calls, "b")
    await turns()
    b.cancel()
    await turns()
    send.answer()
    await calls.drain()
    assert send.batches == [["a"]]
    assert calls.stats().waiting == 0
    assert calls.stats().waiting_bytes == 0


async def test_a_caller_that_leaves_does_not_disturb_its_batch(send):
    a, b = ask(coalescer(send), "a", "b")
    await turns()
    a.cancel()
    await turns()
    assert a.cancelled()
    send.answer()
    assert await b == "answer to b"


async def test_an_exception_among_the_answers_is_its_callers_own(send):
    a, b = ask(coalescer(send), "a", "b")
    await turns()
    send.answer(outcome=lambda calls: [KeyError("a"), "fine"])
    with pytest.raises(KeyError):
        await a
    assert await b == "fine"


async def test_a_failed_statement_fails_all_of_its_callers(send):
    asked = ask(coalescer(send), "a", "b")
    await turns()
    send.fail(StorageUnavailable(stored="unknown"))
    for outcome in await asyncio.gather(*asked, return_exceptions=True):
        assert isinstance(outcome, StorageUnavailable)
        assert outcome.stored == "unknown"


async def test_tracebacks_of_a_shared_failure_do_not_grow(send):
    asked = ask(coalescer(send), *"abcdefgh")
    await turns()
    send.fail(StorageUnavailable())
    depths = []
    for caller in asked:
        with pytest.raises(StorageUnavailable) as caught:
            await caller
        depths.append(len(caught.traceback))
    assert len(set(depths)) == 1


@pytest.mark.parametrize("bad", [0, 1, 4, 6])
async def test_a_refused_value_fails_its_own_caller_only(bad):
    async def send(calls):
        if bad in calls:
            raise StatementRefused(f"{bad} is bad")
        return [call * 10 for call in calls]

    asked = ask(coalescer(send, size=lambda call: 1), *range(7))
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

    asked = ask(coalescer(send, size=lambda call: 1), *range(256))
    await asyncio.gather(*asked, return_exceptions=True)
    assert len(statements) <= 17


async def test_a_batch_that_takes_too_long_is_done_in_smaller_ones_and_one_call_alone_fails_with_that():
    statements = []

    async def send(calls):
        statements.append(len(calls))
        if len(calls) > 2 or "endless" in calls:
            raise TookTooLong
        return calls

    asked = ask(coalescer(send), *"abcdefg", "endless")
    *answers, failure = await asyncio.gather(*asked, return_exceptions=True)
    assert answers == [*"abcdefg"]
    assert isinstance(failure, TookTooLong)
    assert failure.stored == "no"
    assert statements == [8, 4, 2, 2, 4, 2, 2, 1, 1]


async def test_a_failure_while_a_refused_batch_is_taken_apart_goes_to_those_not_answered(send):
    a, b = ask(coalescer(send), "a", "b")
    await turns()
    send.refuse()
    await turns()
    send.answer()
    await turns()
    send.fail(StorageUnavailable())
    assert await a == "answer to a"
    with pytest.raises(StorageUnavailable):
        await b


async def test_a_half_that_fails_does_not_fail_the_other_which_was_not_sent(send):
    a, b = ask(coalescer(send), "a", "b")
    await turns()
    send.refuse()
    await turns()
    send.fail(StorageUnavailable(stored="unknown"))
    await turns()
    assert send.batches[2:] == [["b"]]
    send.answer()
    with pytest.raises(StorageUnavailable):
        await a
    assert await b == "answer to b"


async def test_a_wrong_number_of_answers_is_told_to_every_caller(send):
    asked = ask(coalescer(send), "a", "b")
    await turns()
    send.answer(outcome=lambda calls: ["only one"])
    for outcome in await asyncio.gather(*asked, return_exceptions=True):
        assert isinstance(outcome, RuntimeError)


async def test_a_statement_that_is_cancelled_from_inside_leaves_no_caller_waiting(send):
    asked = ask(coalescer(send), "a", "b")
    await turns()
    send.under_way[0].cancel()
    for caller in asked:
        with pytest.raises(asyncio.CancelledError):
            await caller


async def test_an_exclusive_key_is_in_one_batch_at_a_time_whatever_the_kind():
    keys, first, second = BatchKeys(), ManualSend(), ManualSend()
    begins = coalescer(first, exclusive=keys, key=lambda call: call[0])
    ends = coalescer(second, exclusive=keys, key=lambda call: call[0])
    ask(begins, "a1")
    await turns()
    asked = ask(ends, "a2", "b2", "a3")
    await turns()
    assert second.batches == [["b2"]]
    first.answer()
    await turns()
    assert second.batches == [["b2"], ["a2", "a3"]]
    second.answer()
    second.answer(1)
    assert await asyncio.gather(*asked) == ["answer to a2", "answer to b2", "answer to a3"]
    assert len(keys) == 0


async def test_a_held_key_goes_to_its_waiters_in_the_order_of_arrival():
    keys, first, second = BatchKeys(), ManualSend(), ManualSend()
    begins, ends = coalescer(first, exclusive=keys), coalescer(second, exclusive=keys)
    ask(begins, "a")
    await turns()
    ask(ends, "a")
    await turns()
    ask(begins, "a")
    await turns()
    first.answer()
    await turns()
    assert (len(first.batches), len(second.batches)) == (1, 1)
    second.answer()
    await turns()
    assert (len(first.batches), len(second.batches)) == (2, 1)


async def test_what_a_full_batch_leaves_behind_of_a_key_waits_for_that_batch(send):
    calls = coalescer(send, exclusive=BatchKeys(), key=lambda call: call[0], batch_max=2, concurrency=4)
    ask(calls, "a1", "a2", "a3", "b1")
    await turns()
    assert send.batches == [["a1", "a2"], ["b1"]]
    send.answer(0)
    await turns()
    assert send.batches == [["a1", "a2"], ["b1"], ["a3"]]


async def test_a_key_whose_waiters_have_all_left_is_free_again():
    keys, first, second = BatchKeys(), ManualSend(), ManualSend()
    begins, ends = coalescer(first, exclusive=keys), coalescer(second, exclusive=keys)
    ask(begins, "a")
    await turns()
    (left,) = ask(ends, "a")
    await turns()
    left.cancel()
    await turns()
    first.answer()
    await ends.drain()
    await begins.drain()
    assert second.batches == []
    assert len(keys) == 0


async def test_a_failed_batch_gives_its_keys_back(send):
    keys = BatchKeys()
    calls = coalescer(send, exclusive=keys)
    (asked,) = ask(calls, "a")
    await turns()
    send.fail(StorageUnavailable())
    with pytest.raises(StorageUnavailable):
        await asked
    await calls.drain()
    assert len(keys) == 0


async def test_closing_takes_no_more_calls_and_waits_for_the_rest(send):
    calls = coalescer(send, concurrency=1, batch_max=1)
    asked = ask(calls, "a", "b")
    await turns()
    closing = asyncio.ensure_future(calls.close())
    await turns()
    with pytest.raises(ShuttingDown):
        await calls.ask("c")
    send.answer()
    await turns()
    assert not closing.done()
    send.answer()
    await closing
    assert await asyncio.gather(*asked) == ["answer to a", "answer to b"]


async def test_one_who_gives_up_on_draining_does_not_disturb_another(send):
    calls = coalescer(send)
    ask(calls, "a")
    await turns()
    impatient, patient = asyncio.ensure_future(calls.drain()), asyncio.ensure_future(calls.drain())
    await turns()
    impatient.cancel()
    await turns()
    send.answer()
    await patient


async def test_draining_when_nothing_is_there_returns(send):
    await coalescer(send).drain()


async def test_a_statement_runs_in_the_context_of_no_caller():
    whose = contextvars.ContextVar("whose", default="nobody")
    seen = []

    async def send(calls):
        seen.append(whose.get())
        return calls

    whose.set("the caller")
    await coalescer(send).ask("a")
    assert seen == ["nobody"]


async def test_the_figures_tell_what_waits_and_what_was_done(send):
    calls = coalescer(send, concurrency=1)
    ask(calls, "a")
    await turns()
    ask(calls, "bb", "ccc")
    await turns()
    stats = calls.stats()
    assert (stats.waiting, stats.waiting_bytes, stats.under_way, stats.calls, stats.batches) == (2, 5, 1, 3, 1)


async def test_sizes_of_batches_and_the_wait_of_their_oldest_call_are_counted(send):
    calls = coalescer(send, concurrency=1)
    asked = ask(calls, "a")
    await turns()
    asked += ask(calls, "b", "c", "d")
    await turns()
    send.answer()
    await turns()
    send.answer()
    await asyncio.gather(*asked)
    sizes, waits = calls.stats().sizes, calls.stats().waits
    assert {bound: count for bound, count in zip(sizes.bounds, sizes.counts, strict=False) if count} == {1: 1, 4: 1}
    assert sum(waits.counts) == 2
    assert waits.total > 0


async def test_a_caller_is_told_what_they_waited_whatever_came_of_it(send):
    waits = []

    class Waiting(DatabaseWaiter):
        def waited(self, name, duration_s):
            waits.append((name, duration_s >= 0))

    calls = coalescer(send)
    CALLER.set(Waiting())
    asked = [*ask(calls, "a"), asyncio.create_task(calls.ask("b"), context=contextvars.Context())]
    await turns()
    send.fail(Overloaded("x"))
    assert len(await asyncio.gather(*asked, return_exceptions=True)) == 2
    assert waits == [("calls", True)]


async def test_the_next_statement_leaves_beside_another_once_that_has_been_under_way_for_a_while(send, monkeypatch):
    calls = coalescer(send, overlap_s=0.02)
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    with monkeypatch.context() as standing:
        standing.setattr("adapters.postgres.batching.coalescer.time.monotonic", lambda: began_s)
        for call in "abc":
            ask(calls, call)
            await turns()
        assert send.batches == [["a"]]
    await until(lambda: len(send.batches) == 2)
    assert send.batches == [["a"], ["b", "c"]]
    assert loop.time() - began_s >= 0.01
    send.answer(0)
    send.answer(1)
    await calls.drain()


async def test_what_is_left_of_a_pause_is_not_spent_by_asking_again_in_every_turn(send, monkeypatch):
    loop, pauses_s = asyncio.get_running_loop(), []
    monkeypatch.setattr(loop, "call_later", lambda pause_s, *_, **__: pauses_s.append(pause_s))
    monkeypatch.setattr("adapters.postgres.batching.coalescer.time.monotonic", lambda: 1.0)
    calls = coalescer(send, overlap_s=0.0001)
    ask(calls, "a")
    await turns()
    ask(calls, "b")
    await turns()
    monkeypatch.undo()
    assert pauses_s == [0.001]
    send.answer(0)
    await turns()
    send.answer(1)
    await calls.drain()


async def test_the_next_statement_leaves_at_once_when_none_is_under_way_any_more(send):
    calls = coalescer(send, overlap_s=3600)
    ask(calls, "a")
    await turns()
    ask(calls, "b")
    await turns()
    send.answer()
    await turns()
    assert send.batches == [["a"], ["b"]]
    send.answer()
    await calls.drain()
