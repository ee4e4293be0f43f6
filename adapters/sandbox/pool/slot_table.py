"""The slots of a worker pool: each belongs to one session and holds at most one worker. Some are evicted for others."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from math import inf
from typing import Generic, TypeVar

from attrs import Factory, define, field

from adapters.sandbox.options import PoolLimits
from adapters.sandbox.pool.eviction import EvictedSessions, groups
from adapters.sandbox.workers.prewarm_pool import Startable
from domain.concurrency.capacity_limiter import is_fair
from domain.egress.rule import EgressRule
from domain.identity import ANONYMOUS, Owner
from domain.scripts.convention import Convention
from domain.scripts.environment import Environment
from domain.scripts.language import Language
from domain.scripts.limits import Isolation
from domain.scripts.ports import ScriptRun
from domain.scripts.syntax import Syntax
from domain.stats import Eviction

Process = TypeVar("Process", bound=Startable)

_MEASURED_MAX = 32  # at once, which takes 10 to 20 ms


@define(eq=False)
class Slot(Generic[Process]):
    """A slot of one session, and the worker in it, if there is one."""

    session: int
    """The session's id as an integer, which hashes faster than a UUID."""
    owner: Owner
    language: Language
    memory_mb: int
    """The memory limit of its worker."""
    stays_warm: bool
    """Whether its worker may run again for the session."""
    convention: Convention = Convention.OWN
    network: tuple[EgressRule, ...] = ()
    syntax: Syntax | None = None
    environment: Environment | None = None
    files_mb: int = 0
    """The size of its worker's folder /files; 0 without one."""
    memory_bytes: int = 0
    """What it counts for in the pool's memory: what it may take, or while it is idle, what its end would free."""
    is_running: bool = False
    process: Process | None = None
    script_hash: str | None = None
    runs: int = 0
    idle_since: float = 0.0
    useful_until: float = inf
    has_ended: bool = False
    """Whether its session has ended. Then the slot is removed after the run."""

    @property
    def is_equipped(self) -> bool:
        """Whether its worker is one of an equipped zygote, which no other session gets."""
        return bool(self.network or self.files_mb) or self.syntax is not None or self.environment is not None

    def suits(self, run: ScriptRun) -> bool:
        """Return whether its worker, when it is free, can execute this run of its session."""
        return (
            self.stays_warm
            and run.language is self.language
            and run.limits.memory_mb == self.memory_mb
            and run.limits.isolation is Isolation.SESSION
            and run.convention is self.convention
            and run.network == self.network
            and run.syntax is self.syntax
            and run.environment == self.environment
            and _files_mb(run) == self.files_mb
        )


@define(eq=False)
class SlotTable(Generic[Process]):
    """Every slot, running or idle, within the limits. `on_freed` is called after an idle worker has died."""

    limits: PoolLimits
    now: Callable[[], float] = time.monotonic
    on_freed: Callable[[], None] = lambda: None
    evictions: Counter[Eviction] = field(factory=Counter, init=False)
    idle: dict[Slot[Process], None] = field(factory=dict, init=False)
    """Idle slots, the least recently used first."""
    unmeasured: dict[Slot[Process], Process] = field(factory=dict, init=False)
    """Those that count all that is resident, the oldest first. They cost less."""
    outdated: dict[Slot[Process], Process] = field(factory=dict, init=False)
    """Those with an operation since a measurement that still counts, the oldest first. They may cost more."""
    running: Counter[Owner] = field(factory=Counter, init=False)
    """Running slots of each owner."""
    held: Counter[Owner] = field(factory=Counter, init=False)
    """Slots of each owner, running or idle."""
    count: int = field(default=0, init=False)
    memory_bytes: int = field(default=0, init=False)
    slots: dict[int, list[Slot[Process]]] = field(factory=dict, init=False)
    """Slots of each session, running or idle."""
    evicted: EvictedSessions = Factory(lambda self: EvictedSessions(self.limits.slots_max), takes_self=True)

    @property
    def running_count(self) -> int:
        """The number of running slots."""
        return self.count - len(self.idle)

    @property
    def is_full(self) -> bool:
        """Whether a new slot needs the eviction of another."""
        return self.count >= self.limits.slots_max

    def grant(self, run: ScriptRun, *, waits_for_own: bool) -> Slot[Process] | None:
        """Return a slot that now runs: the session's warm one, or a new one; None if there is none now.

        With `waits_for_own`, the call waits for a running worker of its session before it evicts or starts another one.
        """
        if self.is_at_limit(run.ref.owner):
            return None
        slots = self.slots.get(run.ref.session_id.int, [])
        for slot in reversed(slots):
            if not slot.is_running and slot.suits(run):
                return self._reuse(slot) if self._evict_for(run, [], slot) else None
        evicted = self._evicted_by_count(run, slots, waits_for_own=waits_for_own)
        return self._add(run) if evicted is not None and self._evict_for(run, evicted) else None

    def end_run(self, slot: Slot[Process], *, reusable: bool) -> None:
        """End a slot's run. A reusable worker is kept for the session."""
        self._stop(slot)
        process = slot.process
        if not reusable or process is None or not process.is_alive or slot.has_ended or not slot.stays_warm:
            self.remove(slot)
            return
        slot.idle_since = self.now()
        self.idle[slot] = None
        self._count_memory(slot, process.meter.cost_bytes)
        if process.meter.counts_shared:
            self.unmeasured[slot] = process
        elif not process.meter.is_cost_known:
            self.outdated[slot] = process
        process.when_dead(lambda: self._on_death(slot))

    def is_at_limit(self, owner: Owner) -> bool:
        """Return whether the owner, or all owners together, run as many executions as they may."""
        own, limit, limit_of_all = self.running[owner], self.limits.owner_running_max, self.limits.running_max
        if limit is not None and own >= limit:
            return True
        if limit_of_all is None:
            return False
        running = self.running_count
        return running >= limit_of_all or (owner != ANONYMOUS and not is_fair(own, running, limit_of_all))

    def evictable(self, owner: Owner, session: int | None = None) -> Iterator[Slot[Process]]:
        """Yield the idle slots that the owner may evict for a new one of the session, in the order of eviction."""
        for group in groups(owner, self.idle, self.held, self.running[owner], self.now()):
            yield from self.evicted.order(group, session, self.now())

    def remove(self, slot: Slot[Process]) -> None:
        """Kill a slot's worker and forget the slot."""
        slots = self.slots.get(slot.session, [])
        if slot not in slots:
            return
        slots.remove(slot)
        if not slots:
            del self.slots[slot.session]
        self.count -= 1
        _count_down(self.held, slot.owner)
        self._stop(slot)
        self._count_memory(slot, 0)
        self.idle.pop(slot, None)
        self._forget_measurement(slot)
        if slot.process is not None:
            slot.process.when_dead(None)
            slot.process.kill()

    def _evicted_by_count(
        self, run: ScriptRun, slots: list[Slot[Process]], *, waits_for_own: bool
    ) -> list[Slot[Process]] | None:
        """Return the idle slots to evict for one more beside the session's `slots`; None if there can be none."""
        if len(slots) >= self.limits.session_slots_max:
            candidates: Iterable[Slot[Process]] = (slot for slot in self.idle if slot in slots)
        elif waits_for_own and self._should_wait(run, slots):
            return None
        elif not self.is_full:
            return []
        else:
            candidates = self.evictable(run.ref.owner, run.ref.session_id.int)
        return list(islice(candidates, 1)) or None

    def _should_wait(self, run: ScriptRun, slots: list[Slot[Process]]) -> bool:
        """Return whether one more slot would cost an eviction or a needless start, and one may be free soon."""
        quick_max = self.limits.session_quick_slots
        has_enough = quick_max is not None and len(slots) >= quick_max
        return (self.is_full or has_enough) and any(slot.is_running and slot.suits(run) for slot in slots)

    def _evict_for(self, run: ScriptRun, evicted: list[Slot[Process]], own: Slot[Process] | None = None) -> bool:
        """Evict these slots, and as many more as the run's memory needs, or none; return whether it fits.

        A run always fits while nothing else runs.
        """
        gone = [*evicted, own] if own is not None else evicted
        if self._missing_bytes(run, gone) > 0:
            self._measure_idle(run, gone)
            missing = self._missing_bytes(run, gone)
            others = (slot for slot in self.evictable(run.ref.owner, run.ref.session_id.int) if slot not in gone)
            while missing > 0 and (slot := next(others, None)) is not None:
                evicted.append(slot)
                missing -= slot.memory_bytes
            if missing > 0 and self.running:
                return False
        for slot in evicted:
            self.evictions[Eviction.PRESSURE] += 1
            self.evicted.add(slot)
            self.remove(slot)
        return True

    def _missing_bytes(self, run: ScriptRun, gone: Iterable[Slot[Process]]) -> int:
        """Return how much memory is missing for this run, when these slots are gone or run it."""
        limit, memory_mb = self.limits.memory_bytes_max, run.limits.memory_mb + _files_mb(run)
        others = self.memory_bytes - sum(slot.memory_bytes for slot in gone)
        return 0 if limit is None else others + self.limits.running_bytes(run.language, memory_mb) - limit

    def _measure_idle(self, run: ScriptRun, gone: Iterable[Slot[Process]]) -> None:
        """Measure idle workers until the memory is enough for this run, rather than evict them at once.

        Those that count too much come first. A measurement of the others seldom frees memory.
        """
        for slot, process in list(islice(chain(self.unmeasured.items(), self.outdated.items()), _MEASURED_MAX)):
            if self._missing_bytes(run, gone) > 0:
                self._forget_measurement(slot)
                process.meter.measure_cost()
                self._count_memory(slot, process.meter.cost_bytes)

    def _forget_measurement(self, slot: Slot[Process]) -> None:
        self.unmeasured.pop(slot, None)
        self.outdated.pop(slot, None)

    def _add(self, run: ScriptRun) -> Slot[Process]:
        ref, limits = run.ref, run.limits
        stays_warm = limits.isolation is Isolation.SESSION
        session = ref.session_id.int
        slot: Slot[Process] = Slot(session, ref.owner, run.language, limits.memory_mb, stays_warm, run.convention)
        slot.network, slot.syntax, slot.environment = run.network, run.syntax, run.environment
        slot.files_mb = _files_mb(run)
        self._start(slot)
        self.slots.setdefault(slot.session, []).append(slot)
        self.count += 1
        self.held[slot.owner] += 1
        return slot

    def _reuse(self, slot: Slot[Process]) -> Slot[Process]:
        del self.idle[slot]
        self._forget_measurement(slot)
        self._start(slot)
        if slot.process is not None:
            slot.process.when_dead(None)
        return slot

    def _on_death(self, slot: Slot[Process]) -> None:
        self.evictions[Eviction.DIED] += 1
        self.remove(slot)
        self.on_freed()

    def _start(self, slot: Slot[Process]) -> None:
        slot.is_running = True
        self.running[slot.owner] += 1
        self._count_memory(slot, self.limits.running_bytes(slot.language, slot.memory_mb + slot.files_mb))

    def _stop(self, slot: Slot[Process]) -> None:
        if slot.is_running:
            _count_down(self.running, slot.owner)
        slot.is_running = False

    def _count_memory(self, slot: Slot[Process], memory_bytes: int) -> None:
        self.memory_bytes += memory_bytes - slot.memory_bytes
        slot.memory_bytes = memory_bytes


def _files_mb(run: ScriptRun) -> int:
    """Return the size of the folder /files of a run; 0 without one."""
    return 0 if run.files is None else run.files.size_mb


def _count_down(counts: Counter[Owner], owner: Owner) -> None:
    counts[owner] -= 1
    if not counts[owner]:
        del counts[owner]
