"""Sessions in turn that are more than the slots do not all start cold, and others keep what recency gives them."""

import pytest

from adapters.sandbox.options import PoolLimits
from adapters.sandbox.pool.worker_pool import WorkerPool
from tests.unit.sandbox.eviction_policies import (
    LeastRecent,
    OwnPolicy,
    changing,
    cold_share,
    in_turn,
    popular,
    short_lives,
)
from tests.unit.sandbox.fakes import pool_of, taken


@pytest.mark.parametrize(("sessions", "cold_max"), [(160, 25), (256, 55)])
def test_sessions_in_turn_beyond_the_slots_are_cold_little_more_than_they_must_be(sessions, cold_max):
    assert cold_share(OwnPolicy(), in_turn(sessions)) < cold_max


@pytest.mark.parametrize("uses", [popular(0.8), popular(1.0), changing(), short_lives()])
def test_other_uses_are_not_colder_than_with_the_least_recently_used_first(uses):
    half = uses[: len(uses) // 2]  # the table in record 0028 has all of them
    assert cold_share(OwnPolicy(), half) < cold_share(LeastRecent(), half) + 1


async def used(pool, *sessions, **wanted):
    """Run each session once, one after the other, and return which were warm."""
    warm = []
    for session in sessions:
        slot = await taken(pool, session, **wanted)
        slot.runs += 1
        warm.append(slot.runs > 1)
        pool.release(slot, reusable=True)
    return warm


async def test_an_evicted_session_that_comes_back_takes_the_newest_slot_that_was_used_once():
    pool = pool_of(slots_max=3)
    await used(pool, 1, 2, 3, 4)
    assert await used(pool, 1) == [False]
    assert [slot.session for slot in pool.table.idle] == [2, 3, 1]
    assert await used(pool, 2, 3) == [True, True]


async def test_slots_that_were_used_again_go_after_those_that_were_used_once():
    pool = pool_of(slots_max=3)
    await used(pool, 1, 2, 3, 4, 3, 4)
    await used(pool, 1)
    assert [slot.session for slot in pool.table.idle] == [3, 4, 1]


async def test_a_slot_that_is_idle_for_long_makes_room_for_a_session_that_comes_back_soon():
    now = 0.0
    pool = WorkerPool(PoolLimits(2, 2, 2, 5.0), now=lambda: now)
    in_turn = ((0, 1, [1]), (1, 2, [1, 2]), (2, 3, [2, 3]), (3, 1, [2, 1]), (5, 3, [2, 3]), (9, 1, [2, 1]))
    for at, session, left in (*in_turn, (10, 3, [2, 3]), (11, 1, [3, 1])):
        now = float(at)
        await used(pool, session)
        assert [slot.session for slot in pool.table.idle] == left


async def test_the_order_of_eviction_does_not_cross_the_shares_of_owners():
    pool = pool_of(slots_max=4)
    await used(pool, 1, 2, owner="neighbour")
    await used(pool, 11, 12, 13, owner="flooder")
    await used(pool, 11, 12, 13, 14, 11, owner="flooder")
    assert await used(pool, 1, 2, owner="neighbour") == [True, True]
