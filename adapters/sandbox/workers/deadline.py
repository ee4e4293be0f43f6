"""When an execution has had its time: on the wall clock, and on the processors."""

import asyncio
import time
from collections.abc import Callable, Iterator

from attrs import define, field

from adapters.sandbox.workers.exchange import Ending, Exchange
from adapters.timers import call_later

_LOOKS = 4
_EARLY_S = 0.005
_BUSY = 0.2
"""The part of its time on a processor that marks a script as one that computes."""


@define(eq=False)
class ExecutionDeadline:
    """Ends an exchange after `timeout_s`, or once it has used `cpu_s_max` of CPU time.

    CPU time is read from outside, so that every thread counts: early, after ever longer pauses, at each quarter of
    `timeout_s`, and when one thread alone could have used it up. A worker that keeps a processor busy has
    to `wait_behind` others; that is called once at each look.
    """

    loop: asyncio.AbstractEventLoop
    timeout_s: float
    cpu_s_max: float
    cpu_s: Callable[[], float | None]
    end: Callable[[Exchange], None]
    cpu_before_s: float = 0.0
    """What was used before it begins to count."""
    wait_behind: Callable[[], None] = lambda: None
    now: Callable[[], float] = time.monotonic
    _started_s: float = field(default=0.0, init=False)
    _looks_s: Iterator[float] = field(init=False)
    _next_s: float = field(default=0.0, init=False)
    _planned_s: float | None = field(default=None, init=False)
    """The look that was planned, where one comes before it."""
    _timer: asyncio.TimerHandle | None = field(default=None, init=False)

    def start(self) -> None:
        """Begin to count."""
        self._started_s = self.now()
        self._looks_s = _looks_s(self.timeout_s)
        self._next_s = next(self._looks_s)
        self._timer = call_later(self.loop, self._next_s, self._look)

    def cancel(self) -> None:
        """Count no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        elapsed_s = self.now() - self._started_s
        while elapsed_s >= self._next_s:
            next_s = next(self._looks_s, None) if self._planned_s is None else self._planned_s
            if next_s is None:
                self.end(Exchange(Ending.TIMED_OUT))
                return
            left_s = self._cpu_left_s(elapsed_s)
            if left_s < 0:
                self.end(Exchange(Ending.CPU_LIMIT))
                return
            soon_s = elapsed_s + max(left_s, _EARLY_S)
            self._next_s, self._planned_s = (soon_s, next_s) if soon_s < next_s else (next_s, None)
        self._timer = call_later(self.loop, self._next_s - elapsed_s, self._look)

    def _cpu_left_s(self, elapsed_s: float) -> float:
        """Look at the CPU time, have a worker that computes wait behind others, and return what it may still use."""
        used_s = (self.cpu_s() or 0.0) - self.cpu_before_s
        if used_s <= self.cpu_s_max and used_s > _BUSY * elapsed_s:
            self.wait_behind()
        return self.cpu_s_max - used_s


def _looks_s(timeout_s: float) -> Iterator[float]:
    """Yield when to look: soon, after ever longer pauses, and at each quarter; the last one is the end."""
    early_s = _EARLY_S
    while early_s < timeout_s / _LOOKS:
        yield early_s
        early_s *= 2
    for quarter in range(1, _LOOKS + 1):
        yield timeout_s * quarter / _LOOKS
