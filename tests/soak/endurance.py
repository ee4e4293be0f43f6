"""Many executions, good and bad, in sessions that start and end: what the service has afterwards."""

import asyncio
import contextlib
import random
import time
from collections import Counter

from attrs import define, field, frozen

from adapters.sandbox.runner import SandboxScriptRunner
from domain.scripts.limits import Isolation, Limits
from tests.contracts.script_runs import new_session, report_of, run_of
from tests.soak.census import Census, take_census, zombies
from tests.soak.scripts import drawn
from tests.support.waiting import until

_CALLERS = 8
_SESSIONS = 16
_SESSION_LENGTH = 320
_LONG = Limits(timeout_ms=2000, memory_mb=64, isolation=Isolation.SESSION)
_SHORT = Limits(timeout_ms=200, memory_mb=64, isolation=Isolation.SESSION)
_SEED = 20261125
_SETTLE_S = 20.0


@frozen
class Endurance:
    """The outcomes of the executions, and what the service had after a tenth of them and after all."""

    executions: int
    wrong: int
    elapsed_s: float
    outcomes: Counter[str]
    before: Census
    after: Census
    closed: Census

    def problems(self) -> list[str]:
        """Return what has leaked or gone wrong."""
        found = [f"{self.wrong} executions had a wrong outcome"] if self.wrong else []
        for name, allowed in (("processes", 0), ("orphans", 0), ("descriptors", 4), ("mounts", 0), ("namespaces", 0)):
            growth = getattr(self.after, name) - getattr(self.before, name)
            if growth > allowed:
                found.append(f"{growth} more {name}")
        if self.after.memory - self.before.memory > 16 << 20:
            found.append(f"{(self.after.memory - self.before.memory) >> 20} MiB more memory")
        return found


@define(eq=False)
class Soak:
    """Calls one sandbox as several callers at once."""

    runner: SandboxScriptRunner
    executions: int
    _left: int = field(default=0, init=False)
    _wrong: int = field(default=0, init=False)
    _outcomes: Counter[str] = field(factory=Counter, init=False)

    async def run(self) -> tuple[Census, Census, float]:
        """Run a tenth of the executions, count, run the others, and count again."""
        await self._execute(self.executions // 10)
        before = await self._settled()
        started_s = time.perf_counter()
        await self._execute(self.executions - self.executions // 10)
        elapsed_s = time.perf_counter() - started_s
        return before, await self._settled(), elapsed_s

    def summary(self, before: Census, after: Census, closed: Census, elapsed_s: float) -> Endurance:
        """Return the measurements."""
        return Endurance(self.executions, self._wrong, elapsed_s, self._outcomes, before, after, closed)

    async def _execute(self, executions: int) -> None:
        self._left = executions
        async with asyncio.TaskGroup() as callers:
            for number in range(_CALLERS):
                callers.create_task(self._call(random.Random(_SEED + number + executions)))

    async def _call(self, generator: random.Random) -> None:
        while self._left > 0:
            sessions = [(drawn(generator), new_session()) for _ in range(_SESSIONS)]
            for _ in range(min(_SESSION_LENGTH, self._left)):
                self._left -= 1
                sample, ref = generator.choice(sessions)
                limits = _SHORT if "EXECUTION_TIMEOUT" in sample.outcomes else _LONG
                run = run_of(sample.source, f'{{"n": {self._left}}}', language=sample.language, ref=ref, limits=limits)
                report = await report_of(self.runner, run)
                outcome = None if report.failure is None else report.failure.code.value
                self._outcomes[f"{sample.language} {outcome or 'succeeded'}"] += 1
                if outcome not in sample.outcomes:
                    self._wrong += 1
                    self._outcomes[f"wrong: {outcome} of {sample.source[:40]!r}"] += 1
            for _, ref in sessions:
                await self.runner.evict(ref.session_id)

    async def _settled(self) -> Census:
        """Count when only prewarmed workers are left."""
        prewarmed = len(self.runner.options.languages) * self.runner.options.prewarmed
        with contextlib.suppress(TimeoutError):
            # The system's first process collects what a dead launcher leaves, at an unknown time.
            await until(lambda: self.runner.stats().processes == prewarmed and not zombies(), _SETTLE_S)
        return take_census()
