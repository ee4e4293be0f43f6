"""A call with a key runs once, whatever happens to its caller or to the database."""

import asyncio
from datetime import timedelta

import pytest

from adapters.memory.executions import MemoryExecutionRepository
from domain.errors import Overloaded, RuntimeUnavailable, StorageUnavailable
from domain.executions.execution import ExecutionFailed, ExecutionNotStored
from domain.idempotency import IdempotencyConflict, IdempotencyKey, KeyInFlight, KeyInterrupted
from domain.json_text import JsonText
from domain.scripts.report import ExecutionUnknown
from domain.sessions.service import SessionRequest
from domain.sessions.session import SessionExpired
from tests.support.waiting import until
from tests.unit.services.conftest import ANONYMOUS, World
from tests.unit.services.test_execution_service import settled

PARAMS = JsonText('{"a": 1}')
KEY = IdempotencyKey("k", "0" * 64)
OTHER_PAYLOAD = IdempotencyKey("k", "1" * 64)


async def test_a_repeated_call_gets_the_first_response_and_runs_nothing(world: World) -> None:
    ref = await world.session()
    first = await world.execution_service.execute(ref, PARAMS, KEY)
    again = await world.execution_service.execute(ref, PARAMS, KEY)
    assert (first.replayed, again.replayed) == (False, True)
    assert (again.execution_id, again.report, again.execution_count) == (first.execution_id, first.report, 1)
    assert len(world.runner.ran) == 1
    assert world.execution_limiter.in_use == 0


async def test_a_failure_of_the_script_is_replayed_and_not_run_again(world: World) -> None:
    ref = await world.session("result = 1 / 0")
    told = []
    for _ in range(2):
        with pytest.raises(ExecutionFailed) as caught:
            await world.execution_service.execute(ref, PARAMS, KEY)
        told.append(caught.value)
    assert [error.replayed for error in told] == [False, True]
    assert told[0].details == told[1].details
    assert len(world.runner.ran) == 1


async def test_a_duplicate_of_a_call_in_flight_is_refused_at_once(world: World) -> None:
    ref = await world.session()
    world.runner.hold()
    task = asyncio.create_task(world.execution_service.execute(ref, PARAMS, KEY))
    await until(lambda: world.runner.running)
    with pytest.raises(KeyInFlight) as caught:
        await world.execution_service.execute(ref, PARAMS, KEY)
    assert caught.value.details == {"retry_after_ms": 1000}
    with pytest.raises(IdempotencyConflict):
        await world.execution_service.execute(ref, PARAMS, OTHER_PAYLOAD)
    world.runner.let_go()
    assert (await task).execution_count == 1


async def test_a_response_is_replayed_after_the_session_has_ended(world: World) -> None:
    ref = await world.session()
    await world.execution_service.execute(ref, PARAMS, KEY)
    world.let_expire()
    assert (await world.execution_service.execute(ref, PARAMS, KEY)).replayed
    with pytest.raises(SessionExpired):
        await world.execution_service.execute(ref, PARAMS, IdempotencyKey("another", "0" * 64))


async def test_a_refusal_before_the_start_frees_the_key(world: World) -> None:
    ref = await world.session()
    world.runner.unavailable = "install it."
    with pytest.raises(RuntimeUnavailable):
        await world.execution_service.execute(ref, PARAMS, KEY)
    assert not world.store.keys
    world.runner.unavailable = None
    assert not (await world.execution_service.execute(ref, PARAMS, KEY)).replayed


async def test_a_refusal_is_raised_when_the_key_is_free(world: World) -> None:
    ref = await world.session()
    world.runner.unavailable = "install it."
    withdrawing, go_on = asyncio.Event(), asyncio.Event()

    async def withdraw_slowly(execution_id, ref):
        withdrawing.set()
        await go_on.wait()

    world.executions.withdraw = withdraw_slowly
    call = asyncio.create_task(world.execution_service.execute(ref, PARAMS, KEY))
    await withdrawing.wait()
    await asyncio.sleep(0)
    assert not call.done()
    go_on.set()
    with pytest.raises(RuntimeUnavailable):
        await call
    assert not world.store.keys


async def test_a_refusal_is_raised_in_time_although_the_key_cannot_be_freed(world: World) -> None:
    world.request_timeout_s = 0.05
    ref = await world.session()
    world.runner.unavailable = "install it."
    freed = asyncio.Event()

    async def wait(execution_id, ref):
        await freed.wait()

    world.executions.withdraw = wait
    with pytest.raises(RuntimeUnavailable):
        await world.execution_service.execute(ref, PARAMS, KEY)
    assert world.store.keys
    freed.set()
    await settled(world)
    assert not world.store.keys


async def test_a_call_that_is_cancelled_in_the_queue_frees_its_key(world: World) -> None:
    ref = await world.session()
    world.runner.hold()
    running = [asyncio.create_task(world.execution_service.execute(ref, PARAMS)) for _ in range(4)]
    await until(lambda: world.runner.running == 4)
    queued = asyncio.create_task(world.execution_service.execute(ref, PARAMS, KEY))
    await until(lambda: world.runner.queued)
    queued.cancel()
    with pytest.raises(asyncio.CancelledError):
        await queued
    await until(lambda: not world.store.keys)
    world.runner.let_go()
    await asyncio.gather(*running)
    assert len(world.runner.ran) == 4


async def test_a_caller_that_was_cancelled_gets_the_response_by_repeating_the_call(world: World) -> None:
    ref = await world.session()
    world.runner.hold()
    task = asyncio.create_task(world.execution_service.execute(ref, PARAMS, KEY))
    await until(lambda: world.runner.running)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    world.runner.let_go()
    await settled(world)
    again = await world.execution_service.execute(ref, PARAMS, KEY)
    assert (again.replayed, again.execution_count) == (True, 1)


async def test_a_begin_that_may_be_stored_frees_its_key_when_the_database_responds(world: World) -> None:
    ref = await world.session()

    async def store_and_lose(*beginning):
        await MemoryExecutionRepository.begin(world.executions, *beginning)
        raise StorageUnavailable(stored="unknown", retry_after_ms=None)

    world.executions.begin = store_and_lose
    world.executions.failures["withdraw"] = Overloaded("the database")
    with pytest.raises(StorageUnavailable) as caught:
        await world.execution_service.execute(ref, PARAMS, KEY)
    assert caught.value.details["executed"] == "no"
    await settled(world)
    assert world.executions.called == ["withdraw", "withdraw"]
    assert not world.store.open_executions


async def test_withdrawing_stops_when_the_record_reads_as_unknown(world: World) -> None:
    ref = await world.session()
    world.runner.unavailable = "install it."

    async def fail(execution_id, ref):
        world.executions.called.append("withdraw")
        world.clock.advance(timedelta(seconds=40))
        raise StorageUnavailable(stored="unknown")

    world.executions.withdraw = fail
    with pytest.raises(RuntimeUnavailable):
        await world.execution_service.execute(ref, PARAMS, KEY)
    await settled(world)
    assert world.executions.called == ["begin", "withdraw", "withdraw"]


async def test_an_end_that_is_recorded_later_is_replayed(world: World) -> None:
    ref = await world.session()
    world.executions.failures["finish"] = StorageUnavailable(stored="unknown")
    with pytest.raises(ExecutionNotStored, match="Repeating the call with its Idempotency-Key is safe") as caught:
        await world.execution_service.execute(ref, PARAMS, KEY)
    assert caught.value.details["retry_after_ms"] == 1000
    await settled(world)
    again = await world.execution_service.execute(ref, PARAMS, KEY)
    assert (again.replayed, again.report.result, again.execution_count) == (True, "2", 1)
    assert len(world.runner.ran) == 1


async def test_a_run_whose_end_is_unknown_never_runs_again(world: World) -> None:
    ref = await world.session()
    world.runner.unknown_next = "the host is gone"
    with pytest.raises(ExecutionUnknown) as caught:
        await world.execution_service.execute(ref, PARAMS, KEY)
    with pytest.raises(KeyInFlight):
        await world.execution_service.execute(ref, PARAMS, KEY)
    world.clock.advance(timedelta(hours=1))
    with pytest.raises(KeyInterrupted) as interrupted:
        await world.execution_service.execute(ref, PARAMS, KEY)
    assert interrupted.value.details == {"executed": "unknown", "execution_id": caught.value.execution_id}
    assert len(world.runner.ran) == 1


async def test_a_repeated_initialize_makes_no_session_and_checks_no_syntax(world: World) -> None:
    request = SessionRequest("python-x", "result = 1")
    first = await world.session_service.initialize(ANONYMOUS, request, KEY)
    world.runner.unavailable = "install it."
    again = await world.session_service.initialize(ANONYMOUS, request, KEY)
    assert (first.replayed, again.replayed, again.ref) == (False, True, first.ref)
    with pytest.raises(IdempotencyConflict):
        await world.session_service.initialize(ANONYMOUS, request, OTHER_PAYLOAD)
    assert list(world.store.sessions) == [first.ref.session_id]


async def test_an_initialize_that_is_refused_takes_no_key(world: World) -> None:
    world.runner.unavailable = "install it."
    with pytest.raises(RuntimeUnavailable):
        await world.session_service.initialize(ANONYMOUS, SessionRequest("python-x", "result = 1"), KEY)
    world.runner.unavailable = None
    made = await world.session_service.initialize(ANONYMOUS, SessionRequest("python-x", "result = 2"), OTHER_PAYLOAD)
    assert not made.replayed


async def test_an_initialize_that_may_be_stored_may_be_repeated_with_its_key(world: World) -> None:
    service, lost = world.session_service, world.keyed_sessions
    lost_answer = StorageUnavailable(stored="unknown", retry_after_ms=None)

    class Losing:
        initialized = staticmethod(lost.initialized)

        async def initialize(self, *made):
            await lost.initialize(*made)
            raise lost_answer

    service._keyed = Losing()
    request = SessionRequest("python-x", "result = 1")
    with pytest.raises(StorageUnavailable, match="Repeat the call") as caught:
        await service.initialize(ANONYMOUS, request, KEY)
    assert caught.value.details == {"stored": "unknown", "retry_after_ms": 1000}
    assert (await world.session_service.initialize(ANONYMOUS, request, KEY)).replayed
