"""Every worker process of this service, from its start until it has left the process table."""

import asyncio

from attrs import define, field

from adapters.sandbox.isolation.layers import observe_layers
from adapters.sandbox.workers.outbox import Outbox
from adapters.sandbox.workers.process import WorkerProcess
from adapters.sandbox.zygote.launch import LaunchFailed, ZygoteLost
from adapters.sandbox.zygote.sandbox_spec import SandboxSpec
from adapters.sandbox.zygote.zygote import Zygote
from adapters.sandbox.zygote.zygote_pool import ZygotePool


@define(eq=False)
class WorkerFactory:
    """Starts workers and remembers those that live."""

    start_timeout_s: float
    rooms: ZygotePool = field(factory=ZygotePool)
    _living: set[WorkerProcess] = field(factory=set, init=False)
    _outbox: Outbox = field(factory=Outbox, init=False)
    _closed: bool = field(default=False, init=False)

    @property
    def count(self) -> int:
        """How many processes live."""
        return len(self._living)

    async def start(self, blueprint: SandboxSpec) -> WorkerProcess:
        """Start a worker and make sure that it is isolated; raises LaunchFailed."""
        if self._closed:
            raise LaunchFailed("the service is stopping")
        room = self.rooms.room(blueprint)
        try:
            async with asyncio.timeout(self.start_timeout_s):
                try:
                    return await self._start(blueprint, room)
                except ZygoteLost:
                    if self._closed:
                        raise
                room = self.rooms.room(blueprint)
                return await self._start(blueprint, room)
        except TimeoutError:
            # Another one may be faster.
            room.retire()
            raise LaunchFailed(f"it was not ready within {self.start_timeout_s:g} s") from None

    async def close(self, grace_s: float) -> None:
        """Kill every worker and wait, at most `grace_s`, until they have left the process table."""
        self._closed = True
        living = list(self._living)
        for process in living:
            process.kill()
        if living:
            await asyncio.wait([asyncio.ensure_future(process.gone()) for process in living], timeout=grace_s)
        await self.rooms.close(grace_s)

    async def _start(self, blueprint: SandboxSpec, room: Zygote) -> WorkerProcess:
        """Start a worker, remember it at once, and wait until it is ready; raises LaunchFailed."""
        launched = await room.start(blueprint.order())
        options = blueprint.options
        process = WorkerProcess(
            launched,
            output_size_max=options.output_size_max,
            answer_size_max=options.result_size_max,
            kill_s=options.kill_s,
            threads_later_max=blueprint.interpreter.threads_later_max,
            outbox=self._outbox,
            group=self.rooms.group,
        )
        self._adopt(process)
        try:
            await process.start()
            _require_isolation(process, room)
        except BaseException as error:
            process.kill()
            await process.gone()
            if isinstance(error, LaunchFailed) and room.is_lost:
                raise ZygoteLost(str(error)) from error
            raise
        return process

    def _adopt(self, process: WorkerProcess) -> None:
        self._living.add(process)
        process.when_gone(lambda: self._living.discard(process))


def _require_isolation(process: WorkerProcess, room: Zygote) -> None:
    try:
        missing = observe_layers(process.launched.pid or 0, room.keeper_pid or 0).missing
    except OSError as error:
        raise LaunchFailed(f"the worker's isolation cannot be observed: {error}") from error
    if missing:
        raise LaunchFailed(f"the sandbox came up without {' and '.join(missing)}")
