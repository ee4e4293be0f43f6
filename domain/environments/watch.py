"""The background task that looks which versions wait for a builder, for metrics and health."""

import asyncio
import contextlib
from datetime import datetime, timedelta

from attrs import define, field

from domain.clock import Clock
from domain.environments.ports import BuildQueue, WaitingBuilds
from domain.errors import DomainError

_WAITING_MAX = timedelta(minutes=10)
"""A builder looks for work every few seconds. One that builds takes the next version later, however long that is."""


@define(eq=False)
class BuildWatch:
    """Each controller looks, also one that builds nothing: somebody has to notice that nobody builds."""

    _clock: Clock
    _queue: BuildQueue
    _pause_s: float = 15.0
    waiting: WaitingBuilds = field(default=WaitingBuilds(0, None), init=False)
    """As of the last look that succeeded."""

    async def run(self) -> None:
        """Look for ever; failures of the database are retried after the pause."""
        while True:
            with contextlib.suppress(DomainError):
                await self.look()
            await asyncio.sleep(self._pause_s)

    async def look(self) -> None:
        """Look once; raises StorageUnavailable or Overloaded."""
        self.waiting = await self._queue.waiting(self._clock.now())

    @property
    def late_since(self) -> datetime | None:
        """Since when a version waits, if that is too long and no builder has another version."""
        since = self.waiting.since
        if since is None or self.waiting.running:
            return None
        return since if self._clock.now() - since > _WAITING_MAX else None
