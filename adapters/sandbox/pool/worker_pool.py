"""The worker pool: gives slots to sessions, and lets calls wait for one."""

import asyncio
import time
from collections.abc import Callable, Hashable, Iterator
from typing import Generic, TypeVar

from attrs import define, field

from adapters.sandbox.options import PoolLimits
from adapters.sandbox.pool.slot_table import Process, Slot, SlotTable
from domain.concurrency.capacity_limiter import is_fair
from domain.errors import Overloaded
from domain.identity import ANONYMOUS, Owner
from domain.scripts.environment import Environment
from domain.scripts.ports import ScriptRun
from domain.stats import Eviction

QUEUE = "a worker"
Key = TypeVar("Key")


@define(eq=False)
class WaitingCall(Generic[Process]):
    """A call that waits. `waits_for_own` says that it does not evict other sessions' workers yet."""

    run: ScriptRun
    granted: "asyncio.Future[Slot[Process]]"
    waits_for_own: bool = True
    timer: asyncio.TimerHandle | None = None


@define(eq=False)
class WaitQueue(Generic[Process]):
    """The waiting calls in the order of arrival: all, by session, and by owner.

    At most `length_max` calls wait. Every owner has a fair share of that.
    """

    length_max: int
    _calls: dict[WaitingCall[Process], None] = field(factory=dict, init=False)
    _sessions: dict[int, dict[WaitingCall[Process], None]] = field(factory=dict, init=False)
    _owners: dict[Owner, dict[WaitingCall[Process], None]] = field(factory=dict, init=False)
    """The owner that was served last is the last one."""

    def __len__(self) -> int:
        """Return the number of calls that wait."""
        return len(self._calls)

    def __contains__(self, waiting: WaitingCall[Process]) -> bool:
        """Return whether this call still waits."""
        return waiting in self._calls

    def __iter__(self) -> Iterator[WaitingCall[Process]]:
        """Yield the calls in the order of arrival."""
        return iter(self._calls)

    def join(self, run: ScriptRun) -> WaitingCall[Process]:
        """Add a call; raises Overloaded if the queue, or the owner's share of it, is full."""
        owner = run.ref.owner
        waits, own = len(self._calls), len(self._owners.get(owner, ()))
        if waits >= self.length_max or (owner != ANONYMOUS and not is_fair(own, waits, self.length_max)):
            raise Overloaded(QUEUE)
        waiting: WaitingCall[Process] = WaitingCall(run, asyncio.get_running_loop().create_future())
        self._calls[waiting] = None
        self._sessions.setdefault(run.ref.session_id.int, {})[waiting] = None
        self._owners.setdefault(owner, {})[waiting] = None
        return waiting

    def leave(self, waiting: WaitingCall[Process]) -> None:
        """Remove a call."""
        del self._calls[waiting]
        _remove(self._sessions, waiting.run.ref.session_id.int, waiting)
        _remove(self._owners, waiting.run.ref.owner, waiting)

    def end_turn(self, owner: Owner) -> None:
        """Move the owner behind the others."""
        if owner in self._owners:
            self._owners[owner] = self._owners.pop(owner)

    def reject_all(self) -> None:
        """Remove every call and raise Overloaded in it."""
        for waiting in list(self._calls):
            self.leave(waiting)
            if not waiting.granted.done():
                waiting.granted.set_exception(Overloaded(QUEUE))

    def in_fair_order(
        self,
        running: Callable[[Owner], int],
        is_blocked: Callable[[Owner], bool],
        freed: int | None,
        *,
        is_full: bool,
    ) -> Iterator[WaitingCall[Process]]:
        """Yield the calls that may be served: owners with fewer running executions first.

        Within an owner, calls of the session `freed`, whose warm worker is free, come first. The oldest call precedes
        them if it no longer waits for its own worker, or if serving it evicts no worker.
        """
        for owner in sorted(self._owners, key=running) if len(self._owners) > 1 else tuple(self._owners):
            # Skipping a blocked owner saves a pass over all its calls.
            if is_blocked(owner):
                continue
            turn = self._owners[owner]
            oldest = next(iter(turn))
            # The wait for an own worker is equally long for every call, so the oldest call ends it first.
            if freed is not None and oldest.waits_for_own:
                if not is_full:
                    yield oldest
                yield from (each for each in self._sessions.get(freed, ()) if each in turn)
            yield from turn


def _remove(calls: dict[Key, dict[WaitingCall[Process], None]], key: Key, waiting: WaitingCall[Process]) -> None:
    own = calls[key]
    del own[waiting]
    if not own:
        del calls[key]


@define(eq=False)
class WorkerPool(Generic[Process]):
    """Gives slots to sessions. Idle slots stay warm until others need them.

    A free slot goes to the owner with the fewest running executions; owners with equally many take turns. Of that
    owner's calls, those of the session whose warm worker is free come first, then the oldest. A call whose session or
    owner is at its limit does not delay calls of others.
    """

    limits: PoolLimits
    now: Callable[[], float] = time.monotonic
    table: SlotTable[Process] = field(init=False)
    queue: WaitQueue[Process] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.table = SlotTable(self.limits, self.now, self._serve)
        self.queue = WaitQueue(self.limits.queue_length_max)

    async def acquire(self, run: ScriptRun) -> Slot[Process]:
        """Return a slot with the session's warm worker, or an empty one to put a worker into.

        Raises Overloaded if the queue is full or the wait is too long. Cancelling the call leaves the queue.
        """
        slot = self.table.grant(run, waits_for_own=True)
        return await self._wait(self.queue.join(run)) if slot is None else slot

    def release(self, slot: Slot[Process], *, reusable: bool) -> None:
        """Give a slot back. A reusable worker is kept for the session."""
        self.table.end_run(slot, reusable=reusable)
        self._serve(slot if slot in self.table.idle else None)

    def evict(self, session: int) -> None:
        """Remove the session's slots: idle ones now, running ones after the run."""
        for slot in list(self.table.slots.get(session, ())):
            slot.has_ended = True
            self.table.evictions[Eviction.ENDED] += 1
            if slot in self.table.idle:
                self.table.remove(slot)
        self._serve()

    def has_workers(self, environment: Environment, *, running: bool) -> bool:
        """Return whether a slot has this environment; with `running`, one that runs."""
        every = (slot for slots in self.table.slots.values() for slot in slots)
        return any(slot.environment == environment and (slot.is_running or not running) for slot in every)

    def evict_environment(self, environment: Environment) -> None:
        """Remove the idle slots of this environment."""
        self._evict(Eviction.PRESSURE, lambda slot: slot.environment == environment)

    def evict_idle(self, idle_s: float) -> None:
        """Remove slots that have been idle for longer than `idle_s`, and idle slots of sessions that have expired."""
        now = self.now()
        self._evict(Eviction.IDLE, lambda slot: now - slot.idle_since > idle_s or now > slot.useful_until)

    def evict_background_activity(self) -> None:
        """Remove idle slots whose worker computes or allocates memory: what a script left there costs every owner."""
        self._evict(
            Eviction.BACKGROUND_ACTIVITY,
            lambda slot: slot.process is not None and slot.process.meter.has_background_activity,
        )

    def clear(self) -> None:
        """Remove every slot, running or not, and reject every call that waits."""
        for slot in [slot for slots in self.table.slots.values() for slot in slots]:
            self.table.remove(slot)
        self.queue.reject_all()

    def _evict(self, reason: Eviction, is_evicted: Callable[[Slot[Process]], bool]) -> None:
        for slot in list(filter(is_evicted, self.table.idle)):
            self.table.evictions[reason] += 1
            self.table.remove(slot)
        self._serve()

    # Waiting.

    async def _wait(self, waiting: WaitingCall[Process]) -> Slot[Process]:
        loop, limits = asyncio.get_running_loop(), self.limits
        first_s = min(limits.own_worker_wait_s, limits.queue_timeout_s)
        waiting.timer = loop.call_later(first_s, self._on_wait_timer, waiting)
        try:
            return await waiting.granted
        except asyncio.CancelledError:
            self._leave(waiting)
            raise
        finally:
            waiting.timer.cancel()

    def _on_wait_timer(self, waiting: WaitingCall[Process]) -> None:
        """End the call's wait for its own worker, or, the second time, reject it."""
        left_s = self.limits.queue_timeout_s - self.limits.own_worker_wait_s
        if waiting.waits_for_own and left_s > 0:
            waiting.waits_for_own = False
            waiting.timer = asyncio.get_running_loop().call_later(left_s, self._on_wait_timer, waiting)
            self._serve()
        elif waiting in self.queue and not waiting.granted.done():
            self.queue.leave(waiting)
            waiting.granted.set_exception(Overloaded(QUEUE, self.limits.queue_timeout_s))

    def _leave(self, waiting: WaitingCall[Process]) -> None:
        if waiting in self.queue:
            self.queue.leave(waiting)
        elif not waiting.granted.cancelled() and waiting.granted.exception() is None:
            # The grant and the cancellation came in the same turn of the loop.
            self.release(waiting.granted.result(), reusable=True)

    # Serving.

    def _serve(self, freed: Slot[Process] | None = None) -> None:
        """Serve the calls that can be served; `freed` is the slot whose warm worker has become free."""
        rejected: set[Hashable] = set()
        while self.queue and (self.table.idle or not self.table.is_full):
            served = self._serve_one(freed, rejected)
            # If the freed slot itself is granted, nothing has changed for the other calls.
            if served is None or served is freed:
                break

    def _serve_one(self, freed: Slot[Process] | None, rejected: set[Hashable]) -> Slot[Process] | None:
        """Serve the first call that finds a slot, and return the slot; None if no call finds one."""
        session = None if freed is None else freed.session
        for waiting in self.queue.in_fair_order(
            self.table.running.__getitem__, self._is_blocked, session, is_full=self.table.is_full
        ):
            run = waiting.run
            # If a call finds no slot, a later one of its session with the same limits finds none either.
            key = (run.ref.session_id.int, run.language, run.limits)
            if key in rejected or waiting.granted.done():
                continue
            slot = self.table.grant(run, waits_for_own=waiting.waits_for_own)
            if slot is not None:
                self.queue.leave(waiting)
                self.queue.end_turn(run.ref.owner)
                waiting.granted.set_result(slot)
                return slot
            rejected.add(key)
        return None

    def _is_blocked(self, owner: Owner) -> bool:
        table = self.table
        return table.is_at_limit(owner) or (table.is_full and next(table.evictable(owner), None) is None)
