"""Examination of large bodies: beside the event loop, one at a time, fair between owners."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from attrs import define, field

from domain.concurrency.budget import Budget
from domain.concurrency.fair_turns import FairTurns
from domain.errors import Overloaded
from domain.identity import Owner

Result = TypeVar("Result")

_QUEUE = "the examination of large bodies"


@define(eq=False)
class Examiner:
    """Runs what reads a large body in a thread, so that the event loop goes on with other requests.

    A second thread would not make it faster, because both would need the interpreter. So one body at a time is read:
    memory and delay are those of one body, however many a caller sends at once. A call waits `wait_max_s` at most, and
    `bytes_max` bytes of bodies wait at once.
    """

    _wait_max_s: float
    _bytes_max: int
    _turns: FairTurns = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._turns = FairTurns(_QUEUE, turns_max=1, owner_max=1, bytes_max=self._bytes_max)

    async def run(self, owner: Owner, size: int, work: Callable[[], Result]) -> Result:
        """Return the result of `work` on a body of `size` bytes.

        Raises what it raises, or Overloaded after `wait_max_s` or if too many bytes wait.
        """
        turn = self._turns.acquire(owner, size)
        await Budget(self._wait_max_s).spend(turn, lambda: Overloaded(_QUEUE))
        examination = asyncio.ensure_future(asyncio.to_thread(work))
        examination.add_done_callback(partial(self._ended, owner))
        # A caller that leaves does not stop the thread, and the turn is not free before the thread has ended.
        return await asyncio.shield(examination)

    def _ended(self, owner: Owner, examination: asyncio.Future[Result]) -> None:
        if not examination.cancelled():
            examination.exception()  # marks it as retrieved, should the caller have left
        self._turns.release(owner)
