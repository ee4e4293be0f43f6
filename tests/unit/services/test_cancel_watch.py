"""What another process cancels, or purges, is stopped where it runs."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from domain.errors import StorageUnavailable
from domain.executions.execution import ExecutionFailed
from domain.identity import ANONYMOUS
from domain.scripts.report import ExecutionStatus, FailureCode
from tests.support.waiting import until
from tests.unit.services.conftest import World
from tests.unit.services.later import Later
from tests.unit.services.test_execution_service import PARAMS


@asynccontextmanager
async def watching(later: Later) -> AsyncIterator[None]:
    task = asyncio.create_task(later.watch.run())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_an_execution_that_another_process_cancels_is_stopped(world: World) -> None:
    later = Later(world)
    world.runner.hold()
    entry = await later.add(await world.session())
    async with later.dispatching(), watching(later):
        await until(lambda: world.runner.running)
        await later.queue.cancel(ANONYMOUS, entry.execution_id, world.clock.now())
        assert (await later.ended(entry)).status is ExecutionStatus.CANCELLED


async def test_a_caller_that_waits_learns_that_its_execution_was_cancelled(world: World) -> None:
    ref = await world.session()
    later = Later(world)
    world.runner.hold()
    async with watching(later):
        call = asyncio.create_task(later.executions.execute(ref, PARAMS))
        await until(lambda: world.runner.running)
        assert list(await later.queue.cancel_running(ref, world.clock.now()))
        with pytest.raises(ExecutionFailed) as failed:
            await call
    assert failed.value.failure.code is FailureCode.EXECUTION_CANCELLED


async def test_a_caller_whose_execution_a_purge_stops_learns_that_it_was_cancelled_and_erased(world: World) -> None:
    ref = await world.session()
    later = Later(world)
    world.runner.hold()
    async with watching(later):
        call = asyncio.create_task(later.executions.execute(ref, PARAMS))
        await until(lambda: world.runner.running)
        (execution_id,) = world.store.open_executions
        world.store.open_executions.clear()
        with pytest.raises(ExecutionFailed) as failed:
            await call
    error = failed.value
    assert (error.code, error.details["execution_id"]) == ("EXECUTION_CANCELLED", execution_id)
    assert "its session was purged" in error.message
    assert "execution_count" not in error.details, "it was not counted"


async def test_an_execution_that_was_purged_is_stopped_and_leaves_nothing(world: World) -> None:
    later = Later(world)
    world.runner.hold()
    entry = await later.add(await world.session())
    async with later.dispatching(), watching(later):
        await until(lambda: world.runner.running)
        world.store.open_executions.clear()
        await until(lambda: not world.runner.running)
    assert not world.store.history
    assert entry.execution_id not in world.runner.ran


async def test_a_database_that_is_away_is_asked_again(world: World) -> None:
    later = Later(world)
    world.runner.hold()
    entry = await later.add(await world.session())
    async with later.dispatching(), watching(later):
        await until(lambda: world.runner.running)
        later.queue.before["to_stop"] = StorageUnavailable()
        await until(lambda: not later.queue.before)
        await later.queue.cancel(ANONYMOUS, entry.execution_id, world.clock.now())
        assert (await later.ended(entry)).status is ExecutionStatus.CANCELLED


async def test_nothing_is_asked_while_nothing_runs(world: World) -> None:
    later = Later(world)
    later.queue.before["to_stop"] = StorageUnavailable()
    await later.watch.run_once()
    assert later.queue.before, "there was no call"
