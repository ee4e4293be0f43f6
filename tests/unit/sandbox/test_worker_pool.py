"""The worker pool keeps warm slots for their sessions, evicts within its limits, and serves waiting calls fairly."""

import asyncio

import pytest

from adapters.sandbox.options import MIB
from adapters.sandbox.pool.slot import PoolLimits
from adapters.sandbox.pool.worker_pool import WorkerPool
from domain.errors import Overloaded
from domain.scripts.language import Language
from domain.scripts.limits import Isolation
from domain.stats import Eviction
from tests.unit.sandbox.fakes import ManualProcess, pool_run


def pool_of(slots_max=2, session_slots_max=2, queue_length_max=2, queue_timeout_s=5.0, **more):
    return WorkerPool(PoolLimits(slots_max, session_slots_max, queue_length_max, queue_timeout_s, **more))


async def taken(pool, session, **wanted):
    slot = await pool.acquire(pool_run(session, **wanted))
    slot.process = slot.process or ManualProcess()
    return slot


async def queued(pool, session, **wanted):
    task = asyncio.ensure_future(taken(pool, session, **wanted))
    await asyncio.sleep(0)
    return task


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


async def test_a_waiting_call_gets_the_slot_that_is_given_back():
    pool = pool_of(slots_max=1)
    slot = await taken(pool, 1)
    waiting = await queued(pool, 2)
    assert len(pool.queue) == 1
    pool.release(slot, reusable=True)
    assert (await waiting).session == 2
    assert slot.process.killed


async def test_waiting_calls_are_served_in_the_order_of_arrival():
    pool, served = pool_of(slots_max=1), []
    slot = await taken(pool, 1)
    tasks = [await queued(pool, session) for session in (2, 3)]
    for task in tasks:
        pool.release(slot, reusable=True)
        slot = await task
        served.append(slot.session)
    assert served == [2, 3]


async def test_a_session_at_its_limit_does_not_delay_others():
    pool = pool_of(slots_max=3, session_slots_max=1)
    slot = await taken(pool, 1)
    waiting = await queued(pool, 1)
    await taken(pool, 2)
    assert not waiting.done()
    pool.release(slot, reusable=True)
    assert await waiting is slot


async def test_a_full_queue_rejects_a_call():
    pool = pool_of(slots_max=1, queue_length_max=0)
    await taken(pool, 1)
    with pytest.raises(Overloaded) as refused:
        await pool.acquire(pool_run(2))
    assert refused.value.queue == "a worker"


async def test_a_wait_ends_after_the_queue_timeout():
    pool = pool_of(slots_max=1, queue_timeout_s=0.01)
    await taken(pool, 1)
    with pytest.raises(Overloaded):
        await pool.acquire(pool_run(2))
    assert len(pool.queue) == 0


async def test_a_cancelled_wait_leaves_the_queue():
    pool = pool_of(slots_max=1)
    slot = await taken(pool, 1)
    waiting = await queued(pool, 2)
    waiting.cancel()
    await asyncio.wait([waiting])
    assert len(pool.queue) == 0
    pool.release(slot, reusable=True)
    assert len(pool.table.idle) == 1


async def test_a_wait_that_is_cancelled_in_the_turn_of_its_grant_gives_the_slot_back():
    pool = pool_of(slots_max=1)
    slot = await taken(pool, 1)
    waiting = await queued(pool, 2)
    pool.release(slot, reusable=True)
    waiting.cancel()
    await asyncio.wait([waiting])
    assert waiting.cancelled()
    assert pool.table.count == 0


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
    noisy.process.has_background_activity = True
    pool.evict_background_activity()
    assert (quiet.process.killed, noisy.process.killed) == (False, True)


async def test_a_running_slot_is_not_evicted_for_its_activity():
    pool = pool_of()
    slot = await taken(pool, 1)
    slot.process.has_background_activity = True
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


async def test_clearing_kills_every_worker_and_rejects_every_waiting_call():
    pool = pool_of(slots_max=2)
    busy, idle = await taken(pool, 1), await taken(pool, 2)
    waiting = await queued(pool, 3)
    gone = await queued(pool, 4)
    gone.cancel()
    pool.clear()
    with pytest.raises(Overloaded):
        await waiting
    assert busy.process.killed
    assert idle.process.killed
    assert pool.table.count == 0
    pool.release(busy, reusable=True)
    assert pool.table.count == 0


async def test_an_owner_at_its_limit_does_not_delay_others():
    pool = pool_of(slots_max=5, owner_running_max=1)
    slot = await taken(pool, 1, owner="a")
    waiting = await queued(pool, 2, owner="a")
    await taken(pool, 3, owner="b")
    assert not waiting.done()
    pool.release(slot, reusable=True)
    assert (await waiting).session == 2


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


async def test_an_owner_has_a_fair_share_of_the_running_executions():
    pool = pool_of(slots_max=20, session_slots_max=9, running_max=5, queue_length_max=9)
    many = [await taken(pool, n, owner="many") for n in range(4)]
    waiting = await queued(pool, 9, owner="many")
    assert not waiting.done(), "its share is four times what is free"
    other = await taken(pool, 20, owner="few")
    pool.release(other, reusable=True)
    assert not waiting.done()
    pool.release(many[0], reusable=True)
    assert (await waiting).owner == "many"


async def test_the_owner_with_fewer_running_executions_is_served_first():
    pool = pool_of(slots_max=3, queue_length_max=5)
    running = [await taken(pool, n, owner="many") for n in range(3)]
    late = [await queued(pool, 10 + n, owner="many") for n in range(2)]
    other = await queued(pool, 20, owner="few")
    pool.release(running[0], reusable=False)
    assert (await other).owner == "few"
    assert not any(task.done() for task in late)
    pool.release(running[1], reusable=False)
    assert (await late[0]).session == 10
    late[1].cancel()
    await asyncio.wait([late[1]])


async def test_running_slots_count_their_limit_and_idle_ones_their_measured_memory():
    pool = pool_of(memory_bytes_max=1000 * MIB)
    slot = await taken(pool, 1)
    assert pool.table.memory_bytes == 128 * MIB
    pool.release(slot, reusable=True, memory_bytes=20 * MIB)
    assert pool.table.memory_bytes == 20 * MIB
    await taken(pool, 1)
    assert pool.table.memory_bytes == 128 * MIB
    pool.clear()
    assert pool.table.memory_bytes == 0


async def test_idle_slots_are_evicted_for_the_memory_of_a_new_one():
    pool = pool_of(slots_max=9, memory_bytes_max=150 * MIB)
    idle = []
    for session in (1, 2):
        slot = await taken(pool, session)
        pool.release(slot, reusable=True, memory_bytes=12 * MIB)
        idle.append(slot.process)
    await taken(pool, 3)
    assert [process.killed for process in idle] == [True, False]
    assert pool.table.memory_bytes == 140 * MIB


async def test_a_call_without_memory_waits_for_it():
    pool = pool_of(slots_max=9, memory_bytes_max=200 * MIB)
    slot = await taken(pool, 1)
    waiting = await queued(pool, 2)
    assert not waiting.done()
    pool.release(slot, reusable=False)
    assert (await waiting).session == 2


async def test_a_sessions_own_warm_slot_is_not_evicted_for_its_memory():
    pool = pool_of(slots_max=9, memory_bytes_max=130 * MIB)
    slot = await taken(pool, 1)
    pool.release(slot, reusable=True, memory_bytes=12 * MIB)
    assert await taken(pool, 1) is slot


async def test_a_call_runs_whatever_its_memory_limit_while_nothing_else_runs():
    pool = pool_of(memory_bytes_max=10 * MIB)
    assert (await taken(pool, 1)).is_running


async def test_a_call_waits_for_its_own_warm_worker_before_it_evicts_another_sessions():
    pool = pool_of()
    own, other = await taken(pool, 1), await taken(pool, 2)
    pool.release(other, reusable=True)
    waiting = await queued(pool, 1)
    assert not waiting.done()
    pool.release(own, reusable=True)
    assert await waiting is own
    assert not other.process.killed


async def test_a_call_evicts_an_idle_slot_after_its_wait_for_its_own_worker():
    pool = pool_of(own_worker_wait_s=0)
    own, other = await taken(pool, 1), await taken(pool, 2)
    pool.release(other, reusable=True)
    assert await taken(pool, 1) not in (own, other)
    assert other.process.killed


async def test_a_freed_slot_goes_to_its_own_session_before_it_is_evicted_for_another():
    pool = pool_of(slots_max=1)
    slot = await taken(pool, 1)
    other, own = await queued(pool, 2), await queued(pool, 1)
    pool.release(slot, reusable=True)
    assert await own is slot
    assert not other.done()
    pool.release(slot, reusable=True)
    assert (await other).session == 2
    assert slot.process.killed


async def test_a_call_that_has_waited_for_its_own_worker_comes_before_the_session_of_the_freed_slot():
    pool = pool_of(slots_max=1, own_worker_wait_s=0)
    slot = await taken(pool, 1)
    other = await queued(pool, 2)
    await asyncio.sleep(0)
    own = await queued(pool, 1)
    pool.release(slot, reusable=True)
    assert (await other).session == 2
    assert not own.done()
    own.cancel()


async def test_the_slot_of_an_idle_worker_that_dies_goes_to_a_waiting_call():
    pool = pool_of()
    own, other = await taken(pool, 1), await taken(pool, 2)
    pool.release(other, reusable=True)
    waiting = await queued(pool, 1)
    other.process.die()
    assert await waiting not in (own, other)


async def test_a_new_owner_comes_before_the_waiting_calls_of_a_flood():
    pool = pool_of(slots_max=2, queue_length_max=100, own_worker_wait_s=0)
    first, _ = await taken(pool, 1, owner="flooder"), await taken(pool, 2, owner="flooder")
    flood = [await queued(pool, 3 + i, owner="flooder") for i in range(20)]
    await asyncio.sleep(0.001)
    newcomer = await queued(pool, 99, owner="neighbour")
    pool.release(first, reusable=True)
    await newcomer
    assert not any(each.done() for each in flood)
    for each in flood:
        each.cancel()


async def test_owners_with_equally_many_running_executions_take_turns():
    pool = pool_of(slots_max=1, queue_length_max=100)
    slot = await taken(pool, 1, owner="somebody")
    waiting = [await queued(pool, 10 * i + j, owner=owner) for i, owner in enumerate("ab", 1) for j in range(2)]
    served = []
    for _ in range(4):
        pool.release(slot, reusable=False)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        (ended,) = [each for each in waiting if each.done() and each.result() not in served]
        slot = ended.result()
        served.append(slot)
    assert [each.owner for each in served] == ["a", "b", "a", "b"]


async def test_an_owner_has_a_fair_share_of_the_queue():
    pool = pool_of(slots_max=1, queue_length_max=5)
    await taken(pool, 1, owner="flooder")
    flood = [await queued(pool, 2, owner="flooder") for _ in range(4)]
    with pytest.raises(Overloaded):
        await taken(pool, 2, owner="flooder")
    newcomer = await queued(pool, 3, owner="neighbour")
    assert len(pool.queue) == 5
    with pytest.raises(Overloaded):
        await taken(pool, 4, owner="third")
    for each in (*flood, newcomer):
        each.cancel()


async def test_waiting_calls_of_an_owner_at_its_limit_are_skipped():
    pool = pool_of(slots_max=2, queue_length_max=9, owner_running_max=1)
    first, _ = await taken(pool, 1, owner="a"), await taken(pool, 2, owner="b")
    waiting = [await queued(pool, 3 + i, owner="b") for i in range(3)]
    other = await queued(pool, 9, owner="a")
    pool.release(first, reusable=True)
    await other
    assert not any(each.done() for each in waiting)
    for each in waiting:
        each.cancel()


async def test_a_flood_does_not_evict_the_workers_that_others_keep_warm():
    pool = pool_of(slots_max=10, queue_length_max=100)
    warm = [await taken(pool, i, owner="neighbour") for i in range(2)]
    for slot in warm:
        pool.release(slot, reusable=True)
    flood = [await taken(pool, 10 + i, owner="flooder") for i in range(8)]
    waiting = await queued(pool, 90, owner="flooder")
    assert not waiting.done()
    assert all(slot.process.alive for slot in warm)
    assert [await taken(pool, i, owner="neighbour") for i in range(2)] == warm
    pool.release(flood[0], reusable=True)
    assert (await waiting).session == 90, "an owner may evict its own slots"


async def test_an_owner_with_few_running_executions_may_evict_idle_workers_of_others():
    pool = pool_of(slots_max=3)
    for i in range(3):
        pool.release(await taken(pool, i, owner="abc"[i]), reusable=True)
    for i in range(2):
        await taken(pool, 10 + i, owner="d")
    late = await queued(pool, 12, owner="d")
    assert not late.done(), "as many of its executions run as slots are idle"
    late.cancel()


async def test_an_owner_with_few_warm_workers_does_not_lose_them_to_one_with_many():
    pool = pool_of(slots_max=8)
    few = [await taken(pool, i, owner="few") for i in range(2)]
    for slot in few:
        pool.release(slot, reusable=True)
    for i in range(20):
        pool.release(await taken(pool, 10 + i, owner="many"), reusable=True)
    assert await taken(pool, 0, owner="few") is few[0]
    await taken(pool, 2, owner="few")
    assert [slot.session for slot in pool.table.idle] == [1, *range(25, 30)]


async def test_a_warm_worker_that_is_not_used_for_a_minute_is_evicted():
    now = [0.0]
    pool = WorkerPool(PoolLimits(4, 2, 9, 5.0), now=lambda: now[0])
    pool.release(await taken(pool, 0, owner="few"), reusable=True)
    now[0] = 61.0
    for i in range(4):
        pool.release(await taken(pool, 10 + i, owner="many"), reusable=True)
    assert [slot.session for slot in pool.table.idle] == [10, 11, 12, 13]


async def test_no_slot_is_evicted_if_the_memory_would_still_be_too_small():
    pool = pool_of(slots_max=9, memory_bytes_max=2 * 128 * MIB)
    await taken(pool, 1)
    idle = await taken(pool, 2)
    pool.release(idle, reusable=True, memory_bytes=20 << 20)
    late = await queued(pool, 3, memory_mb=512)
    assert not late.done()
    assert idle.process.alive
    late.cancel()


async def test_before_the_pool_is_full_an_older_call_comes_before_later_calls_of_a_busy_session():
    pool = pool_of(slots_max=9, running_max=1, queue_length_max=9)
    pool.release(await taken(pool, 1), reusable=True)
    hot = await taken(pool, 2)
    waiting, later = await queued(pool, 1), await queued(pool, 2)
    pool.release(hot, reusable=True)
    assert (await waiting).session == 1
    assert not later.done()
    later.cancel()


async def test_a_flood_does_not_evict_warm_workers_of_others_for_their_memory_either():
    pool = pool_of(slots_max=100, queue_length_max=100, memory_bytes_max=10 * 128 * MIB)
    warm = [await taken(pool, i, owner="neighbour") for i in range(2)]
    for slot in warm:
        pool.release(slot, reusable=True)
    for i in range(8):
        await taken(pool, 10 + i, owner="flooder")
    waiting = await queued(pool, 90, owner="flooder")
    assert not waiting.done()
    assert all(slot.process.alive for slot in warm)
    waiting.cancel()


async def test_evictions_are_counted_by_reason():
    pool = pool_of(slots_max=1)
    for session in (1, 2):
        pool.release(await taken(pool, session), reusable=True)
    assert pool.table.evictions == {Eviction.PRESSURE: 1}
    pool.evict_idle(idle_s=-1)
    running = await taken(pool, 3)
    pool.evict(3)
    pool.release(running, reusable=True)
    noisy = await taken(pool, 5)
    pool.release(noisy, reusable=True)
    noisy.process.has_background_activity = True
    pool.evict_background_activity()
    dying = await taken(pool, 4)
    pool.release(dying, reusable=True)
    dying.process.die()
    assert pool.table.evictions == dict.fromkeys(Eviction, 1)


async def test_after_its_wait_for_its_own_worker_a_call_waits_no_longer_than_the_queue_timeout():
    pool = pool_of(slots_max=1, queue_timeout_s=0.02, own_worker_wait_s=0.01)
    await taken(pool, 1)
    async with asyncio.timeout(3):
        with pytest.raises(Overloaded):
            await pool.acquire(pool_run(2))
    assert len(pool.queue) == 0


async def test_a_wait_ends_after_the_queue_timeout_however_long_it_waits_for_its_own_worker():
    pool = pool_of(slots_max=1, queue_timeout_s=0.01, own_worker_wait_s=60.0)
    await taken(pool, 1)
    async with asyncio.timeout(3):
        with pytest.raises(Overloaded):
            await pool.acquire(pool_run(2))


async def test_the_end_of_the_wait_for_an_own_worker_serves_the_call():
    pool = pool_of(own_worker_wait_s=0.01, queue_timeout_s=60.0)
    own, other = await taken(pool, 1), await taken(pool, 2)
    pool.release(other, reusable=True)
    async with asyncio.timeout(3):
        assert await taken(pool, 1) not in (own, other)


async def test_beyond_its_quick_slots_a_session_waits_for_its_own_worker_before_it_gets_another():
    pool = pool_of(slots_max=9, session_slots_max=3, session_quick_slots=1)
    own = await taken(pool, 1)
    waiting = await queued(pool, 1)
    assert not waiting.done()
    assert (await taken(pool, 2)).session == 2
    pool.release(own, reusable=True)
    assert await waiting is own


async def test_after_its_wait_a_session_gets_more_than_its_quick_slots():
    pool = pool_of(slots_max=9, session_slots_max=2, session_quick_slots=1, own_worker_wait_s=0.01, queue_timeout_s=60)
    own = await taken(pool, 1)
    async with asyncio.timeout(3):
        assert await taken(pool, 1) is not own
