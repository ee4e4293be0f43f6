"""Work that goes on after its caller has left, bounded and drained at the end."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from domain.errors import DomainError

Answer = TypeVar("Answer")


class BackgroundTasks:
    """Owns tasks, so that none is lost or left behind."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    def spawn(self, work: Coroutine[Any, Any, Answer]) -> asyncio.Task[Answer]:
        """Start `work` as a task of its own; a failure that callers can be told is theirs to await or to ignore."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    async def drain(self, timeout_s: float) -> int:
        """Wait for all tasks; cancel what has not ended by then, and return how many those were."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + timeout_s
        while self._tasks and loop.time() < until_s:
            await asyncio.wait(self._tasks, timeout=until_s - loop.time())
        left = list(self._tasks)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        return len(left)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if error is not None and not isinstance(error, DomainError):
            loop = task.get_loop()
            loop.call_exception_handler({"message": "A task failed", "exception": error, "task": task})
