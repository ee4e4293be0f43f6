"""The worker pool keeps warm slots for their sessions, and evicts them within its limits."""

import pytest

from adapters.sandbox.options import PoolLimits
from adapters.sandbox.pool.worker_pool import WorkerPool
from domain.scripts.language import Language
from domain.scripts.limits import Isolation
from tests.unit.sandbox.fakes import pool_of, queued, taken


async def test_a_session_gets_its_warm_slot_again():
    pool = pool_of()
    slot = await taken(pool, 1)
    pool.release(slot, reusable=True)
    assert await taken(pool, 1) is slot


async def test_a_warm_slot_is_never_given_to_another_session():
    pool = pool_of()
    slot = await taken(pool, 1)
    pool.release(slot, reusable=True)
    assert await taken(pool, 2) is not slot
    assert slot.process.alive


@pytest.mark.parametrize(("language", "memory_mb"), [(Language.PYTHON, 64), (Language.NODEJS, 128)])
async def test_a_slot_of_another_kind_is_not_used(language, memory_mb):
    pool = pool_of()
    slot = await taken(pool, 1)
    pool.release(slot, reusable=True)
    assert await taken(pool, 1, language=language, memory_mb=memory_mb) is not slot


async def test_a_worker_that_is_not_reusable_is_killed_and_its_slot_removed():
    pool = pool_of()
    slot = await taken(pool, 1)
    pool.release(slot, reusable=False)
    assert slot.process.killed
    assert pool.table.count == 0


async def test_a_dead_worker_is_not_kept():
    pool = pool_of()
    slot = await taken(pool, 1)
    slot.process.alive = False
    pool.release(slot, reusable=True)
    assert pool.table.count == 0


async def test_with_isolation_by_process_every_run_has_a_slot_of_its_own():
    pool = pool_of()
    slot = await taken(pool, 1, isolation=Isolation.PROCESS)
    pool.release(slot, reusable=True)
    assert slot.process.killed
    assert await taken(pool, 1, isolation=Isolation.PROCESS) is not slot


async def test_the_least_recently_used_idle_slot_is_evicted():
    pool = pool_of()
    first, second = await taken(pool, 1), await taken(pool, 2)
    pool.release(second, reusable=True)
    pool.release(first, reusable=True)
    await taken(pool, 3)
    assert second.process.killed
    assert not first.process.killed


async def test_at_the_sessions_limit_its_own_idle_slot_of_another_kind_is_evicted():
    pool = pool_of(slots_max=5, session_slots_max=1)
    old = await taken(pool, 1)
    pool.release(old, reusable=True)
    await taken(pool, 1, memory_mb=64)
    assert old.process.killed


async def test_a_session_at_its_limit_does_not_delay_others():
    pool = pool_of(slots_max=3, session_slots_max=1)
    slot = await taken(pool, 1)
    waiting = await queued(pool, 1)
    await taken(pool, 2)
    assert not waiting.done()
    pool.release(slot, reusable=True)
    assert await waiting is slot


async def test_an_ended_session_loses_idle_slots_at_once_and_running_ones_after_the_run():
    pool = pool_of()
    idle, busy = await taken(pool, 1), await taken(pool, 1)
    pool.release(idle, reusable=True)
    pool.evict(1)
    assert (idle.process.killed, busy.process.killed) == (True, False)
    pool.release(busy, reusable=True)
    assert busy.process.killed
    assert pool.table.count == 0


async def test_idle_slots_are_evicted_after_the_idle_time():
    now = [0.0]
    pool = WorkerPool(PoolLimits(2, 2, 2, 1.0), now=lambda: now[0])
    old, young = await taken(pool, 1), await taken(pool, 2)
    pool.release(old, reusable=True)
    now[0] = 7.0
    pool.release(young, reusable=True)
    pool.evict_idle(5.0)
    assert (old.process.killed, young.process.killed) == (True, False)


async def test_idle_slots_are_evicted_when_their_session_expires():
    now = [0.0]
    pool = WorkerPool(PoolLimits(2, 2, 2, 1.0), now=lambda: now[0])
    slot = await taken(pool, 1)
    slot.useful_until = 1.0
    pool.release(slot, reusable=True)
    pool.evict_idle(100.0)
    assert not slot.process.killed
    now[0] = 1.5
    pool.evict_idle(100.0)
    assert slot.process.killed


async def test_idle_slots_with_background_activity_are_evicted():
    pool = pool_of()
    quiet, noisy = await taken(pool, 1), await taken(pool, 2)
    for slot in (quiet, noisy):
        pool.release(slot, reusable=True)
    noisy.process.meter.has_background_activity = True
    pool.evict_background_activity()
    assert (quiet.process.killed, noisy.process.killed) == (False, True)


async def test_a_running_slot_is_not_evicted_for_its_activity():
    pool = pool_of()
    slot = await taken(pool, 1)
    slot.process.meter.has_background_activity = True
    pool.evict_background_activity()
    assert not slot.process.killed


async def test_an_idle_worker_that_dies_frees_its_slot():
    pool = pool_of()
    slot = await taken(pool, 1)
    pool.release(slot, reusable=True)
    slot.process.die()
    assert (pool.table.count, len(pool.table.idle)) == (0, 0)


async def test_a_worker_that_runs_again_is_not_watched_for_its_death():
    pool = pool_of()
    slot = await taken(pool, 1)
    pool.release(slot, reusable=True)
    await taken(pool, 1)
    assert slot.process.on_death is None


async def test_more_slots_stay_warm_than_run_at_once():
    pool = pool_of(slots_max=9, running_max=2)
    warm = [await taken(pool, n) for n in (1, 2)]
    waiting = await queued(pool, 3)
    assert not waiting.done()
    pool.release(warm[0], reusable=True)
    third = await waiting
    assert warm[0] in pool.table.idle
    own = await queued(pool, 1)
    assert not own.done(), "a warm slot does not run beyond the limit either"
    pool.release(third, reusable=True)
    assert await own is warm[0]
    assert not warm[1].process.killed


async def test_a_warm_worker_that_is_not_used_for_a_minute_is_evicted():
    now = [0.0]
    pool = WorkerPool(PoolLimits(4, 2, 9, 5.0), now=lambda: now[0])
    pool.release(await taken(pool, 0, owner="few"), reusable=True)
    now[0] = 61.0
    for i in range(4):
        pool.release(await taken(pool, 10 + i, owner="many"), reusable=True)
    assert [slot.session for slot in pool.table.idle] == [10, 11, 12, 13]
