"""What a process has used, read from outside it."""

import contextlib
import os
import time

from attrs import define, frozen

_PEAK, _THREADS = b"\nVmHWM:", b"\nThreads:"
_STATUS_SIZE_MAX = 4096
_RESET_PEAK = b"5"  # proc(5), clear_refs
_CLOCK_OF_ALL_THREADS = 2
_QUIET_CPU_S = 0.002
"""Less than it takes to occupy `_REST_MEMORY`."""
_REST_CPU_S = 0.1
_REST_MEMORY = 32 << 20
"""What an interpreter may use for itself after an answer: it collects garbage, compiles, makes ready for the next."""


@frozen
class Footprint:
    """The peak of a process's resident memory, and its threads now; None where they cannot be read.

    The peak is that since the last `reset_peak`, or that of the process's life if the kernel cannot reset it.
    """

    memory_bytes: int | None = None
    threads: int | None = None


@define
class UsageMeter:
    """Reads one process's CPU clock and its footprint."""

    _clock: int | None = None
    _status: int | None = None
    _peak: int | None = None
    _rest_cpu_s: float = 0.0
    _rest_memory_bytes: int = 0

    @classmethod
    def of(cls, pid: int | None) -> "UsageMeter":
        """Return the meter of a living process."""
        if pid is None:
            return cls()
        status, peak = _opened(f"/proc/{pid}/status", os.O_RDONLY), _opened(f"/proc/{pid}/clear_refs", os.O_WRONLY)
        # clock_getcpuclockid(3): the kernel's number for the CPU clock of a process.
        return cls(~pid << 3 | _CLOCK_OF_ALL_THREADS, status, peak)

    def cpu_s(self) -> float | None:
        """Return the CPU time of all its threads so far, in seconds; None once it cannot be read."""
        if self._clock is None:
            return None
        try:
            return time.clock_gettime(self._clock)
        except OSError:
            return None

    def footprint(self) -> Footprint:
        """Return the peak of its memory, and its threads now."""
        if self._status is None:
            return Footprint()
        try:
            status = os.pread(self._status, _STATUS_SIZE_MAX, 0)
            return Footprint(_field(status, _PEAK, b" kB") * 1024, _field(status, _THREADS, b"\n"))
        except (OSError, ValueError):
            return Footprint()

    def reset_peak(self) -> None:
        """Set the peak to the present memory, so that earlier executions do not count for the next one."""
        if self._peak is not None:
            with contextlib.suppress(OSError):
                os.pwrite(self._peak, _RESET_PEAK, 0)

    def rest(self, cpu_s: float | None, footprint: Footprint) -> None:
        """Remember what it has used by now, when nothing more is asked of it."""
        self._rest_cpu_s, self._rest_memory_bytes = cpu_s or 0.0, footprint.memory_bytes or 0

    @property
    def has_background_activity(self) -> bool:
        """Whether it has computed, or taken memory, since it was to rest: something of a script goes on in it."""
        used_s = (self.cpu_s() or 0.0) - self._rest_cpu_s
        if used_s < _QUIET_CPU_S:
            return False
        return used_s > _REST_CPU_S or (self.footprint().memory_bytes or 0) > self._rest_memory_bytes + _REST_MEMORY

    def close(self) -> None:
        """Let go of the process."""
        for descriptor in (self._status, self._peak):
            if descriptor is not None:
                os.close(descriptor)
        self._status = self._peak = None


def _opened(path: str, flags: int) -> int | None:
    with contextlib.suppress(OSError):
        return os.open(path, flags | os.O_CLOEXEC)
    return None


def _field(status: bytes, name: bytes, end: bytes) -> int:
    """Return a number in a text like `/proc/PID/status`, in a sixth of a pattern's time; raises ValueError."""
    at = status.index(name) + len(name)
    return int(status[at : status.index(end, at)])
