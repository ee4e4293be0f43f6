"""What a process has used, read from outside it."""

import contextlib
import os
import time

from attrs import define, frozen

_PEAK, _THREADS = b"\nVmHWM:", b"\nThreads:"
_STATUS_SIZE_MAX = 4096
_PAGE_SIZE = os.sysconf("SC_PAGE_SIZE")
_LINKS_OF_A_FOLDER = 2
_FORGET_PEAK = b"5"  # proc(5), clear_refs
_CLOCK_OF_ALL_THREADS = 2
_BRIEF_CPU_S = 0.0002
"""After less CPU time, `statm` gives the memory held at the end in place of the peak.

In so little time a script takes a few MiB at most. The kernel writes `/proc/PID/status`, which has the peak, in 12 of
the 220 us of an execution; `statm` takes a sixth of that. Measured in November 2026; no command kept.
"""
_QUIET_CPU_S = 0.002
"""Less than it takes to occupy `_REST_MEMORY`."""
_REST_CPU_S = 0.1
_REST_MEMORY = 32 << 20
"""What an interpreter may use for itself after an answer: it collects garbage, compiles, makes ready for the next."""


@frozen
class Footprint:
    """The peak of a process's resident memory, and its threads now; None where they cannot be read.

    The peak is that since the meter was told to forget it, and that of the process's life where the kernel cannot.
    After brief work it is what is held now.
    """

    memory_bytes: int | None = None
    threads: int | None = None


@define
class UsageMeter:
    """Reads one process's CPU clock and its footprint."""

    _clock: int | None = None
    _status: int | None = None
    _peak: int | None = None
    _size: int | None = None
    _tasks: int | None = None
    _rest_cpu_s: float = 0.0
    _rest_memory_bytes: int = 0

    @classmethod
    def of(cls, pid: int | None) -> "UsageMeter":
        """Return the meter of a living process."""
        if pid is None:
            return cls()
        status, peak = _opened(f"/proc/{pid}/status", os.O_RDONLY), _opened(f"/proc/{pid}/clear_refs", os.O_WRONLY)
        # clock_getcpuclockid(3): the kernel's number for the CPU clock of a process.
        size, tasks = _opened(f"/proc/{pid}/statm", os.O_RDONLY), _opened(f"/proc/{pid}/task", os.O_RDONLY)
        return cls(~pid << 3 | _CLOCK_OF_ALL_THREADS, status, peak, size, tasks)

    def cpu_s(self) -> float | None:
        """Return the CPU time of all its threads so far, in seconds; None once it cannot be read."""
        if self._clock is None:
            return None
        try:
            return time.clock_gettime(self._clock)
        except OSError:
            return None

    def footprint(self, cpu_s: float | None = None) -> Footprint:
        """Return what it occupies, after work that took `cpu_s`, if that is known."""
        if cpu_s is not None and cpu_s < _BRIEF_CPU_S and self._size is not None and self._tasks is not None:
            return _brief_footprint(self._size, self._tasks)
        if self._status is None:
            return Footprint()
        try:
            status = os.pread(self._status, _STATUS_SIZE_MAX, 0)
            return Footprint(_field(status, _PEAK, b" kB") * 1024, _field(status, _THREADS, b"\n"))
        except (OSError, ValueError):
            return Footprint()

    def forget_peak(self) -> None:
        """Let the peak of memory be what is held now: what it was in earlier executions is none of the next one's."""
        if self._peak is not None:
            with contextlib.suppress(OSError):
                os.pwrite(self._peak, _FORGET_PEAK, 0)

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
        for descriptor in (self._status, self._peak, self._size, self._tasks):
            if descriptor is not None:
                os.close(descriptor)
        self._status = self._peak = self._size = self._tasks = None


def _brief_footprint(size: int, tasks: int) -> Footprint:
    """Return what is held now, in pages in the second field of `statm`, and a folder with a folder for each thread."""
    try:
        resident = int(os.pread(size, _STATUS_SIZE_MAX, 0).split(None, 2)[1])
        threads = os.stat(tasks).st_nlink - _LINKS_OF_A_FOLDER
    except (OSError, ValueError, IndexError):
        return Footprint()
    # Whose first thread has ended holds nothing that could be read.
    return Footprint(resident * _PAGE_SIZE, threads) if resident else Footprint()


def _opened(path: str, flags: int) -> int | None:
    with contextlib.suppress(OSError):
        return os.open(path, flags | os.O_CLOEXEC)
    return None


def _field(status: bytes, name: bytes, end: bytes) -> int:
    """Return a number in a text like `/proc/PID/status`, in a sixth of a pattern's time; raises ValueError."""
    at = status.index(name) + len(name)
    return int(status[at : status.index(end, at)])
