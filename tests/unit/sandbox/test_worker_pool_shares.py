"""Owners share slots, executions, memory and the queue fairly, and a flood does not evict warm workers of others."""

import asyncio

import pytest

from adapters.sandbox.options import MIB
from domain.errors import Overloaded
from domain.scripts.language import Language
from domain.stats import Eviction
from tests.unit.sandbox.fakes import give_back, pool_of, queued, taken


async def test_an_owner_at_its_limit_does_not_delay_others():
    pool = pool_of(slots_max=5, owner_running_max=1)
    slot = await taken(pool, 1, owner="a")
    waiting = await queued(pool, 2, owner="a")
    await taken(pool, 3, owner="b")
    assert not waiting.done()
    pool.release(slot, reusable=True)
    assert (await waiting).session == 2


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
    give_back(pool, slot, memory_mb=20)
    assert pool.table.memory_bytes == 20 * MIB
    await taken(pool, 1)
    assert pool.table.memory_bytes == 128 * MIB
    pool.clear()
    assert pool.table.memory_bytes == 0


async def test_a_running_slot_counts_its_interpreter_beside_the_limit_of_its_script():
    pool = pool_of(memory_bytes_max=272 * MIB, interpreter_mb={Language.PYTHON: 10})
    await taken(pool, 1)
    assert pool.table.memory_bytes == 138 * MIB
    late = await queued(pool, 2)
    assert not late.done(), "272 MiB are not enough for two"
    late.cancel()
    await asyncio.wait([late])


async def test_idle_slots_are_evicted_for_the_memory_of_a_new_one():
    pool = pool_of(slots_max=9, memory_bytes_max=150 * MIB)
    idle = []
    for session in (1, 2):
        slot = await taken(pool, session)
        give_back(pool, slot, memory_mb=12)
        idle.append(slot.process)
    await taken(pool, 3)
    assert [process.killed for process in idle] == [True, False]
    assert pool.table.memory_bytes == 140 * MIB


async def test_idle_workers_are_measured_before_one_is_evicted_for_memory():
    pool = pool_of(slots_max=9, memory_bytes_max=170 * MIB)
    idle = []
    for session in (1, 2, 3):
        slot = await taken(pool, session)
        give_back(pool, slot, memory_mb=30, private_mb=2)
        idle.append(slot.process)
    await taken(pool, 4)
    assert [process.alive for process in idle] == [True, True, True]
    assert pool.table.memory_bytes == (2 + 2 + 30 + 128) * MIB, "no more are measured than needed"


async def test_workers_that_count_shared_memory_are_measured_before_those_that_were_measured_before():
    pool = pool_of(slots_max=99, memory_bytes_max=(40 * 2 + 30 + 100) * MIB)
    for session in range(40):
        slot = await taken(pool, session)
        give_back(pool, slot, memory_mb=2, private_mb=2, is_outdated=True)
    slot = await taken(pool, 40, memory_mb=30)
    give_back(pool, slot, memory_mb=30, private_mb=2)
    await taken(pool, 41)
    assert pool.table.evictions == {}
    assert len(pool.table.outdated) == 40, "no more are measured than needed"


async def test_growth_since_a_measurement_is_found_when_nothing_else_frees_memory():
    pool = pool_of(slots_max=9, memory_bytes_max=150 * MIB)
    slot = await taken(pool, 1)
    give_back(pool, slot, memory_mb=23, private_mb=24, is_outdated=True)
    await taken(pool, 2)
    assert slot.process.killed
    assert not pool.table.outdated


async def test_a_worker_that_shares_little_memory_is_evicted_after_its_measurement():
    pool = pool_of(slots_max=9, memory_bytes_max=150 * MIB)
    slot = await taken(pool, 1)
    give_back(pool, slot, memory_mb=30, private_mb=29)
    await taken(pool, 2)
    assert slot.process.killed
    assert pool.table.memory_bytes == 128 * MIB


async def test_the_worker_of_a_session_counts_its_limit_again_when_it_runs():
    pool = pool_of(slots_max=9, memory_bytes_max=140 * MIB)
    slot = await taken(pool, 1)
    give_back(pool, slot, memory_mb=30, private_mb=2)
    await taken(pool, 1)
    assert pool.table.memory_bytes == 128 * MIB
    assert not pool.table.unmeasured


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
    give_back(pool, slot, memory_mb=12)
    assert await taken(pool, 1) is slot


async def test_a_call_runs_whatever_its_memory_limit_while_nothing_else_runs():
    pool = pool_of(memory_bytes_max=10 * MIB)
    assert (await taken(pool, 1)).is_running


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
    slot = await taken(pool, 1, owner="other")
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


async def test_no_slot_is_evicted_if_the_memory_would_still_be_too_small():
    pool = pool_of(slots_max=9, memory_bytes_max=2 * 128 * MIB)
    await taken(pool, 1)
    idle = await taken(pool, 2)
    give_back(pool, idle, memory_mb=20)
    late = await queued(pool, 3, memory_mb=512)
    assert not late.done()
    assert idle.process.alive
    late.cancel()


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
    noisy.process.meter.has_background_activity = True
    pool.evict_background_activity()
    dying = await taken(pool, 4)
    pool.release(dying, reusable=True)
    dying.process.die()
    assert pool.table.evictions == dict.fromkeys(Eviction, 1)
