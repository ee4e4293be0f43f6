"""A load generator: kept connections, requests that are made beforehand, one loop over epoll."""

import gc
import select
import socket
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from itertools import cycle, islice
from typing import Self
from urllib.parse import urlsplit

from attrs import define, field, frozen

_RECEIVE_BYTES = 256 * 1024
_STALL_S = 10.0
_HEAD_END = b"\r\n\r\n"
_LENGTH = b"ength: "
"""The end of Content-Length, however its first letters are written."""


class LoadFailed(Exception):
    """The server disconnected, or sent nothing for too long."""


@frozen
class Load:
    """What came back: seconds per response in the order of arrival, refusals by status, and time.

    `processor_s` is what the generator itself took of its core.
    """

    latencies_s: list[float] = field(repr=False)
    errors: dict[int, int]
    duration_s: float
    processor_s: float

    @classmethod
    def joined(cls, parts: Sequence["Load"]) -> "Load":
        """Return several loads as one."""
        errors: Counter[int] = Counter()
        for part in parts:
            errors.update(part.errors)
        latencies_s = [latency_s for part in parts for latency_s in part.latencies_s]
        return cls(latencies_s, errors, sum(part.duration_s for part in parts), sum(part.processor_s for part in parts))

    @property
    def rate(self) -> float:
        """Responses per second."""
        return len(self.latencies_s) / self.duration_s

    @property
    def share(self) -> float:
        """The part of a core that the generator took."""
        return self.processor_s / self.duration_s


@define(eq=False)
class _Line:
    """One connection: when its request was due, and what has come of the response."""

    socket: socket.socket
    due_s: float = 0.0
    received: bytes = b""


class LoadGenerator:
    """Sends requests over a number of connections, one at a time on each; with `others` they are shared out."""

    def __init__(self, url: str, connections: int, others: Sequence[str] = ()) -> None:
        self._poll = select.epoll()
        urls = islice(cycle([url, *others]), connections)
        self._lines = {line.socket.fileno(): line for line in map(self._connect, urls)}
        self._latencies_s: list[float] = []
        self._errors: dict[int, int] = {}
        self._idle = deque(self._lines.values())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._poll.close()
        for line in self._lines.values():
            line.socket.close()

    def keep_busy(self, requests: Iterator[bytes], duration_s: float) -> Load:
        """Send the next request wherever a response has come, for so many seconds."""
        return self._measure(lambda until_s: self._all_busy(requests, until_s), duration_s)

    def each_once(self, requests: list[bytes]) -> Load:
        """Send these requests, each once, on as many connections as there are."""
        return self._measure(lambda until_s: self._all_busy(iter(requests), until_s), float("inf"))

    def at_rate(self, requests: Iterator[bytes], rate: float, duration_s: float) -> Load:
        """Send so many requests a second whatever comes back.

        A request that finds every connection in use waits for one, and its latency counts from when it was due.
        """
        return self._measure(lambda until_s: self._paced(requests, 1 / rate, until_s), duration_s)

    def _measure(self, run: Callable[[float], None], duration_s: float) -> Load:
        self._latencies_s, self._errors = [], {}
        gc.collect()
        gc.disable()
        try:
            started_s, processor_s = time.perf_counter(), time.process_time()
            run(started_s + duration_s)
            took_s, processor_s = time.perf_counter() - started_s, time.process_time() - processor_s
        finally:
            gc.enable()
        return Load(self._latencies_s, self._errors, took_s, processor_s)

    def _all_busy(self, requests: Iterator[bytes], until_s: float) -> None:
        for first in islice(requests, len(self._idle)):
            self._send(self._idle.popleft(), first, time.perf_counter())
        while len(self._idle) < len(self._lines):
            for descriptor in self._ready(_STALL_S):
                line = self._lines[descriptor]
                now_s = self._receive(line)
                if now_s is None:
                    continue
                request = next(requests, None) if now_s < until_s else None
                if request is None:
                    self._idle.append(line)
                else:
                    line.due_s = now_s
                    line.socket.send(request)

    def _paced(self, requests: Iterator[bytes], interval_s: float, until_s: float) -> None:
        due_s = time.perf_counter()
        late = False
        while due_s < until_s:
            now_s = time.perf_counter()
            while self._idle and due_s <= now_s and due_s < until_s:
                self._send(self._idle.popleft(), next(requests), due_s if late else now_s)
                due_s += interval_s
            late = not self._idle
            self._take(_STALL_S if late else max(0.0, due_s - now_s), patient=not late)
        while len(self._idle) < len(self._lines):
            self._take(_STALL_S)

    def _take(self, timeout_s: float, *, patient: bool = False) -> None:
        """Wait for responses; their connections are idle then."""
        for descriptor in self._ready(timeout_s, patient=patient):
            if self._receive(self._lines[descriptor]) is not None:
                self._idle.append(self._lines[descriptor])

    def _ready(self, timeout_s: float, *, patient: bool = False) -> Iterator[int]:
        events = self._poll.poll(timeout_s)
        if not events and not patient:
            raise LoadFailed(f"No response came for {_STALL_S:.0f} s.")
        return (descriptor for descriptor, _ in events)

    def _send(self, line: _Line, request: bytes, due_s: float) -> None:
        line.due_s = due_s
        line.socket.send(request)

    def _receive(self, line: _Line) -> float | None:
        """Take what has come; return the time when the response is complete."""
        data = line.socket.recv(_RECEIVE_BYTES)
        if not data:
            raise LoadFailed("The server disconnected.")
        if line.received:
            data = line.received + data
        end = data.find(_HEAD_END)
        if end < 0 or len(data) < end + 4 + _content_length(data, end):
            line.received = data
            return None
        line.received = b""
        now_s = time.perf_counter()
        self._latencies_s.append(now_s - line.due_s)
        if data[9:10] != b"2":
            status = int(data[9:12])
            self._errors[status] = self._errors.get(status, 0) + 1
        return now_s

    def _connect(self, url: str) -> _Line:
        address = urlsplit(url)
        connection = socket.create_connection((address.hostname, address.port), timeout=_STALL_S)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._poll.register(connection.fileno(), select.EPOLLIN)
        return _Line(connection)


def _content_length(data: bytes, head_end: int) -> int:
    start = data.find(_LENGTH, 0, head_end)
    if start < 0:
        return 0
    end = data.find(b"\r", start)
    return int(data[start + len(_LENGTH) : end])
