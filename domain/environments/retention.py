"""The background task that removes versions and trees that nothing uses."""

import asyncio
import contextlib

from attrs import define

from domain.clock import Clock
from domain.environments.environment import PINNING_MAX
from domain.environments.ports import EnvironmentRepository, TreeStore
from domain.errors import DomainError


@define(eq=False)
class EnvironmentRetention:
    """Any number of controllers may remove at once."""

    _clock: Clock
    _environments: EnvironmentRepository
    _trees: TreeStore
    _pause_s: float = 600.0
    _sweeps_max: int = 10_000
    """Statements of one pass, each of some MiB."""

    async def run(self) -> None:
        """Remove for ever, with a pause before each pass; failures of the database are retried after the pause."""
        while True:
            await asyncio.sleep(self._pause_s)
            with contextlib.suppress(DomainError):
                await self.remove_unused()

    async def remove_unused(self) -> None:
        """Remove what nothing has used for PINNING_MAX; raises StorageUnavailable or Overloaded."""
        before = self._clock.now() - PINNING_MAX
        await self._environments.remove_retired(before)
        for _ in range(self._sweeps_max):
            if not await self._trees.sweep(before):
                return
