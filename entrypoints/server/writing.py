"""Writing responses to a connection: in one system call if possible, and at a minimum rate."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus

import msgspec
from attrs import frozen
from typing_extensions import override
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from entrypoints.http.request import Header
from entrypoints.server.relay import UvicornRelay, complete

_BODY_BYTES_MAX = 64 * 1024
"""Larger bodies are written separately: joining them to the head would copy them."""


class UvicornSingleWrite:
    """The extension `SINGLE_WRITE` of a request cycle of uvicorn: sends a complete response with one system call.

    As ASGI messages, head and body are sent separately and every header is checked on the way. That takes a tenth of
    a request.
    """

    __slots__ = ("_cycle", "_target")

    def __init__(self, cycle: RequestResponseCycle, target: bytes) -> None:
        self._cycle: RequestResponseCycle | None = cycle
        self._target = target

    def __call__(self, status: int, headers: Iterable[Header], body: bytes) -> bool:
        """Send the response; return False if it has to be sent by ASGI messages."""
        cycle = self._cycle
        if cycle is None or cycle.flow.write_paused or cycle.disconnected or cycle.response_started:
            return False
        if len(body) > _BODY_BYTES_MAX:
            return False
        content = [STATUS_LINE[status]]
        for name, value in (*cycle.default_headers, *headers):
            if b"\n" in value:
                raise ValueError(f"a line break in the header {name.decode()}")
            if name == b"connection" and value == b"close":
                cycle.keep_alive = False
            content += (name, b": ", value, b"\r\n")
        # A client without its 100 Continue may send the body or not, so the next bytes are ambiguous (as in Go).
        cycle.keep_alive = cycle.keep_alive and not cycle.waiting_for_100_continue
        if not cycle.keep_alive:
            content.append(b"connection: close\r\n")
        content += (b"\r\n", b"" if cycle.scope["method"] == "HEAD" else body)
        cycle.transport.write(b"".join(content))
        self._cycle = None  # breaks the reference cycle between this and the scope, for the garbage collector
        complete(cycle)
        return True

    @property
    def target(self) -> bytes:
        """The target of the request as it was received."""
        return self._target

    def relay(self) -> UvicornRelay | None:
        """Return what sends a response of another server instead; None after the response."""
        cycle, self._cycle = self._cycle, None
        return None if cycle is None else UvicornRelay(cycle)

    def switch(self, protocol: str, receiver: asyncio.Protocol) -> None:
        """Send a 101, and give the connection to `receiver`. It counts as one with a request until it closes."""
        cycle, self._cycle = self._cycle, None
        assert cycle is not None, "after the response"
        transport = cycle.transport
        transport.write(
            b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: %b\r\n\r\n" % protocol.encode()
        )
        transport.set_protocol(_Switched(transport.get_protocol(), receiver))
        receiver.connection_made(transport)

    def abort(self) -> None:
        """Close the connection at once; unsent bytes are lost."""
        if self._cycle is not None:
            self._cycle.transport.abort()


class _Switched(asyncio.Protocol):
    """Gives the bytes of a connection to another protocol, and reports the end to both."""

    def __init__(self, connection: asyncio.BaseProtocol, receiver: asyncio.Protocol) -> None:
        self._connection, self._receiver = connection, receiver
        self.data_received = receiver.data_received  # type: ignore[method-assign]  # a call less for each read
        self.eof_received = receiver.eof_received  # type: ignore[method-assign]
        self.pause_writing = receiver.pause_writing  # type: ignore[method-assign]
        self.resume_writing = receiver.resume_writing  # type: ignore[method-assign]

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._receiver.connection_lost(exc)
        self._connection.connection_lost(exc)


@frozen
class WriteLimits:
    """The rate at which a client has to read: `rate_min` bytes per second, over periods of `span_s` seconds."""

    span_s: float = 20.0
    rate_min: int = 4096


class WriteWatch:
    """Aborts the connection of a client that reads its responses too slowly."""

    def __init__(self, loop: asyncio.AbstractEventLoop, transport: asyncio.Transport, limits: WriteLimits) -> None:
        self._loop = loop
        self._transport = transport
        self._limits = limits
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Watch until all bytes are sent or `stop` is called; does nothing if no bytes are left to send."""
        left = self._transport.get_write_buffer_size()
        if self._timer is None and left:
            self._timer = self._loop.call_later(self._limits.span_s, self._check, left)

    def stop(self) -> None:
        """Stop watching."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _check(self, left_before: int) -> None:
        self._timer = None
        left = self._transport.get_write_buffer_size()
        if left and left_before - left < self._limits.rate_min * self._limits.span_s:
            self._transport.abort()
        else:
            self.start()


ErrorBody = Callable[[str, str, Mapping[str, object]], object]
"""Returns the body of an error with this code, message and details."""


def own_error(code: str, message: str, details: Mapping[str, object]) -> object:
    """Return the body of an error in the one shape of the API."""
    return {"error": {"code": code, "message": message, "details": details}}


def error_response(
    status: HTTPStatus,
    message: str,
    code: str = "INVALID_REQUEST",
    details: Mapping[str, object] | None = None,
    body_of: ErrorBody = own_error,
) -> bytes:
    """Return an error, for a connection that closes after it."""
    body = msgspec.json.encode(body_of(code, message, details or {}))
    retry_after = "retry-after: 1\r\n" if details else ""
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: application/json\r\n{retry_after}"
        f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
    )
    return head.encode() + body
