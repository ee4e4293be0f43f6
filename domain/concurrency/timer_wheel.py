"""Many alarms for few timers."""

import asyncio
from typing import Any, ClassVar, Protocol


class Ringable(Protocol):
    """What can be rung."""

    def ring(self) -> None:
        """Do what was to be done then."""
        ...


class Timeout:
    """Cancels a task when it rings, and tells that from a cancellation by others."""

    __slots__ = ("_cancelled_before", "_rung", "_task")

    def __init__(self, task: "asyncio.Task[Any] | None") -> None:
        assert task is not None, "time is limited for tasks"
        self._task = task
        self._cancelled_before = task.cancelling()
        self._rung = False

    def ring(self) -> None:
        """Cancel the task."""
        self._rung = True
        self._task.cancel()

    def was_the_reason(self) -> bool:
        """Take the cancellation back, if it was this alarm's alone, and return whether it was."""
        return self._rung and self._task.uncancel() <= self._cancelled_before


class TimerWheel:
    """Rings the alarms of one event loop, those of each period by one timer at its end.

    A timer of the loop for every call, set and cancelled, costs a tenth of a read.
    """

    PERIOD_S: ClassVar[float] = 0.025
    _latest: ClassVar["TimerWheel | None"] = None

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._periods: dict[int, set[Ringable]] = {}

    @classmethod
    def of(cls, loop: asyncio.AbstractEventLoop) -> "TimerWheel":
        """Return the alarms of the loop; one loop runs at a time in a process."""
        latest = cls._latest
        if latest is None or latest._loop is not loop:  # noqa: SLF001  # its own class
            latest = cls._latest = cls(loop)
        return latest

    def set(self, alarm: Ringable, at_s: float) -> set[Ringable]:
        """Have the alarm ring at this time of the loop, or up to a period later, while it is in the returned set."""
        number = int(at_s / self.PERIOD_S) + 1
        period = self._periods.get(number)
        if period is None:
            period = self._periods[number] = set()
            self._loop.call_at(number * self.PERIOD_S, self._end, number)
        period.add(alarm)
        return period

    def _end(self, number: int) -> None:
        for alarm in self._periods.pop(number):
            alarm.ring()
