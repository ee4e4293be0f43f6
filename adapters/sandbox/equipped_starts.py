"""Starts the workers of slots that need equipment."""

from collections.abc import Mapping
from functools import partial

from attrs import define, evolve, field

from adapters.sandbox.capacity import packages_bytes_max
from adapters.sandbox.environments import Environments
from adapters.sandbox.equipment import Equipment
from adapters.sandbox.network import Networks
from adapters.sandbox.options import SandboxOptions
from adapters.sandbox.pool.slot_table import Slot
from adapters.sandbox.pool.worker_pool import WorkerPool
from adapters.sandbox.runtime import LanguageRuntime
from adapters.sandbox.workers.process import WorkerProcess
from adapters.sandbox.zygote.zygote_pool import ZygotePool
from domain.environments.ports import TreeCache


@define(eq=False)
class EquippedStarts:
    """Starts workers of equipped zygotes: those with packages, with a network, with files, or for a syntax."""

    options: SandboxOptions
    zygotes: ZygotePool
    pool: WorkerPool[WorkerProcess]
    environments: Environments | None = field(default=None, init=False)
    """Made at the first script with packages."""

    async def start(
        self, slot: Slot[WorkerProcess], runtime: LanguageRuntime, networks: Networks | None, trees: TreeCache | None
    ) -> WorkerProcess:
        """Return a new worker for this slot; raises RuntimeUnavailable and Overloaded."""
        start = partial(_start, slot, runtime, networks)
        if slot.environment is None:
            return await start(Equipment())
        if trees is None:
            raise runtime.unavailable("this host has no packages of environments. Use a server that has.")
        roots = None if networks is None else networks.roots
        return await self._environments(trees).start(runtime, slot.environment, roots, start)

    def use(self, slot: Slot[WorkerProcess]) -> None:
        """Rank the environment of a slot as the most recently used one."""
        if slot.environment is not None and self.environments is not None:
            self.environments.use(slot.language, slot.environment)

    def summary(self) -> Mapping[str, object]:
        """Describe the environments for operators."""
        return {} if self.environments is None else self.environments.summary()

    def end_idle(self) -> None:
        """End the zygotes of environments that had no worker for a while, and one more if memory is short."""
        if self.environments is not None:
            self.environments.end_idle()
            self.environments.relieve()

    async def close(self, grace_s: float) -> None:
        """Release the trees of environments, after the end of all zygotes; wait at most `grace_s`."""
        if self.environments is not None:
            await self.environments.close(grace_s)

    def _environments(self, trees: TreeCache) -> Environments:
        if self.environments is None:
            options = self.options
            limits = (options.environments_max, options.environment_idle_s, options.preloads)
            self.environments = Environments(
                trees, self.zygotes, self.pool, *limits, memory_bytes_max=packages_bytes_max()
            )
        return self.environments


async def _start(
    slot: Slot[WorkerProcess], runtime: LanguageRuntime, networks: Networks | None, equipment: Equipment
) -> WorkerProcess:
    equipment = evolve(equipment, has_files=slot.files_mb > 0)
    if not slot.network:
        return await runtime.start_equipped(equipment, None, slot.memory_mb, slot.owner, slot.files_mb)
    if networks is None:
        raise runtime.unavailable("this host connects no scripts to a network. Use a server that does.")
    return await networks.start(runtime, slot.network, slot.memory_mb, slot.owner, equipment, slot.files_mb)
