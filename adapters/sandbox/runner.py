"""The ScriptRunner that runs scripts on this host, in sandboxed worker processes."""

import asyncio
import contextlib
import itertools
import time
from collections.abc import Mapping
from functools import partial
from uuid import UUID

from attrs import Factory, define, field
from typing_extensions import override

from adapters.sandbox.capacity import group_limits, pool_limits
from adapters.sandbox.equipped_starts import EquippedStarts
from adapters.sandbox.health import health_of, stats_of
from adapters.sandbox.isolation.control_group import NoControlGroup, make_control_group
from adapters.sandbox.network import Networks, connected
from adapters.sandbox.options import SandboxOptions
from adapters.sandbox.pool.slot_table import Slot
from adapters.sandbox.pool.worker_pool import WorkerPool
from adapters.sandbox.protocol.execution import execute
from adapters.sandbox.protocol.files import deliver
from adapters.sandbox.protocol.script_examiner import SandboxScriptExaminer
from adapters.sandbox.runtime import LanguageRuntime
from adapters.sandbox.snapshot import SandboxSnapshot
from adapters.sandbox.tree_trial import SandboxTreeTrial
from adapters.sandbox.workers.process import WorkerProcess
from adapters.sandbox.workers.worker_factory import WorkerFactory
from adapters.sandbox.zygote.sandbox_builder import SandboxBuilder
from domain.concurrency.bounded_cache import BoundedCache
from domain.environments.ports import TreeCache
from domain.errors import Overloaded, RuntimeUnavailable
from domain.identity import Owner
from domain.scripts.convention import Convention
from domain.scripts.language import Language
from domain.scripts.ports import ScriptRun, ScriptRunner, Worker
from domain.scripts.report import PROTOCOL_BROKEN, ScriptReport, cancelled_report
from domain.scripts.script import InputForm, Script, ScriptSyntaxError, SyntaxFault
from domain.scripts.syntax import Syntax, require_known
from domain.stats import SandboxStats

_CHECK_EVERY_S = 0.25
_FULL_CHECK_AT_EACH = 20
"""Every so many checks, idle workers and unprepared languages are checked too."""


@define(eq=False)
class SandboxWorker(Worker):
    """A slot with a worker process in it, for one run."""

    process: WorkerProcess
    _runner: "SandboxScriptRunner"
    _slot: Slot[WorkerProcess]
    _run: ScriptRun
    _script: Script | None
    _queue_time_ms: float
    _reusable: bool = field(default=True, init=False)
    _released: bool = field(default=False, init=False)
    _stopped: bool = field(default=False, init=False)

    @override
    async def run(self) -> ScriptReport:
        assert not self._released
        slot, run = self._slot, self._run
        if self._stopped:
            return cancelled_report(self._queue_time_ms)
        if not self.process.is_alive:
            raise RuntimeUnavailable(slot.language, "the worker died before the script started. Repeat the call.")
        cold_start = slot.runs == 0
        slot.runs += 1
        slot.script_hash = run.script_hash
        self._reusable = False
        if run.files is not None and not await deliver(self.process, run.files, slot.language, lambda: self._stopped):
            return cancelled_report(self._queue_time_ms)
        options, queue_time_ms = self._runner.options, self._queue_time_ms
        execution = partial(
            execute, self.process, run, self._script, options, queue_time_ms=queue_time_ms, cold_start=cold_start
        )
        report = await (connected(self.process, run, execution) if run.network else execution())
        self._reusable = self.process.is_alive
        if report.failure is not None and report.failure.name == PROTOCOL_BROKEN and not self._reusable:
            self._runner.protocol_violations += 1
        return report

    @override
    async def stop(self) -> bool:
        self._stopped = True
        self.process.cancel()
        return True

    @override
    async def release(self) -> None:
        if not self._released:
            self._released = True
            self._runner.take_back(self._slot, reusable=self._reusable)


@define(eq=False)
class SandboxScriptRunner(ScriptRunner):
    """Runs scripts in sandboxed workers. A worker serves one session; prewarmed ones wait for new sessions.

    Call `open` on the event loop that uses it, and from a thread that lives as long as the service.
    """

    options: SandboxOptions
    builder: SandboxBuilder = field(default=Factory(lambda self: SandboxBuilder(self.options), takes_self=True))
    networks: Networks | None = field(default=None, kw_only=True)
    """Starts workers with a network; None refuses them."""
    trees: TreeCache | None = field(default=None, kw_only=True)
    """Has the packages of environments; None refuses scripts with one."""
    protocol_violations: int = field(default=0, init=False)
    _factory: WorkerFactory = field(init=False)
    _runtimes: dict[Language, LanguageRuntime] = field(init=False)
    _pool: WorkerPool[WorkerProcess] = field(init=False)
    _scripts: BoundedCache[str, Script] = field(init=False)
    _equipped: EquippedStarts = field(init=False)
    _maintenance: asyncio.Task[None] | None = field(default=None, init=False)
    _network_trial: asyncio.Task[None] | None = field(default=None, init=False)
    _no_group_reason: str = field(default="it has not been opened", init=False)

    def __attrs_post_init__(self) -> None:
        options = self.options
        self._factory = WorkerFactory(options.start_timeout_s)
        self._runtimes = {
            language: LanguageRuntime(language, options, self.builder, self._factory) for language in options.languages
        }
        self._pool = WorkerPool(pool_limits(options))
        self._equipped = EquippedStarts(options, self._factory.zygotes, self._pool)
        self._scripts = BoundedCache(options.script_cache_bytes_max, lambda script: len(script.source))

    async def open(self) -> None:
        """Try the sandbox and start prewarmed workers. What fails is retried later, and `health` says why."""
        try:
            self._factory.zygotes.group = make_control_group(group_limits(self.options))
            self._no_group_reason = ""
        except NoControlGroup as error:
            self._no_group_reason = str(error)
        await asyncio.gather(*(runtime.open() for runtime in self._runtimes.values()))
        loop = asyncio.get_running_loop()
        self._maintenance = loop.create_task(self._maintain())
        if self.networks is not None:
            self._network_trial = loop.create_task(self._try_networks(self.networks))

    async def close(self, grace_s: float) -> None:
        """Kill every worker and wait, at most `grace_s`, until all have left the process table."""
        if self._maintenance is not None:
            self._maintenance.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._maintenance
        if self._network_trial is not None:
            self._network_trial.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._network_trial
        self._pool.clear()
        for runtime in self._runtimes.values():
            await runtime.close()
        await self._factory.close(grace_s)
        await self._equipped.close(grace_s)

    @override
    async def acquire(self, run: ScriptRun) -> Worker:
        called_at = time.perf_counter()
        useful_until = time.monotonic() + run.session_left.total_seconds()
        runtime = self._runtime(run.language)
        if run.syntax is not None:
            require_known(run.syntax, run.language)
        slot = await self._pool.acquire(run)
        slot.useful_until = useful_until
        if slot.is_equipped:
            self._equipped.use(slot)
        try:
            script = None if slot.script_hash == run.script_hash else await self._script(run)
            process = await self._process(slot, runtime, called_at)
        except BaseException:
            self.take_back(slot, reusable=True)
            raise
        return SandboxWorker(process, self, slot, run, script, (time.perf_counter() - called_at) * 1000)

    @override
    async def check(
        self,
        language: Language,
        script: Script,
        owner: Owner,
        convention: Convention = Convention.OWN,
        syntax: Syntax | None = None,
    ) -> InputForm:
        runtime = self._runtime(language)
        require_known(syntax, language)
        verdict = await runtime.check(script, owner, convention, syntax)
        if isinstance(verdict, SyntaxFault):
            raise ScriptSyntaxError(verdict)
        return verdict

    def examiner(self) -> SandboxScriptExaminer:
        """Return an examiner of scripts. Its caller closes it before the runner."""
        return SandboxScriptExaminer(lambda language: self._runtime(language).start_checker(), self.options)

    def tree_trial(self) -> SandboxTreeTrial:
        """Return what tries packages in this sandbox."""
        return SandboxTreeTrial(self._runtime, self._factory.zygotes)

    @override
    async def evict(self, session_id: UUID) -> None:
        self._pool.evict(session_id.int)

    @override
    async def health(self) -> Mapping[str, object]:
        runtimes, environments = self._runtimes.values(), self._equipped.summary()
        return health_of(self.builder, runtimes, self.stats(), environments, self._no_group_reason)

    async def language_health(self, language: Language) -> Mapping[str, object]:
        """Return the health of one language, without that of the sandbox."""
        return self._runtimes[language].summary()

    def admit(self, pid: int) -> None:
        """Put a process into the control group of the workers, if there is one; raises OSError."""
        group = self._factory.zygotes.group
        if group is not None:
            group.admit(pid)

    def stats(self) -> SandboxStats:
        """Return the present figures."""
        runtimes, environments = self._runtimes.values(), self._equipped.environments
        return stats_of(self._pool, self._factory, runtimes, environments, self.protocol_violations)

    def debug_snapshot(self) -> SandboxSnapshot:
        """Return the present processes, for tests."""
        idle = [slot.process for slot in self._pool.table.idle if slot.process is not None]
        return SandboxSnapshot(
            workers=self._factory.pids(),
            idle_workers=[process.launched.pid for process in idle],
            active_idle_workers=[process.launched.pid for process in idle if process.meter.has_background_activity],
            zygotes=self._factory.zygotes.debug_snapshot(),
            group=self._factory.zygotes.group,
        )

    def take_back(self, slot: Slot[WorkerProcess], *, reusable: bool) -> None:
        """Give a slot back. A worker that has run no script goes to the next session that needs one."""
        process = slot.process
        if process is not None and slot.runs == 0:
            slot.process = None
            if slot.is_equipped:
                process.kill()  # no other session gets it
            else:
                self._runtimes[slot.language].put_back(process, slot.memory_mb)
        self._pool.release(slot, reusable=reusable)

    def _runtime(self, language: Language) -> LanguageRuntime:
        runtime = self._runtimes.get(language)
        if runtime is None:
            raise RuntimeUnavailable(language, "this server does not run scripts in it. Use a server that does.")
        if not runtime.is_prepared:
            raise runtime.unavailable(runtime.failure or "")
        return runtime

    async def _script(self, run: ScriptRun) -> Script:
        script = self._scripts.get(run.script_hash)
        if script is None:
            script = await run.source()
            self._scripts.put(run.script_hash, script)
        return script

    async def _process(self, slot: Slot[WorkerProcess], runtime: LanguageRuntime, called_at: float) -> WorkerProcess:
        """Return the slot's worker, or wait for one as long as the call may still wait since `called_at`."""
        if slot.process is None:
            left_s = self.options.queue_timeout_s - (time.perf_counter() - called_at)
            try:
                async with asyncio.timeout(left_s):
                    if slot.is_equipped:
                        slot.process = await self._equipped.start(slot, runtime, self.networks, self.trees)
                    else:
                        slot.process = await runtime.take(slot.memory_mb, slot.owner)
                    slot.process.syntax = slot.syntax
            except TimeoutError:
                raise Overloaded("a worker", self.options.queue_timeout_s) from None
        return slot.process

    async def _try_networks(self, networks: Networks) -> None:
        """Start a worker with a network in each language, so that the first call does not wait for what starts once."""
        for runtime in self._runtimes.values():
            await networks.try_out(runtime, self.options.memory_mb)

    async def _maintain(self) -> None:
        """End workers that are idle for too long or active without an execution; prepare failed languages again."""
        for number in itertools.count(1):
            await asyncio.sleep(_CHECK_EVERY_S)
            self._pool.evict_background_activity()
            if number % _FULL_CHECK_AT_EACH:
                continue
            self._pool.evict_idle(self.options.idle_s)
            self._equipped.end_idle()
            for runtime in self._runtimes.values():
                runtime.shrink()
                if not runtime.is_prepared:
                    await runtime.open()
