"""Owned tasks and shared budgets."""

import asyncio
from typing import Any

import pytest

from domain.concurrency.background_tasks import BackgroundTasks
from domain.concurrency.budget import Budget
from domain.errors import StorageUnavailable


async def test_draining_waits_for_what_ends_in_time() -> None:
    tasks = BackgroundTasks()
    ended = asyncio.Event()

    async def work() -> None:
        await ended.wait()

    task = tasks.spawn(work())
    asyncio.get_running_loop().call_soon(ended.set)
    assert await tasks.drain(timeout_s=10) == 0
    assert task.done()
    assert len(tasks) == 0


async def test_draining_cancels_what_does_not_end() -> None:
    tasks = BackgroundTasks()
    task = tasks.spawn(asyncio.Event().wait())
    assert await tasks.drain(timeout_s=0) == 1
    assert task.cancelled()


async def test_a_failure_that_is_a_bug_is_reported_and_one_for_callers_is_not() -> None:
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


async def test_a_budget_gives_back_what_the_work_gives() -> None:
    async def answer() -> int:
        return 7

    assert await Budget(10).spend(answer(), StorageUnavailable) == 7


async def test_a_timeout_of_the_work_itself_is_not_the_budgets() -> None:
    async def late() -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        await Budget(10).spend(late(), StorageUnavailable)


async def test_a_call_that_is_cancelled_by_others_stays_cancelled_whatever_its_budget_says() -> None:
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


async def test_a_call_whose_budget_ended_is_not_cancelled_any_more() -> None:
    task = asyncio.current_task()
    assert task is not None
    with pytest.raises(StorageUnavailable):
        await Budget(0.001).spend(asyncio.Event().wait(), StorageUnavailable)
    assert task.cancelling() == 0


async def test_each_of_many_budgets_ends_by_itself() -> None:
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
