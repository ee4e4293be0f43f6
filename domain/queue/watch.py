"""Stops what runs in this process and is no longer wanted."""

import asyncio
import contextlib

from attrs import define

from domain.errors import Unavailable
from domain.executions.running import RunningExecutions
from domain.queue.ports import ExecutionQueue


@define(eq=False)
class CancelWatch:
    """Stops executions of this process whose cancel was requested in another one, or that were purged.

    One statement every `pause_s` seconds asks for all executions that have run for longer than that.
    """

    _queue: ExecutionQueue
    _running: RunningExecutions
    pause_s: float = 0.25

    async def run(self) -> None:
        """Watch for ever; a database that is away is asked again after the pause."""
        while True:
            await asyncio.sleep(self.pause_s)
            with contextlib.suppress(Unavailable):
                await self.run_once()

    async def run_once(self) -> None:
        """Stop what is to be stopped now; raises StorageUnavailable or Overloaded."""
        running = self._running.longer_than(self.pause_s)
        if running:
            to_stop = await self._queue.to_stop(running)
            await asyncio.gather(*map(self._running.stop, to_stop))
