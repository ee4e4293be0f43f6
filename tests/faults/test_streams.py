"""Two runtime hosts under 64 callers, one of which is disturbed: no execution runs twice, and callers go on."""

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from attrs import define, field

from adapters.remote_runtime.options import RuntimeOptions
from adapters.remote_runtime.script_runner import HttpScriptRunner
from domain.errors import DomainError, RuntimeUnavailable
from domain.scripts.language import Language
from domain.scripts.limits import Isolation, Limits
from domain.scripts.report import ExecutionUnknown
from tests.contracts.script_runs import Source, new_session, report_of, run_of, script_of
from tests.faults.proxy import Mode, Proxy
from tests.faults.report import NOTES
from tests.support.ports import free_port
from tests.support.waiting import until

pytestmark = pytest.mark.timeout(120)

CALLERS = 64
LIMITS = Limits(timeout_ms=1000, memory_mb=64, isolation=Isolation.SESSION)
SOURCE = "import asyncio\nasync def handler():\n  await asyncio.sleep(0.01)\n  return 1"


@define(eq=False)
class Host:
    """A host as a process, which can be started again."""

    port: int
    runs: Path
    process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        program = (sys.executable, "-m", "tests.faults.stream_host", str(self.port), str(self.runs))
        self.process = await asyncio.create_subprocess_exec(*program)

    def send(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    async def ended(self) -> None:
        assert self.process is not None
        await self.process.wait()

    async def kill(self) -> None:
        if self.process is not None and self.process.returncode is None:
            self.process.kill()
            await self.process.wait()


@define(eq=False)
class HostCallers:
    """Execute sessions of their own again and again, and keep what became of each execution, and when."""

    runner: HttpScriptRunner
    seen: list[tuple[float, object, str]] = field(factory=list)
    _is_ending: bool = False
    _tasks: list[asyncio.Task[None]] = field(factory=list)

    def start(self) -> None:
        source = Source(script_of(SOURCE))
        self._tasks = [asyncio.create_task(self._call(source)) for _ in range(CALLERS)]

    async def end(self) -> None:
        self._is_ending = True
        async with asyncio.timeout(30):
            await asyncio.gather(*self._tasks)

    def since(self, at_s: float, until_s: float = float("inf")) -> Counter[str]:
        return Counter(kind for when_s, _, kind in self.seen if at_s < when_s <= until_s)

    async def succeed(self) -> float:
        """Wait until as many executions as callers have succeeded from now on; return how long that took."""
        since_s = time.monotonic()
        await until(lambda: self.since(since_s)["done"] >= CALLERS, timeout_s=30)
        return time.monotonic() - since_s

    async def _call(self, source: Source) -> None:
        ref = new_session()
        while not self._is_ending:
            run = run_of(source, ref=ref, limits=LIMITS)
            kind = await self._end_of(run)
            self.seen.append((time.monotonic(), run.execution_id, kind))

    async def _end_of(self, run) -> str:
        try:
            return "done" if (await report_of(self.runner, run)).failure is None else "failed"
        except ExecutionUnknown:
            return "unknown"
        except RuntimeUnavailable:
            return "unavailable"
        except DomainError as error:
            return error.code


@pytest.fixture
async def hosts(tmp_path) -> AsyncIterator[list[Host]]:
    hosts = [Host(free_port(), tmp_path / "runs") for _ in range(2)]
    for host in hosts:
        await host.start()
    yield hosts
    for host in hosts:
        await host.kill()


@pytest.fixture
async def proxy(hosts) -> AsyncIterator[Proxy]:
    """A proxy in front of the first host."""
    proxy = await Proxy("127.0.0.1", hosts[0].port).start()
    yield proxy
    await proxy.stop()


@contextlib.asynccontextmanager
async def calling(*urls: str) -> AsyncIterator[HostCallers]:
    runner = HttpScriptRunner(RuntimeOptions(runtime_timeout_s=20), {Language.PYTHON: urls})
    await runner.open()
    try:
        await until(lambda: _are_ready(runner), timeout_s=30)
        callers = HostCallers(runner)
        callers.start()
        await callers.succeed()
        yield callers
    finally:
        await runner.close()


async def _are_ready(runner: HttpScriptRunner) -> bool:
    hosts = (await runner.health())["languages"]["python"]["hosts"]
    return all(host["stream"]["state"] == "ready" for host in hosts)


def note(fault: str, seen: Counter[str], recovered_s: float) -> None:
    NOTES.append(
        f"two runtime hosts, {CALLERS} callers, {fault}: {dict(seen)}; every caller could go on after "
        f"{1000 * recovered_s:.0f} ms"
    )


def assert_each_ran_once(host: Host, callers: HostCallers) -> None:
    ran = Counter(host.runs.read_text().split())
    assert max(ran.values()) == 1, "an execution ran twice"
    done = {str(execution_id) for _, execution_id, kind in callers.seen if kind == "done"}
    refused = {str(execution_id) for _, execution_id, kind in callers.seen if kind == "unavailable"}
    assert done <= ran.keys()
    assert not refused & ran.keys(), "what is reported as not started has not run"


async def test_a_host_that_is_killed_costs_what_it_was_running(hosts):
    async with calling(*(host.url for host in hosts)) as callers:
        at_s = time.monotonic()
        await hosts[0].kill()
        recovered_s = await callers.succeed()
        await callers.end()
    seen = callers.since(at_s)
    assert seen.keys() <= {"done", "unknown"}
    assert seen["unknown"] <= CALLERS
    assert_each_ran_once(hosts[0], callers)
    note("one killed", seen, recovered_s)


@pytest.mark.parametrize("frozen_s", [0.5, 3.0, 10.0])
async def test_a_host_that_is_frozen_is_left_within_a_second(hosts, frozen_s):
    async with calling(*(host.url for host in hosts)) as callers:
        at_s = time.monotonic()
        hosts[0].send(signal.SIGSTOP)
        recovered_s = await callers.succeed()
        await asyncio.sleep(frozen_s)
        hosts[0].send(signal.SIGCONT)
        await callers.succeed()
        await callers.end()
    seen = callers.since(at_s)
    assert seen.keys() <= {"done", "unknown", "OVERLOADED"}, "what waited in the queue of the host for too long"
    assert (seen["unknown"] == 0) == (frozen_s < 5), "runs of a host that is back in time end as usual"
    assert_each_ran_once(hosts[0], callers)
    note(f"one frozen for {frozen_s:g} s", seen, recovered_s)


async def test_a_host_that_is_cut_off_is_left_within_a_second(hosts, proxy):
    async with calling(f"http://127.0.0.1:{proxy.port}", hosts[1].url) as callers:
        at_s = time.monotonic()
        proxy.mode = Mode.SILENT
        recovered_s = await callers.succeed()
        await until(lambda: callers.since(at_s)["unknown"], timeout_s=20)
        await callers.end()
    seen = callers.since(at_s)
    assert seen.keys() <= {"done", "unknown"}
    assert_each_ran_once(hosts[0], callers)
    note("one cut off", seen, recovered_s)


async def test_hosts_that_restart_in_turn_cost_no_execution(hosts):
    async with calling(*(host.url for host in hosts)) as callers:
        at_s = time.monotonic()
        for host in hosts:
            host.send(signal.SIGTERM)
            await host.ended()
            await host.start()
            await until(lambda: _are_ready(callers.runner), timeout_s=30)
        recovered_s = await callers.succeed()
        await callers.end()
    seen = callers.since(at_s)
    assert seen.keys() == {"done"}, "a rolling restart costs no call"
    assert_each_ran_once(hosts[0], callers)
    note("restarted in turn", seen, recovered_s)


@contextlib.asynccontextmanager
async def busy_processors() -> AsyncIterator[None]:
    """Keep all processors busy with four programs each."""
    count = 4 * (os.cpu_count() or 1)
    programs = [await asyncio.create_subprocess_exec(sys.executable, "-c", "while True: pass") for _ in range(count)]
    try:
        yield
    finally:
        for program in programs:
            program.kill()
            await program.wait()


async def test_hosts_on_busy_processors_lose_no_execution_and_are_all_used_afterwards(hosts):
    async with calling(*(host.url for host in hosts)) as callers:
        at_s = time.monotonic()
        async with busy_processors():
            for _ in range(3):
                await callers.succeed()
        busy_s = time.monotonic() - at_s
        await until(lambda: _are_ready(callers.runner), timeout_s=30)
        recovered_s = await callers.succeed()
        await callers.end()
        left = callers.runner.stats().left
    seen = callers.since(at_s)
    assert not seen["unknown"], "a host that is slow is not lost"
    assert_each_ran_once(hosts[0], callers)
    note(f"busy processors for {busy_s:.1f} s, hosts left {sum(left.values())} times", seen, recovered_s)


async def test_a_controller_that_is_held_up_for_a_second_leaves_no_host(hosts):
    async with calling(*(host.url for host in hosts)) as callers:
        at_s = time.monotonic()
        ends_at_s = at_s + 1
        while time.monotonic() < ends_at_s:
            """Hold the loop, so that neither timers nor sockets are served."""
        recovered_s = await callers.succeed()
        await callers.end()
        left = callers.runner.stats().left
    seen = callers.since(at_s)
    assert seen.keys() == {"done"}
    assert not any(left.values()), left
    assert_each_ran_once(hosts[0], callers)
    note("the controller held up for 1 s", seen, recovered_s)
