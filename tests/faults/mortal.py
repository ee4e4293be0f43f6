"""Controllers, each a process of its own, whose scripts leave a line each in a file, and that die at a chosen step."""

import asyncio
import contextlib
import json
import logging
import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import httpx2
import structlog
import uvicorn
from attrs import define, evolve, field

from adapters.memory.script_runner import MemoryRunnerOptions, MemoryScriptRunner
from adapters.postgres.retention.cleanup import CleanupOptions
from domain.identity import NO_ID
from domain.scripts.language import Language
from domain.webhooks.ports import ClaimedTurns
from entrypoints.composition.controller import Controller
from entrypoints.composition.distribution import distribute
from entrypoints.composition.runners import Runners
from entrypoints.settings.loading import load_settings
from tests.support.ports import free_port
from tests.support.waiting import until

TIMEOUT_S = 30.0
STEPS = (
    "before begin",
    "in begin",
    "after begin",
    "before run",
    "in run",
    "after run",
    "before finish",
    "in finish",
    "after finish",
)
STEPS_OF_QUEUE = ("before accept", "in accept", "after accept", "before claim", "in claim", "after claim", *STEPS[3:])
STEPS_OF_DELIVERY = tuple(f"{at} {name}" for name in ("turn", "record", "release") for at in ("before", "in", "after"))
STEPS_OF_WITHDRAWAL = ("before withdraw", "in withdraw", "after withdraw")
STEPS_OF_INITIALIZE = ("before initialize", "in initialize", "after initialize")
STEPS_OF_OPENING = ("before open", "in open", "after open")
STEPS_OF_UPDATE = ("before update", "in update", "after update")
STEPS_OF_SCHEDULES = (
    "before fire",
    "in fire",
    "after fire",
    "before settle",
    "in settle",
    "after settle",
)
STEPS_OF_STATE = (*STEPS[:3], "before take", "in take", "after take", *STEPS[3:])
STEPS_OF_UPLOAD = tuple(f"{at} {name}" for name in ("start", "chunk", "complete") for at in ("before", "in", "after"))
STEPS_OF_FILES = (
    "after begin",
    *(f"{at} {name}" for name in ("read", "run", "start", "chunk", "chunk 1", "finish") for at in ("in", "after")),
)
"""Of an execution with a file that its script finds, and one of two chunks that it leaves."""
STEPS_OF_FILES_ON_HOSTS = tuple(step for step in STEPS_OF_FILES if not step.endswith(" run"))
"""Those of the controller when the script runs on a runtime host."""
STEPS_OF_PURGE = ("before purge", "in purge", "after purge")
_UNDER_WAY_S = 0.0005
"""About as long as a statement takes to be on its way."""


@define
class Death:
    """Comes at one step, without notice."""

    at: str | None = None
    in_flight: Callable[[], int] = lambda: 0
    has_finished: bool = False

    def step(self, name):
        if name == self.at:
            os.kill(os.getpid(), signal.SIGKILL)

    async def during(self, name, call):
        """Await the call, or be dead in its midst."""
        self.step(f"before {name}")
        if self.at == f"in {name}":
            await self._is_under_way(asyncio.ensure_future(call))
            self.step(self.at)
        response = await call
        self.step(f"after {name}")
        return response

    async def _is_under_way(self, task):
        await _turns(lambda: self.in_flight() or task.done())
        until_s = time.monotonic() + _UNDER_WAY_S
        await _turns(lambda: time.monotonic() >= until_s)


async def _turns(until):
    while not until():  # noqa: ASYNC110  # no event reports it
        await asyncio.sleep(0)


class MortalCalls:
    """A real repository, of keyed calls, functions, hidden sessions, purges, states or the queue, and death at its steps."""

    def __init__(self, calls, death):
        self._calls, self._death = calls, death
        self._has_accepted = False

    async def begin(self, *call):
        return await self._death.during("begin", self._calls.begin(*call))

    async def withdraw(self, *call):
        return await self._death.during("withdraw", self._calls.withdraw(*call))

    async def finish(self, *call):
        finished = await self._death.during("finish", self._calls.finish(*call))
        self._death.has_finished = True
        return finished

    async def accept(self, *call):
        accepted = await self._death.during("accept", self._calls.accept(*call))
        self._has_accepted = True
        return accepted

    async def claim(self, *call):
        """Claim; one that is to die claims nothing before its accept has ended, so that its first claim finds it."""
        if self._death.at is not None and not self._has_accepted:
            return ()
        return await self._death.during("claim", self._calls.claim(*call))

    async def initialize(self, *call):
        return await self._death.during("initialize", self._calls.initialize(*call))

    async def update(self, *call):
        return await self._death.during("update", self._calls.update(*call))

    async def take(self, *call):
        return await self._death.during("take", self._calls.take(*call))

    async def purge(self, *call):
        return await self._death.during("purge", self._calls.purge(*call))

    async def open(self, *call):
        return await self._death.during("open", self._calls.open(*call))

    async def fire(self, *call):
        return await self._death.during("fire", self._calls.fire(*call))

    async def settle(self, *call):
        return await self._death.during("settle", self._calls.settle(*call))

    def __getattr__(self, name):
        return getattr(self._calls, name)


class MortalFiles:
    """The real repository of files, and death at the steps of an upload, and of the files of an execution."""

    def __init__(self, files, death):
        self._files, self._death = files, death

    async def start(self, *call):
        return await self._death.during("start", self._files.start(*call))

    async def add_chunk(self, file_id, seq, *call):
        name = f"chunk {seq}" if seq else "chunk"
        return await self._death.during(name, self._files.add_chunk(file_id, seq, *call))

    async def chunk(self, *call):
        return await self._death.during("read", self._files.chunk(*call))

    async def complete(self, *call):
        return await self._death.during("complete", self._files.complete(*call))

    def __getattr__(self, name):
        return getattr(self._files, name)


class MortalDeliveries:
    """The real queue of deliveries, and death at the steps of a turn."""

    def __init__(self, deliveries, death):
        self._deliveries, self._death = deliveries, death

    async def claim(self, claim):
        """Claim; one that is to die claims nothing before an execution has ended, so that its first turn has a message."""
        if self._death.at in STEPS_OF_DELIVERY and not self._death.has_finished:
            return ClaimedTurns([], NO_ID)
        return await self._death.during("turn", self._deliveries.claim(claim))

    async def record(self, *attempt):
        return await self._death.during("record", self._deliveries.record(*attempt))

    async def release(self, *turn):
        return await self._death.during("release", self._deliveries.release(*turn))

    def __getattr__(self, name):
        return getattr(self._deliveries, name)


@define(eq=False)
class CountingRunner(MemoryScriptRunner):
    """Writes down every run before it runs; the file outlives the process."""

    runs: Path = field(kw_only=True)
    death: Death = field(factory=Death, kw_only=True)

    async def execute(self, run, function, stop):
        self.death.step("before run")
        with self.runs.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"execution_id": str(run.execution_id), "params": run.params}) + "\n")
        self.death.step("in run")
        ended = await super().execute(run, function, stop)
        self.death.step("after run")
        return ended


def runs_in(path):
    """Return what was written down, as (execution_id, params)."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [(line["execution_id"], json.loads(line["params"])) for line in map(json.loads, lines)]


def application_of(settings, runs, kill_at=None, grace_s=0):
    """Return the application; by default a deadline has no grace, so that what is interrupted is soon unknown."""
    controller = Controller(settings=settings)
    controller.database.cleanup.add_kwargs(options=CleanupOptions(pause_s=0.5))
    if settings.database_nodes is not None:
        distribute(controller, controller.ids, settings)
    death = Death(kill_at, lambda: controller.database.gateway().stats().in_flight)
    if not settings.has_runtime_hosts:
        runner = CountingRunner(MemoryRunnerOptions(workers_max=64, queue_max=64), runs=runs, death=death)
        controller.runners.override(Runners(None, None, dict.fromkeys(Language, runner)))
    database = controller.database
    mortal = (
        database.keyed_sessions,
        database.keyed_executions,
        database.functions,
        database.hidden_sessions,
        database.purger,
        database.execution_queue,
        database.schedules,
        database.states,
    )
    database.files.override(MortalFiles(database.files(), death))
    database.deliveries.override(MortalDeliveries(database.deliveries(), death))
    for calls in mortal:
        calls.override(MortalCalls(calls(), death))
    controller.execution_policy.override(evolve(controller.execution_policy(), grace_s=grace_s))
    return controller.application()


def serve(variables, runs, port, kill_at, grace_s):
    """Be the process; it reports nothing, even when it fails."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    logging.disable()
    application = application_of(load_settings(variables), runs, kill_at, grace_s)
    uvicorn.run(application, host="127.0.0.1", port=port, log_config=None, access_log=False, ws="none")


class Mortal:
    """A controller that can be killed from outside as well, and started again on its port."""

    _processes = multiprocessing.get_context("forkserver")
    _processes.set_forkserver_preload([__name__])

    def __init__(self, variables, runs, kill_at=None, grace_s=0):
        self._arguments = (variables, runs, free_port(), kill_at, grace_s)
        self.url = f"http://127.0.0.1:{self._arguments[2]}"
        self.start()

    def start(self):
        self._process = self._processes.Process(target=serve, args=self._arguments)
        self._process.start()

    def kill(self):
        self._process.kill()
        self._process.join(TIMEOUT_S)

    async def ready(self):
        await until(self._is_ready, TIMEOUT_S)

    async def has_died(self, timeout_s=5.0):
        """Whether it was killed, within a moment."""
        await until(lambda: self._process.exitcode is not None, timeout_s)
        return self._process.exitcode == -signal.SIGKILL

    async def _is_ready(self):
        with contextlib.suppress(httpx2.TransportError):
            async with httpx2.AsyncClient() as client:
                return (await client.get(f"{self.url}/readyz")).status_code == 200
        return False
