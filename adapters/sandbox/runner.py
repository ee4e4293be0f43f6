"""The ScriptRunner that runs scripts on this host, in sandboxed worker processes."""

import asyncio
import contextlib
import itertools
import os
import time
from collections.abc import Mapping
from uuid import UUID

from attrs import Factory, define, field
from typing_extensions import override

from adapters.sandbox.host_memory import memory_of_host
from adapters.sandbox.isolation.control_group import GroupLimits, NoControlGroup, make_control_group
from adapters.sandbox.isolation.cpu_scheduling import why_none_is_free
from adapters.sandbox.options import MIB, SandboxOptions
from adapters.sandbox.pool.slot import PoolLimits, Slot, SlotKind, SlotRequest
from adapters.sandbox.pool.worker_pool import WorkerPool
from adapters.sandbox.protocol.execution import ScriptTask, WorkerRun, execute
from adapters.sandbox.protocol.failures import PROTOCOL_BROKEN
from adapters.sandbox.runtime import LanguageRuntime
from adapters.sandbox.stats import SandboxStats
from adapters.sandbox.workers.process import WorkerProcess
from adapters.sandbox.workers.worker_factory import WorkerFactory
from adapters.sandbox.zygote.sandbox_builder import SandboxBuilder
from adapters.sandbox.zygote.sandbox_spec import ZYGOTE_PROCESSES
from adapters.sandbox.zygote.zygote_pool import ZYGOTE_MEMORY_MB, ZYGOTES_MAX
from domain.concurrency.bounded_cache import BoundedCache
from domain.errors import Overloaded, RuntimeUnavailable
from domain.identity import Owner
from domain.scripts.language import Language
from domain.scripts.limits import Isolation
from domain.scripts.ports import ScriptRun, ScriptRunner, Worker
from domain.scripts.report import ScriptReport
from domain.scripts.script import Script, ScriptSyntaxError

_LOOK_EVERY_S = 0.25
_TEND_AT_EACH = 20
"""At which of the looks what takes longer is done as well."""
_SHARE_OF_HOST = 0.5
"""How much of the host's memory workers may take when no setting says."""

_QUICK_SLOTS_PER_PROCESSOR = 2
"""Workers that a session gets without a wait. More of them take turns on a processor, and each costs a start."""
_NOT_USED = {
    "landlock": "the root holds nothing but the interpreter's own files, read-only, and it would have to be loaded "
    "inside the sandbox by a library that is not there",
}


@define(eq=False)
class SandboxWorker(Worker):
    """A place with a worker process in it, for one run."""

    _runner: "SandboxScriptRunner"
    _slot: Slot[WorkerProcess]
    _process: WorkerProcess
    _task: ScriptTask
    _script_hash: str
    _reusable: bool = field(default=True, init=False)
    _memory_bytes: int | None = field(default=None, init=False)
    _released: bool = field(default=False, init=False)

    @override
    async def run(self) -> ScriptReport:
        assert not self._released
        if not self._process.is_alive:
            raise RuntimeUnavailable(self._slot.request.kind.language, "the worker has died before the run; try again")
        self._slot.runs += 1
        self._slot.script_hash = self._script_hash
        self._reusable = False
        executed = await execute(self._process, self._task, self._runner.options)
        self._reusable = executed.reusable
        self._runner.note(executed)
        self._memory_bytes = executed.report.memory_usage_bytes
        return executed.report

    @override
    async def release(self) -> None:
        if not self._released:
            self._released = True
            self._runner.take_back(self._slot, reusable=self._reusable, memory_bytes=self._memory_bytes)


@define(eq=False)
class SandboxScriptRunner(ScriptRunner):
    """Runs scripts in sandboxed workers: warm for each session, spare for new ones, one session to a worker.

    `open` it on the event loop that uses it, and from a thread that lives as long as the service.
    """

    options: SandboxOptions
    builder: SandboxBuilder = field(default=Factory(lambda self: SandboxBuilder(self.options), takes_self=True))
    _factory: WorkerFactory = field(init=False)
    _runtimes: dict[Language, LanguageRuntime] = field(init=False)
    _pool: WorkerPool[WorkerProcess] = field(init=False)
    _scripts: BoundedCache[str, Script] = field(init=False)
    _tending: asyncio.Task[None] | None = field(default=None, init=False)
    _no_group: str = field(default="", init=False)
    _protocol_breaks: int = field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        options = self.options
        self._factory = WorkerFactory(options.start_timeout_s)
        self._runtimes = {
            language: LanguageRuntime(language, options, self.builder, self._factory) for language in options.languages
        }
        self._pool = WorkerPool(
            PoolLimits(
                options.warm_workers_max,
                options.session_workers_max,
                options.queue_length_max,
                options.queue_timeout_s,
                self._running_max,
                options.owner_running_max,
                self._memory_bytes_max,
                session_quick_slots=_QUICK_SLOTS_PER_PROCESSOR * len(os.sched_getaffinity(0)),
            )
        )
        self._scripts = BoundedCache(options.script_cache_bytes_max, lambda script: len(script.source))

    @property
    def _running_max(self) -> int:
        """How many executions run at once."""
        return min(self.options.running_max or self.options.warm_workers_max, self.options.warm_workers_max)

    @property
    def _memory_bytes_max(self) -> int:
        """What all workers that serve sessions may take together."""
        budget_mb = self.options.memory_budget_mb
        return int(memory_of_host() * _SHARE_OF_HOST) if budget_mb is None else budget_mb * MIB

    @property
    def _group_limits(self) -> GroupLimits:
        """What workers of sessions may have, and those beside them: spare ones, and those that check scripts."""
        options = self.options
        beside = len(options.languages) * (options.prewarmed + options.starting_max)
        checkers = options.checkers_max * len(options.languages)
        memory_mb = beside * options.memory_mb + checkers * options.check_memory_mb
        workers = options.warm_workers_max + beside + checkers
        zygotes = len(options.languages) * (ZYGOTES_MAX + 1)
        memory_bytes = self._memory_bytes_max + (memory_mb + zygotes * ZYGOTE_MEMORY_MB) * MIB
        return GroupLimits(memory_bytes, workers * options.processes_max + zygotes * ZYGOTE_PROCESSES)

    async def open(self) -> None:
        """Try the sandbox and start spare workers; what cannot be had is told by `health` and tried again."""
        try:
            self._factory.zygotes.group = make_control_group(self._group_limits)
        except NoControlGroup as error:
            self._no_group = str(error)
        await asyncio.gather(*(runtime.open() for runtime in self._runtimes.values()))
        self._tending = asyncio.get_running_loop().create_task(self._tend())

    async def close(self, grace_s: float) -> None:
        """Kill every worker and wait, at most `grace_s`, until none is left in the process table."""
        if self._tending is not None:
            self._tending.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._tending
        self._pool.clear()
        for runtime in self._runtimes.values():
            await runtime.close()
        await self._factory.close(grace_s)
        if self._factory.zygotes.group is not None:
            self._factory.zygotes.group.close()

    @override
    async def acquire(self, run: ScriptRun) -> Worker:
        asked_at = time.perf_counter()
        useful_until = time.monotonic() + run.session_left.total_seconds()
        runtime = self._runtime(run.language)
        request = SlotRequest(
            run.ref.session_id.int,
            SlotKind(run.language, run.limits.memory_mb),
            keeps=run.limits.isolation is Isolation.SESSION,
            owner=run.ref.owner,
        )
        slot = await self._pool.acquire(request)
        slot.useful_until = useful_until
        try:
            script = None if slot.script_hash == run.script_hash else await self._script(run)
            process = await self._process(slot, runtime)
        except BaseException:
            self.take_back(slot, reusable=True)
            raise
        task = ScriptTask(
            script=script,
            session_id=run.ref.session_id,
            params=run.params,
            context=run.context,
            limits=run.limits,
            queue_time_ms=(time.perf_counter() - asked_at) * 1000,
            cold_start=slot.runs == 0,
        )
        return SandboxWorker(self, slot, process, task, run.script_hash)

    @override
    async def check(self, language: Language, script: Script, owner: Owner) -> bool:
        fault = await self._runtime(language).check(script, owner)
        if fault is not None:
            raise ScriptSyntaxError(fault)
        return True

    @override
    async def evict(self, session_id: UUID) -> None:
        self._pool.evict(session_id.int)

    @override
    async def health(self) -> Mapping[str, object]:
        languages = {str(language): runtime.summary() for language, runtime in self._runtimes.items()}
        healthy = all(runtime.failure is None for runtime in self._runtimes.values())
        return {
            "status": "ok" if healthy else "degraded",
            "languages": languages,
            "layers": self._layers(),
            "level": str(self.options.level),
            "workers": {
                "places": self._pool.table.count,
                "idle": len(self._pool.table.idle),
                "places_max": self.options.warm_workers_max,
                "running_max": self._running_max,
                "processes": self._factory.count,
                "memory_bytes": self._pool.table.memory_bytes,
                "memory_bytes_max": self._pool.limits.memory_bytes_max,
            },
            "queue": {"length": len(self._pool.queue), "length_max": self.options.queue_length_max},
        }

    def note(self, executed: WorkerRun) -> None:
        """Take note of a run that has ended."""
        failure = executed.report.failure
        if failure is not None and failure.name == PROTOCOL_BROKEN and not executed.reusable:
            self._protocol_breaks += 1

    def stats(self) -> SandboxStats:
        """Return the present figures."""
        table = self._pool.table
        return SandboxStats(
            running=table.count - len(table.idle),
            idle=len(table.idle),
            bound_max=self.options.warm_workers_max,
            running_max=self._running_max,
            waiting=len(self._pool.queue),
            processes=self._factory.count,
            memory_bytes=table.memory_bytes,
            memory_bytes_max=self._memory_bytes_max,
            evictions=dict(table.evictions),
            protocol_breaks=self._protocol_breaks,
            languages={language: runtime.stats() for language, runtime in self._runtimes.items()},
        )

    def take_back(self, slot: Slot[WorkerProcess], *, reusable: bool, memory_bytes: int | None = None) -> None:
        """Give a place back; a worker that has seen no script goes to whoever needs one next."""
        process = slot.process
        if process is not None and slot.runs == 0:
            slot.process = None
            self._runtimes[slot.request.kind.language].put_back(process, slot.request.kind.memory_mb)
        self._pool.release(slot, reusable=reusable, memory_bytes=memory_bytes)

    def _runtime(self, language: Language) -> LanguageRuntime:
        runtime = self._runtimes.get(language)
        if runtime is None:
            raise RuntimeUnavailable(language, "this server's sandbox does not serve it")
        if not runtime.is_prepared:
            raise runtime.unavailable(runtime.failure or "")
        return runtime

    async def _script(self, run: ScriptRun) -> Script:
        script = self._scripts.get(run.script_hash)
        if script is None:
            script = await run.source()
            self._scripts.put(run.script_hash, script)
        return script

    async def _process(self, slot: Slot[WorkerProcess], runtime: LanguageRuntime) -> WorkerProcess:
        if slot.process is None:
            try:
                async with asyncio.timeout(self.options.queue_timeout_s):
                    slot.process = await runtime.take(slot.request.kind.memory_mb, slot.request.owner)
            except TimeoutError:
                raise Overloaded("a worker") from None
        return slot.process

    def _layers(self) -> Mapping[str, object]:
        separate = self.builder.uid
        no_processor = why_none_is_free(separate)
        reasons = {"cgroup": "" if self._factory.zygotes.group else self._no_group, "free_processor": no_processor}
        # A worker without any of these is never used, so one language that runs shows that the host grants them.
        granted = any(runtime.failure is None for runtime in self._runtimes.values())
        return {
            "namespaces": granted,
            "seccomp": granted,
            "rlimits": granted,
            "tmpfs_limits": granted,
            "cgroup": self._factory.zygotes.group is not None,
            "free_processor": not no_processor,
            "landlock": False,
            "not_used": _NOT_USED | {name: reason for name, reason in reasons.items() if reason},
            "refused_calls": "named by the interpreter's own error (no notifier)",
            "separate_uid": separate is not None,
            "uid": "workers share the service's uid" if separate is None else separate,
        }

    async def _tend(self) -> None:
        """Let workers go that are idle, or ought to be and are not; try again what could not be prepared."""
        for look in itertools.count(1):
            await asyncio.sleep(_LOOK_EVERY_S)
            self._pool.evict_background_activity()
            if look % _TEND_AT_EACH:
                continue
            self._pool.evict_idle(self.options.idle_s)
            for runtime in self._runtimes.values():
                if not runtime.is_prepared:
                    await runtime.open()
