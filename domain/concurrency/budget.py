"""Timers: the budget of a request, the wheel that makes many timeouts cheap, and timers that may fire early."""

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import Context
from typing import Any, ClassVar, Protocol, TypeVar

Result = TypeVar("Result")

_TICK_S = 0.001
"""The resolution of uvloop; a pause of less than half of it ends in the next turn of the loop."""


class Expiring(Protocol):
    """Something with an end in time."""

    def expire(self) -> None:
        """Act on the end."""
        ...


class Timeout:
    """Cancels a task when it expires, and tells this cancellation from others."""

    __slots__ = ("_cancelled_before", "_expired", "_task")

    def __init__(self, task: "asyncio.Task[Any] | None") -> None:
        assert task is not None, "only a task has a timeout"
        self._task = task
        self._cancelled_before = task.cancelling()
        self._expired = False

    def expire(self) -> None:
        """Cancel the task."""
        self._expired = True
        self._task.cancel()

    def caused_cancellation(self) -> bool:
        """Return whether this timeout alone cancelled the task; if so, undo the cancellation."""
        return self._expired and self._task.uncancel() <= self._cancelled_before


class TimerWheel:
    """Ends many timeouts with few timers of the event loop: one for all that end in the same period.

    One timer of the loop for each call, set and cancelled, costs a tenth of a read.
    """

    PERIOD_S: ClassVar[float] = 0.025
    LATE_S: ClassVar[float] = 0.1
    """A wheel that is so late was held up with its process. For as long again it lets in what arrived meanwhile."""
    _latest: ClassVar["TimerWheel | None"] = None

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._periods: dict[int, set[Expiring]] = {}

    @classmethod
    def of(cls, loop: asyncio.AbstractEventLoop) -> "TimerWheel":
        """Return the wheel of the loop; a process runs one loop at a time."""
        latest = cls._latest
        if latest is None or latest._loop is not loop:  # noqa: SLF001  # its own class
            latest = cls._latest = cls(loop)
        return latest

    def schedule(self, item: Expiring, at_s: float) -> set[Expiring]:
        """Let the item expire at this time of the loop, or up to a period later.

        If the wheel itself is late, it expires LATE_S later. Returns the period's items; removing the item from them
        cancels it.
        """
        number = int(at_s / self.PERIOD_S) + 1
        period = self._periods.get(number)
        if period is None:
            period = self._periods[number] = set()
            self._loop.call_at(number * self.PERIOD_S, self._end, number)
        period.add(item)
        return period

    def _end(self, number: int) -> None:
        items = self._periods.pop(number)
        if self._loop.time() - number * self.PERIOD_S > self.LATE_S:
            self._loop.call_later(self.LATE_S, _expire, items)
        else:
            _expire(items)


def _expire(items: set[Expiring]) -> None:
    for item in items:
        item.expire()


class Budget:
    """The time in seconds that the steps of one request share; it ends as late as a `TimerWheel` does."""

    __slots__ = ("_left_s",)

    def __init__(self, total_s: float) -> None:
        self._left_s = total_s

    async def spend(self, work: Awaitable[Result], late: Callable[[], Exception], share: float = 1.0) -> Result:
        """Await `work` for the time that is left, or for a share of it; raises `late()` when that is over."""
        loop = asyncio.get_running_loop()
        timeout = Timeout(asyncio.current_task(loop))
        started_s = loop.time()
        period = TimerWheel.of(loop).schedule(timeout, started_s + share * self._left_s)
        try:
            return await work
        except asyncio.CancelledError:
            if timeout.caused_cancellation():
                raise late() from None
            raise
        finally:
            period.discard(timeout)
            self._left_s = max(0.0, self._left_s - (loop.time() - started_s))


def call_later(
    loop: asyncio.AbstractEventLoop, pause_s: float, callback: Callable[[], None], context: Context | None = None
) -> asyncio.TimerHandle:
    """Call back after `pause_s`, at least one turn of the loop later. The callback must check whether it is time.

    A loop whose clock stands still during a turn, like uvloop's, calls early by the time that the turn has taken.
    """
    return loop.call_later(max(pause_s, _TICK_S), callback, context=context)
