"""The zygotes that fork workers: one for each kind at a time, replaced after a number of forks."""

import asyncio
import contextlib
from collections.abc import Iterator

from attrs import define, field

from adapters.sandbox.equipment import Equipment
from adapters.sandbox.isolation.control_group import ControlGroup
from adapters.sandbox.options import MIB
from adapters.sandbox.snapshot import ZygoteSnapshot
from adapters.sandbox.zygote.launch import LaunchFailed
from adapters.sandbox.zygote.preload import PreloadCost
from adapters.sandbox.zygote.sandbox_spec import SandboxSpec, ZygoteKind
from adapters.sandbox.zygote.zygote import Zygote

ZYGOTES_MAX = 4
"""Zygotes that a language may have: one that forks workers, and retired ones whose workers still live."""
ZYGOTE_MEMORY_MB = 64
"""Memory reserved for a zygote itself."""
_AHEAD = 10
"""One part of so many of a zygote's forks is left when its successor starts."""


def has_packages(kind: ZygoteKind) -> bool:
    """Return whether the workers of such zygotes have the packages of an environment."""
    equipment = kind[2]
    return equipment is not None and equipment.tree is not None


@define(eq=False)
class ZygotePool:
    """Provides the zygote for the next worker. A retired zygote ends with the last of its workers.

    A successor starts before its predecessor is retired, so that no call waits for its start and its check.
    """

    group: ControlGroup | None = None
    """The control group of every zygote; None if the host grants none."""
    _current: dict[ZygoteKind, Zygote] = field(factory=dict, init=False)
    _successors: dict[ZygoteKind, Zygote] = field(factory=dict, init=False)
    _living: dict[Zygote, ZygoteKind] = field(factory=dict, init=False)

    def zygote(self, spec: SandboxSpec) -> Zygote:
        """Return the zygote for the next worker, which may not be ready yet; raises LaunchFailed."""
        try:
            return self._zygote(spec)
        except (OSError, KeyError) as error:
            raise LaunchFailed(f"the launcher cannot be started: {error}") from error

    def successor(self, spec: SandboxSpec) -> Zygote | None:
        """Return the zygote that will follow, if it has been started."""
        successor = self._successors.get(spec.kind)
        return successor if successor is not None and successor.is_usable else None

    def cost(self, equipment: Equipment) -> PreloadCost | None:
        """Return what the packages of this equipment cost; None without a zygote that has them."""
        costs = (zygote.cost for zygote, (_, _, own) in self._living.items() if own == equipment)
        return next((cost for cost in costs if cost is not None), None)

    @property
    def packages_bytes(self) -> int:
        """The memory that zygotes with packages take."""
        costs = [zygote.cost for zygote, kind in self._living.items() if has_packages(kind)]
        return len(costs) * ZYGOTE_MEMORY_MB * MIB + sum(0 if cost is None else cost.private_bytes for cost in costs)

    async def end(self, equipment: Equipment, *, kills: bool = False) -> None:
        """Start no more workers with this equipment, and wait until all zygotes that have it have ended.

        They end with the last of their workers, or with `kills` at once.
        """
        ending = [zygote for zygote, (_, _, own) in self._living.items() if own == equipment]
        for zygote in ending:
            zygote.close() if kills else zygote.retire()
        for zygotes in (self._current, self._successors):
            for kind in [kind for kind in zygotes if kind[2] == equipment]:
                del zygotes[kind]
        await asyncio.gather(*(zygote.gone for zygote in ending))

    async def close(self, grace_s: float) -> None:
        """Kill every zygote, wait, at most `grace_s`, until all have left the process table, and remove the group."""
        living = list(self._living)
        for zygote in living:
            zygote.close()
        if living:
            await asyncio.wait([zygote.gone for zygote in living], timeout=grace_s)
        if self.group is not None:
            self.group.close()

    def debug_snapshot(self) -> list[ZygoteSnapshot]:
        """Return the present zygotes, the oldest first."""
        return [zygote.debug_snapshot() for zygote in self._living]

    def _zygote(self, spec: SandboxSpec) -> Zygote:
        kind = spec.kind
        zygote = self._current.get(kind)
        if zygote is None or not zygote.is_usable:
            return self._succeed(spec)
        left = spec.options.forks_max - zygote.started
        if left <= spec.options.forks_max // _AHEAD:
            self._start_successor(spec)
        successor = self.successor(spec)
        if left > 0 or successor is None or (spec.interpreter.needs_fork_check and not successor.is_checked):
            return zygote
        zygote.retire()
        return self._succeed(spec)

    def _start_successor(self, spec: SandboxSpec) -> None:
        kind = spec.kind
        if self.successor(spec) is None and sum(1 for _ in self._zygotes_of(kind)) < ZYGOTES_MAX:
            # The next start tries it again.
            with contextlib.suppress(OSError):
                self._successors[kind] = self._open(spec)

    def _succeed(self, spec: SandboxSpec) -> Zygote:
        kind = spec.kind
        self._current[kind] = zygote = self.successor(spec) or self._open(spec)
        self._successors.pop(kind, None)
        return zygote

    def _open(self, spec: SandboxSpec) -> Zygote:
        kind = spec.kind
        zygote = Zygote.open(spec, self.group)
        self._living[zygote] = kind
        zygote.gone.add_done_callback(lambda _: self._on_gone(zygote))
        if has_packages(kind):
            self._reserve()
            zygote.ready.add_done_callback(lambda _: self._reserve())
        return zygote

    def _on_gone(self, zygote: Zygote) -> None:
        if has_packages(self._living.pop(zygote)):
            self._reserve()

    def _reserve(self) -> None:
        """Let the group have the memory of zygotes with packages, beside that of workers and of other zygotes."""
        if self.group is not None:
            self.group.reserve(self.packages_bytes)

    def _zygotes_of(self, kind: ZygoteKind) -> Iterator[Zygote]:
        return (zygote for zygote, of in self._living.items() if of == kind)
