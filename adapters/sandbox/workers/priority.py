"""Which worker the processors serve first, and which of them serve it."""

import contextlib
import os
from collections.abc import Collection
from pathlib import Path

from attrs import define

from adapters.sandbox.confinement.processors import all_processors, busy_processors

_LOWERED = 10


@define
class Priority:
    """The priority of one worker, all its threads together."""

    pid: int | None = None
    is_lowered: bool = False

    def lower(self) -> None:
        """Let others go first, those that have only a little to do, and leave one processor to them."""
        self.is_lowered = True
        self._set(_LOWERED, busy_processors())

    def restore(self) -> None:
        """Be like the others again, as far as the system lets a service raise what it has lowered."""
        if self.is_lowered:
            self.is_lowered = not self._set(0, all_processors())

    def _set(self, niceness: int, processors: Collection[int]) -> bool:
        if self.pid is None:
            return False
        try:
            for thread in os.listdir(f"/proc/{self.pid}/task"):  # noqa: PTH208  # in half the time
                with contextlib.suppress(ProcessLookupError):  # it has ended meanwhile
                    os.sched_setaffinity(int(thread), processors)
            # By group: the call for a process means one thread. A worker is the first of a session of its own.
            os.setpriority(os.PRIO_PGRP, os.getpgid(self.pid), niceness)
        except OSError:
            return False
        # Where the kernel groups by session (sched_autogroup), it is the group's niceness that counts.
        with contextlib.suppress(OSError):
            Path(f"/proc/{self.pid}/autogroup").write_text(str(niceness), encoding="ascii")
        return True
