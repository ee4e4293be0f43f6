"""What a runtime host reports on its streams: how much it has to do, and which languages it cannot run."""

import asyncio
from collections.abc import Callable, Sequence

import msgspec
from attrs import define, field

from adapters.runtime_frames import Capacity
from domain.scripts.language import Language
from entrypoints.runtime_host.hosted import HostedExecutions

_REPORTED_EACH_S = 0.1
_LOOKED_EACH_S = 1.0


@define(eq=False)
class CapacityReports:
    """Gives `send` a report for all streams soon after each change, from `begin` to `end`.

    It looks each second which languages cannot run.
    """

    _executions: HostedExecutions
    _send: Callable[[bytes], None]
    unavailable: Sequence[str] = field(default=(), init=False)
    """The languages that could not run when it looked last."""
    _timer: asyncio.TimerHandle | None = field(default=None, init=False)
    _looking: "asyncio.Task[None] | None" = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self._executions.on_change = self._plan

    async def begin(self) -> None:
        """Look, and go on doing so; called for each stream."""
        await self._look()
        if self._looking is None:
            self._looking = asyncio.get_running_loop().create_task(self._keep_looking())

    def end(self) -> None:
        """Report nothing more: there is no stream."""
        looking, self._looking = self._looking, None
        if looking is not None:
            looking.cancel()

    async def _keep_looking(self) -> None:
        while True:
            await asyncio.sleep(_LOOKED_EACH_S)
            await self._look()

    async def _look(self) -> None:
        known, self.unavailable = self.unavailable, await self._executions.unavailable()
        if self.unavailable != known:
            self._plan()

    def _plan(self) -> None:
        if self._timer is None and self._looking is not None:
            self._timer = asyncio.get_running_loop().call_later(_REPORTED_EACH_S, self._report)

    def _report(self) -> None:
        self._timer = None
        running, queued = self._executions.running, self._executions.queued
        capacity = Capacity(
            [running[each] for each in Language], [queued[each] for each in Language], list(self.unavailable)
        )
        self._send(msgspec.json.encode(capacity))
