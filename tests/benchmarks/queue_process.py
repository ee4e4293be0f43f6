"""The queue of a controller without a sandbox, in a process of its own: drains, starts and claims."""

import asyncio
import json
import random
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from itertools import cycle, islice
from pathlib import Path
from typing import Any
from uuid import UUID

import uvloop
from attrs import define, field, frozen
from dependency_injector import providers
from typing_extensions import override

from domain.identity import ANONYMOUS, Owner, SessionRef
from domain.json_text import JsonText
from domain.queue.ports import ClaimRequest, Turn
from domain.queue.submission import Submission
from domain.scripts.convention import Convention
from domain.scripts.language import Language
from domain.scripts.ports import ScriptRun, ScriptRunner, Worker
from domain.scripts.report import ScriptReport
from domain.scripts.script import InputForm, Script
from domain.scripts.syntax import Syntax
from entrypoints.composition.controller import Controller
from entrypoints.composition.runners import Runners
from entrypoints.server.child import tune_interpreter
from entrypoints.settings.choices import LogFormat, LogLevel
from entrypoints.settings.secret import Secret
from entrypoints.settings.settings import Settings
from entrypoints.telemetry.logs import configure_logs
from tests.benchmarks.sessions import SessionSet

ALLOWANCE = timedelta(seconds=70)
_PARAMS = JsonText('{"a": 5, "b": 3}')
_REPORT = ScriptReport(JsonText("8"), None, execution_time_ms=0.0)
_ACCEPTS_AT_ONCE = 1024
_WAIT_S = 60.0


@frozen
class DrainTask:
    """Entries to accept and then run, at most `places` at once."""

    database_url: str
    first: str
    sessions: int
    entries: int
    places: int


@frozen
class StartsTask:
    """Executions to start one after the other, `pauses_s` apart; `remote` ones are accepted by another controller."""

    database_url: str
    first: str
    sessions: int
    starts: int
    pauses_s: Sequence[float]
    remote: bool


@frozen
class ClaimsTask:
    """Claims of one entry each."""

    database_url: str
    claims: int


@define(eq=False)
class NoSandbox(ScriptRunner, Worker):
    """Runs nothing, and notes when it would have."""

    began_at_s: dict[UUID, float] = field(factory=dict)
    waiting: dict[UUID, "asyncio.Future[float]"] = field(factory=dict)
    ran: int = 0
    first_at_s: float = 0.0
    until: int = 0
    all_ran: asyncio.Event = field(factory=asyncio.Event)

    @override
    async def acquire(self, run: ScriptRun) -> Worker:
        waiter = self.waiting.get(run.execution_id)
        now_s = time.perf_counter()
        if self.until:
            self.ran += 1
            self.first_at_s = self.first_at_s or now_s
            if self.ran == self.until:
                self.all_ran.set()
        elif waiter is not None:
            waiter.set_result(now_s)
        else:
            self.began_at_s[run.execution_id] = now_s
        return self

    @override
    async def run(self) -> ScriptReport:
        return _REPORT

    @override
    async def stop(self) -> bool:
        return False

    @override
    async def release(self) -> None:
        return

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

    async def start_of(self, execution_id: UUID) -> float:
        """Return when the execution started; waits for it."""
        began_at_s = self.began_at_s.pop(execution_id, None)
        if began_at_s is not None:
            return began_at_s
        waiter = self.waiting[execution_id] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(_WAIT_S):
                return await waiter
        finally:
            del self.waiting[execution_id]


async def drain(task: DrainTask) -> dict[str, float]:
    """Accept all entries, then run them; return the seconds from the first start to the last recorded end."""
    runner = NoSandbox(until=task.entries)
    async with _controller(task.database_url, runner, task.places) as controller:
        refs = _refs(task)
        for _ in range(0, task.entries, _ACCEPTS_AT_ONCE):
            left = task.entries - runner.ran
            await asyncio.gather(*(_accept(controller, ref) for ref in islice(refs, min(_ACCEPTS_AT_ONCE, left))))
        dispatcher = controller.queue.dispatcher()
        own_s = time.process_time()
        running = asyncio.create_task(dispatcher.run())
        await runner.all_ran.wait()
        left = await dispatcher.drain(_WAIT_S)
        ended_s, own_s = time.perf_counter(), time.process_time() - own_s
        await running
        assert not left, "not all ends were recorded"
        return {"took_s": ended_s - runner.first_at_s, "own_s": own_s}


async def starts(task: StartsTask) -> list[float]:
    """Return the seconds from each call to the start of its execution."""
    runner, latencies_s = NoSandbox(), []
    async with AsyncExitStack() as stack:
        running = await stack.enter_async_context(_controller(task.database_url, runner, 16))
        accepting = running
        if task.remote:
            accepting = await stack.enter_async_context(_controller(task.database_url, runner, 0))
        dispatcher = running.queue.dispatcher()
        loop = asyncio.create_task(dispatcher.run())
        for ref in islice(_refs(task), task.starts):
            await asyncio.sleep(random.uniform(*task.pauses_s))  # in no step with polls
            called_s = time.perf_counter()
            execution_id = await _accept(accepting, ref)
            latencies_s.append(await runner.start_of(execution_id) - called_s)
        await dispatcher.drain(_WAIT_S)
        await loop
    return latencies_s


async def claims(task: ClaimsTask) -> list[float]:
    """Return the seconds that each claim took."""
    latencies_s: list[float] = []
    turn: Turn | None = None
    async with _controller(task.database_url, NoSandbox(), 0) as controller:
        queue, ids, clock = controller.database.execution_queue(), controller.ids(), controller.database.clock()
        for _ in range(task.claims):
            now = clock.now()
            request = ClaimRequest(ids.new(now), now, [Language.NODEJS], 1, 1, ALLOWANCE, turn)
            began_s = time.perf_counter()
            found = await queue.claim(request)
            latencies_s.append(time.perf_counter() - began_s)
            assert len(found.entries) == 1
            turn = found.last
    return latencies_s


def _refs(task: DrainTask | StartsTask) -> Iterator[SessionRef]:
    sessions = SessionSet(task.sessions, UUID(task.first), ANONYMOUS)
    return cycle([sessions.key(number) for number in sessions.sample()])


async def _accept(controller: Any, ref: SessionRef) -> UUID:
    accepted = await controller.queue.service().accept(ref, Submission(_PARAMS))
    execution_id: UUID = accepted.execution_id
    return execution_id


@asynccontextmanager
async def _controller(database_url: str, runner: NoSandbox, places: int) -> AsyncIterator[Any]:
    """Build what a controller is made of, with a runner in place of its sandbox; nothing runs in the background."""
    settings = Settings(
        data_dir=Path("/"),
        auto_migrate=False,
        database_url=Secret(database_url),
        max_executions=max(32, 2 * places),
        max_async_executions=places,
    )
    controller: Any = Controller(settings=settings)
    controller.runners.override(providers.Object(Runners(None, None, dict.fromkeys(Language, runner))))
    await controller.database.gateway().open()
    tune_interpreter()
    try:
        await controller.database.clock().measure()
        yield controller
        await controller.tasks().drain(_WAIT_S)
    finally:
        await controller.database.gateway().close()


_WORKS: Mapping[str, tuple[type[Any], Callable[[Any], Awaitable[object]]]] = {
    "drain": (DrainTask, drain),
    "starts": (StartsTask, starts),
    "claims": (ClaimsTask, claims),
}


async def _measured(name: str, facts: Mapping[str, Any]) -> object:
    make, work = _WORKS[name]
    return await work(make(**facts))


if __name__ == "__main__":
    configure_logs(LogLevel.ERROR, LogFormat.AUTO)
    sys.stdout.write(json.dumps(uvloop.run(_measured(sys.argv[1], json.loads(sys.argv[2])))))
