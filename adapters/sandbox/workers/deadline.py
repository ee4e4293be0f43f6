"""When an execution has had its time: on the wall clock, and on the processors."""

import asyncio
from collections.abc import Callable

from attrs import define, field

from adapters.sandbox.workers.exchange import Ending, Exchange

_LOOKS = 4
_EARLY_S = 0.01
_BUSY = 0.2
"""The part of its time on a processor that marks a script as one that computes."""


@define(eq=False)
class Deadline:
    """Ends an exchange after `timeout_s`, or at a quarter of it once it has used `cpu_s_max` of CPU time.

    CPU time is read from outside, so that every thread counts. The first look comes early. Who is found to keep a
    processor busy is told to `wait_behind` others, once at each look.
    """

    loop: asyncio.AbstractEventLoop
    timeout_s: float
    cpu_s_max: float
    cpu_s: Callable[[], float | None]
    end: Callable[[Exchange], None]
    cpu_before_s: float = 0.0
    """What was used before it begins to count."""
    wait_behind: Callable[[], None] = lambda: None
    _started_s: float = field(default=0.0, init=False)
    _looks: int = field(default=0, init=False)
    _timer: asyncio.TimerHandle | None = field(default=None, init=False)

    def start(self) -> None:
        """Begin to count."""
        self._started_s = self.loop.time()
        if self.timeout_s > _LOOKS * _EARLY_S:
            self._look_after(_EARLY_S)
        else:
            self._wait()

    def cancel(self) -> None:
        """Count no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _wait(self) -> None:
        self._looks += 1
        self._look_after(self.timeout_s * self._looks / _LOOKS)

    def _look_after(self, elapsed_s: float) -> None:
        self._timer = self.loop.call_at(self._started_s + elapsed_s, self._look)

    def _look(self) -> None:
        if self._looks >= _LOOKS:
            self.end(Exchange(Ending.TIMED_OUT))
            return
        used_s = (self.cpu_s() or 0.0) - self.cpu_before_s
        if used_s > self.cpu_s_max:
            self.end(Exchange(Ending.CPU_LIMIT))
            return
        if used_s > _BUSY * (self.loop.time() - self._started_s):
            self.wait_behind()
        self._wait()
