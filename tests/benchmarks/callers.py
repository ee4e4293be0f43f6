"""Begins and finishes of executions by callers within one process, which is the server here."""

import asyncio
import gc
import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import TypeVar
from uuid import UUID

import uvloop
from attrs import asdict, define, field, frozen

from adapters.random_ids import RandomIds
from domain.clock import Clock
from domain.executions.execution import FinishedExecution, OpenExecution
from domain.executions.ports import ExecutionRepository
from domain.identity import SessionRef
from domain.json_text import JsonText
from domain.scripts.report import ScriptReport
from entrypoints.composition.database import Database as Parts
from entrypoints.settings.choices import LogFormat, LogLevel
from entrypoints.settings.secret import Secret
from entrypoints.settings.settings import Settings
from entrypoints.telemetry.logs import configure_logs
from entrypoints.telemetry.metrics.statements import StatementMetrics
from tests.benchmarks.database import Database
from tests.benchmarks.machine import pinned
from tests.benchmarks.measurement import Measurement, quantile_ms
from tests.benchmarks.names import BEGIN, FINISH, PGLAMBDA
from tests.benchmarks.process_table import memory, processor_s
from tests.benchmarks.sessions import SessionSet

_ROOT = Path(__file__).parents[2]
_TIMEOUT_S = 120.0
_ALLOWANCE = timedelta(seconds=64.5)
_PARAMS = JsonText('{"a": 5, "b": 3}')
_REPORT = ScriptReport(
    result=JsonText("8"),
    failure=None,
    execution_time_ms=1.25,
    memory_usage_bytes=9_000_000,
    cpu_time_ms=0.5,
    queue_time_ms=0.1,
    cold_start=False,
)

Item = TypeVar("Item")


@frozen
class Task:
    """What the process is to do; times in seconds."""

    database_url: str
    database_pid: int
    first: str
    count: int
    callers: int
    warmup_s: float
    measured_s: float


def run(
    database: Database, sessions: SessionSet, callers: int, core: int, times_s: tuple[float, float]
) -> list[Measurement]:
    """Measure begin, then finish, by so many callers in a process on the server's core; times: warm-up, measured."""
    task = Task(database.url, database.pid, str(sessions.first), sessions.count, callers, *times_s)
    with pinned(core):
        ended = subprocess.run(
            [sys.executable, "-m", "tests.benchmarks.callers", json.dumps(asdict(task))],
            cwd=_ROOT,
            check=True,
            stdout=subprocess.PIPE,
            timeout=_TIMEOUT_S,
        )
    return [Measurement(**each) for each in json.loads(ended.stdout)]


@define(eq=False)
class Callers:
    """The callers and the repository that they share."""

    task: Task
    executions: ExecutionRepository
    clock: Clock
    _ids: RandomIds = field(factory=RandomIds)
    _opened: list[OpenExecution] = field(factory=list)

    async def measurements(self) -> list[Measurement]:
        """Begin for a while, then finish what was begun."""
        sessions = SessionSet(self.task.count, UUID(self.task.first))
        keys = itertools.cycle([sessions.key(number) for number in sessions.sample()])
        await self._call(self._begin, keys, self.task.warmup_s)
        self._opened.clear()
        begun = await self._timed(BEGIN, self._begin, keys)
        finished = await self._timed(FINISH, self._finish, iter(self._opened))
        return [begun, finished]

    async def _begin(self, ref: SessionRef) -> None:
        self._opened.append(await self.executions.begin(self._ids.new(self.clock.now()), ref, _ALLOWANCE))

    async def _finish(self, execution: OpenExecution) -> None:
        await self.executions.finish(FinishedExecution(execution, self.clock.now(), _PARAMS, _REPORT))

    async def _timed(
        self, operation: str, call: Callable[[Item], Awaitable[None]], items: Iterator[Item]
    ) -> Measurement:
        database_s, own_s = processor_s(self.task.database_pid), time.process_time()
        latencies_s, took_s = await self._call(call, items, self.task.measured_s)
        own_s, database_s = time.process_time() - own_s, processor_s(self.task.database_pid) - database_s
        used = memory(os.getpid())
        return Measurement(
            system=PGLAMBDA,
            operation=operation,
            connections=self.task.callers,
            sessions=self.task.count,
            rate=len(latencies_s) / took_s,
            p50_ms=quantile_ms(latencies_s, 0.5),
            p99_ms=quantile_ms(latencies_s, 0.99),
            service_us=own_s / len(latencies_s) * 1e6,
            database_us=database_s / len(latencies_s) * 1e6,
            pss_mib=used.pss_mib,
            rss_mib=used.rss_mib,
        )

    async def _call(
        self, call: Callable[[Item], Awaitable[None]], items: Iterator[Item], duration_s: float
    ) -> tuple[list[float], float]:
        """Let every caller call again and again; return the latencies and the time that it took."""
        latencies_s: list[float] = []
        gc.collect()
        gc.freeze()
        started_s = time.perf_counter()

        async def caller() -> None:
            sent_s = time.perf_counter()
            while sent_s < started_s + duration_s and (item := next(items, None)) is not None:
                await call(item)
                answered_s = time.perf_counter()
                latencies_s.append(answered_s - sent_s)
                sent_s = answered_s

        await asyncio.gather(*(caller() for _ in range(self.task.callers)))
        return latencies_s, time.perf_counter() - started_s


async def measure(task: Task) -> list[Measurement]:
    """Build what a controller has for the database, and let the callers at it."""
    settings = Settings(data_dir=Path("/"), auto_migrate=False, database_url=Secret(task.database_url))
    parts = Parts(settings=settings, observe=StatementMetrics().ended)
    await parts.gateway().open()
    try:
        await parts.clock().measure()
        return await Callers(task, parts.executions(), parts.clock()).measurements()
    finally:
        await parts.gateway().close()


if __name__ == "__main__":
    configure_logs(LogLevel.ERROR, LogFormat.AUTO)
    measured = uvloop.run(measure(Task(**json.loads(sys.argv[1]))))
    sys.stdout.write(json.dumps([asdict(each) for each in measured]))
