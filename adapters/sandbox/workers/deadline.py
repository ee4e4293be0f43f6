"""The limits of an execution in time: wall time, and CPU time of all its threads. A worker that computes gives way."""

import asyncio
import contextlib
import os
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from attrs import define, field

from adapters.sandbox.isolation.cpu_scheduling import all_processors, busy_processors
from adapters.sandbox.workers.channel import Ending
from domain.concurrency.budget import call_later

_QUARTERS = 4
_EARLY_S = 0.005
_BUSY = 0.2
"""The share of its time on a processor above which a script counts as one that computes."""
_LOWERED, _NICEST = 10, 19
"""The niceness of a worker that computes, beside the service's own, and the highest one."""


@define(eq=False)
class ExecutionDeadline:
    """Ends an exchange after `timeout_s`, or after it has used more than `cpu_s_max` of CPU time.

    CPU time is read from outside, so that every thread counts. It is checked early, after ever longer pauses, at each
    quarter of `timeout_s`, and when one thread alone could have used up the rest. A check that finds a worker that
    computes calls `lower_priority`.
    """

    loop: asyncio.AbstractEventLoop
    timeout_s: float
    cpu_s_max: float
    cpu_s: Callable[[], float | None]
    end: Callable[[Ending], None]
    cpu_before_s: float = 0.0
    """The CPU time that the worker had used before."""
    lower_priority: Callable[[], None] = lambda: None
    now: Callable[[], float] = time.monotonic
    _started_s: float = field(default=0.0, init=False)
    _checks_s: Iterator[float] = field(init=False)
    _next_s: float = field(default=0.0, init=False)
    _planned_s: float | None = field(default=None, init=False)
    """The next planned check, if another one comes before it."""
    _timer: asyncio.TimerHandle | None = field(default=None, init=False)

    def start(self) -> None:
        """Start the clock."""
        self._started_s = self.now()
        self._checks_s = _checks_s(self.timeout_s)
        self._next_s = next(self._checks_s)
        self._timer = call_later(self.loop, self._next_s, self._check)

    def cancel(self) -> None:
        """Stop the clock."""
        if self._timer is not None:
            self._timer.cancel()

    def _check(self) -> None:
        elapsed_s = self.now() - self._started_s
        while elapsed_s >= self._next_s:
            next_s = next(self._checks_s, None) if self._planned_s is None else self._planned_s
            if next_s is None:
                self.end(Ending.TIMED_OUT)
                return
            left_s = self._cpu_left_s(elapsed_s)
            if left_s < 0:
                self.end(Ending.CPU_LIMIT)
                return
            soon_s = elapsed_s + max(left_s, _EARLY_S)
            self._next_s, self._planned_s = (soon_s, next_s) if soon_s < next_s else (next_s, None)
        self._timer = call_later(self.loop, self._next_s - elapsed_s, self._check)

    def _cpu_left_s(self, elapsed_s: float) -> float:
        """Return the CPU time that is left, and lower the priority of a worker that computes."""
        used_s = (self.cpu_s() or 0.0) - self.cpu_before_s
        if used_s <= self.cpu_s_max and used_s > _BUSY * elapsed_s:
            self.lower_priority()
        return self.cpu_s_max - used_s


def _checks_s(timeout_s: float) -> Iterator[float]:
    """Yield the times of the checks: early, after ever longer pauses, and at each quarter; the last one is the end."""
    early_s = _EARLY_S
    while early_s < timeout_s / _QUARTERS:
        yield early_s
        early_s *= 2
    for quarter in range(1, _QUARTERS + 1):
        yield timeout_s * quarter / _QUARTERS


@define
class CpuPriority:
    """The processors and the niceness of one worker, for all its threads together."""

    pid: int | None = None
    _is_lowered: bool = field(default=False, init=False)

    def start(self) -> None:
        """Allow all processors: the start is over, which computes for long and ran beside the free one."""
        self._assign(all_processors())

    def lower(self) -> None:
        """Rank behind workers that compute for a short time, and leave one processor to them."""
        self._is_lowered = True
        self._assign(busy_processors())
        self._set(_LOWERED)

    def restore(self) -> None:
        """Rank like other workers again, as far as the kernel lets a service raise a priority that it lowered.

        It tries once: a change that is refused for lack of a right would be refused after every execution.
        """
        if self._is_lowered:
            self._is_lowered = False
            self._assign(all_processors())
            self._set(0)

    def _assign(self, processors: Collection[int]) -> None:
        if self.pid is None:
            return
        with contextlib.suppress(OSError):
            for thread in os.listdir(f"/proc/{self.pid}/task"):  # noqa: PTH208  # in half the time
                with contextlib.suppress(ProcessLookupError):  # it has ended meanwhile
                    os.sched_setaffinity(int(thread), processors)

    def _set(self, lowered: int) -> None:
        if self.pid is None:
            return
        # The service may be nice itself, and no worker may rank before it.
        niceness = min(os.getpriority(os.PRIO_PROCESS, 0) + lowered, _NICEST)
        try:
            # By group: the call for a process means one thread. A worker is the first process of its own session.
            os.setpriority(os.PRIO_PGRP, os.getpgid(self.pid), niceness)
        except OSError:
            return
        # If the kernel groups by session (sched_autogroup), the niceness of the group counts.
        with contextlib.suppress(OSError):
            Path(f"/proc/{self.pid}/autogroup").write_text(str(lowered), encoding="ascii")
