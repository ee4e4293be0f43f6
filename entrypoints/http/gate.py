"""How many requests are inside at once, and none once the server drains."""

import asyncio
import contextlib

from domain.errors import Overloaded, ShuttingDown


class Gate:
    """Counts the requests inside, at most `inside_max`, and closes for good at the end."""

    def __init__(self, inside_max: int) -> None:
        self._inside_max = inside_max
        self._empty = asyncio.Event()
        self.inside = 0
        self.leaving = False
        self.closed = False

    def enter(self) -> None:
        """Take a place. Raises ShuttingDown or Overloaded."""
        if self.closed:
            raise ShuttingDown
        if self.inside >= self._inside_max:
            raise Overloaded("a place in this server")
        self.inside += 1

    def exit(self) -> None:
        """Give the place back."""
        self.inside -= 1
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
