"""Quotas of sessions and bytes, by periodic counts."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta

import pytest
from attrs import define, field

from adapters.memory.limits import MemoryReservationStore
from adapters.memory.manual_clock import ManualClock
from domain.errors import QuotaReached, StorageUnavailable
from domain.identity import Owner
from domain.limits.ports import OwnerUsage, ReservationChange, Unlimited, UsageReader
from domain.limits.reservation import SLOT_S, Reserved
from domain.limits.usage_limiter import UsageLimiter, UsageLimiterOptions, UsagePolicy
from tests.support.quotas import limiter_over

ALICE, BOB = Owner("alice"), Owner("bob")


@define(eq=False)
class ManualReader(UsageReader):
    """Returns the counts that the test sets."""

    stored: dict[Owner, OwnerUsage] = field(factory=dict)
    open: dict[Owner, int] = field(factory=dict)
    failure: Exception | None = None
    counted: list[list[Owner]] = field(factory=list)

    async def usage(self, owners: Sequence[Owner], now) -> Sequence[OwnerUsage]:
        self.counted.append(list(owners))
        await asyncio.sleep(0)
        if self.failure is not None:
            raise self.failure
        return [self.stored.get(owner, OwnerUsage(0, 0)) for owner in owners]

    async def open_executions(self, owners: Sequence[Owner], now) -> Sequence[int]:
        if self.failure is not None:
            raise self.failure
        return [self.open.get(owner, 0) for owner in owners]


@define(eq=False)
class CountingStore(MemoryReservationStore):
    """Counts its calls. Other processes may come before each."""

    calls: int = 0

    async def reserve(self, changes: Sequence[ReservationChange]) -> Sequence[Reserved]:
        self.calls += 1
        await asyncio.sleep(0)
        return await super().reserve(changes)


@define(eq=False)
class World:
    policy: UsagePolicy = field(factory=lambda: UsagePolicy(3, 1000))
    options: UsageLimiterOptions = field(factory=UsageLimiterOptions)
    reader: ManualReader = field(factory=ManualReader)
    store: CountingStore = field(factory=CountingStore)
    clock: ManualClock = field(factory=ManualClock)
    calls_here: Counter[Owner] = field(factory=Counter)
    limiter: UsageLimiter = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.limiter = limiter_over(
            self.reader,
            self.clock,
            self.policy,
            store=self.store,
            options=self.options,
            calls_here=lambda owner: self.calls_here[owner],
        )

    def advance(self, span_s: float) -> None:
        self.clock.advance(timedelta(seconds=span_s))

    async def add(self, owner: Owner = ALICE, size: int = 10) -> None:
        await self.limiter.require_capacity(owner, size)
        with self.limiter.adding(owner, size):
            stored = self.reader.stored.get(owner, OwnerUsage(0, 0))
            self.reader.stored[owner] = OwnerUsage(stored.live_sessions + 1, stored.stored_bytes + size)


async def test_half_of_what_is_free_is_reserved_at_each_count_until_the_quota_is_reached():
    world = World(UsagePolicy(9))
    world.reader.stored[ALICE] = OwnerUsage(1, 100)
    counts = []
    for _ in range(8):
        await world.add()
        counts.append(len(world.reader.counted))
    assert counts == [1, 1, 1, 1, 2, 2, 3, 4]
    for _ in range(2):
        with pytest.raises(QuotaReached) as refusal:
            await world.add()
        assert refusal.value.details == {"limit": "live_sessions", "allowed": 9, "observed": 9}
        assert "Close a session" in refusal.value.message
    assert len(world.reader.counted) == 4, "the last count was exact"
    await world.add(BOB)


async def test_the_first_calls_of_an_owner_wait_for_one_count_together():
    world = World(policy=UsagePolicy(3))
    results = await asyncio.gather(*(world.add() for _ in range(5)), return_exceptions=True)
    assert [type(each) for each in results] == [type(None)] * 3 + [QuotaReached] * 2
    assert world.reader.counted == [[ALICE]]


async def test_a_first_count_that_fails_is_repeated_by_a_later_call():
    world = World(UsagePolicy(9), UsageLimiterOptions(failing_s=9))
    world.reader.failure = StorageUnavailable()
    await asyncio.gather(world.add(), world.add())
    world.reader.failure = None
    world.advance(8.9)
    await world.add()
    assert world.reader.counted == [[ALICE]], "the last count decides"
    await world.add(BOB)
    assert world.reader.counted == [[ALICE], [BOB]], "only the count of the other owner failed"
    world.advance(0.1)
    await world.add()
    assert world.reader.counted == [[ALICE], [BOB], [ALICE]]


async def test_while_the_store_fails_calls_wait_for_no_exchange_until_one_in_the_background_succeeds():
    world = World(UsagePolicy(9), UsageLimiterOptions(failing_s=9))
    world.store.failure = StorageUnavailable()
    await world.add()
    for _ in range(3):
        world.advance(2)
        await world.add()
        await world.add(BOB)
    assert (world.store.calls, world.reader.counted) == (1, [])
    world.store.failure = None
    await world.limiter.count()
    assert world.reader.counted == [[ALICE, BOB]]
    await world.add(Owner("carol"))
    assert world.reader.counted[1:] == [[Owner("carol")]], "the store is asked again"


async def test_a_caller_that_leaves_does_not_end_the_count_of_others():
    world = World()
    leaving, staying = asyncio.create_task(world.add()), asyncio.create_task(world.add())
    await asyncio.sleep(0)
    leaving.cancel()
    await staying
    assert (leaving.cancelled(), world.reader.counted) == (True, [[ALICE]])


async def test_a_session_that_would_exceed_the_bytes_is_refused():
    world = World(UsagePolicy(stored_bytes_max=100))
    await world.add(size=60)
    with pytest.raises(QuotaReached) as refusal:
        await world.add(size=41)
    assert refusal.value.details == {"limit": "stored_bytes", "allowed": 100, "observed": 60}
    await world.add(size=40)


async def test_bytes_that_are_stored_beside_sessions_count():
    world = World(UsagePolicy(stored_bytes_max=100))
    await world.limiter.require_capacity(ALICE, 60, hidden=True)
    world.limiter.added(ALICE, 60)
    with pytest.raises(QuotaReached):
        await world.limiter.require_capacity(ALICE, 41, hidden=True)
    Unlimited().added(ALICE, 60)


async def test_nothing_is_counted_for_bytes_without_a_quota_of_them():
    world = World(UsagePolicy(live_sessions_max=1))
    await world.limiter.require_capacity(ALICE, 60, hidden=True)
    world.limiter.added(ALICE, 60)
    with world.limiter.adding(ALICE, 60, hidden=True):
        assert world.reader.counted == []
        await world.limiter.require_capacity(ALICE, 60)


async def test_sessions_count_while_they_are_made_unless_they_fail():
    world = World(UsagePolicy(live_sessions_max=1))
    with contextlib.suppress(KeyError), world.limiter.adding(ALICE, 1):
        with pytest.raises(QuotaReached):
            await world.add()
        raise KeyError
    await world.add()


async def test_a_closed_session_no_longer_counts():
    world = World(UsagePolicy(live_sessions_max=1))
    await world.add()
    world.limiter.closed(BOB)
    with pytest.raises(QuotaReached):
        await world.add()
    world.limiter.closed(ALICE)
    world.reader.stored[ALICE] = OwnerUsage(0, 0)
    await world.add()


async def test_a_closed_session_counts_for_nothing_without_a_quota_of_sessions():
    world = World(UsagePolicy(stored_bytes_max=100))
    await world.add(size=100)
    world.limiter.closed(ALICE)
    with pytest.raises(QuotaReached):
        await world.add(size=1)


async def test_an_old_count_refuses_nobody():
    world = World(UsagePolicy(live_sessions_max=3))
    assert await made_by(world, 4) == 3
    world.reader.stored[ALICE] = OwnerUsage(0, 0)  # all have expired
    world.advance(0.9)
    assert await made_by(world, 1) == 0
    world.advance(0.1)
    assert await made_by(world, 4) == 3


async def test_the_next_count_finds_sessions_of_other_controllers_and_expired_ones():
    world = World(UsagePolicy(10))
    await world.add()
    world.reader.stored[ALICE] = OwnerUsage(9, 90)
    await world.add()
    await world.limiter.count()
    assert world.reader.counted == [[ALICE]], "the pause is not over"
    world.advance(2)
    await world.limiter.count()
    with pytest.raises(QuotaReached):
        await world.add()
    world.reader.stored[ALICE] = OwnerUsage(2, 20)
    world.advance(2)
    await world.limiter.count()
    await world.add()


def controllers_of_one_database(number: int, policy: UsagePolicy) -> list[World]:
    reader, store, clock = ManualReader(), CountingStore(), ManualClock()
    return [World(policy, reader=reader, store=store, clock=clock) for _ in range(number)]


async def made_by(world: World, number: int) -> int:
    """Let a controller make so many sessions, or fewer if it refuses; return how many it made."""
    for made in range(number):
        try:
            await world.add()
        except QuotaReached:
            return made
    return number


@pytest.mark.parametrize("number", [2, 4])
async def test_controllers_together_never_exceed_a_quota_and_reach_it(number):
    allowed, at_once = 20, 3
    controllers = controllers_of_one_database(number, UsagePolicy(live_sessions_max=allowed))
    total = 0
    for _ in range(allowed):
        total += sum([await made_by(each, at_once) for each in controllers])
        assert total <= allowed
        for each in controllers:
            await each.limiter.count()
        controllers[0].advance(1)
    assert total == allowed
    assert [await made_by(each, 1) for each in controllers] == [0] * number


@pytest.mark.parametrize("number", [2, 4])
async def test_controllers_that_fill_a_quota_at_the_same_time_share_it(number):
    controllers = controllers_of_one_database(number, UsagePolicy(live_sessions_max=20))
    made = await asyncio.gather(*(made_by(each, 99) for each in controllers))
    assert sum(made) == 20


@pytest.mark.parametrize(
    ("others", "stored", "statements"),
    [(False, 0, 2), (False, 50, 2), (False, 51, 3), (False, 100, 3), (True, 0, 3), (True, 99, 3)],
)
async def test_a_first_session_needs_two_statements_or_three_and_the_next_ones_none(others, stored, statements):
    """Three near the quota, or if other controllers have reserved something of it."""
    one, other = controllers_of_one_database(2, UsagePolicy(live_sessions_max=100))
    if others:
        await other.add()
        await other.limiter.release()
    one.reader.stored[ALICE] = OwnerUsage(stored, 0)
    one.reader.counted.clear()
    one.store.calls = 0
    made = await made_by(one, 20)
    assert made == min(20, 100 - stored)
    if made == 20:
        assert len(one.reader.counted) + one.store.calls == statements


async def test_controllers_that_count_at_the_same_time_refuse_nobody_and_keep_nothing():
    """A part that was rejected delays no other one."""
    controllers = controllers_of_one_database(2, UsagePolicy(live_sessions_max=20))
    owners = [Owner(f"owner-{number}") for number in range(150)]
    reserved = controllers[0].store.reserved

    async def pass_time(span_s: float) -> None:
        for _ in range(int(span_s / 0.25)):
            controllers[0].advance(0.25)
            await asyncio.gather(*(each.limiter.count() for each in controllers))

    for _ in range(3):
        await asyncio.gather(*(each.add(owner) for each in controllers for owner in owners))
        await pass_time(1)
    await pass_time(4)
    assert [owner for owner in owners if reserved[owner, "live_sessions"].total] == []


async def test_a_call_waits_for_what_another_controller_has_reserved_and_does_not_use():
    one, other = controllers_of_one_database(2, UsagePolicy(live_sessions_max=2))
    await one.limiter.require_capacity(ALICE, 0)
    await made_by(other, 1)

    async def count(_: float) -> None:
        one.advance(0.25)
        for each in (one, other):
            await each.limiter.count()

    waiting = limiter_over(one.reader, one.clock, UsagePolicy(2), store=one.store, sleep=count)
    await waiting.require_capacity(ALICE, 0)


async def test_a_call_that_waited_too_long_is_refused_and_may_be_repeated():
    one, other = controllers_of_one_database(2, UsagePolicy(live_sessions_max=2))
    await one.add()
    with one.limiter.adding(ALICE, 10), pytest.raises(QuotaReached) as reached:
        await other.add()
    assert reached.value.details == {"limit": "live_sessions", "allowed": 2, "observed": 2, "retry_after_ms": 1000}
    assert other.clock.now() - ManualClock().now() >= timedelta(seconds=other.options.wait_s)


async def test_what_a_controller_reserved_before_it_ended_is_free_again_after_two_slots():
    one, other = controllers_of_one_database(2, UsagePolicy(live_sessions_max=4))
    await one.limiter.require_capacity(ALICE, 0)
    assert await made_by(other, 4) == 2
    other.advance(2 * SLOT_S)
    assert await made_by(other, 4) == 2


async def test_what_a_controller_reserved_is_free_at_once_if_it_ends_in_order():
    one, other = controllers_of_one_database(2, UsagePolicy(live_sessions_max=8))
    await one.add(BOB)
    await made_by(one, 2)
    await other.add(BOB)
    await one.limiter.release()
    assert one.store.reserved[ALICE, "live_sessions"].total == 0
    assert await made_by(other, 99) == 6


async def test_what_is_being_made_or_counted_is_not_returned():
    world = World(UsagePolicy(live_sessions_max=8))
    await world.limiter.require_capacity(ALICE, 10)
    await world.limiter.require_capacity(BOB, 10)
    world.advance(1)
    counting = asyncio.create_task(world.limiter.count())
    await asyncio.sleep(0)
    await world.limiter.require_capacity(ALICE, 10)
    await world.limiter.release()
    await counting
    with world.limiter.adding(ALICE, 10):
        await world.limiter.release()
        assert world.store.reserved[ALICE, "live_sessions"].total == 1
    world.store.failure = StorageUnavailable()
    await world.limiter.release()


async def test_a_session_whose_end_is_unknown_counts_until_the_next_count():
    world = World(UsagePolicy(live_sessions_max=1))
    for stored, refused in (("no", False), ("unknown", True)):
        await world.limiter.require_capacity(ALICE, 10)
        with pytest.raises(StorageUnavailable), world.limiter.adding(ALICE, 10):
            raise StorageUnavailable(stored=stored)
        assert (world.limiter.left(ALICE)["live_sessions"] == 0) is refused


@pytest.mark.parametrize("stored", ["no", "unknown"])
async def test_a_quota_holds_although_the_response_of_the_store_is_lost(stored):
    one, other = controllers_of_one_database(2, UsagePolicy(live_sessions_max=8))
    await one.add()
    one.store.failure = StorageUnavailable(stored=stored)
    one.advance(1)
    with pytest.raises(StorageUnavailable):
        await one.limiter.count()
    one.store.failure = None
    assert sum(await asyncio.gather(made_by(one, 99), made_by(other, 99))) <= 7


async def test_an_exchange_is_repeated_if_another_controller_has_changed_what_is_reserved():
    one, other = controllers_of_one_database(2, UsagePolicy(live_sessions_max=100))
    await one.add()
    await one.add(BOB)
    await other.add()
    one.advance(1)
    await one.limiter.count()
    assert one.limiter.debug_snapshot()["sessions_due"] == [ALICE, BOB]
    one.advance(0.25)
    await one.limiter.count()
    assert one.reader.counted[-2:] == [[ALICE, BOB], [ALICE]], "only what was rejected is repeated at once"
    assert one.store.reserved[ALICE, "live_sessions"].total > 0


async def test_a_session_made_during_a_count_is_not_lost():
    world = World(UsagePolicy(live_sessions_max=2))
    await world.add()
    world.advance(2)
    await world.limiter.require_capacity(ALICE, 10)
    counting = asyncio.create_task(world.limiter.count())
    await asyncio.sleep(0)
    world.reader.stored[ALICE] = OwnerUsage(1, 10)
    with world.limiter.adding(ALICE, 10):
        await counting
    with pytest.raises(QuotaReached):
        await world.add()


async def test_nobody_is_refused_for_a_session_that_a_count_may_have_counted_twice():
    world = World(UsagePolicy(live_sessions_max=3))
    await world.add()
    world.advance(2)
    await world.limiter.require_capacity(ALICE, 10)
    with world.limiter.adding(ALICE, 10):
        world.reader.stored[ALICE] = OwnerUsage(2, 20)  # its commit is not confirmed yet
        await world.limiter.count()
    await world.add()
    assert len(world.reader.counted) == 3
    with pytest.raises(QuotaReached):
        await world.add()
    assert len(world.reader.counted) == 3, "an exact count is not repeated"


async def test_a_failed_count_leaves_the_last_count_in_use():
    world = World(UsagePolicy(live_sessions_max=2))
    world.reader.failure = StorageUnavailable()
    await world.add()
    await world.add()
    with pytest.raises(QuotaReached):
        await world.add()
    with pytest.raises(StorageUnavailable):
        await world.limiter.count()
    world.reader.failure = None
    world.reader.stored[ALICE] = OwnerUsage(1, 10)
    await world.limiter.count()
    await world.add()


async def test_after_a_failed_count_a_statement_covers_fewer_owners():
    world = World(options=UsageLimiterOptions(batch_max=4))
    for name in "abcdabcd":
        await world.add(Owner(name))
    world.reader.counted.clear()
    world.advance(2)
    world.reader.failure = StorageUnavailable()
    with pytest.raises(StorageUnavailable):
        await world.limiter.count()
    world.reader.failure = None
    for _ in range(2):
        await world.limiter.count()
    assert [len(counted) for counted in world.reader.counted] == [4, 2, 2]


async def test_calls_elsewhere_are_all_open_executions_but_those_of_this_controller():
    world = World(UsagePolicy())
    assert world.limiter.calls_elsewhere(ALICE) == 0
    world.reader.open[ALICE], world.calls_here[ALICE] = 5, 2
    await world.limiter.count()
    assert world.limiter.calls_elsewhere(ALICE) == 3
    world.advance(3)
    assert world.limiter.calls_elsewhere(ALICE) == 0, "the count is too old"
    await world.limiter.require_capacity(ALICE, 10**12)
    assert world.reader.counted == [], "there is no quota of sessions or bytes"


async def test_owners_in_memory_are_bounded_and_idle_ones_are_forgotten():
    world = World(UsagePolicy(30), UsageLimiterOptions(owners_max=2))
    for name in "abc":
        await world.add(Owner(name))
    assert len(world.limiter) == 2
    world.advance(30)
    await world.limiter.count()
    await world.add(Owner("c"))
    world.advance(60)
    await world.limiter.count()
    await world.limiter.count()
    world.advance(61)
    with world.limiter.adding(ALICE, 1):
        for _ in range(2):
            await world.limiter.count()
        assert len(world.limiter) == 1


async def test_the_loop_counts_and_continues_after_failures():
    world = World(options=UsageLimiterOptions(pause_s=0.001, recount_pause_s=0.001))
    world.reader.failure = StorageUnavailable()
    running = asyncio.create_task(world.limiter.run())
    try:
        await world.add()
        async with asyncio.timeout(5):
            while len(world.reader.counted) < 3:
                world.advance(1)
                await asyncio.sleep(0.001)
            world.reader.failure = None
            while world.limiter.debug_snapshot()["sessions_due"]:
                world.advance(1)
                await asyncio.sleep(0.001)
    finally:
        running.cancel()


async def test_without_quotas_every_session_is_allowed():
    unlimited = Unlimited()
    await unlimited.require_capacity(ALICE, 10**12)
    with unlimited.adding(ALICE, 10**12):
        unlimited.closed(ALICE)
