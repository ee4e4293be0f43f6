"""The use case of batches: many calls of one kind in one."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from attrs import field, frozen

from domain.errors import ShuttingDown

Item = TypeVar("Item")
Result = TypeVar("Result")


@frozen
class Batch(Generic[Item]):
    """The items, and how many of them may run at once."""

    items: Sequence[Item] = field(repr=False)
    parallel: int = 1


@frozen
class ItemEnded(Generic[Result]):
    """The end of the item at `index`: either `result` or `error` is set."""

    index: int
    result: Result | None = None
    error: Exception | None = None


async def run_batch(
    batch: Batch[Item],
    call: Callable[[Item], Awaitable[Result]],
    report: Callable[[ItemEnded[Result]], Awaitable[None]],
    is_leaving: Callable[[], bool],
) -> None:
    """Call with each item in order, at most `batch.parallel` at once, and await `report` with each as it ends.

    The next item starts after `report` has returned. An error of one item is reported and does not stop the others.
    Once `is_leaving()` is true, the remaining items end with ShuttingDown. If the run is cancelled, or `report` raises,
    no item is started any more, and the calls of running items are cancelled.
    """
    todo = iter(enumerate(batch.items))

    async def work() -> None:
        for index, item in todo:
            await report(ItemEnded(index, error=ShuttingDown()) if is_leaving() else await _ended(index, call(item)))

    workers = [asyncio.create_task(work()) for _ in range(min(batch.parallel, len(batch.items)))]
    try:
        await asyncio.gather(*workers)
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)


async def _ended(index: int, calling: Awaitable[Result]) -> ItemEnded[Result]:
    try:
        return ItemEnded(index, await calling)
    except Exception as error:  # noqa: BLE001  # a bug in one item is reported like a failure, and stops no other item
        return ItemEnded(index, error=error)
