"""On which of the service's processors workers run.

One of them is kept free of workers that compute for long, and of those that only start: there the others, and the
service itself, find a processor at once. Elsewhere they may wait for a tick of the kernel's clock (4 ms at 250 Hz),
whatever the niceness: a process that has just run is not entitled to push another one aside.
"""

import os
from collections.abc import Collection
from pathlib import Path

_CAP_SYS_NICE = 1 << 23  # capability.h
_STATUS = Path("/proc/self/status")


def all_processors() -> Collection[int]:
    """Return the numbers of the processors that the service may use."""
    return os.sched_getaffinity(0)


def busy_processors() -> Collection[int]:
    """Return those for workers that compute for long: all but one, or the only one."""
    processors = sorted(all_processors())
    return processors[1:] or processors


def starting_processors(uid: int | None) -> Collection[int]:
    """Return those for workers that start, with this uid where it is not the service's own."""
    return busy_processors() if may_assign(uid) else all_processors()


def may_assign(uid: int | None) -> bool:
    """Tell whether workers can be moved later: those of another uid only with CAP_SYS_NICE."""
    return uid is None or bool(_effective_capabilities() & _CAP_SYS_NICE)


def why_none_is_free(uid: int | None) -> str:
    """Return why no processor is kept free, and the remedy; empty when one is."""
    if len(all_processors()) == 1:
        return "the service has one processor"
    return "" if may_assign(uid) else "workers are another user's: give the service CAP_SYS_NICE"


def _effective_capabilities() -> int:
    status = _STATUS.read_text(encoding="ascii", errors="replace")
    (effective,) = [line for line in status.splitlines() if line.startswith("CapEff:")]
    return int(effective.partition(":")[2], 16)
