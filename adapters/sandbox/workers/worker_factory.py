"""Starts worker processes, and keeps track of each until it has left the process table."""

import asyncio
from weakref import WeakKeyDictionary

import structlog
from attrs import define, evolve, field, frozen

from adapters.sandbox.isolation.layers import observe_layers
from adapters.sandbox.workers.channel import Outbox
from adapters.sandbox.workers.fork_check import SCRIPT, check_fork
from adapters.sandbox.workers.listeners import Listeners, take_listeners
from adapters.sandbox.workers.prewarm_pool import STOPPING
from adapters.sandbox.workers.process import WorkerProcess
from adapters.sandbox.zygote.launch import (
    ForkUnchecked,
    ForkUnsafe,
    Launched,
    LaunchFailed,
    PreloadFailed,
    ZygoteLost,
)
from adapters.sandbox.zygote.sandbox_spec import SandboxSpec, ZygoteKind
from adapters.sandbox.zygote.zygote import Zygote
from adapters.sandbox.zygote.zygote_pool import ZygotePool

_log = structlog.get_logger(__name__)


@frozen
class _Check:
    """The check of a fork, and when it began on the event loop's clock."""

    task: asyncio.Task[None]
    began_s: float


@frozen
class _FailedCheck:
    """Why the forks of a kind of zygote are not used, and when a check that did not end is repeated."""

    failure: ForkUnsafe | ForkUnchecked
    repeats_at_s: float = 0.0

    @property
    def is_pausing(self) -> bool:
        return isinstance(self.failure, ForkUnsafe) or asyncio.get_running_loop().time() < self.repeats_at_s


@define(eq=False)
class WorkerFactory:
    """Starts workers, and holds those that live."""

    start_timeout_s: float
    check_pause_s: float = 30.0
    """After a check of a fork that did not end, until a start that does not wait for it begins another one."""
    zygotes: ZygotePool = field(factory=ZygotePool)
    _checks: WeakKeyDictionary[Zygote, "_Check"] = field(factory=WeakKeyDictionary, init=False)
    """The check of the first fork of each zygote."""
    _failures: dict[ZygoteKind, "_FailedCheck"] = field(factory=dict, init=False)
    """Of the last checks that failed. The result of a wrong one stays; another one is repeated after a pause."""
    _data_bytes: dict[ZygoteKind, int] = field(factory=dict, init=False)
    """The data of each interpreter before any script, as its last worker had it."""
    _living: set[WorkerProcess] = field(factory=set, init=False)
    _outbox: Outbox = field(factory=Outbox, init=False)
    _closed: bool = field(default=False, init=False)

    @property
    def count(self) -> int:
        """The number of living processes."""
        return len(self._living)

    def pids(self) -> list[int | None]:
        """Return the process ids of the living processes; None for an unknown one."""
        return [process.launched.pid for process in self._living]

    async def start(self, spec: SandboxSpec, check_wait_s: float | None = None) -> WorkerProcess:
        """Start a worker, and check its isolation from outside; raises LaunchFailed.

        The first fork of each zygote of Node.js is checked before others are used; raises ForkUnsafe. Raises
        ForkUnchecked if the check did not end, or takes longer than `check_wait_s` since it began, the zygote's start
        included.
        """
        if self._closed:
            raise LaunchFailed(STOPPING)
        zygote = self.zygotes.zygote(spec)
        try:
            async with asyncio.timeout(self._limit_s(spec)):
                try:
                    await self._check(spec, zygote, check_wait_s)
                    return await self._start(spec, zygote)
                except ZygoteLost:
                    if self._closed:
                        raise
                zygote = self.zygotes.zygote(spec)
                await self._check(spec, zygote, check_wait_s)
                return await self._start(spec, zygote)
        except TimeoutError:
            # Another zygote may be faster.
            zygote.retire()
            raise LaunchFailed(
                f"a worker was not ready within {self._limit_s(spec):g} s. If this persists, the host needs more CPU."
            ) from None

    async def close(self, grace_s: float) -> None:
        """Kill every worker and zygote, and wait, at most `grace_s`, until all have left the process table."""
        self._closed = True
        living = list(self._living)
        for process in living:
            process.kill()
        if living:
            await asyncio.wait([asyncio.ensure_future(process.gone()) for process in living], timeout=grace_s)
        await self.zygotes.close(grace_s)

    async def _check(self, spec: SandboxSpec, zygote: Zygote, wait_s: float | None) -> None:
        if not spec.interpreter.needs_fork_check:
            return
        failed = self._failures.get(spec.kind)
        if zygote not in self._checks and wait_s is not None and failed is not None and failed.is_pausing:
            raise failed.failure
        check, successor = self._begin_check(spec, zygote), self.zygotes.successor(spec)
        if successor is not None and not (failed is not None and failed.is_pausing):
            self._begin_check(spec, successor)
        left_s = None if wait_s is None else max(0.0, check.began_s + wait_s - asyncio.get_running_loop().time())
        done, _ = await asyncio.wait([check.task], timeout=left_s)
        if not done:
            raise ForkUnchecked(f"the check of a fork of Node.js has not ended within {wait_s:g} s")
        check.task.result()

    def _begin_check(self, spec: SandboxSpec, zygote: Zygote) -> _Check:
        check = self._checks.get(zygote)
        if check is None:
            loop = asyncio.get_running_loop()
            self._checks[zygote] = check = _Check(loop.create_task(self._check_first(spec, zygote)), loop.time())
            check.task.add_done_callback(lambda done: done.cancelled() or done.exception())
        return check

    async def _check_first(self, spec: SandboxSpec, zygote: Zygote) -> None:
        try:
            async with asyncio.timeout(self._limit_s(spec)):
                process = await self._start(evolve(spec, network=None), zygote)
            await check_fork(process, spec.fork_check or SCRIPT, spec.fork_check_s)
            zygote.is_checked = True
            self._failures.pop(spec.kind, None)
        except (ZygoteLost, PreloadFailed):
            raise
        except TimeoutError:
            raise self._failed(spec, zygote, f"no fork was ready within {self.start_timeout_s:g} s") from None
        except LaunchFailed as error:
            raise self._failed(spec, zygote, error) from error

    def _failed(self, spec: SandboxSpec, zygote: Zygote, cause: LaunchFailed | str) -> ForkUnsafe | ForkUnchecked:
        """Retire the zygote; return why its forks are not used. A failed successor leaves its predecessor in use."""
        is_successor = zygote is self.zygotes.successor(spec)
        zygote.retire()
        if isinstance(cause, ForkUnsafe) and not is_successor:
            self._failures[spec.kind] = _FailedCheck(cause)
            return cause
        failure = ForkUnchecked(f"a fork of Node.js could not be checked: {cause}")
        repeats_at_s = asyncio.get_running_loop().time() + self.check_pause_s
        self._failures[spec.kind] = _FailedCheck(failure, repeats_at_s)
        if not self._closed:
            _log.warning("node_fork_unchecked", reason=str(failure), repeated_after_s=self.check_pause_s)
        return failure

    async def _start(self, spec: SandboxSpec, zygote: Zygote) -> WorkerProcess:
        """Start a worker in this zygote and wait until it is ready; raises LaunchFailed."""
        await asyncio.shield(zygote.ready)
        launched = await zygote.start(spec.order(self._data_bytes.get(spec.kind), zygote.cost))
        listeners = await _listeners_of(launched, spec)
        options = spec.options
        process = WorkerProcess(
            launched,
            output_size_max=options.output_size_max,
            reply_size_max=options.result_size_max,
            kill_s=options.kill_s,
            threads_later_max=spec.interpreter.threads_later_max,
            outbox=self._outbox,
            group=self.zygotes.group,
            listeners=listeners,
        )
        self._track(process)
        try:
            await process.start()
            _require_isolation(process, zygote)
        except BaseException as error:
            process.kill()
            await process.gone()
            if isinstance(error, LaunchFailed) and zygote.is_lost:
                raise ZygoteLost(str(error)) from error
            raise
        if process.interpreter_data_bytes is not None:
            self._data_bytes[spec.kind] = process.interpreter_data_bytes
        return process

    def _limit_s(self, spec: SandboxSpec) -> float:
        return self.start_timeout_s + (spec.options.preload_s if spec.preloads else 0.0)

    def _track(self, process: WorkerProcess) -> None:
        self._living.add(process)
        process.when_gone(lambda: self._living.discard(process))


async def _listeners_of(launched: Launched, spec: SandboxSpec) -> Listeners | None:
    """Return the listeners of a worker with a network; raises LaunchFailed."""
    if spec.network is None:
        return None
    try:
        return await take_listeners(launched.channel, len(spec.network.listening))
    except BaseException:
        launched.discard()
        raise


def _require_isolation(process: WorkerProcess, zygote: Zygote) -> None:
    try:
        missing = observe_layers(process.launched.pid or 0, zygote.pid or 0).missing
    except OSError as error:
        raise LaunchFailed(f"the isolation of a worker cannot be checked: {error}") from error
    if missing:
        raise LaunchFailed(f"a worker started without {' and '.join(missing)}, and is not used")
