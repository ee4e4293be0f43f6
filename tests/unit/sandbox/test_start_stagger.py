"""Only so many executions of a session are in their first moments at once; those that take longer hold up nobody."""

import asyncio

from adapters.sandbox.pool.slot import PoolLimits, SlotKind, SlotRequest
from adapters.sandbox.pool.start_stagger import StartStagger
from adapters.sandbox.pool.worker_pool import WorkerPool
from domain.scripts.language import Language
from tests.unit.sandbox.fakes import ManualProcess

LONG_S = 60.0


def test_what_has_begun_counts_for_its_session_until_it_ends():
    bursts = StartStagger(burst_s=1.0)
    bursts.begin("a", 1, 10.0)
    bursts.begin("b", 1, 10.2)
    bursts.begin("c", 2, 10.4)
    assert (bursts.count(1), bursts.count(2), bursts.count(3)) == (2, 1, 0)
    bursts.end("b")
    assert bursts.count(1) == 1
    bursts.end("b")
    assert bursts.count(1) == 1


def test_who_has_begun_long_ago_counts_no_more():
    bursts = StartStagger(burst_s=1.0)
    assert bursts.next_end() is None
    bursts.begin("a", 1, 10.0)
    bursts.begin("b", 1, 10.5)
    assert bursts.next_end() == 11.0
    assert not bursts.expire(10.9)
    assert bursts.expire(11.0)
    assert bursts.count(1) == 1
    assert bursts.next_end() == 11.5
    assert bursts.expire(20.0)
    assert bursts.count(1) == 0
    assert not bursts.expire(20.0)


def pool_of(now, **limits):
    return WorkerPool(PoolLimits(9, 9, 9, 5.0, bursts_max=2, **limits), now=lambda: now[0])


def request(session):
    return SlotRequest(session, SlotKind(Language.PYTHON, 128), keeps=True)


async def queued(pool, session):
    task = asyncio.ensure_future(pool.acquire(request(session)))
    await asyncio.sleep(0)
    return task


async def test_who_waits_to_begin_is_not_overtaken():
    now = [0.0]
    pool = pool_of(now, burst_s=LONG_S)
    for _ in range(2):
        await pool.acquire(request(1))
    first = await queued(pool, 1)
    now[0] = LONG_S
    late = await queued(pool, 1), await queued(pool, 1)
    assert [each.done() for each in (first, *late)] == [True, True, False]
    pool.clear()
    await asyncio.wait([late[1]])
    assert late[1].exception() is not None


async def test_a_session_begins_so_many_at_once_and_others_do_not_wait_for_it():
    pool = pool_of([0.0], burst_s=LONG_S)
    first, _ = await pool.acquire(request(1)), await pool.acquire(request(1))
    waiting = await queued(pool, 1)
    assert not waiting.done()
    assert (await pool.acquire(request(2))).request.session == 2
    pool.release(first, reusable=True)
    assert (await waiting).request.session == 1
    pool.clear()


async def test_a_session_begins_one_more_when_its_runs_take_long():
    now = [0.0]
    pool = pool_of(now, burst_s=0.01)
    for _ in range(2):
        await pool.acquire(request(1))
    waiting = await queued(pool, 1)
    assert not waiting.done()
    now[0] = 0.01
    async with asyncio.timeout(5):
        assert (await waiting).request.session == 1


async def test_without_a_number_as_many_begin_as_come():
    pool = WorkerPool(PoolLimits(9, 9, 9, 5.0))
    for _ in range(9):
        await pool.acquire(request(1))


async def test_each_run_that_is_over_lets_one_of_its_session_begin():
    pool = pool_of([0.0], burst_s=LONG_S)
    running = [await pool.acquire(request(session)) for session in (1, 1, 2, 2)]
    waiting = [await queued(pool, session) for session in (2, 1, 2, 1)]
    begun = []
    for slot in running:
        pool.release(slot, reusable=True)
        await asyncio.sleep(0)
        begun.append([number for number, each in enumerate(waiting) if each.done()])
    assert begun == [[1], [1, 3], [0, 1, 3], [0, 1, 2, 3]]
    pool.clear()


async def test_a_slot_whose_worker_is_gone_goes_to_others_when_its_own_session_has_taken_an_idle_one():
    now = [0.0]
    pool = WorkerPool(PoolLimits(3, 2, 9, 5.0, bursts_max=1, burst_s=LONG_S), now=lambda: now[0])
    old, _ = await pool.acquire(request(1)), await pool.acquire(request(2))
    old.process = ManualProcess()
    now[0] = LONG_S
    young = await pool.acquire(request(1))
    other, own = await queued(pool, 2), await queued(pool, 1)
    pool.release(old, reusable=True)
    await asyncio.sleep(0)
    assert [other.done(), own.done()] == [False, False]
    pool.release(young, reusable=False)
    await asyncio.sleep(0)
    assert own.result() is old
    assert other.done(), "two of three places are taken"
    pool.clear()


async def test_first_moments_that_are_over_are_enough_to_be_served():
    loop = asyncio.get_running_loop()
    behind = loop.time() + 0.02
    # Timers come early, as measured by it: those who wait are served all the same, two at a time.
    pool = WorkerPool(
        PoolLimits(9, 9, 9, LONG_S, own_worker_wait_s=LONG_S, bursts_max=2, burst_s=0.01),
        now=lambda: max(0.0, loop.time() - behind),
    )
    async with asyncio.timeout(3):
        await asyncio.gather(*(pool.acquire(request(1)) for _ in range(7)))
