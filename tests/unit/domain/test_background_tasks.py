"""Owned tasks, jobs on demand, and budgets."""

import asyncio
from typing import Any

import pytest

from domain.concurrency.background_tasks import BackgroundTasks, DemandLoop, SharedTasks
from domain.concurrency.budget import Budget
from domain.errors import StorageUnavailable


async def test_draining_waits_for_tasks_that_end_in_time() -> None:
    tasks = BackgroundTasks()
    ended = asyncio.Event()

    async def work() -> None:
        await ended.wait()

    task = tasks.spawn(work())
    asyncio.get_running_loop().call_soon(ended.set)
    assert await tasks.drain(timeout_s=10) == 0
    assert task.done()
    assert len(tasks) == 0


async def test_draining_cancels_tasks_that_do_not_end() -> None:
    tasks = BackgroundTasks()
    task = tasks.spawn(asyncio.Event().wait())
    assert await tasks.drain(timeout_s=0) == 1
    assert task.cancelled()


async def test_a_bug_is_reported_to_the_loop_and_a_domain_error_is_not() -> None:
    reported: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))

    async def fail(error: Exception) -> None:
        raise error

    tasks = BackgroundTasks()
    tasks.spawn(fail(StorageUnavailable()))
    tasks.spawn(fail(KeyError("bug")))
    await tasks.drain(timeout_s=10)
    assert [type(context["exception"]) for context in reported] == [KeyError]


async def test_a_budget_is_shared_by_its_steps() -> None:
    budget = Budget(0.01)
    with pytest.raises(StorageUnavailable):
        await budget.spend(asyncio.Event().wait(), StorageUnavailable)
    with pytest.raises(StorageUnavailable):
        await budget.spend(asyncio.Event().wait(), StorageUnavailable)


async def test_a_budget_returns_the_result_of_the_work() -> None:
    async def work() -> int:
        return 7

    assert await Budget(10).spend(work(), StorageUnavailable) == 7


async def test_a_timeout_error_of_the_work_passes_through_the_budget() -> None:
    async def late() -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        await Budget(10).spend(late(), StorageUnavailable)


async def test_a_call_that_others_cancelled_stays_cancelled_when_its_budget_ends() -> None:
    begun = asyncio.Event()

    async def stubborn() -> None:
        try:
            begun.set()
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ended.cancel()
            await asyncio.Event().wait()

    ended: asyncio.Task[None] = asyncio.create_task(Budget(0.001).spend(stubborn(), StorageUnavailable))
    await begun.wait()
    with pytest.raises(asyncio.CancelledError):
        await ended


async def test_the_end_of_a_budget_leaves_no_cancellation_behind() -> None:
    task = asyncio.current_task()
    assert task is not None
    with pytest.raises(StorageUnavailable):
        await Budget(0.001).spend(asyncio.Event().wait(), StorageUnavailable)
    assert task.cancelling() == 0


async def test_many_budgets_end_independently() -> None:
    ended_s: list[float] = []

    async def ends(total_s: float) -> float:
        loop = asyncio.get_running_loop()
        started_s = loop.time()
        with pytest.raises(StorageUnavailable):
            await Budget(total_s).spend(asyncio.Event().wait(), StorageUnavailable)
        ended_s.append(total_s)
        return loop.time() - started_s

    totals_s = [0.001, 0.06, 0.001, 0.03]
    took_s = await asyncio.gather(*map(ends, totals_s))
    assert all(took >= total for took, total in zip(took_s, totals_s, strict=True))
    assert ended_s == sorted(totals_s)


def test_a_budget_works_on_every_new_event_loop() -> None:
    async def spend() -> None:
        with pytest.raises(StorageUnavailable):
            await Budget(0.001).spend(asyncio.Event().wait(), StorageUnavailable)

    asyncio.run(spend())
    asyncio.run(spend())


async def test_a_job_runs_at_once_on_demand_and_again_after_its_pause_until_the_demand_ends() -> None:
    loop, runs = DemandLoop(), asyncio.Queue[int]()
    number = 0

    async def job() -> float:
        nonlocal number
        number += 1
        if number == 2:
            loop.clear()
        runs.put_nowait(number)
        return 0.0

    running = asyncio.create_task(loop.run(job))
    try:
        await asyncio.sleep(0)
        assert runs.empty(), "there is no demand yet"
        loop.request()
        assert [await runs.get(), await runs.get()] == [1, 2]
        for _ in range(5):
            await asyncio.sleep(0)
        assert runs.empty(), "the demand has ended"
        loop.request()
        assert await runs.get() == 3
    finally:
        running.cancel()


async def test_a_shared_job_runs_once_for_all_who_wait_and_again_for_those_who_come_later() -> None:
    shared: SharedTasks[str, int] = SharedTasks()
    runs: list[str] = []

    async def job() -> int:
        runs.append("run")
        await asyncio.sleep(0)
        return len(runs)

    leaving = asyncio.create_task(shared.result("a", job))
    await asyncio.sleep(0)
    leaving.cancel()
    assert await asyncio.gather(shared.result("a", job), shared.result("a", job)) == [1, 1]
    assert await shared.result("a", job) == 2
    assert leaving.cancelled()


async def test_a_shared_job_of_several_names_is_the_job_of_each_until_it_ends() -> None:
    shared: SharedTasks[str, int] = SharedTasks()
    release = asyncio.Event()

    async def job() -> int:
        await release.wait()
        return 1

    async def other_job() -> int:
        return 2

    waiting = asyncio.create_task(shared.result_of_all(["a", "b"], job))
    await asyncio.sleep(0)
    assert [shared.is_running(name) for name in ("a", "b", "c")] == [True, True, False]
    joining = asyncio.create_task(shared.result("b", other_job))
    await asyncio.sleep(0)
    release.set()
    assert await asyncio.gather(waiting, joining) == [1, 1]
    assert not shared.is_running("a")
    assert await shared.result("b", other_job) == 2


async def test_the_error_of_a_shared_job_reaches_those_who_wait_and_is_forgotten() -> None:
    shared: SharedTasks[str, None] = SharedTasks()

    async def job() -> None:
        raise StorageUnavailable

    for _ in range(2):
        with pytest.raises(StorageUnavailable):
            await shared.result("a", job)
    unheard = shared.start("a", job)
    await asyncio.wait({unheard})
    stopped = shared.start("a", job)
    stopped.cancel()
    await asyncio.wait({stopped})
    assert stopped.cancelled()


async def test_a_shared_job_that_has_just_ended_is_not_given_to_who_comes_then() -> None:
    shared: SharedTasks[str, None] = SharedTasks()

    async def job() -> None:
        return

    ended = shared.start("a", job)
    await asyncio.sleep(0)
    assert ended.done()
    following = shared.start("a", job)
    assert following is not ended
    await following
