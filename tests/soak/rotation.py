"""Many sessions in turn, far more than may have a worker: the memory of all workers together."""

import asyncio
import time
from pathlib import Path

from attrs import define, field, frozen

from adapters.sandbox.options import MIB
from adapters.sandbox.runner import SandboxScriptRunner
from adapters.sandbox.zygote.sandbox_spec import ZYGOTE_PROCESSES
from adapters.sandbox.zygote.zygote_pool import ZYGOTES_MAX
from domain.errors import DomainError
from domain.scripts.language import Language
from domain.scripts.limits import Isolation, Limits
from tests.contracts.script_runs import new_session, report_of, run_of
from tests.soak.census import descendants

_CALLERS = 8
_OBSERVE_EVERY = 200
_LIMITS = Limits(timeout_ms=10_000, memory_mb=64, isolation=Isolation.SESSION)
_SOURCES = {
    Language.PYTHON: "held = bytearray(4 << 20)\nresult = params['n'] + 1",
    Language.NODEJS: "const held = Buffer.alloc(4 << 20, 1); return event.params.n + 1",
}
_NODEJS_EVERY = 5


@frozen
class Rotation:
    """The maxima over all observations: memory in bytes, workers of sessions, processes of all kinds.

    `counted` is the memory that workers count for, `resident` what they hold (a shared page counts in parts).
    """

    sessions: int
    failed: int
    elapsed_s: float
    workers: int
    processes: int
    counted: int
    resident: int
    budget: int
    workers_max: int
    processes_max: int

    def line(self) -> str:
        """Return it in one line."""
        return (
            f"{self.sessions:,} sessions in turn in {self.elapsed_s:.0f} s: at most {self.workers} workers "
            f"(of {self.workers_max}), {self.processes} processes, {self.counted // MIB:,} MiB counted and "
            f"{self.resident // MIB:,} MiB resident of {self.budget // MIB:,}; {self.failed} failed"
        )

    def problems(self) -> list[str]:
        """Return the limits that were exceeded."""
        limits = {
            "failed calls": (self.failed, 0),
            "workers": (self.workers, self.workers_max),
            "processes": (self.processes, self.processes_max),
            "bytes counted": (self.counted, self.budget),
            "bytes resident": (self.resident, self.budget),
        }
        return [f"{seen:,} {name} where {most:,} may be" for name, (seen, most) in limits.items() if seen > most]


@define(eq=False)
class Rotating:
    """Calls many sessions in turn, several at once."""

    runner: SandboxScriptRunner
    sessions: int
    _next: int = field(default=0, init=False)
    _failed: int = field(default=0, init=False)
    _most: dict[str, int] = field(factory=dict, init=False)

    async def run(self) -> Rotation:
        """Call every session once."""
        started_s = time.perf_counter()
        async with asyncio.TaskGroup() as callers:
            for _ in range(_CALLERS):
                callers.create_task(self._call())
        self._observe()
        options = self.runner.options
        beside = len(options.languages) * (options.prewarmed + options.starting_max)
        zygotes = len(options.languages) * ZYGOTES_MAX * ZYGOTE_PROCESSES
        return Rotation(
            self.sessions,
            self._failed,
            time.perf_counter() - started_s,
            budget=self.runner.stats().memory_bytes_max,
            workers_max=options.warm_workers_max,
            # Processes that were just killed may still be in the table.
            processes_max=options.warm_workers_max + beside + zygotes + _CALLERS,
            **self._most,
        )

    async def _call(self) -> None:
        while self._next < self.sessions:
            number = self._next
            self._next += 1
            language = Language.PYTHON if number % _NODEJS_EVERY else Language.NODEJS
            run = run_of(_SOURCES[language], f'{{"n": {number}}}', language=language, ref=new_session(), limits=_LIMITS)
            try:
                self._failed += (await report_of(self.runner, run)).result != str(number + 1)
            except DomainError:
                self._failed += 1
            if number % _OBSERVE_EVERY == 0:
                self._observe()

    def _observe(self) -> None:
        stats, processes = self.runner.stats(), descendants()
        seen = {
            "workers": stats.running + stats.idle,
            "processes": len(processes),
            "counted": stats.memory_bytes,
            "resident": sum(map(_resident, processes)),
        }
        self._most = {name: max(count, self._most.get(name, 0)) for name, count in seen.items()}


def _resident(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    return next(int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("Pss:"))
