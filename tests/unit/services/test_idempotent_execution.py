"""A call with a key runs once, whatever happens to its caller or to the database."""

import asyncio
from datetime import timedelta

import pytest

from adapters.memory.executions import MemoryExecutionRepository
from domain.errors import Overloaded, RuntimeUnavailable, StorageUnavailable
from domain.idempotency import IdempotencyKey
from domain.json_text import JsonText
from domain.sessions.requests import SessionRequest
from tests.support.waiting import until
from tests.unit.services.conftest import ANONYMOUS, World
from tests.unit.services.test_execution_service import settled

PARAMS = JsonText('{"a": 1}')
KEY = IdempotencyKey("k", "0" * 64)
OTHER_PAYLOAD = IdempotencyKey("k", "1" * 64)


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


async def test_an_initialize_that_is_refused_takes_no_key(world: World) -> None:
    world.runner.unavailable = "install it."
    with pytest.raises(RuntimeUnavailable):
        await world.session_service.initialize(ANONYMOUS, SessionRequest("python-x", "result = 1"), KEY)
    world.runner.unavailable = None
    made = await world.session_service.initialize(ANONYMOUS, SessionRequest("python-x", "result = 2"), OTHER_PAYLOAD)
    assert not made.replayed


async def test_an_initialize_that_may_be_stored_may_be_repeated_with_its_key(world: World) -> None:
    service, lost = world.session_service, world.keyed_sessions
    lost_response = StorageUnavailable(stored="unknown", retry_after_ms=None)

    class Losing:
        initialized = staticmethod(lost.initialized)

        async def initialize(self, *made):
            await lost.initialize(*made)
            raise lost_response

    service._keyed = Losing()
    request = SessionRequest("python-x", "result = 1")
    with pytest.raises(StorageUnavailable, match="Repeat the call") as caught:
        await service.initialize(ANONYMOUS, request, KEY)
    assert caught.value.details == {"stored": "unknown", "retry_after_ms": 1000}
    assert (await world.session_service.initialize(ANONYMOUS, request, KEY)).replayed
