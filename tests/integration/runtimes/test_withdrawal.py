"""Closing the connection withdraws a queued execution from a host, and never a running one."""

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from adapters.memory.script_runner import MemoryRunnerOptions, MemoryScriptRunner
from adapters.remote_runtime.options import RuntimeOptions
from adapters.remote_runtime.script_runner import HttpScriptRunner
from domain.scripts.language import Language
from domain.scripts.report import ExecutionUnknown
from entrypoints.runtime_host.application import HostApi
from entrypoints.runtime_host.options import RuntimeHostOptions
from tests.contracts.script_runs import report_of, result_of, run_of
from tests.contracts.served_hosts import served
from tests.support.ports import loopback_socket
from tests.support.waiting import until


@pytest.fixture
def behind():
    """The runner behind the host: one worker, three waiting."""
    return MemoryScriptRunner(MemoryRunnerOptions(workers_max=1, queue_max=3))


@pytest.fixture
def host(behind):
    return HostApi(behind, RuntimeHostOptions())


@pytest.fixture
async def runner(host):
    async with served_runner(host) as runner:
        yield runner


@asynccontextmanager
async def served_runner(host):
    listening, url = loopback_socket()
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(served(host.app(), listening))
        runner = HttpScriptRunner(RuntimeOptions(), {Language.PYTHON: [url]})
        await runner.open()
        stack.push_async_callback(runner.close)
        yield runner


async def test_a_queued_execution_that_is_cancelled_leaves_the_hosts_queue_and_never_runs(runner, behind):
    behind.hold()
    first, second = run_of("result = 1"), run_of("result = 2")
    running = asyncio.ensure_future(result_of(runner, first))
    await until(lambda: behind.running)
    queued = asyncio.ensure_future(result_of(runner, second))
    await until(lambda: behind.queued)
    queued.cancel()
    await until(lambda: not behind.queued)
    behind.let_go()
    assert await running == "1"
    assert behind.ran == [first.execution_id]


async def test_a_withdrawn_execution_may_be_repeated(runner, behind):
    behind.hold()
    running = asyncio.ensure_future(result_of(runner, run_of("result = 1")))
    await until(lambda: behind.running)
    run = run_of("result = 2")
    queued = asyncio.ensure_future(result_of(runner, run))
    await until(lambda: behind.queued)
    queued.cancel()
    await until(lambda: not behind.queued)
    behind.let_go()
    await running
    assert await result_of(runner, run) == "2"


async def test_a_running_execution_continues_without_its_caller_and_never_runs_again(runner, behind):
    behind.hold()
    run = run_of("result = 1")
    running = asyncio.ensure_future(result_of(runner, run))
    await until(lambda: behind.running)
    running.cancel()
    await asyncio.wait([running])
    behind.let_go()
    await until(lambda: behind.ran)
    with pytest.raises(ExecutionUnknown, match="received this execution before"):
        await report_of(runner, run)
    assert behind.ran == [run.execution_id]


async def test_each_of_many_concurrent_executions_runs_once(behind, runner):
    behind.options = MemoryRunnerOptions(workers_max=8, queue_max=100)
    runs = [run_of("result = params", str(n)) for n in range(60)]
    assert await asyncio.gather(*(result_of(runner, run) for run in runs)) == [str(n) for n in range(60)]
    assert sorted(behind.ran) == sorted(run.execution_id for run in runs)
