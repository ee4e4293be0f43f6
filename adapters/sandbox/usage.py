"""What a process has used, read from outside it."""

import contextlib
import os
import re
import time

from attrs import define

_PEAK = re.compile(rb"^VmHWM:\s+(\d+) kB$", re.MULTILINE)
_STATUS_SIZE_MAX = 4096
_CLOCK_OF_ALL_THREADS = 2


@define
class UsageMeter:
    """Reads one process's CPU clock and its peak of resident memory; None once they cannot be read."""

    _clock: int | None = None
    _status: int | None = None

    @classmethod
    def of(cls, pid: int | None) -> "UsageMeter":
        """Return the meter of a living process."""
        if pid is None:
            return cls()
        status = None
        with contextlib.suppress(OSError):
            status = os.open(f"/proc/{pid}/status", os.O_RDONLY | os.O_CLOEXEC)
        # clock_getcpuclockid(3): the kernel's number for the CPU clock of a process.
        return cls(~pid << 3 | _CLOCK_OF_ALL_THREADS, status)

    def cpu_s(self) -> float | None:
        """Return the CPU time of all its threads so far, in seconds."""
        if self._clock is None:
            return None
        try:
            return time.clock_gettime(self._clock)
        except OSError:
            return None

    def memory_bytes(self) -> int | None:
        """Return the peak of its resident memory, in bytes."""
        if self._status is None:
            return None
        try:
            found = _PEAK.search(os.pread(self._status, _STATUS_SIZE_MAX, 0))
        except OSError:
            return None
        return None if found is None else int(found[1]) * 1024

    def close(self) -> None:
        """Let go of the process."""
        if self._status is not None:
            os.close(self._status)
            self._status = None
