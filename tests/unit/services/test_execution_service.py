"""Begin, run, finish: once, and with an honest report."""

import asyncio
from datetime import timedelta

import pytest
from attrs import define, evolve, field

from adapters.memory.script_runner import MemoryScriptRunner
from adapters.memory.sessions import MemorySessionRepository
from domain.concurrency.capacity_limiter import CapacityLimiter
from domain.errors import Overloaded, RuntimeUnavailable, StorageUnavailable
from domain.executions.execution import ExecutionLost, ExecutionNotStored
from domain.json_text import JsonText
from domain.scripts.convention import Convention
from domain.scripts.language import Language
from domain.scripts.report import ExecutionStatus, ExecutionUnknown
from domain.sessions.session import SessionClosed, SessionExpired, SessionNotFound
from tests.support.waiting import until
from tests.unit.services.conftest import World

PARAMS = JsonText('{"a": 1}')


@define(eq=False)
class NotingRunner(MemoryScriptRunner):
    """Keeps the runs that it is given."""

    runs: list = field(factory=list)

    async def acquire(self, run):
        self.runs.append(run)
        return await super().acquire(run)


async def settled(world: World) -> None:
    assert await world.tasks.drain(timeout_s=5) == 0


async def test_a_run_carries_the_time_that_its_session_has_left(world: World) -> None:
    runner = world.runner = NotingRunner()
    ref = await world.session()
    world.clock.advance(timedelta(seconds=40))
    await world.execution_service.execute(ref, PARAMS)
    (run,) = runner.runs
    assert (run.ref, run.session_left) == (ref, timedelta(seconds=60))
    assert run.execution_id in world.store.history


@pytest.mark.parametrize("convention", Convention)
async def test_a_run_carries_the_convention_of_its_session(world: World, convention: Convention) -> None:
    runner = world.runner = NotingRunner()
    ref = await world.session()
    world.store.sessions[ref.session_id] = evolve(world.store.sessions[ref.session_id], convention=convention)
    await world.execution_service.execute(ref, PARAMS)
    assert [run.convention for run in runner.runs] == [convention]


async def test_twenty_concurrent_executions_have_twenty_counts(world: World) -> None:
    world.execution_limiter = CapacityLimiter("an execution", 20)
    ref = await world.session()
    service = world.execution_service
    executed = await asyncio.gather(*(service.execute(ref, PARAMS) for _ in range(20)))
    assert sorted(one.execution_count for one in executed) == list(range(1, 21))


async def test_an_expired_session_runs_nothing(world: World) -> None:
    ref = await world.session()
    world.let_expire()
    with pytest.raises(SessionExpired):
        await world.execution_service.execute(ref, PARAMS)
    assert not world.runner.ran
    assert world.executions.called == ["begin"]


async def test_an_execution_also_counts_after_its_session_has_expired(world: World) -> None:
    ref = await world.session()
    world.runner.hold()
    task = asyncio.create_task(world.execution_service.execute(ref, PARAMS))
    await until(lambda: world.runner.running)
    world.let_expire()
    await world.session_service.close(ref)
    world.runner.let_go()
    assert (await task).execution_count == 1


async def test_an_execution_beyond_the_limit_is_refused_without_a_statement(world: World) -> None:
    world.execution_limiter = CapacityLimiter("an execution", 1)
    ref = await world.session()
    world.runner.hold()
    service = world.execution_service
    task = asyncio.create_task(service.execute(ref, PARAMS))
    await until(lambda: world.runner.running)
    with pytest.raises(Overloaded):
        await service.execute(ref, PARAMS)
    assert world.executions.called == ["begin"]
    world.runner.let_go()
    await task


async def test_an_execution_without_a_worker_is_withdrawn_and_not_counted(world: World) -> None:
    ref = await world.session()
    world.runner.unavailable = "install it."
    with pytest.raises(RuntimeUnavailable):
        await world.execution_service.execute(ref, PARAMS)
    await settled(world)
    assert not world.store.open_executions
    assert (await world.session_service.get(ref)).execution_count == 0


async def test_a_call_that_is_cancelled_in_the_queue_is_withdrawn(world: World) -> None:
    ref = await world.session()
    world.runner.hold()
    service = world.execution_service
    running = [asyncio.create_task(service.execute(ref, PARAMS)) for _ in range(4)]
    await until(lambda: world.runner.running == 4)
    queued = asyncio.create_task(service.execute(ref, PARAMS))
    await until(lambda: world.runner.queued)
    queued.cancel()
    with pytest.raises(asyncio.CancelledError):
        await queued
    world.runner.let_go()
    await asyncio.gather(*running)
    await settled(world)
    assert len(world.runner.ran) == 4
    assert len(world.store.history) == 4
    assert not world.store.open_executions
    assert world.execution_limiter.in_use == 0


async def test_a_cancelled_call_does_not_end_a_running_script(world: World) -> None:
    ref = await world.session()
    world.runner.hold()
    task = asyncio.create_task(world.execution_service.execute(ref, PARAMS))
    await until(lambda: world.runner.running)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    world.runner.let_go()
    await settled(world)
    assert len(world.store.history) == 1


async def test_a_call_that_is_cancelled_during_begin_is_withdrawn(world: World) -> None:
    ref = await world.session()
    held = asyncio.Event()

    async def hold(*_):
        world.executions.called.append("begin")
        await held.wait()

    world.executions.begin = hold
    task = asyncio.create_task(world.execution_service.execute(ref, PARAMS))
    await until(lambda: "begin" in world.executions.called)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await settled(world)
    assert world.executions.called == ["begin", "withdraw"]


async def test_a_begin_that_may_be_stored_is_withdrawn_and_safe_to_repeat(world: World) -> None:
    ref = await world.session()
    world.executions.failures["begin"] = StorageUnavailable(stored="unknown", retry_after_ms=None)
    with pytest.raises(StorageUnavailable) as caught:
        await world.execution_service.execute(ref, PARAMS)
    await settled(world)
    assert caught.value.details == {"stored": "no", "executed": "no", "retry_after_ms": 1000}
    assert world.executions.called == ["begin", "withdraw"]


@define(eq=False)
class ScriptlessSessions(MemorySessionRepository):
    """Sessions of a database that fails when a script is read."""

    async def script(self, ref):
        raise StorageUnavailable


async def test_an_execution_whose_script_cannot_be_read_says_that_nothing_ran(world: World) -> None:
    ref = await world.session()
    world.sessions = ScriptlessSessions(world.store)
    with pytest.raises(StorageUnavailable) as caught:
        await world.execution_service.execute(ref, PARAMS)
    await settled(world)
    assert caught.value.details == {"stored": "no", "executed": "no", "retry_after_ms": 1000}
    assert world.executions.called == ["begin", "withdraw"]


async def test_an_end_that_cannot_be_recorded_is_raised_with_the_result_and_recorded_later(world: World) -> None:
    ref = await world.session()
    world.executions.failures["finish"] = StorageUnavailable(stored="unknown")
    with pytest.raises(ExecutionNotStored) as caught:
        await world.execution_service.execute(ref, PARAMS)
    assert caught.value.details["result"] == "2"
    assert caught.value.details["executed"] == "yes"
    assert "retry_after_ms" not in caught.value.details, "without a key it would run again"
    await settled(world)
    assert (await world.session_service.get(ref)).execution_count == 1
    assert len(world.runner.ran) == 1


async def test_recording_stops_at_the_deadline(world: World) -> None:
    ref = await world.session()

    async def fail() -> None:
        world.clock.advance(timedelta(seconds=30))
        raise StorageUnavailable(stored="unknown")

    world.executions.before_finish = fail
    with pytest.raises(ExecutionNotStored):
        await world.execution_service.execute(ref, PARAMS)
    await settled(world)
    assert (await world.history_service.page(ref, None, 1)).items[0].status is ExecutionStatus.UNKNOWN


async def test_an_execution_without_any_record_is_not_stored(world: World) -> None:
    ref = await world.session()
    world.executions.failures["finish"] = ExecutionLost()
    with pytest.raises(ExecutionNotStored) as caught:
        await world.execution_service.execute(ref, PARAMS)
    assert (caught.value.details["stored"], caught.value.details["result"]) == ("no", "2")
    assert "no longer has a record" in caught.value.message
    await settled(world)
    assert world.executions.called == ["begin", "finish"], "nothing is tried on"


async def test_a_run_without_a_response_ends_unknown(world: World) -> None:
    world.run_overhead_s = 0
    ref = await world.session()
    world.store.sessions[ref.session_id] = _with_timeout(world.store.sessions[ref.session_id], 1)
    world.runner.hold()
    with pytest.raises(ExecutionUnknown, match="in time"):
        await world.execution_service.execute(ref, PARAMS)


async def test_a_worker_that_starts_nothing_is_withdrawn(world: World) -> None:
    ref = await world.session()

    class Refusing:
        async def run(self):
            raise RuntimeUnavailable("python", "the worker is gone.")

        async def release(self):
            pass

    class RefusingRunner:
        async def acquire(self, run):
            return Refusing()

    service = world.execution_service
    service._runners = dict.fromkeys(Language, RefusingRunner())
    with pytest.raises(RuntimeUnavailable):
        await service.execute(ref, PARAMS)
    await settled(world)
    assert not world.store.open_executions


async def test_a_session_that_is_closed_before_its_script_is_read_is_closed(
    world: World,
) -> None:
    ref = await world.session()
    service = world.execution_service
    acquire = world.runner.acquire

    async def close_first(run):
        await world.session_service.close(ref)
        return await acquire(run)

    world.runner.acquire = close_first
    with pytest.raises(SessionClosed):
        await service.execute(ref, PARAMS)
    await settled(world)
    assert not world.runner.ran


async def test_a_live_session_whose_script_is_missing_is_not_found(world: World) -> None:
    ref = await world.session()
    del world.store.scripts[ref.session_id]
    with pytest.raises(SessionNotFound):
        await world.execution_service.execute(ref, PARAMS)
    await settled(world)


def _with_timeout(session, timeout_ms):
    return evolve(session, limits=evolve(session.limits, timeout_ms=timeout_ms))
