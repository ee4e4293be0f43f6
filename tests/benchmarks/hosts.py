"""Warm executions on a runtime host, over its stream, in turns with those in the sandbox of the process itself."""

import asyncio
import os
import statistics
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from itertools import cycle
from pathlib import Path

import click
import uvloop
from attrs import frozen

from adapters.remote_runtime.options import RuntimeOptions
from adapters.remote_runtime.script_runner import HttpScriptRunner
from adapters.sandbox.options import SandboxOptions
from adapters.sandbox.runner import SandboxScriptRunner
from domain.scripts.language import Language
from domain.scripts.ports import ScriptRunner
from tests.benchmarks import executions, requests, servers
from tests.benchmarks.database import Database
from tests.benchmarks.load import LoadGenerator
from tests.benchmarks.process_table import processor_s
from tests.benchmarks.servers import Server
from tests.benchmarks.sessions import SCRIPT
from tests.contracts.script_runs import Source, new_session, report_of, run_of, script_of
from tests.support.waiting import until

RATIO_MIN = 0.5
"""Whole executions a second on a host, in parts of those in the sandbox."""

_SESSIONS = executions.WARM_SESSIONS
_CALLERS = 64
_SOURCES = {Language.PYTHON: 'result = params["a"] + params["b"]', Language.NODEJS: SCRIPT}
_PARAMS, _RESULT = '{"a": 5, "b": 3}', "8"
_WARMUP_S = 1.0
_READY_S = 60.0


@frozen
class Line:
    """Executions a second, and microseconds of processor time of all processes for each."""

    rate: float
    cpu_us: float


@frozen
class Compared:
    """The rounds of one language: in the sandbox, and on a host. `ratio_min` is the bar, if there is one."""

    name: str
    local: Sequence[Line]
    remote: Sequence[Line]
    ratio_min: float | None = None

    @property
    def rate_ratio(self) -> float:
        """The median of the ratios of the rounds."""
        return statistics.median(far.rate / near.rate for near, far in zip(self.local, self.remote, strict=True))

    @property
    def verdict(self) -> str:
        """Whether a host reaches its share; empty without a bar."""
        if self.ratio_min is None:
            return ""
        return f", at least {self.ratio_min}: {'met' if self.rate_ratio >= self.ratio_min else 'NOT MET'}"

    def row(self) -> str:
        """Return it as a row of the table under `HEADING`."""
        cells = [f"{_median(lines, name):,.0f}" for name in ("rate", "cpu_us") for lines in (self.local, self.remote)]
        return f"| {self.name} | {' | '.join(cells)} | {self.rate_ratio:.2f}{self.verdict} |"


HEADING = (
    "| executions | executions/s, sandbox | on a host | µs of CPU each, sandbox | on a host | rate, host / sandbox |",
    "|---|---|---|---|---|---|",
)


def run(database: Database, folder: Path, rounds: int, seconds: float) -> Iterator[str]:
    """Measure each language: whole executions over HTTP, and the runners alone. The host is a process of its own."""
    yield from HEADING
    with servers.serving(servers.runtime_host(folder / "host"), None) as server:
        for compared in _whole(database, server, folder, rounds, seconds):
            yield compared.row()
        for compared in uvloop.run(_alone(server.url, folder / "alone", rounds, seconds)):
            yield compared.row()


@frozen
class Service:
    """A controller, and the processes that take part in its executions."""

    server: Server
    pids: Sequence[int]

    def warm(self, language: Language) -> Sequence[bytes]:
        """Return the calls of new sessions whose workers run."""
        asked = [requests.initialize(language)] * _SESSIONS
        calls = [requests.execute(each) for each in executions.initialized(self.server, asked)]
        self.measured(calls, _WARMUP_S)
        return calls

    def measured(self, calls: Sequence[bytes], seconds: float) -> Line:
        """Execute for so long; raises click.ClickException after an error."""
        before_s = sum(map(processor_s, self.pids))
        with LoadGenerator(self.server.url, _CALLERS) as generator:
            load = generator.keep_busy(cycle(calls), seconds)
        if load.errors:
            raise click.ClickException(f"The service responds with errors, by status: {load.errors}")
        return Line(load.rate, (sum(map(processor_s, self.pids)) - before_s) / len(load.latencies_s) * 1e6)


def _whole(database: Database, host: Server, folder: Path, rounds: int, seconds: float) -> Iterator[Compared]:
    remote = {"PYTHON_RUNTIME_URL": host.url, "NODEJS_RUNTIME_URL": host.url}
    with (
        _service(database, folder / "local", [database.pid], {}) as near,
        _service(database, folder / "remote", [database.pid, host.pid], remote) as far,
    ):
        for language in Language:
            lines: tuple[list[Line], list[Line]] = ([], [])
            sides = [
                (service, service.warm(language), found) for service, found in zip((near, far), lines, strict=True)
            ]
            for turn in range(rounds):
                for service, calls, found in sides[:: (1, -1)[turn % 2]]:
                    found.append(service.measured(calls, seconds))
            yield Compared(f"{language}, whole, over HTTP", *lines, ratio_min=RATIO_MIN)


@contextmanager
def _service(database: Database, folder: Path, pids: Sequence[int], settings: Mapping[str, str]) -> Iterator[Service]:
    with servers.serving(servers.pglambda(database.url, folder, **settings), None) as server:
        yield Service(server, [server.pid, *pids])


async def _alone(url: str, folder: Path, rounds: int, seconds: float) -> Sequence[Compared]:
    async with _runners(url, folder) as runners:
        return [await _in_turns(language, runners, rounds, seconds) for language in Language]


@asynccontextmanager
async def _runners(url: str, folder: Path) -> AsyncIterator[tuple[ScriptRunner, ScriptRunner]]:
    async with AsyncExitStack() as stack:
        local = SandboxScriptRunner(SandboxOptions(runtimes_dir=folder, running_max=32))
        await local.open()
        stack.push_async_callback(local.close, 1.0)
        remote = HttpScriptRunner(RuntimeOptions(), {key: [url] for key in Language})
        await remote.open()
        stack.push_async_callback(remote.close)
        for runner in (local, remote):
            await until(lambda runner=runner: _is_ready(runner), _READY_S)
        yield local, remote


async def _is_ready(runner: ScriptRunner) -> bool:
    return (await runner.health())["status"] == "ok"


async def _in_turns(
    language: Language, runners: tuple[ScriptRunner, ScriptRunner], rounds: int, seconds: float
) -> Compared:
    lines: tuple[list[Line], list[Line]] = ([], [])
    for runner in runners:
        await _measured(runner, language, _WARMUP_S)
    for _ in range(rounds):
        for runner, measured in zip(runners, lines, strict=True):
            measured.append(await _measured(runner, language, seconds))
    return Compared(f"{language}, the runner alone", *lines)


async def _measured(runner: ScriptRunner, language: Language, seconds: float) -> Line:
    refs, source, count = [new_session() for _ in range(_SESSIONS)], Source(script_of(_SOURCES[language])), 0
    for ref in refs:
        await report_of(runner, run_of(source, _PARAMS, ref=ref, language=language))
    # It takes longer than a short turn to read the table of a machine with thousands of processes.
    cpu_s = processor_s(os.getpid())
    started_s = time.monotonic()

    async def call(number: int) -> None:
        nonlocal count
        while time.monotonic() - started_s < seconds:
            run = run_of(source, _PARAMS, ref=refs[number % _SESSIONS], language=language)
            report = await report_of(runner, run)
            assert report.result == _RESULT, report
            count += 1

    await asyncio.gather(*(call(number) for number in range(_CALLERS)))
    took_s = time.monotonic() - started_s
    used_s = processor_s(os.getpid()) - cpu_s
    return Line(count / took_s, used_s / count * 1e6)


def _median(lines: Sequence[Line], name: str) -> float:
    return statistics.median(getattr(line, name) for line in lines)
