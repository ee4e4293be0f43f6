"""What a process has used, read from outside it."""

import contextlib
import os
import time

from attrs import define, frozen

_PEAK, _THREADS = b"\nVmHWM:", b"\nThreads:"
_STATUS_SIZE_MAX = 4096
_CLOCK_OF_ALL_THREADS = 2
_QUIET_CPU_S = 0.002
"""Less than it takes to occupy `_REST_MEMORY`."""
_REST_CPU_S = 0.25
_REST_MEMORY = 32 << 20
"""What an interpreter may use for itself after an answer: it collects garbage, compiles, makes ready for the next."""


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
    _rest_cpu_s: float = 0.0
    _rest_memory_bytes: int = 0

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
            status = os.pread(self._status, _STATUS_SIZE_MAX, 0)
            return Footprint(_field(status, _PEAK, b" kB") * 1024, _field(status, _THREADS, b"\n"))
        except (OSError, ValueError):
            return Footprint()

    def rest(self, cpu_s: float | None, footprint: Footprint) -> None:
        """Remember what it has used by now, when nothing more is asked of it."""
        self._rest_cpu_s, self._rest_memory_bytes = cpu_s or 0.0, footprint.memory_bytes or 0

    @property
    def is_restless(self) -> bool:
        """Whether it has computed, or taken memory, since it was to rest: something of a script goes on in it."""
        used_s = (self.cpu_s() or 0.0) - self._rest_cpu_s
        if used_s < _QUIET_CPU_S:
            return False
        return used_s > _REST_CPU_S or (self.footprint().memory_bytes or 0) > self._rest_memory_bytes + _REST_MEMORY

    def close(self) -> None:
        """Let go of the process."""
        if self._status is not None:
            os.close(self._status)
            self._status = None


def _field(status: bytes, name: bytes, end: bytes) -> int:
    """Return a number in a text like `/proc/PID/status`, in a sixth of a pattern's time; raises ValueError."""
    at = status.index(name) + len(name)
    return int(status[at : status.index(end, at)])
