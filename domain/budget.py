"""The time that one request may spend, over all its steps."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

Answer = TypeVar("Answer")


class Budget:
    """A bounded time in seconds that several awaits of one request share."""

    __slots__ = ("_left_s",)

    def __init__(self, total_s: float) -> None:
        self._left_s = total_s

    async def spend(self, work: Awaitable[Answer], late: Callable[[], Exception]) -> Answer:
        """Await `work` for as long as time is left; raises `late()` when it is over."""
        loop = asyncio.get_running_loop()
        alarm = _Alarm(asyncio.current_task(loop))
        started_s = loop.time()
        timer = loop.call_later(self._left_s, alarm.ring)
        try:
            return await work
        except asyncio.CancelledError:
            if alarm.was_the_reason():
                raise late() from None
            raise
        finally:
            timer.cancel()
            self._left_s = max(0.0, self._left_s - (loop.time() - started_s))


class _Alarm:
    """Cancels a task, and tells that from being cancelled by others; `asyncio.timeout` does, at three times the cost."""

    __slots__ = ("_cancelled_before", "_rung", "_task")

    def __init__(self, task: "asyncio.Task[Any] | None") -> None:
        assert task is not None, "a budget is spent by tasks"
        self._task = task
        self._cancelled_before = task.cancelling()
        self._rung = False

    def ring(self) -> None:
        self._rung = True
        self._task.cancel()

    def was_the_reason(self) -> bool:
        """Take the cancellation back, if it was this one's alone."""
        return self._rung and self._task.uncancel() <= self._cancelled_before
