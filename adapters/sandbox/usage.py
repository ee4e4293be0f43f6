"""What a process has used, read from outside it."""

import contextlib
import os
import re
import time

from attrs import define, frozen

_STATUS = re.compile(rb"^VmHWM:\s+(\d+) kB$.*^Threads:\s+(\d+)$", re.MULTILINE | re.DOTALL)
_STATUS_SIZE_MAX = 4096
_CLOCK_OF_ALL_THREADS = 2


@frozen
class Footprint:
    """The peak of a process's resident memory, and its threads now; None where they cannot be read."""

    memory_bytes: int | None = None
    threads: int | None = None


@define
class UsageMeter:
    """Reads one process's CPU clock and its footprint."""

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
        """Return the CPU time of all its threads so far, in seconds; None once it cannot be read."""
        if self._clock is None:
            return None
        try:
            return time.clock_gettime(self._clock)
        except OSError:
            return None

    def footprint(self) -> Footprint:
        """Return what it occupies."""
        if self._status is None:
            return Footprint()
        try:
            found = _STATUS.search(os.pread(self._status, _STATUS_SIZE_MAX, 0))
        except OSError:
            return Footprint()
        return Footprint() if found is None else Footprint(int(found[1]) * 1024, int(found[2]))

    def close(self) -> None:
        """Let go of the process."""
        if self._status is not None:
            os.close(self._status)
            self._status = None
