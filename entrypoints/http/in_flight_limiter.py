"""Limits how many requests are in flight, and admits none while the server drains."""

import asyncio
import contextlib

from domain.concurrency.capacity_limiter import CapacityLimiter
from domain.errors import ShuttingDown
from domain.identity import Owner


class InFlightLimiter:
    """Counts the requests in flight: at most `in_flight_max`, with a fair share for each owner.

    `name` says in errors what is limited. `leaving` announces the drain: the server should get no new
    requests. `closed` rejects them.
    """

    def __init__(self, in_flight_max: int, name: str = "this server") -> None:
        self._capacity = CapacityLimiter(name, in_flight_max)
        self._empty = asyncio.Event()
        self.leaving = False
        self.closed = False

    @property
    def in_flight(self) -> int:
        """How many requests are in flight."""
        return self._capacity.in_use

    def enter(self, owner: Owner) -> None:
        """Admit a request. Raises ShuttingDown, Overloaded, or QuotaReached if the owner has its share."""
        if self.closed:
            raise ShuttingDown
        self._capacity.acquire(owner)

    def exit(self, owner: Owner) -> None:
        """End an admitted request."""
        self._capacity.release(owner)
        if self.in_flight == 0:
            self._empty.set()

    async def drain(self, timeout_s: float) -> int:
        """Reject new requests, wait until none is in flight or the time is over, and return how many are left."""
        self.leaving = self.closed = True
        self._empty.clear()
        if self.in_flight:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._empty.wait(), timeout_s)
        return self.in_flight
