"""A stream whose writers never wait: what is not taken at once is left to a thread, which waits in their place."""

import atexit
import contextlib
import os
import socket
import stat
import threading
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue

_SETTLING_TIMEOUT_S = 1.0


class DetachedStream:
    """Lines for a descriptor whose reader may be slow, stuck or gone.

    At most `bytes_max` wait; what comes beyond is dropped and counted. Once there is a reader again, `dropping_ended`
    is called with how many lines were dropped, from the thread.
    """

    def __init__(
        self, descriptor: int, dropping_ended: Callable[[int], None] | None = None, bytes_max: int = 1024 * 1024
    ) -> None:
        self._descriptor = descriptor
        self._write_at_once = _prompt_write(descriptor)
        self._dropping_ended = dropping_ended
        self._bytes_max = bytes_max
        self._bytes_waiting = 0
        self._queue: SimpleQueue[bytes | threading.Event] = SimpleQueue()
        # Reentrant: what the collector finds on the way may have something to log.
        self._lock = threading.RLock()
        self._thread: threading.Thread | None = None
        self._dropped_untold = 0
        self.dropped = 0
        """How many lines were dropped, over all time."""

    def write(self, text: str) -> int:
        """Take whole lines; return at once."""
        lines = text.encode(errors="backslashreplace")
        with self._lock:
            if self._bytes_waiting == 0:
                lines = self._rest(lines)
            if lines:
                self._leave(lines)
        return len(text)

    def flush(self) -> None:
        """Do nothing: whoever writes does not wait."""

    def settle(self, timeout_s: float = _SETTLING_TIMEOUT_S) -> bool:
        """Wait until what was taken before has been read; tell whether it was, in time."""
        if self._thread is None:
            return True
        settled = threading.Event()
        self._queue.put(settled)
        return settled.wait(timeout_s)

    def _rest(self, lines: bytes) -> bytes:
        """Write what is taken at once, and return the rest."""
        try:
            return lines[self._write_at_once(lines) :]
        except BlockingIOError:
            return lines
        except OSError:  # nobody reads any more
            self._drop(lines)
            return b""

    def _leave(self, lines: bytes) -> None:
        """Leave lines to the thread, as long as not too much waits."""
        if self._thread is None:
            self._start()
        if self._bytes_waiting + len(lines) > self._bytes_max:
            self._drop(lines)
        else:
            self._bytes_waiting += len(lines)
            self._queue.put(lines)

    def _start(self) -> None:
        # A daemon: the process may end while a write waits for ever.
        self._thread = threading.Thread(target=self._pass_on, name="log", daemon=True)
        self._thread.start()
        atexit.register(self.settle)

    def _pass_on(self) -> None:
        while True:
            given = self._queue.get()
            if isinstance(given, threading.Event):
                given.set()
                continue
            try:
                self._write_all(given)
            except OSError:  # nobody reads any more
                self._drop(given)
            else:
                self._tell_of_dropping()
            with self._lock:
                self._bytes_waiting -= len(given)

    def _write_all(self, lines: bytes) -> None:
        rest = memoryview(lines)
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]

    def _drop(self, lines: bytes) -> None:
        count = lines.count(b"\n")
        with self._lock:
            self.dropped += count
            self._dropped_untold += count

    def _tell_of_dropping(self) -> None:
        with self._lock:
            count, self._dropped_untold = self._dropped_untold, 0
        if count and self._dropping_ended is not None:
            with contextlib.suppress(Exception):  # the thread has to live on
                self._dropping_ended(count)


def _prompt_write(descriptor: int) -> Callable[[bytes], int]:
    """Return what writes without waiting, or raises BlockingIOError; others who have the descriptor see no change."""
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return partial(os.write, descriptor)
    if stat.S_ISSOCK(mode):
        return partial(_send, socket.socket(fileno=os.dup(descriptor)))
    try:
        # Opened anew: the flag belongs to the opened file, which other processes share.
        own = os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError:  # not this user's, or a system without /proc
        return _never
    return partial(os.write, own)


def _send(connection: socket.socket, lines: bytes) -> int:
    return connection.send(lines, socket.MSG_DONTWAIT)


def _never(_lines: bytes) -> int:
    raise BlockingIOError
