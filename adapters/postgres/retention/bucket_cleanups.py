"""Cleans up the buckets of a database, one after the other."""

import asyncio
import random
from collections.abc import Awaitable, Callable

from attrs import define, evolve, field
from structlog.contextvars import bound_contextvars

from adapters.postgres.retention.cleanup import Cleanup, CleanupOptions
from domain.buckets.bucket_map import HOME
from domain.cleanup import CleanupStats


@define(eq=False)
class BucketCleanups:
    """Cleans up one bucket after the other, HOME first; one that is away holds up the others for the time of a call.

    Each log line has the number of its bucket.
    """

    _home: Cleanup
    _pause_s: float = CleanupOptions().pause_s
    _sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    _others: dict[int, Cleanup] = field(factory=dict, init=False)

    def add(self, number: int, bucket: Cleanup) -> None:
        """Clean up another bucket too."""
        self._others[number] = bucket

    async def run(self) -> None:
        """Clean up all buckets for ever, with a pause after the last one."""
        while True:
            for number, each in {HOME: self._home, **self._others}.items():
                with bound_contextvars(bucket=number):
                    await each.try_once()
            await self._sleep(random.uniform(self._pause_s / 2, self._pause_s))  # noqa: S311  # keeps controllers apart

    def stats(self) -> CleanupStats:
        """Return the figures of all buckets together; failures name their bucket."""
        home, others = self._home.stats(), {number: each.stats() for number, each in self._others.items()}
        failures = [
            evolve(failure, bucket=number)
            for number, stats in {HOME: home, **others}.items()
            for failure in stats.failures
        ]
        return evolve(CleanupStats.together(home, list(others.values())), failures=failures)
