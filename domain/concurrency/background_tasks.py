"""Work beside requests: tasks that outlive their caller, jobs for many callers, and jobs that repeat on demand."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Hashable, Iterable
from functools import partial
from typing import Any, Generic, TypeVar

from domain.errors import DomainError

Name = TypeVar("Name", bound=Hashable)
Result = TypeVar("Result")


class BackgroundTasks:
    """Owns the tasks that may outlive their caller, until they end or are drained."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    def spawn(self, work: Coroutine[Any, Any, Result]) -> asyncio.Task[Result]:
        """Start `work` as a task.

        The caller may await its DomainError or ignore it. Any other error goes to the loop's exception handler.
        """
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._on_end)
        return task

    async def drain(self, timeout_s: float) -> int:
        """Wait for all tasks, cancel those that have not ended by then, and return how many were cancelled."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + timeout_s
        while self._tasks and loop.time() < until_s:
            await asyncio.wait(self._tasks, timeout=until_s - loop.time())
        left = list(self._tasks)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        return len(left)

    def _on_end(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if error is not None and not isinstance(error, DomainError):
            loop = task.get_loop()
            loop.call_exception_handler({"message": "A task failed", "exception": error, "task": task})


class SharedTasks(Generic[Name, Result]):
    """Runs a job once for all who want it at the same time, by its name. A caller that leaves does not end it."""

    def __init__(self) -> None:
        self._tasks: dict[Name, asyncio.Task[Result]] = {}

    def start(self, name: Name, job: Callable[[], Coroutine[Any, Any, Result]]) -> asyncio.Task[Result]:
        """Return the task of this name that is under way, or start it."""
        task = self._tasks.get(name)
        if task is None or task.done():
            task = self._tasks[name] = asyncio.get_running_loop().create_task(job())
            task.add_done_callback(partial(self._on_end, name))
        return task

    def is_running(self, name: Name) -> bool:
        """Return whether a task of this name is under way."""
        return name in self._tasks

    async def result_of_all(self, names: Iterable[Name], job: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
        """Run a job under several names, none of which has a task, and return its result or raise its error."""
        task = asyncio.get_running_loop().create_task(job())
        for name in names:
            self._tasks[name] = task
            task.add_done_callback(partial(self._on_end, name))
        return await asyncio.shield(task)

    async def result(self, name: Name, job: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
        """Return the result of the task of this name, or raise its error."""
        return await asyncio.shield(self.start(name, job))

    def _on_end(self, name: Name, task: asyncio.Task[Result]) -> None:
        if self._tasks[name] is task:
            del self._tasks[name]
        if not task.cancelled():
            task.exception()  # marks the error as seen, because no caller may be left to get it


class DemandLoop:
    """Repeats a job for as long as there is demand for it."""

    def __init__(self) -> None:
        self._demand = asyncio.Event()

    def request(self) -> None:
        """Demand a run of the job; an idle loop starts it at once."""
        self._demand.set()

    def clear(self) -> None:
        """End the demand: the loop is idle until the next request."""
        self._demand.clear()

    async def run(self, job: Callable[[], Awaitable[float]]) -> None:
        """Run the job while there is demand, and pause after each run for the seconds that it returned.

        Never returns. Raises what the job raises.
        """
        while True:
            await self._demand.wait()
            await asyncio.sleep(await job())
