"""Which worker the processors serve first, and which of them serve it."""

import contextlib
import os
from collections.abc import Collection
from pathlib import Path

from attrs import define, field

from adapters.sandbox.isolation.cpu_affinity import all_processors, busy_processors

_LOWERED, _NICEST = 10, 19


@define
class CpuPriority:
    """The priority of one worker, all its threads together."""

    pid: int | None = None
    _is_lowered: bool = field(default=False, init=False)

    def start(self) -> None:
        """Be served by all processors: starting is work for long, and was done beside the free one."""
        self._assign(all_processors())

    def lower(self) -> None:
        """Let others go first, those that have only a little to do, and leave one processor to them."""
        self._is_lowered = True
        self._assign(busy_processors())
        self._set(_LOWERED)

    def restore(self) -> None:
        """Be like the others again, as far as the system lets a service raise what it has lowered.

        It is tried once: what is refused, for lack of a right, would be refused after every execution.
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
        # The service may be nice itself, and no worker is to go before it.
        niceness = min(os.getpriority(os.PRIO_PROCESS, 0) + lowered, _NICEST)
        try:
            # By group: the call for a process means one thread. A worker is the first of a session of its own.
            os.setpriority(os.PRIO_PGRP, os.getpgid(self.pid), niceness)
        except OSError:
            return
        # Where the kernel groups by session (sched_autogroup), it is the group's niceness that counts.
        with contextlib.suppress(OSError):
            Path(f"/proc/{self.pid}/autogroup").write_text(str(lowered), encoding="ascii")
