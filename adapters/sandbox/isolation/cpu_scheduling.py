"""Which processors run a worker, and how it ranks against others.

One processor is kept free of workers that start, and of workers that compute for long. Other workers, and the service
itself, find a processor there at once. Elsewhere they may wait for a tick of the kernel's clock (4 ms at 250 Hz). Their
niceness does not help: the kernel does not let a process that has just run preempt another.
"""

import contextlib
import os
from collections.abc import Collection
from pathlib import Path

from attrs import define, field

_CAP_SYS_NICE = 1 << 23  # capability.h
_LOWERED, _NICEST = 10, 19


def all_processors() -> Collection[int]:
    """Return the numbers of the processors that the service may use."""
    return os.sched_getaffinity(0)


def busy_processors() -> Collection[int]:
    """Return the processors for workers that compute for long: all but one, or the only one."""
    processors = sorted(all_processors())
    return processors[1:] or processors


def starting_processors(uid: int | None, root: Path = Path("/")) -> Collection[int]:
    """Return the processors for workers that start with this uid; None stands for the service's own."""
    return busy_processors() if may_assign(uid, root) else all_processors()


def may_assign(uid: int | None, root: Path = Path("/")) -> bool:
    """Return whether the service may move workers later: those of another uid only with CAP_SYS_NICE."""
    return uid is None or bool(_effective_capabilities(root) & _CAP_SYS_NICE)


def why_none_is_free(uid: int | None, root: Path = Path("/")) -> str:
    """Return why no processor is kept free, and the remedy; empty if one is."""
    if len(all_processors()) == 1:
        return "the service has one processor. Give it two."
    return (
        ""
        if may_assign(uid, root)
        else "workers have another uid, and the service may not move them. Give it CAP_SYS_NICE."
    )


def _effective_capabilities(root: Path) -> int:
    status = (root / "proc/self/status").read_text(encoding="ascii", errors="replace")
    (effective,) = [line for line in status.splitlines() if line.startswith("CapEff:")]
    return int(effective.partition(":")[2], 16)


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
