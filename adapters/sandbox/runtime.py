"""Everything that runs one language: its blueprint, its spare workers, its checkers."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping

from attrs import define, evolve, field

from adapters.histogram import Histogram
from adapters.sandbox.options import SandboxOptions
from adapters.sandbox.protocol.syntax_check_queue import SyntaxCheckQueue
from adapters.sandbox.protocol.syntax_checker import SyntaxChecker
from adapters.sandbox.stats import StartStats
from adapters.sandbox.workers.prewarm_pool import STARTS_S, PrewarmPool
from adapters.sandbox.workers.process import WorkerProcess
from adapters.sandbox.workers.worker_factory import WorkerFactory
from adapters.sandbox.zygote.launch import LaunchFailed
from adapters.sandbox.zygote.remedies import with_remedy
from adapters.sandbox.zygote.sandbox_builder import SandboxBuilder, Unprepared
from adapters.sandbox.zygote.sandbox_spec import SandboxSpec
from domain.errors import RuntimeUnavailable
from domain.identity import Owner
from domain.scripts.language import Language
from domain.scripts.script import Script, SyntaxFault


@define(eq=False)
class LanguageRuntime:
    """Gives workers and verdicts for one language, or says why it cannot.

    A runtime whose parts could not be prepared is prepared again by `open`.
    """

    language: Language
    options: SandboxOptions
    workshop: SandboxBuilder
    nursery: WorkerFactory
    _blueprint: SandboxSpec | None = field(default=None, init=False)
    _reason: str | None = field(default="it has not been opened", init=False)
    _shelves: dict[int, PrewarmPool[WorkerProcess]] = field(factory=dict, init=False)
    _desk: SyntaxCheckQueue | None = field(default=None, init=False)

    @property
    def version(self) -> str:
        """The interpreter's version; empty when there is none."""
        return self._blueprint.interpreter.version if self._blueprint is not None else ""

    @property
    def is_prepared(self) -> bool:
        """Whether workers can be tried to be started."""
        return self._blueprint is not None

    @property
    def failure(self) -> str | None:
        """Why it cannot run scripts now, with the remedy; None when it can."""
        if self._blueprint is None:
            return self._reason
        failure = self._shelves[self.options.memory_mb].failure
        return None if failure is None else with_remedy(failure)

    async def open(self) -> None:
        """Prepare what is needed and start spare workers; wait until the first is ready or has failed."""
        try:
            blueprint = await asyncio.to_thread(self.workshop.blueprint, self.language)
        except Unprepared as error:
            self._reason = str(error)
            return
        self._blueprint = blueprint
        checking = self._starter(evolve(blueprint, memory_mb=self.options.check_memory_mb))
        self._desk = SyntaxCheckQueue(lambda: SyntaxChecker(checking, self.options), self.options)
        await self._shelf(self.options.memory_mb).open()

    async def close(self) -> None:
        """Start nothing more, and end the checks and the spare workers."""
        if self._desk is not None:
            await self._desk.close()
        for shelf in self._shelves.values():
            await shelf.close()

    async def take(self, memory_mb: int, owner: Owner) -> WorkerProcess:
        """Return a worker that nobody has used; raises RuntimeUnavailable."""
        try:
            return await self._shelf(memory_mb).take(owner)
        except LaunchFailed as error:
            raise self.unavailable(with_remedy(str(error))) from error

    def put_back(self, worker: WorkerProcess, memory_mb: int) -> None:
        """Take back a worker that nobody has used after all."""
        self._shelf(memory_mb).put(worker)

    async def check(self, script: Script, owner: Owner) -> SyntaxFault | None:
        """Return why the script does not parse; raises RuntimeUnavailable and Overloaded."""
        if self._desk is None:
            raise self.unavailable(self._reason or "")
        try:
            return await self._desk.check(script, owner)
        except LaunchFailed as error:
            raise self.unavailable(with_remedy(str(error))) from error

    def unavailable(self, remedy: str) -> RuntimeUnavailable:
        """Return the error that says so."""
        return RuntimeUnavailable(self.language, remedy)

    def summary(self) -> Mapping[str, object]:
        """Describe the runtime for people."""
        failure = self.failure
        if failure is not None:
            return {"status": "degraded", "reason": failure}
        return {"status": "ok", "version": self.version, "spares": self._shelves[self.options.memory_mb].ready}

    def stats(self) -> StartStats:
        """Return the present figures."""
        shelves, durations = self._shelves.values(), Histogram(STARTS_S)
        for shelf in shelves:
            durations.include(shelf.starts_s)
        return StartStats(
            spares=sum(shelf.ready for shelf in shelves),
            starts=sum(durations.counts),
            start_failures=sum(shelf.start_failures for shelf in shelves),
            durations=durations,
            available=self.failure is None,
        )

    def _shelf(self, memory_mb: int) -> PrewarmPool[WorkerProcess]:
        if self._blueprint is None:
            raise self.unavailable(self._reason or "")
        shelf = self._shelves.get(memory_mb)
        if shelf is None:
            # Ahead of need only with the default limit; there are as many limits as MiB that a server grants.
            kept = self.options.spares if memory_mb == self.options.memory_mb else 0
            start = self._starter(evolve(self._blueprint, memory_mb=memory_mb))
            shelf = PrewarmPool(start, kept, self.options.spawning_max, self.options.retry_s)
            self._shelves[memory_mb] = shelf
        return shelf

    def _starter(self, blueprint: SandboxSpec) -> Callable[[], Coroutine[None, None, WorkerProcess]]:
        return lambda: self.nursery.start(blueprint)
