"""A turn that one caller holds at a time, shared out fairly among owners."""

import asyncio

from domain.fair_queue import FairQueue
from domain.identity import Owner


class FairTurn:
    """Lets one caller at a time go ahead; of those who wait, owners follow each other in turn."""

    def __init__(self) -> None:
        self._waiting: FairQueue[asyncio.Future[None]] = FairQueue()
        self._held = False

    async def acquire(self, owner: Owner) -> None:
        """Return once it is the caller's turn. Cancelling leaves the queue."""
        if not self._held:
            self._held = True
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(owner, turn)
        try:
            await turn
        except asyncio.CancelledError:
            self._waiting.discard(owner, turn)
            if not turn.cancelled():  # the turn had come already
                self.release()
            raise

    def release(self) -> None:
        """Pass the turn on to the next caller who still waits."""
        while self._waiting:
            turn = self._waiting.pop()
            if not turn.done():
                turn.set_result(None)
                return
        self._held = False
