"""Random schedules of calls, failures and cancellations against what each caller must see."""

import asyncio
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from adapters.postgres.batching.call_queue import BatchKeys
from adapters.postgres.connections.errors import StatementRefused
from domain.errors import StorageUnavailable
from tests.unit.postgres.manual_gateway import FunctionGateway, coalescer, turns

KINDS = 2
CONCURRENCY = 2
BATCH_MAX = 4

asks = st.tuples(st.just("ask"), st.integers(0, KINDS - 1), st.sampled_from("abc"), st.booleans())
cancels = st.tuples(st.just("cancel"), st.integers(0, 1000))
ends = st.tuples(st.just("end"), st.integers(0, 1000), st.sampled_from(["return", "return", "fail", "own failure"]))
pauses = st.tuples(st.just("turn"))
schedules = st.lists(st.one_of(asks, asks, asks, cancels, ends, ends, pauses), max_size=60)


class World:
    """Coalescers over one key set, a database whose results the test supplies, and the callers."""

    def __init__(self, *, exclusive):
        self.exclusive = exclusive
        self.keys = BatchKeys()
        self.coalescers = [self.coalescer_of(kind) for kind in range(KINDS)]
        self.callers = {}
        self.cancelled_unsent = set()
        self.in_flight = []
        self.sent = Counter()
        self.ended = {}
        self.violations = []

    def coalescer_of(self, kind):
        async def send(calls):
            return await self.statement(kind, calls)

        return coalescer(
            FunctionGateway(send),
            name=f"kind {kind}",
            key=lambda call: call[0],
            size=lambda call: 1,
            concurrency=CONCURRENCY,
            batch_max=BATCH_MAX,
            exclusive=self.keys if self.exclusive else None,
        )

    async def statement(self, kind, calls):
        self.check_bounds(kind, calls)
        entry = (kind, calls, asyncio.get_running_loop().create_future())
        self.in_flight.append(entry)
        try:
            how = await entry[2]
        finally:
            self.in_flight.remove(entry)
        self.sent.update(calls)
        return self.outcome(calls, how)

    def check_bounds(self, kind, calls):
        self.expect(0 < len(calls) <= BATCH_MAX, "a batch within its bound")
        self.expect(sum(other == kind for other, _, _ in self.in_flight) < CONCURRENCY, "few statements at once")
        self.expect(not self.cancelled_unsent.intersection(calls), "a cancelled call stays here")
        self.expect(not any(call in self.ended for call in calls), "an ended call is not sent again")
        held = {call[0] for _, others, _ in self.in_flight for call in others} if self.exclusive else set()
        self.expect(held.isdisjoint(call[0] for call in calls), "a key in one batch at a time")

    def expect(self, holds, rule):
        """Note what is broken: raised inside `send` the callers would get it instead."""
        if not holds:
            self.violations.append(rule)

    def outcome(self, calls, how):
        if any(bad for _, _, bad in calls):
            raise StatementRefused
        if how == "fail":
            raise StorageUnavailable
        results = [("return", call) for call in calls]
        if how == "own failure":
            results[0] = KeyError(calls[0])
        for call, result in zip(calls, results, strict=True):
            self.ended[call] = result
        return results

    def ask(self, kind, key, bad):
        call = (key, len(self.callers), bad)
        self.callers[call] = asyncio.ensure_future(self.coalescers[kind].submit(call))

    def cancel(self, number):
        waiting = [call for call, task in self.callers.items() if not task.done()]
        if not waiting:
            return
        call = waiting[number % len(waiting)]
        self.callers[call].cancel()
        if not any(call in calls for _, calls, _ in self.in_flight) and not self.sent[call]:
            self.cancelled_unsent.add(call)

    def end(self, number, how):
        open_ones = [future for _, _, future in self.in_flight if not future.done()]
        if open_ones:
            open_ones[number % len(open_ones)].set_result(how)

    async def play(self, schedule):
        for step, *details in schedule:
            if step == "turn":
                await turns(1)
            else:
                getattr(self, step)(*details[: 3 if step == "ask" else 2])
        drains = [asyncio.ensure_future(one.drain()) for one in self.coalescers]
        while not all(drain.done() for drain in drains):
            self.end(0, "return")
            await turns(1)
        await turns()

    def check(self):
        assert self.violations == []
        for call, task in self.callers.items():
            assert task.done(), "a call was lost"
            if not task.cancelled():
                self.check_outcome(call, task)
        assert len(self.keys) == 0
        assert all(one.stats().waiting == 0 == one.stats().in_flight for one in self.coalescers)

    def check_outcome(self, call, task):
        error = task.exception()
        if isinstance(error, StatementRefused):
            assert call[2], "a good value was refused"
        elif isinstance(error, KeyError):
            assert error is self.ended[call]
        elif error is None:
            assert task.result() == ("return", call) == self.ended[call]
        else:
            assert isinstance(error, StorageUnavailable)
            assert call not in self.ended, "a call that had ended got another result"


@given(schedules, st.booleans())
def test_every_call_gets_its_own_response_once(schedule, exclusive):
    async def live():
        world = World(exclusive=exclusive)
        await world.play(schedule)
        world.check()

    asyncio.run(live())


class Readers:
    """A coalescer that shares equal reads, statements that end when the test says so, and the callers.

    A statement returns its own number for each key; so a result shows which statement a caller got.
    """

    def __init__(self):
        self.statements = []
        self.in_flight = []
        self.callers = []
        self.reads = coalescer(
            FunctionGateway(self.send),
            name="reads",
            size=lambda key: 1,
            concurrency=CONCURRENCY,
            batch_max=BATCH_MAX,
            share=True,
        )
        self.violations = []

    async def send(self, keys):
        number = len(self.statements)
        self.statements.append(keys)
        if len(set(keys)) < len(keys):
            self.violations.append("equal reads in one statement")
        if any(not self.wanted(key) for key in keys):
            self.violations.append("a read without a waiting caller")
        self.in_flight.append(asyncio.get_running_loop().create_future())
        if await self.in_flight[number] == "fail":
            raise StorageUnavailable
        return [(key, number) for key in keys]

    def wanted(self, key):
        return any(asked == key and not task.done() for asked, _, task in self.callers)

    def ask(self, _kind, key, _bad):
        asked_at = len(self.statements)
        self.callers.append((key, asked_at, asyncio.ensure_future(self.reads.submit(key))))

    def cancel(self, number):
        waiting = [task for _, _, task in self.callers if not task.done()]
        if waiting:
            waiting[number % len(waiting)].cancel()

    def end(self, number, how):
        open_ones = [future for future in self.in_flight if not future.done()]
        if open_ones:
            open_ones[number % len(open_ones)].set_result(how)

    async def play(self, schedule):
        for step, *details in schedule:
            if step == "turn":
                await turns(1)
            else:
                getattr(self, step)(*details)
        drain = asyncio.ensure_future(self.reads.drain())
        while not drain.done():
            self.end(0, "return")
            await turns(1)
        await turns()

    def check(self):
        assert self.violations == []
        for key, asked_at, task in self.callers:
            assert task.done(), "a read was lost"
            if not task.cancelled() and task.exception() is None:
                returned, number = task.result()
                assert returned == key, "another caller's result"
                assert number >= asked_at, "a result from before the call"
        assert self.reads.stats().waiting == 0 == self.reads.stats().in_flight


@given(schedules)
def test_equal_reads_share_a_response_that_is_not_older_than_any_of_them(schedule):
    async def live():
        readers = Readers()
        await readers.play(schedule)
        readers.check()

    asyncio.run(live())
