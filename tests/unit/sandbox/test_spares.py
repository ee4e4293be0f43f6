"""Spare workers are there before they are needed, and whoever finds none waits for the next one."""

import asyncio

import pytest

from adapters.sandbox.workers.prewarm_pool import PrewarmPool
from adapters.sandbox.zygote.launch import LaunchFailed
from domain.identity import Owner
from tests.contracts.script_runs import until
from tests.unit.sandbox.fakes import ManualProcess, ManualStarter

ALICE, BOB = Owner("alice"), Owner("bob")


def shelf_of(starter, kept=2, starting_max=2, retry_s=60.0):
    return PrewarmPool(starter, kept, starting_max, retry_s)


async def opened(starter, **options):
    shelf = shelf_of(starter, **options)
    await shelf.open()
    await until(lambda: shelf.ready == shelf.kept or shelf.failure)
    return shelf


async def test_workers_are_ready_ahead_of_need_and_replaced_when_taken():
    shelf = await opened(ManualStarter())
    await shelf.take(ALICE)
    await until(lambda: shelf.ready == 2)
    await shelf.close()


async def test_only_so_many_start_at_a_time():
    starter = ManualStarter(gate=asyncio.Event())
    shelf = shelf_of(starter, kept=5, starting_max=2)
    shelf.refill()
    await asyncio.sleep(0)
    assert starter.begun == 2
    starter.gate.set()
    await until(lambda: shelf.ready == 5)
    await shelf.close()


async def test_takers_get_workers_in_their_order():
    starter = ManualStarter(gate=asyncio.Event())
    shelf = shelf_of(starter, kept=0, starting_max=1)
    takers = [asyncio.ensure_future(shelf.take(ALICE)) for _ in range(3)]
    await asyncio.sleep(0)
    starter.gate.set()
    assert await asyncio.gather(*takers) == starter.started
    await shelf.close()


async def test_who_asks_right_after_a_failure_does_not_wait_for_the_next_try():
    starter = ManualStarter(failure="no namespaces")
    shelf = shelf_of(starter, kept=0, starting_max=1)
    with pytest.raises(LaunchFailed):
        await shelf.take(ALICE)
    starter.failure = None
    async with asyncio.timeout(5):
        assert await shelf.take(ALICE) in starter.started
    await shelf.close()


async def test_a_failed_start_tells_the_takers_and_is_remembered():
    starter = ManualStarter(failure="no namespaces")
    shelf = shelf_of(starter)
    with pytest.raises(LaunchFailed, match="no namespaces"):
        await shelf.take(ALICE)
    assert shelf.failure == "no namespaces"
    await shelf.close()


async def test_starts_are_tried_again_after_a_while():
    starter = ManualStarter(failure="once")
    shelf = await opened(starter, retry_s=0.01)
    starter.failure = None
    await until(lambda: shelf.ready == 2)
    assert shelf.failure is None
    await shelf.close()


async def test_a_worker_that_dies_unused_is_replaced_later():
    shelf = await opened(ManualStarter(), kept=1, retry_s=0.01)
    first = shelf.start.started[0]
    first.die()
    assert shelf.ready == 0
    await until(lambda: shelf.ready == 1)
    assert await shelf.take(ALICE) is not first
    await shelf.close()


async def test_a_cancelled_taker_leaves_and_its_worker_stays():
    starter = ManualStarter(gate=asyncio.Event())
    shelf = shelf_of(starter, kept=0)
    taker = asyncio.ensure_future(shelf.take(ALICE))
    await asyncio.sleep(0)
    taker.cancel()
    await asyncio.wait([taker])
    starter.gate.set()
    await until(lambda: shelf.ready == 1)
    await shelf.close()


async def test_a_taker_cancelled_with_its_worker_in_hand_gives_it_back():
    shelf = shelf_of(ManualStarter(gate=asyncio.Event()), kept=0)
    taker = asyncio.ensure_future(shelf.take(ALICE))
    await asyncio.sleep(0)
    worker = ManualProcess()
    shelf.put(worker)
    taker.cancel()
    await asyncio.wait([taker])
    assert taker.cancelled()
    assert shelf.ready == 1
    await shelf.close()
    assert worker.killed


async def test_what_comes_back_beyond_what_is_kept_is_ended():
    shelf = await opened(ManualStarter(), kept=1)
    spare = ManualProcess()
    shelf.put(spare)
    assert spare.killed
    await shelf.close()


async def test_closing_ends_every_worker_and_every_start_and_tells_takers():
    starter = ManualStarter()
    shelf = await opened(starter)
    ready = list(starter.started)
    starter.gate = asyncio.Event()
    await shelf.take(ALICE)
    await shelf.take(ALICE)
    taker = asyncio.ensure_future(shelf.take(ALICE))
    await asyncio.sleep(0)
    await shelf.close()
    with pytest.raises(LaunchFailed):
        await taker
    assert len(starter.started) == len(ready)
    late = ManualProcess()
    shelf.put(late)
    assert late.killed
    shelf.refill()
    assert shelf.ready == 0


async def test_opening_a_shelf_that_keeps_nothing_starts_nothing():
    starter = ManualStarter()
    await shelf_of(starter, kept=0).open()
    assert starter.begun == 0


async def test_owners_are_served_in_turn():
    shelf = shelf_of(ManualStarter(gate=asyncio.Event()), kept=0)
    flood = [asyncio.ensure_future(shelf.take(ALICE)) for _ in range(5)]
    await asyncio.sleep(0)
    newcomer = asyncio.ensure_future(shelf.take(BOB))
    await asyncio.sleep(0)
    for _ in range(2):
        shelf.put(ManualProcess())
    await asyncio.gather(flood[0], newcomer)
    assert not any(each.done() for each in flood[1:])
    await shelf.close()
    await asyncio.gather(*flood, return_exceptions=True)


async def test_starts_are_counted_and_timed_and_failures_apart():
    starter = ManualStarter()
    shelf = await opened(starter)
    assert (sum(shelf.starts_s.counts), shelf.start_failures) == (2, 0)
    starter.failure = "no room"
    await shelf.take(ALICE)
    await until(lambda: shelf.start_failures == 1)
    assert sum(shelf.starts_s.counts) == 2
    await shelf.close()
