"""One limiter alone, several limiters over one store, and both while the store is unavailable."""

import asyncio
from datetime import timedelta

import pytest
from attrs import define, field
from hypothesis import given
from hypothesis import strategies as st

from adapters.memory.limits import MemoryRateStore
from adapters.memory.manual_clock import ManualClock, no_jitter
from domain.errors import StorageUnavailable
from domain.identity import Owner
from domain.limits.ports import RateCharge
from domain.limits.rate import RateLimited, RatePolicy
from domain.limits.rate_limiter import RateLimiter, RateLimiterOptions
from tests.support.waiting import until

ALICE, BOB = Owner("alice"), Owner("bob")
MS = 1_000_000
PAUSE_MS = 200


@define(eq=False)
class Fleet:
    """Controllers over one store, in a time that the test drives, in milliseconds."""

    policy: RatePolicy
    size: int = 1
    options: RateLimiterOptions = field(factory=RateLimiterOptions)
    store: MemoryRateStore = field(factory=MemoryRateStore)
    clock: ManualClock = field(factory=ManualClock)
    now_ms: int = 0
    limiters: list[RateLimiter] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.limiters = [
            RateLimiter(
                self.store,
                self.clock,
                # Each process has a monotonic clock of its own.
                lambda start_ns=i * 10**12: start_ns + self.now_ms * MS,
                no_jitter,
                self.options,
            )
            for i in range(self.size)
        ]

    def advance(self, span_ms: int) -> None:
        self.now_ms += span_ms
        self.clock.advance(timedelta(milliseconds=span_ms))

    def admitted(self, limiter: int = 0, calls: int = 1, owner: Owner = ALICE) -> int:
        """Return how many of these calls one controller admits."""
        count = 0
        for _ in range(calls):
            try:
                self.limiters[limiter].charge(owner, self.policy)
            except RateLimited:
                continue
            count += 1
        return count

    async def settle(self, *limiters: int) -> None:
        for limiter in limiters or range(self.size):
            await self.limiters[limiter].settle()


def fleet_of(count: int = 10, window_s: int = 10, size: int = 1, **options: float) -> Fleet:
    return Fleet(RatePolicy("execute", count, window_s), size, RateLimiterOptions(**options))


def test_each_owner_has_a_quota_of_its_own():
    fleet = fleet_of(3)
    assert (fleet.admitted(calls=9), fleet.admitted(calls=9, owner=BOB)) == (3, 3)
    assert fleet.limiters[0].refusals == {"execute": 12}


def test_a_call_that_counts_as_many_uses_as_many():
    fleet = fleet_of(10)
    (limiter,) = fleet.limiters
    assert limiter.charge(ALICE, fleet.policy, 8).remaining == 2
    with pytest.raises(RateLimited):
        limiter.charge(ALICE, fleet.policy, 3)
    assert limiter.charge(ALICE, fleet.policy, 2).remaining == 0


async def test_controllers_learn_of_the_calls_of_others_in_their_next_settlement():
    fleet = fleet_of(10, size=3)
    assert fleet.admitted(0, calls=8) == 8
    await fleet.settle()
    assert fleet.admitted(1, calls=1) == 1, "it does not know the owner"
    await fleet.settle()
    assert fleet.admitted(1, calls=9) == 1
    await fleet.settle()
    assert fleet.admitted(0, calls=9) == 2, "the first controller knows the state of its last settlement"
    await fleet.settle()
    assert [fleet.admitted(i, calls=9) for i in (0, 1)] == [0, 0]


async def test_overshoot_is_repaid():
    fleet = fleet_of(10, 10, size=2)
    assert fleet.admitted(0, calls=20) + fleet.admitted(1, calls=20) == 20
    await fleet.settle()
    total = 20
    for _ in range(20):
        fleet.advance(1000)
        await fleet.settle()
        total += fleet.admitted(0, calls=9)
        await fleet.settle()
    assert total == 10 + 20


async def test_a_controller_judges_alone_while_the_store_is_unavailable_and_reports_later():
    fleet = fleet_of(10, 10, size=2)
    fleet.store.failure = StorageUnavailable(stored="no")
    assert fleet.admitted(0, calls=20) == 10
    with pytest.raises(StorageUnavailable):
        await fleet.settle(0)
    fleet.advance(1000)
    assert fleet.admitted(0, calls=20) == 1
    fleet.store.failure = None
    await fleet.settle(0)
    assert fleet.admitted(1, calls=1) == 1
    await fleet.settle(1)
    assert fleet.admitted(1, calls=20) == 0


async def test_calls_refilled_while_the_store_was_unavailable_are_not_reported():
    fleet = fleet_of(10, 10, size=2)
    fleet.store.failure = StorageUnavailable(stored="no")
    fleet.admitted(0, calls=10)
    fleet.advance(60_000)
    with pytest.raises(StorageUnavailable):
        await fleet.settle(0)
    assert fleet.admitted(0, calls=4) == 4
    fleet.store.failure = None
    await fleet.settle(0)
    fleet.admitted(1)
    await fleet.settle(1)
    assert fleet.admitted(1, calls=20) == 5


async def test_a_charge_that_may_be_stored_is_not_reported_again():
    fleet = fleet_of(10, 10)
    fleet.admitted(calls=3)
    fleet.store.failure = StorageUnavailable(stored="unknown")
    with pytest.raises(StorageUnavailable):
        await fleet.settle()
    fleet.store.failure = None
    fleet.admitted(calls=1)
    await fleet.settle()
    now = fleet.clock.now()
    assert fleet.store.full_at == {(ALICE, "execute"): now + timedelta(seconds=1)}


@define(eq=False)
class HeldStore(MemoryRateStore):
    """Returns when the test lets it, or raises the failure that the test sets."""

    arrived: asyncio.Event = field(factory=asyncio.Event)
    released: asyncio.Event = field(factory=asyncio.Event)
    late_failure: Exception | None = None
    settlements: list[int] = field(factory=list)

    async def settle(self, charges: list[RateCharge]):
        self.settlements.append(len(charges))
        full_at = await super().settle(charges)
        self.arrived.set()
        await self.released.wait()
        if self.late_failure is not None:
            raise self.late_failure
        return full_at


@pytest.mark.parametrize("failure", [None, StorageUnavailable(stored="no")])
async def test_calls_during_a_settlement_are_reported_with_the_next_one(failure):
    fleet = Fleet(RatePolicy("execute", 10, 10), store=HeldStore())
    store = fleet.store
    fleet.admitted(calls=2)
    settling = asyncio.create_task(fleet.settle())
    await store.arrived.wait()
    fleet.admitted(calls=3)
    if failure is not None:
        store.full_at.clear()
    store.late_failure = failure
    store.released.set()
    await asyncio.wait([settling])
    assert (settling.exception() is None) == (failure is None)
    assert fleet.admitted(calls=10) == 5
    store.late_failure = None
    await fleet.settle()
    assert store.full_at[ALICE, "execute"] == fleet.clock.now() + timedelta(seconds=10)


@pytest.mark.parametrize("failure", [None, StorageUnavailable(stored="no")])
async def test_an_account_that_is_dropped_during_its_settlement_stays_dropped(failure):
    options = RateLimiterOptions(accounts_max=1)
    fleet = Fleet(RatePolicy("execute", 10, 10), options=options, store=HeldStore(late_failure=failure))
    fleet.admitted()
    settling = asyncio.create_task(fleet.settle())
    await fleet.store.arrived.wait()
    fleet.admitted(owner=BOB)
    fleet.store.released.set()
    await asyncio.wait([settling])
    assert (settling.exception() is None) == (failure is None)
    unsettled = [] if failure is None else [BOB]
    assert fleet.limiters[0].debug_snapshot() == {"known": [BOB], "unsettled": unsettled}


async def test_a_settlement_is_bounded_in_owners():
    fleet = Fleet(RatePolicy("execute", 10, 10), options=RateLimiterOptions(batch_max=2), store=HeldStore())
    fleet.store.released.set()
    for i in range(5):
        fleet.admitted(owner=Owner(f"owner-{i}"))
    await fleet.settle()
    assert fleet.store.settlements == [2, 2, 1]


async def test_accounts_in_memory_are_bounded_and_idle_ones_are_dropped():
    fleet = fleet_of(10, 10, accounts_max=3)
    for i in range(5):
        fleet.admitted(owner=Owner(f"owner-{i}"))
    assert len(fleet.limiters[0]) == 3
    await fleet.settle()
    assert len(fleet.limiters[0]) == 3
    fleet.advance(1000)
    fleet.admitted(owner=ALICE)
    await fleet.settle()
    assert len(fleet.limiters[0]) == 1


async def test_a_dropped_account_has_its_state_again_after_the_next_settlement():
    fleet = fleet_of(10, 10, accounts_max=1)
    fleet.admitted(calls=9)
    await fleet.settle()
    fleet.admitted(owner=BOB)
    fleet.admitted()
    await fleet.settle()
    assert fleet.admitted(calls=9) == 0


async def test_accounts_are_dropped_although_the_store_is_unavailable():
    fleet = fleet_of(10, 10, accounts_max=2)
    fleet.store.failure = StorageUnavailable(stored="no")
    for i in range(5):
        fleet.admitted(owner=Owner(f"owner-{i}"))
        with pytest.raises(StorageUnavailable):
            await fleet.settle()
    fleet.store.failure = None
    await fleet.settle()
    assert {owner for owner, _ in fleet.store.full_at} == {"owner-3", "owner-4"}


async def test_idle_owners_are_removed_from_the_store_in_batches():
    fleet = fleet_of(10, 10, forget_pause_s=5)
    fleet.store.examined_max = 2
    for i in range(3):
        fleet.admitted(owner=Owner(f"owner-{i}"))
    await fleet.settle()
    fleet.advance(7000)
    for left in (1, 0):
        await fleet.limiters[0].forget_idle()
        assert len(fleet.store.full_at) == left


async def test_the_loop_settles_forgets_and_continues_after_failures():
    fleet = fleet_of(10, 10, settle_pause_s=0.001, retry_pause_s=0.001, forget_pause_s=0.001)
    (limiter,) = fleet.limiters
    fleet.store.failure = StorageUnavailable(stored="no")
    running = asyncio.create_task(limiter.run())
    try:
        fleet.admitted()
        await until(lambda: limiter.failures)
        fleet.store.failure = None
        await until(lambda: limiter.settlements)
        assert (ALICE, "execute") in fleet.store.full_at
        fleet.advance(5000)
        fleet.admitted(owner=BOB)
        await until(lambda: (ALICE, "execute") not in fleet.store.full_at)
    finally:
        running.cancel()


@st.composite
def timetables(draw):
    size = draw(st.integers(1, 4))
    steps = st.tuples(st.integers(0, size - 1), st.integers(1, 30), st.integers(0, 3))
    return size, draw(st.lists(steps, max_size=60))


async def test_the_loop_settles_after_each_pause_and_forgets_less_often():
    fleet = fleet_of(10, 10, settle_pause_s=0.001)
    (limiter,) = fleet.limiters
    running = asyncio.create_task(limiter.run())
    try:
        for settled in (1, 2):
            fleet.admitted()
            await until(lambda settled=settled: limiter.settlements == settled)
    finally:
        running.cancel()


def most_within(instants_ms: list[int]) -> int:
    """Return how many of these lie within two settlements at most."""
    return max((sum(at_ms - 2 * PAUSE_MS < each <= at_ms for each in instants_ms) for at_ms in instants_ms), default=0)


@given(st.integers(1, 20), st.integers(1, 10), timetables())
def test_controllers_exceed_a_policy_by_at_most_the_calls_of_the_others_in_two_settlements(count, window_s, timetable):
    """Each controller settles after every pause, and receives any number of calls."""
    size, steps = timetable
    fleet = fleet_of(count, window_s, size)
    admitted: list[tuple[int, int]] = []
    for limiter, calls, pauses in steps:
        admitted += [(fleet.now_ms, limiter)] * fleet.admitted(limiter, calls)
        for _ in range(pauses):
            asyncio.run(fleet.settle())
            fleet.advance(PAUSE_MS)
    unreported = [most_within([at_ms for at_ms, by in admitted if by == limiter]) for limiter in range(size)]
    excess = sum(min(count, each) for each in unreported) - min(unreported)
    for last, (until_ms, _) in enumerate(admitted):
        for first, (from_ms, _) in enumerate(admitted[: last + 1]):
            back = (until_ms - from_ms + PAUSE_MS) * MS / fleet.policy.interval_ns
            assert last + 1 - first <= count + back + excess + 1e-9
