"""The use case of batches: many executions of one session in one call."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from attrs import define, field, frozen

from domain.errors import ShuttingDown
from domain.executions.execution import Executed
from domain.executions.service import ExecutionService
from domain.identity import SessionRef
from domain.json_text import JsonText


@frozen
class Batch:
    """The params of each item, and how many items may run at once."""

    items: Sequence[JsonText] = field(repr=False)
    parallel: int = 1


@frozen
class ItemEnded:
    """The end of the item at `index`: either `executed` or `error` is set."""

    index: int
    executed: Executed | None = None
    error: Exception | None = None


Report = Callable[[ItemEnded], Awaitable[None]]


@define
class BatchService:
    """Runs the items of a batch as executions of their own, each with its record, limits and count."""

    _executions: ExecutionService

    async def run(self, ref: SessionRef, batch: Batch, report: Report, is_leaving: Callable[[], bool]) -> None:
        """Execute the items in order, at most `batch.parallel` at once, and await `report` with each as it ends.

        The next item starts after `report` has returned. An error of one item is reported and does not stop the others.
        Once `is_leaving()` is true, the remaining items end with ShuttingDown. If the call is cancelled, or `report`
        raises, no item is started any more, and running items run to their end.
        """
        todo = iter(enumerate(batch.items))

        async def work() -> None:
            for index, params in todo:
                await report(await self._ended(ref, index, params, is_leaving))

        workers = [asyncio.create_task(work()) for _ in range(min(batch.parallel, len(batch.items)))]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)

    async def _ended(self, ref: SessionRef, index: int, params: JsonText, is_leaving: Callable[[], bool]) -> ItemEnded:
        if is_leaving():
            return ItemEnded(index, error=ShuttingDown())
        try:
            return ItemEnded(index, await self._executions.execute(ref, params))
        except Exception as error:  # noqa: BLE001  # a bug in one item is reported like a failure, and stops no other item
            return ItemEnded(index, error=error)
