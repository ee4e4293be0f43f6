"""Starting a child, and restarting it whenever it ends."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import structlog
from attrs import define, field

from entrypoints.server.process import Process, StartFailed, status_text

_DELAY_FIRST_S = 0.1
_DELAY_MAX_S = 5.0
_STEADY_S = 10.0
"""A child that has run this long restarts after the first delay again, whatever its earlier failures."""

_KILL_TIMEOUT_S = 5.0


@define(eq=False)
class ChildSupervisor:
    """Starts a child by `spawn`, and restarts it after growing delays whenever it ends."""

    name: str
    spawn: Callable[[], Awaitable[Process]]
    restarts: int = field(default=0, init=False)
    """How often the child ended by itself and was restarted."""
    _process: Process | None = field(default=None, init=False)
    _watch: asyncio.Task[None] | None = field(default=None, init=False)
    _log: structlog.typing.FilteringBoundLogger = field(factory=lambda: structlog.get_logger(__name__), init=False)

    async def start(self) -> None:
        """Start the child for the first time and wait until it serves; raises StartFailed."""
        process = await self._start()
        self._watch = asyncio.create_task(self._supervise(process))

    async def end(self, drain_timeout_s: float, stop_timeout_s: float, hurry: asyncio.Event) -> None:
        """Let the child finish its work, until the timeout or `hurry`; then stop it; then kill it."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.wait([self._watch])
        process = self._process
        if process is None or process.status is not None:
            return
        process.drain()
        if not await _ended_unless(process, drain_timeout_s, hurry):
            process.stop()
            await self._kill_after(process, stop_timeout_s)

    async def _start(self) -> Process:
        process = self._process = await self.spawn()
        try:
            await process.up()
        except StartFailed:
            await self._kill_after(process, 0)
            raise
        return process

    async def _supervise(self, process: Process) -> None:
        delay_s = _DELAY_FIRST_S
        while True:
            started_at = time.monotonic()
            status = await process.ended()
            if time.monotonic() - started_at > _STEADY_S:
                delay_s = _DELAY_FIRST_S
            self._log.warning("child_ended", child=self.name, status=status_text(status), restart_in_s=delay_s)
            process, delay_s = await self._restart(delay_s)
            self.restarts += 1

    async def _restart(self, delay_s: float) -> tuple[Process, float]:
        while True:
            await asyncio.sleep(delay_s)
            delay_s = min(delay_s * 2, _DELAY_MAX_S)
            try:
                return await self._start(), delay_s
            except StartFailed as error:
                self._log.error("child_start_failed", child=self.name, reason=str(error), restart_in_s=delay_s)

    async def _kill_after(self, process: Process, timeout_s: float) -> None:
        if not await process.ended_within(timeout_s):
            process.kill()
            await process.ended_within(_KILL_TIMEOUT_S)


async def _ended_unless(process: Process, timeout_s: float, hurry: asyncio.Event) -> bool:
    waiting = [asyncio.ensure_future(process.ended()), asyncio.ensure_future(hurry.wait())]
    await asyncio.wait(waiting, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    for each in waiting:
        each.cancel()
    return process.status is not None
