"""Many executions in one call: each on its own, in order, and none after the caller has left."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

import pytest

from domain.batches import Batch, ItemEnded, run_batch
from domain.concurrency.capacity_limiter import CapacityLimiter
from domain.errors import Overloaded, StorageUnavailable
from domain.executions.execution import Executed
from domain.identity import SessionRef
from domain.json_text import JsonText
from tests.support.waiting import until
from tests.unit.services.conftest import World

COUNT = "result = 10 / params"


def never() -> bool:
    return False


class EndedItems(list[ItemEnded[Executed]]):
    """Collects the items that have ended."""

    async def __call__(self, ended: ItemEnded[Executed]) -> None:
        self.append(ended)

    @property
    def indices(self) -> list[int]:
        return [ended.index for ended in self]


def batch(*params: object, parallel: int = 1) -> Batch[JsonText]:
    return Batch([JsonText(str(each)) for each in params], parallel)


Report = Callable[[ItemEnded[Executed]], Awaitable[None]]


async def run(world: World, ref: SessionRef, items: Batch[JsonText], report: Report) -> None:
    await run_batch(items, partial(world.execution_service.execute, ref), report, never)


async def test_without_parallel_items_run_one_at_a_time(world: World) -> None:
    ref, ended_items = await world.session(COUNT), EndedItems()
    world.runner.hold()
    running = asyncio.create_task(run(world, ref, batch(1, 2), ended_items))
    await until(lambda: world.runner.running)
    assert world.executions.called == ["begin"]
    world.runner.let_go()
    await running


@pytest.mark.parametrize("failure", [StorageUnavailable(stored="no"), RuntimeError("a bug")])
async def test_an_item_that_is_refused_does_not_stop_the_others(world: World, failure: Exception) -> None:
    ref, ended_items = await world.session(COUNT), EndedItems()
    world.executions.failures["begin"] = failure
    await run(world, ref, batch(1, 2), ended_items)
    assert isinstance(ended_items[0].error, type(failure))
    assert ended_items[1].result is not None


async def test_an_item_is_reported_when_it_ends(world: World) -> None:
    ref, ended_items = await world.session(COUNT), EndedItems()
    world.execution_limiter = CapacityLimiter("an execution", 1)
    world.runner.hold()
    running = asyncio.create_task(run(world, ref, batch(1, 2, parallel=2), ended_items))
    await until(lambda: ended_items)
    world.runner.let_go()
    await running
    assert ended_items.indices == [1, 0]
    assert isinstance(ended_items[0].error, Overloaded)


async def test_a_failed_report_starts_no_further_item(world: World) -> None:
    ref = await world.session(COUNT)

    async def refuse(ended: ItemEnded[Executed]) -> None:
        raise ConnectionError

    with pytest.raises(ConnectionError):
        await run(world, ref, batch(1, 2, 3, 4, 5, parallel=2), refuse)
    assert await world.tasks.drain(timeout_s=5) == 0
    assert world.executions.called.count("begin") == 2


async def test_no_item_starts_before_the_report_of_the_one_before_it(world: World) -> None:
    ref, held = await world.session(COUNT), asyncio.Event()

    async def hold(ended: ItemEnded[Executed]) -> None:
        await held.wait()

    running = asyncio.create_task(run(world, ref, batch(1, 2), hold))
    await until(lambda: "finish" in world.executions.called)
    await asyncio.sleep(0)
    assert world.executions.called.count("begin") == 1
    held.set()
    await running
