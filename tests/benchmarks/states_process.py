"""Executions of a controller without a sandbox, in a process of its own: with and without a state that each one saves."""

import asyncio
import json
import random
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import cycle
from pathlib import Path
from typing import Any
from uuid import UUID

import uvloop
from attrs import asdict, define, field, frozen
from dependency_injector import providers
from typing_extensions import override

from domain.grants.grants import Grants
from domain.grants.state import StateGrant, StateMode
from domain.identity import ANONYMOUS, Owner, SessionRef
from domain.json_text import JsonText
from domain.scripts.convention import Convention
from domain.scripts.language import Language
from domain.scripts.ports import ScriptRun, ScriptRunner, Worker
from domain.scripts.report import ScriptReport
from domain.scripts.script import InputForm, Script
from domain.scripts.syntax import Syntax
from domain.sessions.requests import SessionRequest
from entrypoints.composition.controller import Controller
from entrypoints.composition.runners import Runners
from entrypoints.server.child import tune_interpreter
from entrypoints.settings.choices import LogFormat, LogLevel
from entrypoints.settings.secret import Secret
from entrypoints.settings.settings import Settings
from entrypoints.telemetry.logs import configure_logs
from tests.benchmarks.measurement import Measurement, quantile_ms
from tests.benchmarks.names import PGLAMBDA
from tests.benchmarks.process_table import processor_s

_PARAMS = JsonText("{}")
_SEED = 1
_DRAIN_S = 60.0


@frozen
class Task:
    """So many callers, who execute so many sessions in random order for `seconds` in each of the `turns`."""

    database_url: str
    database_pid: int
    callers: int
    sessions: int
    seconds: float
    turns: int


@frozen
class Figures:
    """The measurements without and with a state, and the sessions whose counter differs from their executions."""

    plain: Measurement
    counting: Measurement
    wrong: int
    conflicts: int


@frozen
class Counted(Worker):
    """An execution that adds one to the counter in its state, and does nothing without a state."""

    report: ScriptReport

    @override
    async def run(self) -> ScriptReport:
        return self.report

    @override
    async def stop(self) -> bool:
        return False

    @override
    async def release(self) -> None:
        return


class CountingRunner(ScriptRunner):
    """Counts in this process, in place of scripts in a sandbox."""

    @override
    async def acquire(self, run: ScriptRun) -> Worker:
        state = None
        if run.state is not None:
            state = JsonText(json.dumps({"n": json.loads(run.state.text).get("n", 0) + 1}))
        return Counted(ScriptReport(JsonText("1"), None, execution_time_ms=0.0, state=state))

    @override
    async def check(
        self,
        language: Language,
        script: Script,
        owner: Owner,
        convention: Convention = Convention.OWN,
        syntax: Syntax | None = None,
    ) -> InputForm | None:
        return None

    @override
    async def evict(self, session_id: UUID) -> None:
        return

    @override
    async def health(self) -> Mapping[str, object]:
        return {"status": "ok"}


@define(eq=False)
class Line:
    """Executions of one kind, and what they have taken in all turns."""

    operation: str
    execute: Callable[[SessionRef], Awaitable[object]]
    refs: Sequence[SessionRef]
    latencies_s: list[float] = field(factory=list)
    took_s: float = 0.0
    own_s: float = 0.0
    database_s: float = 0.0

    async def turn(self, task: Task) -> None:
        """Let every caller execute again and again."""
        sessions = cycle(random.Random(_SEED).choices(self.refs, k=100 * task.sessions))
        own_s, database_s, since_s = time.process_time(), processor_s(task.database_pid), time.perf_counter()

        async def caller() -> None:
            called_s = time.perf_counter()
            while called_s < since_s + task.seconds:
                await self.execute(next(sessions))
                ended_s = time.perf_counter()
                self.latencies_s.append(ended_s - called_s)
                called_s = ended_s

        await asyncio.gather(*(caller() for _ in range(task.callers)))
        self.took_s += time.perf_counter() - since_s
        self.own_s += time.process_time() - own_s
        self.database_s += processor_s(task.database_pid) - database_s

    def measurement(self, task: Task) -> Measurement:
        """Return the line of the report."""
        count = len(self.latencies_s)
        return Measurement(
            system=PGLAMBDA,
            operation=self.operation,
            connections=task.callers,
            sessions=task.sessions,
            rate=count / self.took_s,
            p50_ms=quantile_ms(self.latencies_s, 0.5),
            p99_ms=quantile_ms(self.latencies_s, 0.99),
            service_us=self.own_s / count * 1e6,
            database_us=self.database_s / count * 1e6,
        )


async def measure(task: Task) -> Figures:
    """Execute in turns; the first turn of each kind is not counted."""
    async with _controller(task.database_url) as controller:
        lines = [
            Line(f"execute, {name}", lambda ref: controller.executions().execute(ref, _PARAMS), refs)
            for name, refs in (
                ("no state", await _sessions(controller, task.sessions, None)),
                (
                    "a counter in a state",
                    await _sessions(controller, task.sessions, Grants(state=StateGrant(StateMode.EXCLUSIVE))),
                ),
            )
        ]
        for line in lines:
            await line.turn(task)
            line.latencies_s, line.took_s, line.own_s, line.database_s = [], 0.0, 0.0, 0.0
        for _ in range(task.turns):
            for line in lines:
                await line.turn(task)
        wrong = sum([not await _is_exact(controller, ref) for ref in lines[1].refs])
        conflicts = controller.state_slots().stats.conflicts
        return Figures(*(line.measurement(task) for line in lines), wrong, conflicts)


async def _sessions(controller: Any, count: int, grants: Grants | None) -> Sequence[SessionRef]:
    request = SessionRequest("python-counter", "result = 1", grants=grants)
    made = [await controller.sessions().initialize(ANONYMOUS, request) for _ in range(count)]
    return [each.ref for each in made]


async def _is_exact(controller: Any, ref: SessionRef) -> bool:
    session, state = await controller.sessions().get(ref), await controller.states().get(ref)
    return bool(json.loads(state.text)["n"] == state.version == session.execution_count)


@asynccontextmanager
async def _controller(database_url: str) -> AsyncIterator[Any]:
    """Build what a controller is made of, with a runner in place of its sandbox; nothing runs in the background."""
    settings = Settings(data_dir=Path("/"), auto_migrate=False, database_url=Secret(database_url), max_executions=64)
    controller: Any = Controller(settings=settings)
    controller.runners.override(providers.Object(Runners(None, None, dict.fromkeys(Language, CountingRunner()))))
    await controller.database.gateway().open()
    tune_interpreter()
    try:
        await controller.database.clock().measure()
        yield controller
        await controller.tasks().drain(_DRAIN_S)
    finally:
        await controller.database.gateway().close()


if __name__ == "__main__":
    configure_logs(LogLevel.ERROR, LogFormat.AUTO)
    measured = uvloop.run(measure(Task(**json.loads(sys.argv[1]))))
    sys.stdout.write(json.dumps(asdict(measured)))
