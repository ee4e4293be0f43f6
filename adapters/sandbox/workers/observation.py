"""What the service observes of a worker from outside: CPU time, memory, threads, output."""

import asyncio
import contextlib
import os
import select
import time
from collections.abc import Callable
from pathlib import Path

from attrs import define, field, frozen

from domain.scripts.output import OutputListener

_PEAK, _RESIDENT, _FILES, _DATA = b"\nVmHWM:", b"\nVmRSS:", b"\nRssFile:", b"\nVmData:"
_THREADS = b"\nThreads:"
_ALL, _PRIVATE = b"\nRss:", b"\nPrivate_Dirty:"
"""Clean pages are those of files: the kernel drops them, and has each once for all that map it."""
_TEXT_SIZE_MAX = 4096
_KERNEL_BYTES = 1 << 20
"""What the kernel holds for a worker: page tables, namespaces, pipes. 0.3 MiB for Python, 0.8 for Node.js."""
_RESET_PEAK = b"5"  # proc(5), clear_refs
_CLOCK_OF_ALL_THREADS = 2
_QUIET_CPU_S = 0.002
"""Less than it takes to occupy `_IDLE_MEMORY`."""
_IDLE_CPU_S = 0.1
_IDLE_MEMORY = 32 << 20
"""What an interpreter may use for itself after a reply: it collects garbage, compiles and prepares the next run."""
_PIECE_SIZE = 64 * 1024


@frozen
class Footprint:
    """The peak of a process's resident memory, its present threads and resident memory; None if they cannot be read.

    The peak is that since the last `reset_peak`, or that of the process's life if the kernel cannot reset it.
    `file_bytes` is the part of `resident_bytes` that shows files, such as the interpreter's program. `data_bytes` is
    what RLIMIT_DATA counts.
    """

    memory_bytes: int | None = None
    threads: int | None = None
    resident_bytes: int | None = None
    file_bytes: int = 0
    data_bytes: int | None = None

    @property
    def own_bytes(self) -> int:
        """Its present memory without pages of files; 0 if unknown."""
        return (self.resident_bytes or 0) - self.file_bytes

    def beyond(self, base: "Footprint") -> int | None:
        """Return the peak of its memory beyond what it had at `base`; None if unknown.

        Pages of files do not count. The host has them once for all processes, and most are the interpreter's program,
        of which a script touches more and more.
        """
        if self.memory_bytes is None:
            return None
        return max(0, self.memory_bytes - self.file_bytes - base.own_bytes)


@define
class UsageMeter:
    """Reads the CPU clock, the footprint and the private memory of one process."""

    _pid: int | None = None
    _clock: int | None = None
    _status: int | None = None
    _peak: int | None = None
    _idle_cpu_s: float = 0.0
    _idle_memory_bytes: int = 0
    _resident_bytes: int = 0
    _shared_bytes: int = 0
    _operations: int = 0
    _measured_at: int = 0
    """The number of operations before the last `measure_cost`; 0 if there was none."""

    @classmethod
    def of(cls, pid: int | None) -> "UsageMeter":
        """Return the meter of a living process."""
        if pid is None:
            return cls()
        status, peak = _open(f"/proc/{pid}/status", os.O_RDONLY), _open(f"/proc/{pid}/clear_refs", os.O_WRONLY)
        # clock_getcpuclockid(3): the kernel's number for the CPU clock of a process.
        return cls(pid, ~pid << 3 | _CLOCK_OF_ALL_THREADS, status, peak)

    def cpu_s(self) -> float | None:
        """Return the CPU time of all its threads so far, in seconds; None if it cannot be read any more."""
        if self._clock is None:
            return None
        try:
            return time.clock_gettime(self._clock)
        except OSError:
            return None

    def footprint(self) -> Footprint:
        """Return the peak of its memory, its present threads and memory."""
        if self._status is None:
            return Footprint()
        try:
            status = os.pread(self._status, _TEXT_SIZE_MAX, 0)
            return Footprint(
                _bytes(status, _PEAK),
                _field(status, _THREADS, b"\n"),
                _bytes(status, _RESIDENT),
                _bytes(status, _FILES),
                _bytes(status, _DATA),
            )
        except (OSError, ValueError):
            return Footprint()

    def reset_peak(self) -> None:
        """Set the peak to the present memory, so that earlier executions do not count for the next one."""
        if self._peak is not None:
            with contextlib.suppress(OSError):
                os.pwrite(self._peak, _RESET_PEAK, 0)

    def mark_idle(self, cpu_s: float | None, footprint: Footprint) -> None:
        """Store what it has used at the end of an operation, for `has_background_activity`."""
        self._idle_cpu_s, self._idle_memory_bytes = cpu_s or 0.0, footprint.memory_bytes or 0
        self._resident_bytes = footprint.resident_bytes or 0
        self._operations += 1
        if self._operations >= 2 * self._measured_at:
            self._shared_bytes = 0

    @property
    def cost_bytes(self) -> int:
        """The memory that its end would free: what is resident, without what was shared when measured.

        A measurement counts for as many operations as there were before it. It is exact while `is_cost_known`.
        """
        return max(0, self._resident_bytes - self._shared_bytes) + _KERNEL_BYTES

    @property
    def counts_shared(self) -> bool:
        """Whether `cost_bytes` counts all that is resident, also what is shared."""
        return not self._shared_bytes

    @property
    def is_cost_known(self) -> bool:
        """Whether its shared memory was measured after its last operation.

        A page stops being shared when it is written. Resident memory does not show that.
        """
        return self._measured_at > 0 and self._operations == self._measured_at

    def measure_cost(self) -> None:
        """Read how much memory it shares. That takes 0.3 to 0.6 ms of CPU time, thirty times a `footprint`."""
        self._measured_at = self._operations
        with contextlib.suppress(OSError, ValueError):
            text = Path(f"/proc/{self._pid}/smaps_rollup").read_bytes()
            self._shared_bytes = _bytes(text, _ALL) - _bytes(text, _PRIVATE)

    @property
    def has_background_activity(self) -> bool:
        """Whether it has computed or allocated memory since it became idle, as code of a script may."""
        used_s = (self.cpu_s() or 0.0) - self._idle_cpu_s
        if used_s < _QUIET_CPU_S:
            return False
        return used_s > _IDLE_CPU_S or (self.footprint().memory_bytes or 0) > self._idle_memory_bytes + _IDLE_MEMORY

    def close(self) -> None:
        """Close every descriptor."""
        for descriptor in (self._status, self._peak):
            if descriptor is not None:
                os.close(descriptor)
        self._status = self._peak = None


def _open(path: str, flags: int) -> int | None:
    with contextlib.suppress(OSError):
        return os.open(path, flags | os.O_CLOEXEC)
    return None


def _bytes(text: bytes, name: bytes) -> int:
    """Return a size in a text like `/proc/PID/status`, in bytes; raises ValueError."""
    return _field(text, name, b" kB") * 1024


def _field(status: bytes, name: bytes, end: bytes) -> int:
    """Return a number in a text like `/proc/PID/status`, in a sixth of a pattern's time; raises ValueError."""
    at = status.index(name) + len(name)
    return int(status[at : status.index(end, at)])


@define
class CapturedOutput:
    """The first `size_max` bytes of a stream, and the size of all that came."""

    size_max: int
    size: int = field(default=0, init=False)
    on_piece: Callable[[bytes], None] | None = field(default=None, init=False)
    """Receives what is kept, as it comes."""
    _pieces: list[bytes] = field(factory=list, init=False)

    @property
    def is_exceeded(self) -> bool:
        """Whether more than `size_max` bytes came."""
        return self.size > self.size_max

    def add(self, piece: bytes) -> None:
        """Add the next piece, as far as it fits."""
        free = self.size_max - self.size
        if piece and free > 0:
            self._pieces.append(piece[:free])
            if self.on_piece is not None:
                self.on_piece(piece[:free])
        self.size += len(piece)

    def text(self) -> str:
        """Return the text. Bytes that are not UTF-8, and NUL, which no database accepts, become U+FFFD."""
        if not self._pieces:
            return ""
        return b"".join(self._pieces).decode("utf-8", "replace").replace("\0", "\ufffd")

    def clear(self) -> None:
        """Forget everything."""
        self._pieces.clear()
        self.size = 0


@define(eq=False)
class WorkerOutput:
    """Reads the two output pipes of a worker. `on_exceeded` is called when a stream exceeds `size_max` bytes."""

    size_max: int
    on_exceeded: Callable[[], None]
    stdout: CapturedOutput = field(init=False)
    stderr: CapturedOutput = field(init=False)
    _pipes: dict[int, CapturedOutput] = field(factory=dict, init=False)
    _readable: select.poll = field(factory=select.poll, init=False)
    """Finds that both pipes are empty in less time than two reads."""
    _loop: asyncio.AbstractEventLoop = field(factory=asyncio.get_running_loop, init=False)

    def __attrs_post_init__(self) -> None:
        self.stdout, self.stderr = CapturedOutput(self.size_max), CapturedOutput(self.size_max)

    @property
    def is_exceeded(self) -> bool:
        """Whether one of the streams has more bytes than it may have."""
        return self.stdout.is_exceeded or self.stderr.is_exceeded

    def listen(self, stdout: int, stderr: int) -> None:
        """Start to read these descriptors."""
        self._pipes = {stdout: self.stdout, stderr: self.stderr}
        for descriptor in self._pipes:
            self._readable.register(descriptor, select.POLLIN)
            self._loop.add_reader(descriptor, self._on_readable, descriptor)

    def clear(self) -> None:
        """Forget what came."""
        self.stdout.clear()
        self.stderr.clear()

    def pass_on(self, listener: OutputListener | None) -> None:
        """Give the listener what comes from now on, as far as it is kept."""
        self.stdout.on_piece = None if listener is None else listener.on_stdout
        self.stderr.on_piece = None if listener is None else listener.on_stderr

    def drain(self) -> None:
        """Read what the pipes hold: the worker wrote it before its reply."""
        if not self._readable.poll(0):
            return
        for descriptor, output in self._pipes.items():
            size = -1
            while size < output.size and not output.is_exceeded:
                size = output.size
                _read(descriptor, output)

    def close(self) -> None:
        """Stop reading. The descriptors are the caller's to close."""
        for descriptor in self._pipes:
            self._loop.remove_reader(descriptor)
            self._readable.unregister(descriptor)
        self._pipes = {}

    def _on_readable(self, descriptor: int) -> None:
        output = self._pipes[descriptor]
        if not _read(descriptor, output):
            self._loop.remove_reader(descriptor)
        if output.is_exceeded:
            self.on_exceeded()


def _read(descriptor: int, output: CapturedOutput) -> bool:
    """Read at most one piece; return whether more may come."""
    try:
        piece = os.read(descriptor, _PIECE_SIZE)
    except (BlockingIOError, InterruptedError):
        return True
    output.add(piece)
    return bool(piece)
