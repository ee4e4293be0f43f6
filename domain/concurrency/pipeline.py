"""Stages that work at the same time: a stage prepares the next item while another one waits for the present one."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


async def ahead(items: AsyncIterator[Item]) -> AsyncGenerator[Item]:
    """Yield the items, and fetch the next one while the caller works on the present one.

    Close it (`contextlib.aclosing`) if not all items are taken: then the fetch in progress is cancelled.
    """
    fetching: asyncio.Future[Item] = asyncio.ensure_future(anext(items))
    try:
        while True:
            try:
                item = await fetching
            except StopAsyncIteration:
                return
            fetching = asyncio.ensure_future(anext(items))
            await asyncio.sleep(0)  # so that the fetch begins
            yield item
    finally:
        await _cancelled(fetching)


async def overlapped(items: AsyncIterator[Item], step: Callable[[Item], Awaitable[Result]]) -> AsyncGenerator[Result]:
    """Yield the result of `step` for each item in order; the next item is taken while a step is in progress.

    Steps never overlap each other. Close it if not all results are taken: then the step in progress is cancelled.
    """
    running: asyncio.Future[Result] | None = None
    try:
        async for item in items:
            if running is not None:
                yield await running
            running = asyncio.ensure_future(step(item))
            await asyncio.sleep(0)  # so that the step begins
        if running is not None:
            yield await running
    finally:
        if running is not None:
            await _cancelled(running)


def divided(
    items: Iterable[Item], size_of: Callable[[Item], int], items_max: int, size_max: int
) -> Iterator[Sequence[Item]]:
    """Yield consecutive items that are together within both limits; an item beyond the size stands alone."""
    part: list[Item] = []
    size = 0
    for item in items:
        item_size = size_of(item)
        if part and (len(part) == items_max or size + item_size > size_max):
            yield part
            part, size = [], 0
        part.append(item)
        size += item_size
    if part:
        yield part


async def _cancelled(task: "asyncio.Future[Item]") -> None:
    """Cancel a task that has not ended, and wait for its end."""
    if task.done():
        return
    task.cancel()
    with suppress(asyncio.CancelledError, StopAsyncIteration):
        await task
