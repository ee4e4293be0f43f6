"""A stream whose writers never block: bytes that the reader does not take at once are left to a thread."""

import atexit
import contextlib
import os
import socket
import stat
import threading
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue

_FLUSH_TIMEOUT_S = 1.0


class DetachedStream:
    """Lines for a descriptor whose reader may be slow, blocked or gone.

    At most `bytes_max` wait for the reader. Further lines are dropped and counted. When the reader continues, the
    thread calls `on_resume` with the number of dropped lines. docs/decisions/0024-log-writes.md has the reasons.
    """

    def __init__(
        self, descriptor: int, on_resume: Callable[[int], None] | None = None, bytes_max: int = 1024 * 1024
    ) -> None:
        self._descriptor = descriptor
        self._write_now = _non_blocking_write(descriptor)
        self._on_resume = on_resume
        self._bytes_max = bytes_max
        self._bytes_waiting = 0
        self._queue: SimpleQueue[bytes | threading.Event] = SimpleQueue()
        # Reentrant: the garbage collector may run a finalizer that logs.
        self._lock = threading.RLock()
        self._thread: threading.Thread | None = None
        self._dropped_unreported = 0
        self.dropped = 0
        """How many lines were dropped in all."""

    def write(self, text: str) -> int:
        """Write complete lines; return at once."""
        lines = text.encode(errors="backslashreplace")
        with self._lock:
            if self._bytes_waiting == 0:
                lines = self._unwritten(lines)
            if lines:
                self._enqueue(lines)
        return len(text)

    def flush(self) -> None:
        """Do nothing, because writers do not wait."""

    def wait_written(self, timeout_s: float = _FLUSH_TIMEOUT_S) -> bool:
        """Wait until earlier lines are written or dropped; return False after the timeout."""
        if self._thread is None:
            return True
        written = threading.Event()
        self._queue.put(written)
        return written.wait(timeout_s)

    def _unwritten(self, lines: bytes) -> bytes:
        """Write what the reader takes at once, and return the rest."""
        try:
            return lines[self._write_now(lines) :]
        except BlockingIOError:
            return lines
        except OSError:  # the reader is gone
            self._drop(lines)
            return b""

    def _enqueue(self, lines: bytes) -> None:
        """Leave lines to the thread, unless too many wait."""
        if self._thread is None:
            self._start()
        if self._bytes_waiting + len(lines) > self._bytes_max:
            self._drop(lines)
        else:
            self._bytes_waiting += len(lines)
            self._queue.put(lines)

    def _start(self) -> None:
        # A daemon: the process may end while a write blocks.
        self._thread = threading.Thread(target=self._write_queue, name="log", daemon=True)
        self._thread.start()
        atexit.register(self.wait_written)

    def _write_queue(self) -> None:
        while True:
            item = self._queue.get()
            if isinstance(item, threading.Event):
                item.set()
                continue
            try:
                self._write_all(item)
            except OSError:  # the reader is gone
                self._drop(item)
            else:
                self._report_dropped()
            with self._lock:
                self._bytes_waiting -= len(item)

    def _write_all(self, lines: bytes) -> None:
        rest = memoryview(lines)
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]

    def _drop(self, lines: bytes) -> None:
        count = lines.count(b"\n")
        with self._lock:
            self.dropped += count
            self._dropped_unreported += count

    def _report_dropped(self) -> None:
        with self._lock:
            count, self._dropped_unreported = self._dropped_unreported, 0
        if count and self._on_resume is not None:
            with contextlib.suppress(Exception):  # the thread must not end
                self._on_resume(count)


def _non_blocking_write(descriptor: int) -> Callable[[bytes], int]:
    """Return a function that writes without blocking, or raises BlockingIOError.

    Other processes with the same descriptor are not affected.
    """
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return partial(os.write, descriptor)
    if stat.S_ISSOCK(mode):
        return partial(_send, socket.socket(fileno=os.dup(descriptor)))
    try:
        # Opened again: the flag belongs to the open file, which other processes share.
        own = os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError:  # it belongs to another user, or the system has no /proc
        return _never
    return partial(os.write, own)


def _send(connection: socket.socket, lines: bytes) -> int:
    return connection.send(lines, socket.MSG_DONTWAIT)


def _never(_lines: bytes) -> int:
    raise BlockingIOError
