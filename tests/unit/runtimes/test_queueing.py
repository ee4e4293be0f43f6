"""Calls that wait for a worker or a check leave the queue with their client, and give back what came too late."""

import asyncio

import pytest

from adapters.memory.script_runner import MemoryRunnerOptions, MemoryScriptRunner
from entrypoints.runtime_host.disconnect import acquire_while_connected, check_while_connected
from entrypoints.runtime_host.errors import HostError
from tests.contracts.script_runs import result_of, run_of
from tests.support.waiting import until


class ManualConnection:
    """A connection that the test closes."""

    def __init__(self) -> None:
        self.closed = asyncio.Event()
        self.messages = [{"type": "http.request"}]

    async def receive(self):
        if self.messages:
            return self.messages.pop()
        await self.closed.wait()
        return {"type": "http.disconnect"}


@pytest.fixture
def runner():
    return MemoryScriptRunner(MemoryRunnerOptions(workers_max=1))


async def test_a_worker_is_given_while_the_client_is_there(runner):
    worker = await acquire_while_connected(runner, run_of("result = 1"), ManualConnection().receive)
    assert (await worker.run()).result == "1"


async def test_a_client_that_leaves_is_withdrawn(runner):
    taken, connection = await runner.acquire(run_of("result = 1")), ManualConnection()
    waiting = asyncio.ensure_future(acquire_while_connected(runner, run_of("result = 1"), connection.receive))
    await until(lambda: runner.queued)
    connection.closed.set()
    with pytest.raises(HostError, match="CLIENT_GONE"):
        await waiting
    assert runner.queued == 0
    await taken.release()


async def test_a_worker_that_came_with_the_end_of_the_connection_is_given_back(runner):
    connection = ManualConnection()
    connection.messages = [{"type": "http.disconnect"}]
    with pytest.raises(HostError, match="CLIENT_GONE"):
        await acquire_while_connected(runner, run_of("result = 1"), connection.receive)
    assert await asyncio.wait_for(result_of(runner, run_of("result = 1")), 1) == "1"


async def test_a_cancelled_wait_leaves_the_queue(runner):
    taken, connection = await runner.acquire(run_of("result = 1")), ManualConnection()
    waiting = asyncio.ensure_future(acquire_while_connected(runner, run_of("result = 1"), connection.receive))
    await until(lambda: runner.queued)
    waiting.cancel()
    await asyncio.wait([waiting])
    assert waiting.cancelled()
    assert runner.queued == 0
    await taken.release()


async def test_a_check_is_answered_while_the_client_is_there():
    async def parsed():
        return True

    assert await check_while_connected(parsed(), ManualConnection().receive) is True


@pytest.mark.parametrize("is_cancelled", [True, False])
async def test_a_check_without_its_client_is_cancelled(is_cancelled):
    begun, cancelled, connection = asyncio.Event(), asyncio.Event(), ManualConnection()

    async def parsed():
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    waiting = asyncio.ensure_future(check_while_connected(parsed(), connection.receive))
    await begun.wait()
    if is_cancelled:
        waiting.cancel()
    else:
        connection.closed.set()
    with pytest.raises(asyncio.CancelledError if is_cancelled else HostError):
        await waiting
    assert cancelled.is_set()
