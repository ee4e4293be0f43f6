"""Which worker the processors serve first."""

import contextlib
import os
from pathlib import Path

from attrs import define

_LOWERED = 10


@define
class Priority:
    """The priority of one worker, all its threads together."""

    pid: int | None = None
    _is_lowered: bool = False

    def lower(self) -> None:
        """Let others go first, those that have only a little to do."""
        self._is_lowered = self._is_lowered or self._set(_LOWERED)

    def restore(self) -> None:
        """Be like the others again, where the system lets a service raise what it has lowered (as root it does)."""
        if self._is_lowered:
            self._is_lowered = not self._set(0)

    def _set(self, niceness: int) -> bool:
        if self.pid is None:
            return False
        try:
            # By group: the call for a process means one thread. A worker is the first of a session of its own.
            os.setpriority(os.PRIO_PGRP, os.getpgid(self.pid), niceness)
        except OSError:
            return False
        # Where the kernel groups by session (sched_autogroup), it is the group's niceness that counts.
        with contextlib.suppress(OSError):
            Path(f"/proc/{self.pid}/autogroup").write_text(str(niceness), encoding="ascii")
        return True
