"""Which processors run a worker.

One processor is kept free of workers that start, and of workers that compute for long. Other workers, and the service
itself, find a processor there at once. Elsewhere they may wait for a tick of the kernel's clock (4 ms at 250 Hz). Their
niceness does not help: the kernel does not let a process that has just run preempt another.
"""

import os
from collections.abc import Collection
from pathlib import Path

_CAP_SYS_NICE = 1 << 23  # capability.h


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
