"""Prewarmed workers are ready before they are needed, and a call that finds none waits for the next one."""

import asyncio

import pytest

from adapters.sandbox.workers.prewarm_pool import PrewarmPool
from adapters.sandbox.zygote.launch import LaunchFailed
from domain.identity import Owner
from tests.support.waiting import until
from tests.unit.sandbox.fakes import ManualProcess, ManualStarter, SimulatedLoop

ALICE, BOB = Owner("alice"), Owner("bob")


def pool_of(starter, kept=2, starting_max=2, retry_s=60.0):
    return PrewarmPool(starter, kept, starting_max, retry_s)


async def opened(starter, **options):
    pool = pool_of(starter, **options)
    await pool.open()
    await until(lambda: pool.ready == pool.kept or pool.failure)
    return pool


async def test_workers_are_ready_before_they_are_needed_and_replaced_when_taken():
    pool = await opened(ManualStarter())
    await pool.take(ALICE)
    await until(lambda: pool.ready == 2)
    await pool.close()


async def test_no_more_than_the_maximum_start_at_a_time():
    starter = ManualStarter(gate=asyncio.Event())
    pool = pool_of(starter, kept=0, starting_max=2)
    calls = [asyncio.ensure_future(pool.take(ALICE)) for _ in range(5)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert starter.begun == 2
    starter.gate.set()
    await asyncio.gather(*calls)
    await pool.close()


async def test_two_workers_are_ready_at_first_and_all_that_are_kept_after_the_first_call():
    pool = pool_of(ManualStarter(), kept=5)
    await pool.open()
    await until(lambda: pool.ready == 2)
    await pool.take(ALICE)
    await until(lambda: pool.ready == 5)
    await pool.close()


async def test_after_a_quiet_time_two_workers_stay_ready():
    now = 0.0
    pool = PrewarmPool(ManualStarter(), 5, 2, 60.0, quiet_s=60.0, now=lambda: now)
    await pool.take(ALICE)
    await until(lambda: pool.ready == 5)
    pool.shrink()
    assert pool.ready == 5
    now = 60.1
    pool.shrink()
    assert pool.ready == 2
    assert sum(worker.killed for worker in pool.start.started) == 3
    await pool.close()


async def test_workers_beyond_two_start_one_at_a_time_and_not_beside_those_that_calls_wait_for():
    starter = ManualStarter(gate=asyncio.Event())
    pool = pool_of(starter, kept=16, starting_max=8)
    calls = [asyncio.ensure_future(pool.take(ALICE)) for _ in range(3)]
    await until(lambda: starter.begun == 3 + 2)
    starter.gate.set()
    await asyncio.gather(*calls)
    await until(lambda: pool.ready == 2)
    starter.gate = asyncio.Event()
    await until(lambda: starter.begun == 6)
    late = asyncio.ensure_future(pool.take(ALICE))
    await late
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert starter.begun == 6, "the start that is in progress is enough"
    starter.gate.set()
    await until(lambda: pool.ready == 16)
    await pool.close()


def test_starts_ahead_of_need_take_a_smaller_share_of_the_time_the_more_workers_are_ready():
    async def readiness():
        loop, start_s = asyncio.get_running_loop(), 0.1
        pool = PrewarmPool(ManualStarter(start_s=start_s), 16, 2, 60.0, now=loop.time)
        await pool.take(ALICE)
        reached = {}
        while pool.ready < 16:
            await asyncio.sleep(start_s / 10)
            reached.setdefault(pool.ready, loop.time() / start_s)
        await pool.close()
        return reached

    with asyncio.Runner(loop_factory=SimulatedLoop) as runner:
        reached = runner.run(readiness())
    assert 1.2 < reached[4] - reached[3] < 2.0
    assert 3.4 < reached[16] - reached[15] < 4.1


async def test_calls_get_workers_in_the_order_of_arrival():
    starter = ManualStarter(gate=asyncio.Event())
    pool = pool_of(starter, kept=0, starting_max=1)
    calls = [asyncio.ensure_future(pool.take(ALICE)) for _ in range(3)]
    await asyncio.sleep(0)
    starter.gate.set()
    assert await asyncio.gather(*calls) == starter.started
    await pool.close()


async def test_a_call_right_after_a_failed_start_does_not_wait_for_the_retry():
    starter = ManualStarter(failure="no namespaces")
    pool = pool_of(starter, kept=0, starting_max=1)
    with pytest.raises(LaunchFailed):
        await pool.take(ALICE)
    starter.failure = None
    async with asyncio.timeout(5):
        assert await pool.take(ALICE) in starter.started
    await pool.close()


async def test_a_failed_start_fails_the_waiting_calls_and_is_kept_as_the_reason():
    starter = ManualStarter(failure="no namespaces")
    pool = pool_of(starter)
    with pytest.raises(LaunchFailed, match="no namespaces"):
        await pool.take(ALICE)
    assert pool.failure == "no namespaces"
    await pool.close()


async def test_a_failed_start_is_retried_after_a_while():
    starter = ManualStarter(failure="once")
    pool = await opened(starter, retry_s=0.01)
    starter.failure = None
    await until(lambda: pool.ready == 2)
    assert pool.failure is None
    await pool.close()


async def test_an_unused_worker_that_dies_is_replaced_later():
    pool = await opened(ManualStarter(), kept=1, retry_s=0.01)
    first = pool.start.started[0]
    first.die()
    assert pool.ready == 0
    await until(lambda: pool.ready == 1)
    assert await pool.take(ALICE) is not first
    await pool.close()


async def test_a_cancelled_call_leaves_and_its_worker_stays():
    starter = ManualStarter(gate=asyncio.Event())
    pool = pool_of(starter, kept=0)
    call = asyncio.ensure_future(pool.take(ALICE))
    await asyncio.sleep(0)
    call.cancel()
    await asyncio.wait([call])
    starter.gate.set()
    await until(lambda: pool.ready == 1)
    await pool.close()


async def test_a_call_that_is_cancelled_in_the_turn_of_its_worker_gives_it_back():
    pool = pool_of(ManualStarter(gate=asyncio.Event()), kept=0)
    call = asyncio.ensure_future(pool.take(ALICE))
    await asyncio.sleep(0)
    worker = ManualProcess()
    pool.put(worker)
    call.cancel()
    await asyncio.wait([call])
    assert call.cancelled()
    assert pool.ready == 1
    await pool.close()
    assert worker.killed


async def test_a_worker_that_comes_back_to_a_full_pool_is_killed():
    pool = await opened(ManualStarter(), kept=1)
    returned = ManualProcess()
    pool.put(returned)
    assert returned.killed
    await pool.close()


async def test_closing_ends_every_worker_and_every_start_and_fails_the_waiting_calls():
    starter = ManualStarter()
    pool = await opened(starter)
    ready = list(starter.started)
    starter.gate = asyncio.Event()
    await pool.take(ALICE)
    await pool.take(ALICE)
    call = asyncio.ensure_future(pool.take(ALICE))
    await asyncio.sleep(0)
    await pool.close()
    with pytest.raises(LaunchFailed):
        await call
    assert len(starter.started) == len(ready)
    late = ManualProcess()
    pool.put(late)
    assert late.killed
    pool.refill()
    assert pool.ready == 0


async def test_a_pool_that_keeps_no_workers_starts_none_when_it_opens():
    starter = ManualStarter()
    await pool_of(starter, kept=0).open()
    assert starter.begun == 0


async def test_owners_take_turns():
    pool = pool_of(ManualStarter(gate=asyncio.Event()), kept=0)
    flood = [asyncio.ensure_future(pool.take(ALICE)) for _ in range(5)]
    await asyncio.sleep(0)
    newcomer = asyncio.ensure_future(pool.take(BOB))
    await asyncio.sleep(0)
    for _ in range(2):
        pool.put(ManualProcess())
    await asyncio.gather(flood[0], newcomer)
    assert not any(each.done() for each in flood[1:])
    await pool.close()
    await asyncio.gather(*flood, return_exceptions=True)


async def test_starts_are_counted_and_timed_and_failures_are_counted_apart():
    starter = ManualStarter()
    pool = await opened(starter)
    assert (sum(pool.starts_s.counts), pool.start_failures) == (2, 0)
    starter.failure = "no memory"
    await pool.take(ALICE)
    await until(lambda: pool.start_failures == 1)
    assert sum(pool.starts_s.counts) == 2
    await pool.close()
