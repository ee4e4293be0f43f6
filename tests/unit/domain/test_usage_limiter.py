"""Quotas of sessions and bytes, by periodic counts."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Sequence

import pytest
from attrs import define, field

from adapters.memory.manual_clock import ManualClock
from domain.errors import QuotaReached, StorageUnavailable
from domain.identity import Owner
from domain.limits.ports import OwnerUsage, Unlimited, UsageReader
from domain.limits.usage_limiter import UsageLimiter, UsageLimiterOptions, UsagePolicy

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
class World:
    policy: UsagePolicy = field(factory=lambda: UsagePolicy(3, 1000))
    options: UsageLimiterOptions = field(factory=UsageLimiterOptions)
    reader: ManualReader = field(factory=ManualReader)
    calls_here: Counter[Owner] = field(factory=Counter)
    now_s: float = 1000.0
    limiter: UsageLimiter = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.limiter = UsageLimiter(
            self.policy,
            self.reader,
            ManualClock(),
            lambda: int(self.now_s * 1_000_000_000),
            lambda owner: self.calls_here[owner],
            self.options,
        )

    async def add(self, owner: Owner = ALICE, size: int = 10) -> None:
        await self.limiter.require_capacity(owner, size)
        with self.limiter.adding(owner, size):
            stored = self.reader.stored.get(owner, OwnerUsage(0, 0))
            self.reader.stored[owner] = OwnerUsage(stored.live_sessions + 1, stored.stored_bytes + size)


async def test_an_owner_is_counted_once_and_later_sessions_are_added():
    world = World()
    world.reader.stored[ALICE] = OwnerUsage(1, 100)
    for _ in range(2):
        await world.add()
    with pytest.raises(QuotaReached) as refusal:
        await world.add()
    assert refusal.value.details == {"limit": "live_sessions", "allowed": 3, "observed": 3}
    assert "Close a session" in refusal.value.message
    await world.add(BOB)
    assert world.reader.counted == [[ALICE], [BOB]]


async def test_the_first_calls_of_an_owner_wait_for_one_count_together():
    world = World(policy=UsagePolicy(3))
    results = await asyncio.gather(*(world.add() for _ in range(5)), return_exceptions=True)
    assert [type(each) for each in results] == [type(None)] * 3 + [QuotaReached] * 2
    assert world.reader.counted == [[ALICE]]


async def test_a_first_count_that_fails_is_repeated_by_the_next_call():
    world = World()
    world.reader.failure = StorageUnavailable()
    await asyncio.gather(world.add(), world.add())
    world.reader.failure = None
    await world.add()
    assert world.reader.counted == [[ALICE], [ALICE]]


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
    assert world.reader.counted == []


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
    world.limiter.closed(ALICE)
    await world.add()


async def test_the_next_count_finds_sessions_of_other_controllers_and_expired_ones():
    world = World()
    await world.add()
    world.reader.stored[ALICE] = OwnerUsage(3, 30)
    await world.add()
    await world.limiter.count()
    assert world.reader.counted == [[ALICE]], "the pause is not over"
    world.now_s += 2
    await world.limiter.count()
    with pytest.raises(QuotaReached):
        await world.add()
    world.reader.stored[ALICE] = OwnerUsage(2, 20)
    world.now_s += 2
    await world.limiter.count()
    await world.add()


def controllers_of_one_database(number: int, policy: UsagePolicy) -> list[World]:
    reader = ManualReader()
    return [World(policy, reader=reader) for _ in range(number)]


async def made_by(world: World, number: int) -> int:
    """Let a controller make so many sessions, or fewer if it refuses; return how many it made."""
    for made in range(number):
        try:
            await world.add()
        except QuotaReached:
            return made
    return number


@pytest.mark.parametrize("number", [2, 4])
async def test_controllers_exceed_a_quota_by_what_the_others_make_between_two_counts(number):
    allowed, at_once = 20, 3
    controllers = controllers_of_one_database(number, UsagePolicy(live_sessions_max=allowed))
    total = 0
    for _ in range(allowed):
        total += sum([await made_by(each, at_once) for each in controllers])
        for each in controllers:
            each.now_s += each.options.recount_pause_s
            await each.limiter.count()
    assert allowed <= total <= allowed + (number - 1) * at_once
    assert [await made_by(each, 1) for each in controllers] == [0] * number


@pytest.mark.parametrize("number", [2, 4])
async def test_controllers_that_all_fill_a_quota_before_a_count_have_as_many_quotas_and_none_more(number):
    controllers = controllers_of_one_database(number, UsagePolicy(live_sessions_max=5))
    for each in controllers:
        await each.limiter.require_capacity(ALICE, 0)  # each has counted an owner without sessions
    assert [await made_by(each, 9) for each in controllers] == [5] * number
    for each in controllers:
        each.now_s += each.options.recount_pause_s
        await each.limiter.count()
        with pytest.raises(QuotaReached) as reached:
            await each.add()
        assert reached.value.observed == 5 * number


async def test_a_session_made_during_a_count_is_not_lost():
    world = World(UsagePolicy(live_sessions_max=2))
    await world.add()
    world.now_s += 2
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
    world.now_s += 2
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
    world.now_s += 2
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
    world.now_s += 3
    assert world.limiter.calls_elsewhere(ALICE) == 0, "the count is too old"
    await world.limiter.require_capacity(ALICE, 10**12)
    assert world.reader.counted == [], "there is no quota of sessions or bytes"


async def test_owners_in_memory_are_bounded_and_idle_ones_are_forgotten():
    world = World(options=UsageLimiterOptions(owners_max=2))
    for name in "abc":
        await world.add(Owner(name))
    assert len(world.limiter) == 2
    world.now_s += 30
    await world.limiter.count()
    await world.add(Owner("c"))
    world.now_s += 60
    await world.limiter.count()
    await world.limiter.count()
    world.now_s += 61
    with world.limiter.adding(ALICE, 1):
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
                world.now_s += 1
                await asyncio.sleep(0.001)
            world.reader.failure = None
            while world.limiter.debug_snapshot()["sessions_due"]:
                world.now_s += 1
                await asyncio.sleep(0.001)
    finally:
        running.cancel()


async def test_without_quotas_every_session_is_allowed():
    unlimited = Unlimited()
    await unlimited.require_capacity(ALICE, 10**12)
    with unlimited.adding(ALICE, 10**12):
        unlimited.closed(ALICE)
