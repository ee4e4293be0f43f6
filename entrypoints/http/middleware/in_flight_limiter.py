"""How many requests are inside at once, and none once the server drains."""

import asyncio
import contextlib

from domain.concurrency.capacity_limiter import CapacityLimiter
from domain.errors import ShuttingDown
from domain.identity import Owner


class InFlightLimiter:
    """Counts the requests inside, at most `inside_max` and fairly by owner, and closes for good at the end."""

    def __init__(self, inside_max: int) -> None:
        self._places = CapacityLimiter("a place in this server", inside_max)
        self._empty = asyncio.Event()
        self.leaving = False
        self.closed = False

    @property
    def inside(self) -> int:
        """How many requests are inside."""
        return self._places.in_use

    def enter(self, owner: Owner) -> None:
        """Take a place. Raises ShuttingDown, Overloaded, or QuotaReached when the owner has their share."""
        if self.closed:
            raise ShuttingDown
        self._places.acquire(owner)

    def exit(self, owner: Owner) -> None:
        """Give the place back."""
        self._places.release(owner)
        if self.inside == 0:
            self._empty.set()

    async def drain(self, timeout_s: float) -> int:
        """Close, wait until nobody is inside or the time is over, and return how many still are."""
        self.leaving = self.closed = True
        self._empty.clear()
        if self.inside:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._empty.wait(), timeout_s)
        return self.inside
