"""Keeping a child alive: started, watched, started again."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import structlog
from attrs import define, field

from entrypoints.server.process import Process, StartFailed
from entrypoints.server.python_process import spoken

_DELAY_FIRST_S = 0.1
_DELAY_MAX_S = 5.0
_STEADY_S = 10.0
"""A child that lived this long is started again without being made to wait for its earlier failures."""

_KILL_TIMEOUT_S = 5.0


@define(eq=False)
class ChildSupervisor:
    """Starts a child by `spawn` and starts it again, after growing pauses, whenever it ends."""

    name: str
    spawn: Callable[[], Awaitable[Process]]
    restarts: int = field(default=0, init=False)
    """How often it has ended by itself and was started again."""
    _process: Process | None = field(default=None, init=False)
    _watch: asyncio.Task[None] | None = field(default=None, init=False)
    _log: structlog.typing.FilteringBoundLogger = field(factory=lambda: structlog.get_logger(__name__), init=False)

    async def start(self) -> None:
        """Start the child for the first time and wait until it serves; raises StartFailed."""
        process = await self._begin()
        self._watch = asyncio.create_task(self._keep(process))

    async def end(self, drain_timeout_s: float, stop_timeout_s: float, hurry: asyncio.Event) -> None:
        """End the child: its work first, until the time is over or `hurry` is set; then at once; then by force."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.wait([self._watch])
        process = self._process
        if process is None or process.status is not None:
            return
        process.drain()
        if not await _ended_unless(process, drain_timeout_s, hurry):
            process.stop()
            await self._end_by_force(process, stop_timeout_s)

    async def _begin(self) -> Process:
        process = self._process = await self.spawn()
        try:
            await process.up()
        except StartFailed:
            await self._end_by_force(process, 0)
            raise
        return process

    async def _keep(self, process: Process) -> None:
        delay_s = _DELAY_FIRST_S
        while True:
            began_at = time.monotonic()
            status = await process.ended()
            if time.monotonic() - began_at > _STEADY_S:
                delay_s = _DELAY_FIRST_S
            self._log.warning("child_ended", child=self.name, status=spoken(status), restart_in_s=delay_s)
            process, delay_s = await self._begin_again(delay_s)
            self.restarts += 1

    async def _begin_again(self, delay_s: float) -> tuple[Process, float]:
        while True:
            await asyncio.sleep(delay_s)
            delay_s = min(delay_s * 2, _DELAY_MAX_S)
            try:
                return await self._begin(), delay_s
            except StartFailed as error:
                self._log.error("child_start_failed", child=self.name, reason=str(error), restart_in_s=delay_s)

    async def _end_by_force(self, process: Process, timeout_s: float) -> None:
        if not await process.ended_within(timeout_s):
            process.kill()
            await process.ended_within(_KILL_TIMEOUT_S)


async def _ended_unless(process: Process, timeout_s: float, hurry: asyncio.Event) -> bool:
    waiting = [asyncio.ensure_future(process.ended()), asyncio.ensure_future(hurry.wait())]
    await asyncio.wait(waiting, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    for each in waiting:
        each.cancel()
    return process.status is not None
