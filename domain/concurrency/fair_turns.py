"""Turns that owners take fairly, with a bounded queue for them."""

import asyncio
from collections import Counter

from domain.concurrency.capacity_limiter import is_fair
from domain.concurrency.fair_queue import FairQueue
from domain.errors import Overloaded
from domain.identity import ANONYMOUS, Owner

SIZE_MIN = 16_384
"""The least number of bytes that a waiting caller counts, so that the limit of bytes also limits the callers."""


class QueueCapacity:
    """The bytes that waiting callers hold: `bytes_max` in all; only the last caller that is accepted may exceed it.

    Each owner may hold a fair share of them. ANONYMOUS, the only owner while authentication is off, has no share to
    keep. `name` says in errors what is waited for.
    """

    def __init__(self, name: str, bytes_max: int) -> None:
        self._name = name
        self._bytes_max = bytes_max
        self._by_owner: Counter[Owner] = Counter()
        self._total = 0

    def acquire(self, owner: Owner, size: int) -> None:
        """Count a caller that waits; raises Overloaded when no more bytes may wait."""
        is_full = self._total >= self._bytes_max
        if is_full or (owner != ANONYMOUS and not is_fair(self._by_owner[owner], self._total, self._bytes_max)):
            raise Overloaded(self._name)
        self._count(owner, max(size, SIZE_MIN))

    def release(self, owner: Owner, size: int) -> None:
        """Count the caller no more."""
        self._count(owner, -max(size, SIZE_MIN))

    def _count(self, owner: Owner, size: int) -> None:
        self._total += size
        self._by_owner[owner] += size
        if not self._by_owner[owner]:
            del self._by_owner[owner]


class FairTurns:
    """Gives out `turns_max` turns at once, `owner_max` of them to one owner; other callers wait for theirs.

    Owners are served in turn, and `bytes_max` bounds the bytes of callers that wait (see QueueCapacity).
    """

    def __init__(self, name: str, turns_max: int, owner_max: int, bytes_max: int) -> None:
        self._turns_max = turns_max
        self._free = turns_max
        """Negative while more turns are out than there are since a `resize`."""
        self._owner_max = owner_max
        self._held: Counter[Owner] = Counter()
        self._blocked: set[Owner] = set()
        self._queue: FairQueue[asyncio.Future[None]] = FairQueue()
        self._capacity = QueueCapacity(name, bytes_max)

    @property
    def waiting(self) -> int:
        """How many callers wait."""
        return len(self._queue)

    async def acquire(self, owner: Owner, size: int) -> None:
        """Take a turn; raises Overloaded when no more bytes may wait. Cancelling the call leaves the queue."""
        # While a turn is free, no caller that could have it waits.
        if self._free > 0 and owner not in self._blocked:
            self._grant(owner)
            return
        self._capacity.acquire(owner, size)
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.add(owner, turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not self._queue.discard(owner, turn) and not turn.cancelled():
                self.release(owner)
            raise
        finally:
            self._capacity.release(owner, size)

    def release(self, owner: Owner) -> None:
        """End a turn, and give it to the next caller that may have it."""
        self._free += 1
        self._blocked.discard(owner)
        self._held[owner] -= 1
        if not self._held[owner]:
            del self._held[owner]
        self._give_free()

    def resize(self, turns_max: int) -> None:
        """Change the number of turns; those that are out stay out, and callers get the new ones."""
        self._free += turns_max - self._turns_max
        self._turns_max = turns_max
        self._give_free()

    def _give_free(self) -> None:
        while self._free > 0 and (waiting := self._queue.pop_without(self._blocked)) is not None:
            next_owner, turn = waiting
            if not turn.done():
                self._grant(next_owner)
                turn.set_result(None)

    def _grant(self, owner: Owner) -> None:
        self._free -= 1
        self._held[owner] += 1
        if self._held[owner] >= self._owner_max:
            self._blocked.add(owner)
