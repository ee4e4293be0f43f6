"""Turns that callers take fairly, and a bounded wait for them."""

import asyncio
from collections import Counter

from domain.concurrency.capacity_limiter import is_fair
from domain.concurrency.fair_queue import FairQueue
from domain.errors import Overloaded
from domain.identity import ANONYMOUS, Owner

SIZE_MIN = 16_384
"""The bytes that each caller counts at least: so the bound of their bytes bounds their number as well."""


class FairTurns:
    """Gives `turns_max` turns at once, `owner_max` of them to one owner; other callers wait, and owners are served in turn.

    Callers that wait hold `bytes_max` in all; only the last caller that is let in may exceed it. Each owner may hold a
    fair share of it, as of places. While authentication is off everybody is one owner, who has nobody to share with.
    """

    def __init__(self, name: str, turns_max: int, owner_max: int, bytes_max: int) -> None:
        self._name = name
        self._free = turns_max
        self._owner_max = owner_max
        self._bytes_max = bytes_max
        self._held: Counter[Owner] = Counter()
        self._blocked: set[Owner] = set()
        self._queue: FairQueue[asyncio.Future[None]] = FairQueue()
        self._held_bytes: Counter[Owner] = Counter()
        self._bytes = 0

    @property
    def waiting(self) -> int:
        """How many callers wait."""
        return len(self._queue)

    async def take(self, owner: Owner, size: int) -> None:
        """Take a turn; raises Overloaded when no more bytes may wait. Cancelling the call leaves the queue."""
        # Nobody who could be served waits while a turn is free.
        if self._free and owner not in self._blocked:
            self._grant(owner)
            return
        self._require_room(owner)
        size = max(size, SIZE_MIN)
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.add(owner, turn)
        self._hold(owner, size)
        try:
            await turn
        except asyncio.CancelledError:
            if not self._queue.discard(owner, turn) and not turn.cancelled():
                self.give_back(owner)
            raise
        finally:
            self._hold(owner, -size)

    def give_back(self, owner: Owner) -> None:
        """End a turn, and give it to the next caller that may have it."""
        self._free += 1
        self._blocked.discard(owner)
        self._held[owner] -= 1
        if not self._held[owner]:
            del self._held[owner]
        while self._free and (waiting := self._queue.pop_without(self._blocked)) is not None:
            next_owner, turn = waiting
            if not turn.done():
                self._grant(next_owner)
                turn.set_result(None)

    def _grant(self, owner: Owner) -> None:
        self._free -= 1
        self._held[owner] += 1
        if self._held[owner] >= self._owner_max:
            self._blocked.add(owner)

    def _require_room(self, owner: Owner) -> None:
        is_full = self._bytes >= self._bytes_max
        if is_full or (owner != ANONYMOUS and not is_fair(self._held_bytes[owner], self._bytes, self._bytes_max)):
            raise Overloaded(self._name)

    def _hold(self, owner: Owner, size: int) -> None:
        self._bytes += size
        self._held_bytes[owner] += size
        if not self._held_bytes[owner]:
            del self._held_bytes[owner]
