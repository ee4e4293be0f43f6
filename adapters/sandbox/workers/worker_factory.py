"""Starts worker processes, and keeps track of each until it has left the process table."""

import asyncio
from weakref import WeakKeyDictionary

from attrs import define, field

from adapters.sandbox.isolation.layers import observe_layers
from adapters.sandbox.workers.channel import Outbox
from adapters.sandbox.workers.fork_check import SCRIPT, check_fork
from adapters.sandbox.workers.prewarm_pool import STOPPING
from adapters.sandbox.workers.process import WorkerProcess
from adapters.sandbox.zygote.launch import ForkUnsafe, LaunchFailed, ZygoteLost
from adapters.sandbox.zygote.sandbox_spec import SandboxSpec
from adapters.sandbox.zygote.zygote import Zygote
from adapters.sandbox.zygote.zygote_pool import ZygotePool


@define(eq=False)
class WorkerFactory:
    """Starts workers, and holds those that live."""

    start_timeout_s: float
    zygotes: ZygotePool = field(factory=ZygotePool)
    _checks: WeakKeyDictionary[Zygote, asyncio.Task[None]] = field(factory=WeakKeyDictionary, init=False)
    """The check of the first fork of each zygote."""
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

    async def start(self, spec: SandboxSpec) -> WorkerProcess:
        """Start a worker, and check its isolation from outside; raises LaunchFailed.

        The first fork of each zygote of Node.js is checked before others are used; raises ForkUnsafe.
        """
        if self._closed:
            raise LaunchFailed(STOPPING)
        zygote = self.zygotes.zygote(spec)
        try:
            async with asyncio.timeout(self.start_timeout_s):
                try:
                    await self._check(spec, zygote)
                    return await self._start(spec, zygote)
                except ZygoteLost:
                    if self._closed:
                        raise
                zygote = self.zygotes.zygote(spec)
                await self._check(spec, zygote)
                return await self._start(spec, zygote)
        except TimeoutError:
            # Another zygote may be faster.
            zygote.retire()
            raise LaunchFailed(
                f"a worker was not ready within {self.start_timeout_s:g} s. If this persists, the host needs more CPU."
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

    async def _check(self, spec: SandboxSpec, zygote: Zygote) -> None:
        if not spec.interpreter.needs_fork_check:
            return
        check = self._checks.get(zygote)
        if check is None:
            check = self._checks[zygote] = asyncio.get_running_loop().create_task(self._check_first(spec, zygote))
            check.add_done_callback(lambda done: done.cancelled() or done.exception())
        await asyncio.shield(check)

    async def _check_first(self, spec: SandboxSpec, zygote: Zygote) -> None:
        try:
            await check_fork(await self._start(spec, zygote), spec.fork_check or SCRIPT)
        except ZygoteLost:
            raise
        except LaunchFailed as error:
            zygote.retire()
            raise ForkUnsafe(str(error)) from error

    async def _start(self, spec: SandboxSpec, zygote: Zygote) -> WorkerProcess:
        """Start a worker in this zygote and wait until it is ready; raises LaunchFailed."""
        launched = await zygote.start(spec.order())
        options = spec.options
        process = WorkerProcess(
            launched,
            output_size_max=options.output_size_max,
            reply_size_max=options.result_size_max,
            kill_s=options.kill_s,
            threads_later_max=spec.interpreter.threads_later_max,
            outbox=self._outbox,
            group=self.zygotes.group,
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
        return process

    def _track(self, process: WorkerProcess) -> None:
        self._living.add(process)
        process.when_gone(lambda: self._living.discard(process))


def _require_isolation(process: WorkerProcess, zygote: Zygote) -> None:
    try:
        missing = observe_layers(process.launched.pid or 0, zygote.pid or 0).missing
    except OSError as error:
        raise LaunchFailed(f"the isolation of a worker cannot be checked: {error}") from error
    if missing:
        raise LaunchFailed(f"a worker started without {' and '.join(missing)}, and is not used")
