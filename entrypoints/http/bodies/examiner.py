"""Examination of large bodies: beside the event loop, one at a time, fair between owners."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from attrs import define, field

from domain.budget import Budget
from domain.errors import Overloaded
from domain.fair_turn import FairTurn
from domain.identity import Owner

Result = TypeVar("Result")


@define(eq=False)
class Examiner:
    """Runs what reads a large body in a thread, so that the event loop goes on with other requests.

    A second thread would not make it faster, because both would need the interpreter. So one body at a time is read:
    memory and delay are those of one body, however many a caller sends at once. A call waits `wait_max_s` at most.
    """

    _wait_max_s: float
    _turn: FairTurn = field(factory=FairTurn, init=False)

    async def run(self, owner: Owner, work: Callable[[], Result]) -> Result:
        """Return the result of `work`; raises what it raises, or Overloaded after `wait_max_s` in the queue."""
        late = Overloaded("the examination of large bodies")
        await Budget(self._wait_max_s).spend(self._turn.acquire(owner), lambda: late)
        examination = asyncio.ensure_future(asyncio.to_thread(work))
        examination.add_done_callback(self._ended)
        # A caller that leaves does not stop the thread, and the turn is not free before the thread has ended.
        return await asyncio.shield(examination)

    def _ended(self, examination: asyncio.Future[Result]) -> None:
        if not examination.cancelled():
            examination.exception()  # marks it as retrieved, should the caller have left
        self._turn.release()
