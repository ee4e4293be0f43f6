"""What callers do with a session's script many times in one call."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from attrs import define, field, frozen

from domain.errors import ShuttingDown
from domain.executions.executed import Executed
from domain.executions.service import ExecutionService
from domain.identity import SessionRef
from domain.json_text import JsonText


@frozen
class Batch:
    """The parameters of each item, and how many of the items may run at once."""

    items: Sequence[JsonText] = field(repr=False)
    parallel: int = 1


@frozen
class ItemEnded:
    """How the item at this place went: exactly one of what was executed and why it was not, or failed."""

    index: int
    executed: Executed | None = None
    error: Exception | None = None


Tell = Callable[[ItemEnded], Awaitable[None]]


@define
class BatchService:
    """Runs the items of a batch as executions of their own: each is begun, limited, counted and kept like any other."""

    _executions: ExecutionService

    async def run(self, ref: SessionRef, batch: Batch, tell: Tell, leaving: Callable[[], bool]) -> None:
        """Execute the items in order, at most `batch.parallel` at once, and await `tell` with each as it ends.

        No further item is begun before `tell` has returned. Whatever an item raises is told, and the others go on.
        Once `leaving()` is true the rest is told ShuttingDown. When the call is cancelled, or `tell` raises, nothing
        more is begun, and what has started goes on to its own end.
        """
        todo = iter(enumerate(batch.items))

        async def work() -> None:
            for index, params in todo:
                await tell(await self._ended(ref, index, params, leaving))

        workers = [asyncio.create_task(work()) for _ in range(min(batch.parallel, len(batch.items)))]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)

    async def _ended(self, ref: SessionRef, index: int, params: JsonText, leaving: Callable[[], bool]) -> ItemEnded:
        if leaving():
            return ItemEnded(index, error=ShuttingDown())
        try:
            return ItemEnded(index, await self._executions.execute(ref, params))
        except Exception as error:  # noqa: BLE001  # a bug that one item meets is told like its failures: it stops no other
            return ItemEnded(index, error=error)
