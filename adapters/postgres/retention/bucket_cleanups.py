"""Cleans up the buckets of a database, one after the other."""

import asyncio
import random
from collections.abc import Awaitable, Callable

from attrs import define, field

from adapters.postgres.retention.cleanup import Cleanup, CleanupOptions
from domain.stats import CleanupStats


@define(eq=False)
class BucketCleanups:
    """Cleans up one bucket after the other, HOME first; one that is away holds up the others for the time of a call."""

    _home: Cleanup
    _pause_s: float = CleanupOptions().pause_s
    _sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    _others: list[Cleanup] = field(factory=list, init=False)

    def add(self, bucket: Cleanup) -> None:
        """Clean up another bucket too."""
        self._others.append(bucket)

    async def run(self) -> None:
        """Clean up all buckets for ever, with a pause after the last one."""
        while True:
            for each in (self._home, *self._others):
                await each.try_once()
            await self._sleep(random.uniform(self._pause_s / 2, self._pause_s))  # noqa: S311  # keeps controllers apart

    def stats(self) -> CleanupStats:
        """Return the figures of all buckets together."""
        return CleanupStats.together(self._home.stats(), [each.stats() for each in self._others])
