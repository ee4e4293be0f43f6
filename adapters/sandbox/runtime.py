"""One language: its sandbox spec, its prewarmed workers, its syntax checkers."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import structlog
from attrs import define, evolve, field

from adapters.sandbox.equipment import Equipment, WorkerNetwork
from adapters.sandbox.options import NodeStart, SandboxOptions
from adapters.sandbox.protocol.syntax_check_queue import SyntaxCheckQueue
from adapters.sandbox.protocol.syntax_checker import SyntaxChecker, Verdict
from adapters.sandbox.runtimes.node_start import FORKED_MEMORY_MB_MIN
from adapters.sandbox.workers.prewarm_pool import STARTS_S, PrewarmPool
from adapters.sandbox.workers.process import WorkerProcess
from adapters.sandbox.workers.worker_factory import WorkerFactory
from adapters.sandbox.zygote.launch import ForkUnchecked, ForkUnsafe, LaunchFailed, PreloadFailed
from adapters.sandbox.zygote.remedies import with_remedy
from adapters.sandbox.zygote.sandbox_builder import SandboxBuilder, Unprepared
from adapters.sandbox.zygote.sandbox_spec import SandboxSpec
from domain.concurrency.fair_turns import FairTurns
from domain.errors import RuntimeUnavailable
from domain.histogram import Histogram
from domain.identity import ANONYMOUS, Owner
from domain.scripts.convention import Convention
from domain.scripts.language import Language
from domain.scripts.script import InputForm, Script, SyntaxFault
from domain.scripts.syntax import Syntax
from domain.stats import StartStats

_CHECK_WAIT_S = 1.0
_NO_FORKS = "Set SANDBOX_NODE_START=auto to start workers without forks."
_LITTLE_MEMORY = f"forks need a limit of {FORKED_MEMORY_MB_MIN} MiB"

_log = structlog.get_logger(__name__)


@define(eq=False)
class LanguageRuntime:
    """Provides workers and syntax checks of one language, or the reason why it cannot.

    If its files could not be prepared, `open` tries again.
    """

    language: Language
    options: SandboxOptions
    builder: SandboxBuilder
    factory: WorkerFactory
    _spec: SandboxSpec | None = field(default=None, init=False)
    _executing: SandboxSpec | None = field(default=None, init=False)
    """Of workers that execute their interpreter, if forks failed or were not checked in time."""
    _why_unchecked: str = field(default="", init=False)
    """Why the last worker was executed although forks may be used later; empty if it was not."""
    _reason: str | None = field(default="the sandbox has not started yet. Repeat the call after a moment.", init=False)
    _prewarm_pools: dict[int, PrewarmPool[WorkerProcess]] = field(factory=dict, init=False)
    """By memory limit in MiB."""
    _check_queue: SyntaxCheckQueue | None = field(default=None, init=False)
    _more_checks: dict[Syntax, SyntaxCheckQueue] = field(factory=dict, init=False)
    _starts: FairTurns = field(init=False)
    """Of equipped workers."""

    def __attrs_post_init__(self) -> None:
        starts, waiting = self.options.starting_max, self.options.queue_length_max
        self._starts = FairTurns("a worker", starts, starts, waiting)

    @property
    def version(self) -> str:
        """The interpreter's version; empty if there is no interpreter."""
        return self._spec.interpreter.version if self._spec is not None else ""

    @property
    def is_prepared(self) -> bool:
        """Whether a worker can be started, as far as the files on the host show."""
        return self._spec is not None

    @property
    def failure(self) -> str | None:
        """Why it cannot run scripts now, with the remedy; None if it can."""
        if self._spec is None:
            return self._reason
        failure = self._prewarm_pools[self.options.memory_mb].failure
        return None if failure is None else with_remedy(failure)

    async def open(self) -> None:
        """Prepare the files and start prewarmed workers; wait until the first is ready or has failed."""
        try:
            spec = await asyncio.to_thread(self.builder.spec, self.language)
        except Unprepared as error:
            self._reason = str(error)
            return
        self._spec = spec
        self._check_queue = SyntaxCheckQueue(lambda: SyntaxChecker(self._start_checker, self.options), self.options)
        await self._prewarm_pool(self.options.memory_mb).open()

    async def close(self) -> None:
        """Start nothing more, and end the syntax checks and the prewarmed workers."""
        for queue in (self._check_queue, *self._more_checks.values()):
            if queue is not None:
                await queue.close()
        for pool in self._prewarm_pools.values():
            await pool.close()

    async def take(self, memory_mb: int, owner: Owner) -> WorkerProcess:
        """Return an unused worker; raises RuntimeUnavailable."""
        try:
            return await self._prewarm_pool(memory_mb).take(owner)
        except LaunchFailed as error:
            raise self.unavailable(with_remedy(str(error))) from error

    def shrink(self) -> None:
        """End prewarmed workers that are not needed after a quiet time."""
        for pool in self._prewarm_pools.values():
            pool.shrink()

    def put_back(self, worker: WorkerProcess, memory_mb: int) -> None:
        """Take back a worker that was not used after all."""
        self._prewarm_pool(memory_mb).put(worker)

    async def check(
        self, script: Script, owner: Owner, convention: Convention, syntax: Syntax | None = None
    ) -> Verdict:
        """Return why the script does not parse, or its form; raises RuntimeUnavailable and Overloaded.

        A script that does not parse for what only modules have is checked as a module.
        """
        verdict = await self._checked(script, owner, convention, syntax)
        is_of_modules = isinstance(verdict, SyntaxFault) and verdict.is_of_modules
        if not is_of_modules or convention is Convention.ORIGIN:
            return verdict
        as_module = await self._checked(script, owner, convention, Syntax.of_module(syntax))
        return as_module if isinstance(as_module, SyntaxFault) else InputForm.MODULE

    async def _checked(self, script: Script, owner: Owner, convention: Convention, syntax: Syntax | None) -> Verdict:
        if self._check_queue is None:
            raise self.unavailable(self._reason or "")
        queue = self._check_queue if syntax is None else self._checks_in(syntax)
        try:
            return await queue.check(script, owner, convention)
        except LaunchFailed as error:
            raise self.unavailable(with_remedy(str(error))) from error

    def _checks_in(self, syntax: Syntax) -> SyntaxCheckQueue:
        """Return the checks of scripts in another syntax, whose processes are those of an equipped zygote."""
        queue = self._more_checks.get(syntax)
        if queue is None:
            queue = SyntaxCheckQueue(
                lambda: SyntaxChecker(self._start_equipped_checker, self.options), self.options, syntax=syntax
            )
            self._more_checks[syntax] = queue
        return queue

    async def _start_equipped_checker(self) -> WorkerProcess:
        chosen = {"equipment": Equipment(), "network": None, "memory_mb": self.options.check_memory_mb}
        return await self._start_equipped(chosen)

    async def start_checker(self) -> WorkerProcess:
        """Return a new process that may read scripts, and never runs them; raises RuntimeUnavailable."""
        if self._spec is None:
            raise self.unavailable(self._reason or "")
        try:
            return await self._start_checker()
        except LaunchFailed as error:
            raise self.unavailable(with_remedy(str(error))) from error

    def unavailable(self, remedy: str) -> RuntimeUnavailable:
        """Return the error with this remedy."""
        return RuntimeUnavailable(self.language, remedy)

    def summary(self) -> Mapping[str, object]:
        """Describe the runtime for operators."""
        failure = self.failure
        if failure is not None:
            return {"status": "degraded", "reason": failure}
        state = {"status": "ok", "version": self.version, "spares": self._prewarm_pools[self.options.memory_mb].ready}
        return {**state, **self._start_summary()}

    def _start_summary(self) -> Mapping[str, object]:
        reason = "" if self._spec is None else self._spec.why_executed
        if reason:
            return {"start": "exec", "start_reason": reason}
        if self._why_unchecked:
            return {"start": "unchecked", "start_reason": self._why_unchecked}
        return {"start": "fork"}

    def stats(self) -> StartStats:
        """Return the present figures."""
        pools, durations = self._prewarm_pools.values(), Histogram(STARTS_S)
        for pool in pools:
            durations.include(pool.starts_s)
        return StartStats(
            prewarmed=sum(pool.ready for pool in pools),
            starts=sum(durations.counts),
            start_failures=sum(pool.start_failures for pool in pools),
            durations=durations,
            available=self.failure is None,
        )

    def _prewarm_pool(self, memory_mb: int) -> PrewarmPool[WorkerProcess]:
        if self._spec is None:
            raise self.unavailable(self._reason or "")
        pool = self._prewarm_pools.get(memory_mb)
        if pool is None:
            # Workers are kept ready with the default limit only: a server may grant as many limits as it has MiB.
            kept = self.options.prewarmed if memory_mb == self.options.memory_mb else 0
            start = self._starter(memory_mb)
            pool = PrewarmPool(start, kept, self.options.starting_max, self.options.retry_s)
            self._prewarm_pools[memory_mb] = pool
        return pool

    async def _start_checker(self) -> WorkerProcess:
        return await self._start(self.options.check_memory_mb)

    def _starter(self, memory_mb: int) -> Callable[[], Coroutine[None, None, WorkerProcess]]:
        return lambda: self._start(memory_mb)

    async def start_equipped(  # what a worker has
        self,
        equipment: Equipment,
        network: WorkerNetwork | None,
        memory_mb: int,
        owner: Owner = ANONYMOUS,
        files_mb: int = 0,
    ) -> WorkerProcess:
        """Return a new worker of an equipped zygote, of which none is kept ready; owners take turns.

        Raises RuntimeUnavailable, PreloadFailed, and Overloaded if too many calls wait for a start.
        """
        if self._spec is None:
            raise self.unavailable(self._reason or "")
        chosen = {"equipment": equipment, "network": network, "memory_mb": memory_mb, "files_mb": files_mb}
        await self._starts.acquire(owner, 1)
        try:
            worker = await self._start_equipped(chosen)
        except PreloadFailed:
            raise
        except LaunchFailed as error:
            raise self.unavailable(with_remedy(str(error))) from error
        finally:
            self._starts.release(owner)
        worker.variables = {
            **(equipment.variables() if self.language is Language.PYTHON else {}),
            **({} if network is None else network.variables()),
        }
        return worker

    async def _start_equipped(self, chosen: Mapping[str, Any]) -> WorkerProcess:
        assert self._spec is not None
        needs_check = self._spec.interpreter.needs_fork_check
        if needs_check and chosen["memory_mb"] < FORKED_MEMORY_MB_MIN:
            return await self.factory.start(evolve(await self._executing_spec(_LITTLE_MEMORY), **chosen))
        try:
            return await self.factory.start(evolve(self._spec, **chosen), self._check_wait_s)
        except (ForkUnchecked, ForkUnsafe) as error:
            if self.options.node_start is NodeStart.FORK:
                raise LaunchFailed(f"{error}. {_NO_FORKS}") from error
            return await self.factory.start(evolve(await self._executing_spec(str(error)), **chosen))

    async def _start(self, memory_mb: int) -> WorkerProcess:
        assert self._spec is not None
        if self._spec.interpreter.needs_fork_check and memory_mb < FORKED_MEMORY_MB_MIN:
            return await self.factory.start(evolve(await self._executing_spec(_LITTLE_MEMORY), memory_mb=memory_mb))
        try:
            worker = await self.factory.start(evolve(self._spec, memory_mb=memory_mb), self._check_wait_s)
        except (ForkUnchecked, ForkUnsafe) as error:
            if self.options.node_start is NodeStart.FORK:
                raise LaunchFailed(f"{error}. {_NO_FORKS}") from error
            if isinstance(error, ForkUnsafe):
                return await self._execute_instead(str(error), memory_mb)
            # Forks are used as soon as their check has ended well.
            self._why_unchecked = str(error)
            return await self.factory.start(evolve(await self._executing_spec(str(error)), memory_mb=memory_mb))
        self._why_unchecked = ""
        return worker

    @property
    def _check_wait_s(self) -> float | None:
        """How long a start waits for the check of a fork, so that its call can still get a worker in its time."""
        is_needed = self.options.node_start is NodeStart.FORK
        return None if is_needed else min(_CHECK_WAIT_S, self.options.queue_timeout_s / 2)

    async def _execute_instead(self, reason: str, memory_mb: int) -> WorkerProcess:
        """Start a worker that executes its interpreter; if that works, start all later ones so."""
        spec = await self._executing_spec(reason)
        worker = await self.factory.start(evolve(spec, memory_mb=memory_mb))
        if self._spec is not None and self._spec.interpreter.is_forked:
            _log.warning("node_fork_failed", reason=reason)
        self._spec = spec
        return worker

    async def _executing_spec(self, reason: str) -> SandboxSpec:
        """Return the spec of workers that execute their interpreter for this reason; raises LaunchFailed."""
        if self._executing is None:
            try:
                self._executing = await asyncio.to_thread(self.builder.spec, self.language, reason)
            except Unprepared as error:
                raise LaunchFailed(str(error)) from error
        return evolve(self._executing, why_executed=reason)
