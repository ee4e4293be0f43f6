"""Gives places to sessions, and lets calls wait for one."""

import asyncio
import time
from collections.abc import Callable
from typing import Generic

from attrs import define, field

from adapters.sandbox.pool.slot import PoolLimits, Process, Slot, SlotRequest
from adapters.sandbox.pool.slot_table import SlotTable
from adapters.sandbox.pool.start_stagger import StartStagger
from adapters.sandbox.pool.wait_queue import QUEUE, WaitingCall, WaitQueue
from adapters.timers import call_later
from domain.errors import Overloaded
from domain.identity import Owner


@define(eq=False)
class WorkerPool(Generic[Process]):
    """Gives places to sessions; idle ones stay warm, the least recently used go first.

    Owners of whom least runs are served first, and in turn where that is the same; of one owner's calls, those of the
    session whose warm worker has become free, unless somebody's patience is over, and then in order. Calls whose own
    session or owner is at its limit hold up nobody else. Of the queue every owner has a fair share.
    """

    limits: PoolLimits
    now: Callable[[], float] = time.monotonic
    ledger: SlotTable[Process] = field(init=False)
    _lines: WaitQueue[Process] = field(init=False)
    _beginning: StartStagger = field(init=False)
    _next_burst: asyncio.TimerHandle | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self.ledger = SlotTable(self.limits, self.now, self._serve)
        self._lines = WaitQueue(self.limits.queue_length_max)
        self._beginning = StartStagger(self.limits.burst_s)

    @property
    def waiting(self) -> int:
        """How many calls wait."""
        return len(self._lines)

    async def acquire(self, request: SlotRequest) -> Slot[Process]:
        """Return a place: one with a warm worker, or a new one to put a worker into.

        Raises Overloaded when the queue is full or the wait too long; cancelling leaves the queue.
        """
        if self._beginning.expire(self.now()):
            # Who waits for no more than others' first moments is not overtaken.
            self._serve()
        place = self._grant(request, is_patient=True)
        return await self._wait(self._lines.join(request)) if place is None else place

    def release(self, place: Slot[Process], *, reusable: bool, memory_bytes: int | None = None) -> None:
        """Give a place back; its worker is kept only when it may be used again, and then counts `memory_bytes`."""
        self._beginning.end(place)
        self.ledger.settle(place, reusable=reusable, memory_bytes=memory_bytes)
        self._serve(place if place in self.ledger.idle else None)

    def evict(self, session: int) -> None:
        """Give up what the session keeps warm, now if idle and otherwise after the run."""
        self.ledger.evict(session)
        self._serve()

    def evict_idle(self, idle_s: float) -> None:
        """Give up places that have been idle for so long, and those of sessions whose time is over."""
        self.ledger.evict_idle(idle_s)
        self._serve()

    def evict_restless(self) -> None:
        """Give up idle places whose worker goes on after its answer."""
        self.ledger.evict_restless()
        self._serve()

    def clear(self) -> None:
        """Give up everything, running or not, and turn away whoever waits."""
        self.ledger.clear()
        self._lines.turn_away()
        if self._next_burst is not None:
            self._next_burst.cancel()
            self._next_burst = None

    # Waiting.

    async def _wait(self, waiting: WaitingCall[Process]) -> Slot[Process]:
        loop, limits = asyncio.get_running_loop(), self.limits
        self._await_bursts()
        waiting.timer = loop.call_later(min(limits.patience_s, limits.queue_timeout_s), self._tire, waiting)
        try:
            return await waiting.granted
        except asyncio.CancelledError:
            self._leave(waiting)
            raise
        finally:
            waiting.timer.cancel()

    def _tire(self, waiting: WaitingCall[Process]) -> None:
        """Let it lose its patience, and the next time all hope."""
        left_s = self.limits.queue_timeout_s - self.limits.patience_s
        if waiting.is_patient and left_s > 0:
            waiting.is_patient = False
            waiting.timer = asyncio.get_running_loop().call_later(left_s, self._tire, waiting)
            self._serve()
        elif waiting in self._lines and not waiting.granted.done():
            self._lines.leave(waiting)
            waiting.granted.set_exception(Overloaded(QUEUE))

    def _leave(self, waiting: WaitingCall[Process]) -> None:
        if waiting in self._lines:
            self._lines.leave(waiting)
        elif not waiting.granted.cancelled() and waiting.granted.exception() is None:
            # Granted in the very moment in which the wait ended.
            self.release(waiting.granted.result(), reusable=True)

    # Serving.

    def _serve(self, freed: Slot[Process] | None = None) -> None:
        """Serve who can be served; `freed` is the place whose warm worker has become free."""
        in_vain: set[SlotRequest] = set()
        while self._lines and (self.ledger.idle or not self.ledger.is_full):
            served = self._serve_one(freed, in_vain)
            # Where that worker is taken again, everybody else stands where they stood.
            if served is None or served is freed:
                break
        self._await_bursts()

    def _serve_one(self, freed: Slot[Process] | None, in_vain: set[SlotRequest]) -> Slot[Process] | None:
        """Serve whoever comes first, and return their place; None when nobody can be served."""
        session = None if freed is None else freed.request.session
        for waiting in self._lines.in_fair_order(
            self.ledger.running.__getitem__, self._is_blocked, session, is_full=self.ledger.is_full
        ):
            request = waiting.request
            # Nobody behind a call that finds no place finds one for the same.
            if request in in_vain or waiting.granted.done():
                continue
            place = self._grant(request, is_patient=waiting.is_patient)
            if place is not None:
                self._lines.leave(waiting)
                self._lines.end_turn(request.owner)
                waiting.granted.set_result(place)
                return place
            in_vain.add(request)
        return None

    def _grant(self, request: SlotRequest, *, is_patient: bool) -> Slot[Process] | None:
        bursts_max = self.limits.bursts_max
        if bursts_max is not None and self._beginning.count(request.session) >= bursts_max:
            return None
        place = self.ledger.grant(request, is_patient=is_patient)
        if place is not None:
            self._beginning.begin(place, request.session, self.now())
        return place

    def _is_blocked(self, owner: Owner) -> bool:
        ledger = self.ledger
        return ledger.is_at_limit(owner) or (ledger.is_full and next(ledger.endable(owner), None) is None)

    def _await_bursts(self) -> None:
        """Have those who wait served when the next first moments are over."""
        over_at = self._beginning.next_end() if self._lines and self._next_burst is None else None
        if over_at is not None:
            loop = asyncio.get_running_loop()
            self._next_burst = call_later(loop, over_at - self.now(), self._look_at_bursts)

    def _look_at_bursts(self) -> None:
        self._next_burst = None
        if self._beginning.expire(self.now()):
            self._serve()
        else:
            self._await_bursts()
