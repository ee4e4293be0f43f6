"""A script runner in the test's own process."""

import asyncio
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from attrs import define, evolve, field, frozen
from typing_extensions import override

from adapters.memory.python_script import Ended, Stop, evaluate, parse, python_function
from adapters.memory.script_files import ScriptFiles
from domain.egress.endpoints import NamedEndpoint
from domain.egress.rule import EgressRule
from domain.errors import Overloaded, RuntimeUnavailable
from domain.identity import Owner
from domain.json_text import JsonText
from domain.scripts.convention import Convention
from domain.scripts.environment import Environment
from domain.scripts.language import Language
from domain.scripts.limits import Isolation
from domain.scripts.ports import ScriptRun, ScriptRunner, Worker
from domain.scripts.report import CANCELLED, ExecutionUnknown, Failure, FailureCode, ScriptReport, cancelled_report
from domain.scripts.script import InputForm, Script
from domain.scripts.syntax import Syntax, require_known
from domain.states.limits import StateLimits

_Function = Callable[[Mapping[str, object]], object]


@frozen
class MemoryRunnerOptions:
    """Workers and queue in runs, waits in seconds, sizes in bytes."""

    workers_max: int = 4
    queue_max: int = 16
    queue_timeout_s: float = 2.0
    result_size_max: int = 1_048_576


@define(eq=False)
class MemoryScriptRunner(ScriptRunner):
    """Runs Python scripts with `exec`, and Node.js scripts for which the test gives a function by source.

    A script of Node.js that begins with `import` or `export` is a module; it checks nothing else of them.

    `unavailable` is the remedy of a runner that cannot run now. `unknown_next` is the reason why the next run ends
    unknown, after it has run. `hold` keeps runs from ending. `ran` lists the executions whose script ran.
    """

    options: MemoryRunnerOptions = field(factory=MemoryRunnerOptions)
    node_functions: Mapping[str, _Function] = field(factory=dict)
    unavailable: str | None = None
    unknown_next: str | None = None
    ran: list[UUID] = field(factory=list)
    networks: list[tuple[EgressRule, ...]] = field(factory=list)
    guarded: list[tuple[NamedEndpoint, ...]] = field(factory=list)
    """The rules of each run that was acquired."""
    syntaxes: list[Syntax | None] = field(factory=list)
    """The syntax of each run that was acquired."""
    environments: list[Environment | None] = field(factory=list)
    """The packages of each."""
    evicted: list[UUID] = field(factory=list)
    running: int = field(default=0, init=False)
    queued: int = field(default=0, init=False)
    _taken: int = field(default=0, init=False)
    _sources: dict[str, Script] = field(factory=dict, init=False)
    _warm: set[UUID] = field(factory=set, init=False)
    _not_held: asyncio.Event = field(factory=asyncio.Event, init=False)
    _freed: asyncio.Condition = field(factory=asyncio.Condition, init=False)

    def __attrs_post_init__(self) -> None:
        self._not_held.set()

    def hold(self) -> None:
        """Keep all further runs in progress until `let_go`."""
        self._not_held.clear()

    def let_go(self) -> None:
        """Let the held runs end."""
        self._not_held.set()

    @override
    async def acquire(self, run: ScriptRun) -> Worker:
        self._require_available(run.language)
        require_known(run.syntax, run.language)
        self.networks.append(run.network)
        self.guarded.append(run.guarded)
        self.syntaxes.append(run.syntax)
        self.environments.append(run.environment)
        waited_since = time.monotonic()
        await self._take_worker()
        try:
            script = await self._script(run)
            files = None if run.files is None else ScriptFiles(run.files)
            function = self._function(run, script, files)
        except BaseException:
            await self.release_worker()
            raise
        return MemoryWorker(self, run, function, files, (time.monotonic() - waited_since) * 1000)

    @override
    async def check(
        self,
        language: Language,
        script: Script,
        owner: Owner,
        convention: Convention = Convention.OWN,
        syntax: Syntax | None = None,
    ) -> InputForm | None:
        self._require_available(language)
        require_known(syntax, language)
        if language is Language.PYTHON:
            return parse(script.source)
        return InputForm.MODULE if script.source.startswith(("import ", "export ")) else None

    @override
    async def evict(self, session_id: UUID) -> None:
        self.evicted.append(session_id)
        self._warm.discard(session_id)

    @override
    async def health(self) -> Mapping[str, object]:
        return {"status": "ok" if self.unavailable is None else "failing", "running": self.running}

    async def execute(self, run: ScriptRun, function: _Function, stop: Stop) -> Ended:
        """Run the script when runs are not held."""
        with self._counted():
            if await self._is_stopped_while_held(stop):
                return Ended(None, CANCELLED)
            self.ran.append(run.execution_id)
            event = _event(run)
            ended = _with_state(run, event, await evaluate(function, event, run.listener, stop))
            ended = evolve(ended, dropped=event.pop("dropped", ()))
        return self._bounded(ended)

    def require_reported(self, run: ScriptRun) -> None:
        """Raise ExecutionUnknown if the test has set it."""
        if self.unknown_next is not None:
            reason, self.unknown_next = self.unknown_next, None
            raise ExecutionUnknown(reason, run.execution_id)

    def warm_up(self, run: ScriptRun) -> bool:
        """Bind a worker to the session; return whether it had none."""
        session_id = run.ref.session_id
        cold = session_id not in self._warm
        if run.limits.isolation is Isolation.SESSION:
            self._warm.add(session_id)
        return cold

    async def release_worker(self) -> None:
        """Release one worker."""
        async with self._freed:
            self._taken -= 1
            self._freed.notify_all()

    async def _is_stopped_while_held(self, stop: Stop) -> bool:
        waits = [asyncio.ensure_future(event.wait()) for event in (self._not_held, stop.asked)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        return stop.asked.is_set()

    def _require_available(self, language: Language) -> None:
        if self.unavailable is not None:
            raise RuntimeUnavailable(language, self.unavailable)

    async def _take_worker(self) -> None:
        if self._taken >= self.options.workers_max and self.queued >= self.options.queue_max:
            raise Overloaded("workers")
        self.queued += 1
        try:
            async with asyncio.timeout(self.options.queue_timeout_s), self._freed:
                await self._freed.wait_for(lambda: self._taken < self.options.workers_max)
                self._taken += 1
        except TimeoutError:
            raise Overloaded("workers") from None
        finally:
            self.queued -= 1

    async def _script(self, run: ScriptRun) -> Script:
        if run.script_hash not in self._sources:
            self._sources[run.script_hash] = await run.source()
        return self._sources[run.script_hash]

    def _function(self, run: ScriptRun, script: Script, files: ScriptFiles | None) -> _Function:
        if run.language is Language.PYTHON:
            is_repl = run.state is not None and run.state.is_repl
            return python_function(script.source, run.convention, run.secrets, is_repl=is_repl, files=files)
        if script.source not in self.node_functions:
            raise RuntimeUnavailable(run.language, "the fake has no function for this source")
        return self.node_functions[script.source]

    @contextmanager
    def _counted(self) -> Iterator[None]:
        self.running += 1
        try:
            yield
        finally:
            self.running -= 1

    def _bounded(self, ended: Ended) -> Ended:
        limit = self.options.result_size_max
        size = len((ended.result or "").encode())
        if size <= limit:
            return ended
        message = f"The result has {size} bytes, and {limit} are allowed"
        failure = Failure(FailureCode.RESULT_TOO_LARGE, message, limit=limit, observed=size)
        return evolve(ended, result=None, failure=failure)


@define(eq=False)
class MemoryWorker(Worker):
    """A worker of a MemoryScriptRunner."""

    _runner: MemoryScriptRunner
    _run: ScriptRun
    _function: _Function
    _files: ScriptFiles | None
    _queue_time_ms: float
    _stop: Stop = field(factory=Stop, init=False)
    _released: bool = field(default=False, init=False)

    @override
    async def run(self) -> ScriptReport:
        if self._stop.asked.is_set():
            return cancelled_report(self._queue_time_ms)
        if self._files is not None and not await self._files.deliver(self._run.language, self._stop.asked.is_set):
            return cancelled_report(self._queue_time_ms)
        cold = self._runner.warm_up(self._run)
        started, cpu_started = time.perf_counter(), time.process_time()
        ended = await self._runner.execute(self._run, self._function, self._stop)
        fault = None if self._files is None or ended.failure == CANCELLED else await self._files.collect()
        if fault is not None:
            ended = evolve(ended, result=None, failure=ended.failure or fault)
        if ended.failure != CANCELLED:
            self._runner.require_reported(self._run)
        return ScriptReport(
            result=ended.result,
            failure=ended.failure,
            execution_time_ms=(time.perf_counter() - started) * 1000,
            stdout=ended.stdout,
            stderr=ended.stderr,
            memory_usage_bytes=None,
            cpu_time_ms=(time.process_time() - cpu_started) * 1000,
            queue_time_ms=self._queue_time_ms,
            cold_start=cold,
            state=ended.state,
            dropped=ended.dropped,
        )

    @override
    async def stop(self) -> bool:
        self._stop.ask()
        return True

    @override
    async def release(self) -> None:
        if not self._released:
            self._released = True
            await self._runner.release_worker()


def _event(run: ScriptRun) -> dict[str, Any]:
    event = {
        "params": json.loads(run.params),
        "context": json.loads(run.context),
        "request_id": str(run.ref.session_id),
    }
    return event if run.state is None else event | {"state": json.loads(run.state.text)}


def _with_state(run: ScriptRun, event: Mapping[str, object], ended: Ended) -> Ended:
    """Return the end of a script with the state that it has left."""
    if run.state is None or run.state.is_shared or (ended.failure is not None and not run.state.saves_failures):
        return ended
    state = JsonText(json.dumps(event["state"], ensure_ascii=False, separators=(",", ":")))
    if json.loads(state) == json.loads(run.state.text):
        return ended
    fault = StateLimits().fault(state)
    if fault is None:
        return evolve(ended, state=state)
    failure = Failure(FailureCode(fault.kind), fault.message, limit=fault.limit, observed=fault.observed)
    return evolve(ended, result=None, failure=ended.failure or failure)
