"""The worker pool: gives slots to sessions, and lets calls wait for one."""

import asyncio
import time
from collections.abc import Callable
from typing import Generic

from attrs import define, field

from adapters.sandbox.pool.slot import PoolLimits, Process, Slot, SlotRequest
from adapters.sandbox.pool.slot_table import SlotTable
from adapters.sandbox.pool.wait_queue import QUEUE, WaitingCall, WaitQueue
from domain.errors import Overloaded
from domain.identity import Owner


@define(eq=False)
class WorkerPool(Generic[Process]):
    """Gives slots to sessions. Idle slots stay warm; the least recently used are evicted first.

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

    async def acquire(self, request: SlotRequest) -> Slot[Process]:
        """Return a slot with the session's warm worker, or an empty one to put a worker into.

        Raises Overloaded if the queue is full or the wait is too long. Cancelling the call leaves the queue.
        """
        slot = self.table.grant(request, waits_for_own=True)
        return await self._wait(self.queue.join(request)) if slot is None else slot

    def release(self, slot: Slot[Process], *, reusable: bool, memory_bytes: int | None = None) -> None:
        """Give a slot back. A reusable worker is kept for the session, and then counts `memory_bytes`."""
        self.table.end_run(slot, reusable=reusable, memory_bytes=memory_bytes)
        self._serve(slot if slot in self.table.idle else None)

    def evict(self, session: int) -> None:
        """Remove the session's slots: idle ones now, running ones after the run."""
        self.table.evict(session)
        self._serve()

    def evict_idle(self, idle_s: float) -> None:
        """Remove slots that have been idle for longer than `idle_s`, and idle slots of sessions that have expired."""
        self.table.evict_idle(idle_s)
        self._serve()

    def evict_background_activity(self) -> None:
        """Remove idle slots whose worker computes or allocates memory."""
        self.table.evict_background_activity()
        self._serve()

    def clear(self) -> None:
        """Remove every slot, running or not, and reject every call that waits."""
        self.table.clear()
        self.queue.reject_all()

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
            waiting.granted.set_exception(Overloaded(QUEUE))

    def _leave(self, waiting: WaitingCall[Process]) -> None:
        if waiting in self.queue:
            self.queue.leave(waiting)
        elif not waiting.granted.cancelled() and waiting.granted.exception() is None:
            # The grant and the cancellation came in the same turn of the loop.
            self.release(waiting.granted.result(), reusable=True)

    # Serving.

    def _serve(self, freed: Slot[Process] | None = None) -> None:
        """Serve the calls that can be served; `freed` is the slot whose warm worker has become free."""
        rejected: set[SlotRequest] = set()
        while self.queue and (self.table.idle or not self.table.is_full):
            served = self._serve_one(freed, rejected)
            # If the freed slot itself is granted, nothing has changed for the other calls.
            if served is None or served is freed:
                break

    def _serve_one(self, freed: Slot[Process] | None, rejected: set[SlotRequest]) -> Slot[Process] | None:
        """Serve the first call that finds a slot, and return the slot; None if no call finds one."""
        session = None if freed is None else freed.request.session
        for waiting in self.queue.in_fair_order(
            self.table.running.__getitem__, self._is_blocked, session, is_full=self.table.is_full
        ):
            request = waiting.request
            # If a call finds no slot, a later one with the same request finds none either.
            if request in rejected or waiting.granted.done():
                continue
            slot = self.table.grant(request, waits_for_own=waiting.waits_for_own)
            if slot is not None:
                self.queue.leave(waiting)
                self.queue.end_turn(request.owner)
                waiting.granted.set_result(slot)
                return slot
            rejected.add(request)
        return None

    def _is_blocked(self, owner: Owner) -> bool:
        table = self.table
        return table.is_at_limit(owner) or (table.is_full and next(table.evictable(owner), None) is None)
