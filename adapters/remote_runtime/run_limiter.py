"""Places for runs, and the queue for them."""

import asyncio
from collections import deque

from attrs import define, field

from domain.errors import Overloaded


@define(eq=False)
class RunLimiter:
    """A number of places, given in the order of asking; at most `queue_max` callers wait, each `timeout_s` at most."""

    _free: int
    _queue_max: int
    _timeout_s: float
    _waiting: deque["asyncio.Future[None]"] = field(factory=deque, init=False)

    async def take(self) -> None:
        """Take a place; raises Overloaded when the queue is full or the wait too long."""
        if self._free > 0:
            self._free -= 1
        elif len(self._waiting) >= self._queue_max:
            raise Overloaded("runtime hosts")
        else:
            await self._wait()

    def give_back(self) -> None:
        """Free a place, or hand it to who waits longest."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1

    async def _wait(self) -> None:
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            async with asyncio.timeout(self._timeout_s):
                await turn
        except TimeoutError:
            self._leave(turn)
            raise Overloaded("runtime hosts") from None
        except asyncio.CancelledError:
            self._leave(turn)
            raise

    def _leave(self, turn: "asyncio.Future[None]") -> None:
        if turn.cancelled():
            self._waiting.remove(turn)
        else:
            self.give_back()
