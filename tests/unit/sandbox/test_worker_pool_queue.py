"""Calls that find no slot wait in order, first for a worker of their own session, and for a limited time."""

import asyncio

import pytest

from domain.errors import Overloaded
from tests.unit.sandbox.fakes import pool_of, pool_run, queued, taken


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


async def test_a_full_queue_rejects_a_call():
    pool = pool_of(slots_max=1, queue_length_max=0)
    await taken(pool, 1)
    with pytest.raises(Overloaded) as refused:
        await pool.acquire(pool_run(2))
    assert refused.value.message.startswith("Too many calls are waiting for a worker, so this call")


async def test_a_wait_ends_after_the_queue_timeout():
    pool = pool_of(slots_max=1, queue_timeout_s=0.01)
    await taken(pool, 1)
    with pytest.raises(Overloaded) as refused:
        await pool.acquire(pool_run(2))
    assert refused.value.message == (
        "This call waited 0.01 s for a worker, until QUEUE_TIMEOUT_MS, and was not started. Repeat it after a moment."
    )
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


async def test_before_the_pool_is_full_an_older_call_comes_before_later_calls_of_a_busy_session():
    pool = pool_of(slots_max=9, running_max=1, queue_length_max=9)
    pool.release(await taken(pool, 1), reusable=True)
    hot = await taken(pool, 2)
    waiting, later = await queued(pool, 1), await queued(pool, 2)
    pool.release(hot, reusable=True)
    assert (await waiting).session == 1
    assert not later.done()
    later.cancel()


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
