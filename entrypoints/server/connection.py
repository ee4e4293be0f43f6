"""An HTTP connection with limits on what its client sends, holds open and leaves unread."""

import asyncio
import fcntl
import sys
import termios
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, ClassVar

from httptools import HttpParserError, HttpParserUpgrade
from typing_extensions import override
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from entrypoints.http.response import SINGLE_WRITE
from entrypoints.server.open_connections import OpenConnections
from entrypoints.server.refused_upgrade import behind_upgrade
from entrypoints.server.request_target import origin_form
from entrypoints.server.writing import UvicornSingleWrite, WriteLimits, WriteWatch, error_response, own_error

_MALFORMED = "The request is not valid HTTP/1.1. Nothing was done; correct it and send it again."
_LARGE_HEAD = "The request line and the headers have more than the {} bytes that are allowed. Send less."
_LARGE_TARGET = "The path and the query leave no room in the {} bytes that are allowed with the headers. Send less."
_LARGE_FRAMING = "The framing of the body, or its trailers, have more than the {} bytes that are allowed. Send less."
_TUNNEL = "This server opens no tunnels. Nothing was done; send the request itself instead of CONNECT."
_CODING = "The only transfer coding of a body is chunked here. Nothing was done; send the body without another one."
_MANY_HEADERS = "The request has more than the {} headers that are allowed. Send fewer."
_CROWDED = (
    "All {} connections of this process (MAX_CONNECTIONS) have a request in flight. Nothing was done; repeat the call "
    "after a moment, or let calls share connections."
)
_LINGERING_S = 1.0
"""How long a rejected client has to read the response, which it would lose if it still sends and the server closes."""


class BoundedConnection(HttpToolsProtocol):
    """A connection of uvicorn, which by itself waits without end for the head of a request and buffers it without end.

    - `head_bytes_max` limits each head, and the framing and trailers of a body. Trailers are dropped: they would pass
      for headers.
    - A new connection has `head_timeout_s` for its head. After a response it has `timeout_keep_alive`.
    - A request for another protocol is served in HTTP, and its connection stays there.
    - A client that does not read is disconnected, as is one with more than `pipelined_max` requests in the queue, each
      of which takes a hundred times the memory of its bytes.
    - A client that ends its side is taken for gone. With `half_close_s` it has so long for the responses that are due,
      because a client that has closed, and one that only sends no more, look the same.
    """

    half_close_s: ClassVar[float] = 0.0

    head_bytes_max: ClassVar[int] = 64 * 1024
    head_timeout_s: ClassVar[float] = 10.0
    headers_max: ClassVar[int] = 100
    open_connections: ClassVar[OpenConnections] = OpenConnections()
    pipelined_max: ClassVar[int] = 64
    write_limits: ClassVar[WriteLimits] = WriteLimits()

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._in_head, self._is_lingering = True, False
        self._overhead_bytes = 0  # received since the last piece of a body
        self._received_bytes = 0  # in the last read
        self._responding: RequestResponseCycle | None = None
        self.url = b""
        self._rejection = HTTPStatus.BAD_REQUEST, _MALFORMED
        self._timeout: asyncio.TimerHandle | None = None

    @staticmethod
    def on_rejection(status: HTTPStatus) -> None:
        """Handle a rejection before a request exists; subclasses count it."""

    @staticmethod
    def error_body(code: str, message: str, details: Mapping[str, object]) -> object:
        """Return the body of an error; subclasses have the shape of another API."""
        return own_error(code, message, details)

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn types it
        super().connection_made(transport)
        self._write_watch = WriteWatch(self.loop, transport, self.write_limits)
        if self.open_connections.add(self):
            self._set_timeout(self.head_timeout_s)
        else:
            self._reject_connection()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self.open_connections.remove(self)
        self._clear_timeout()
        self._write_watch.stop()
        super().connection_lost(exc)
        _disconnect(self._responding)  # uvicorn disconnects the last request, which may be a later one

    @override
    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._responding = cycle
        super()._start_asgi_task(cycle, app)

    @override
    def data_received(self, data: bytes) -> None:
        if self._is_lingering:
            return
        self._received_bytes = len(data)
        self._overhead_bytes += len(data)
        self._feed(data)
        if self._overhead_bytes and not self.transport.is_closing():  # rarely: nearly every head arrives complete
            self._check_overhead(is_first=self._overhead_bytes == len(data))

    @override
    def eof_received(self) -> bool:  # type: ignore[override]  # asyncio keeps the connection if this is true
        cycle: RequestResponseCycle | None = self.cycle
        is_whole = self._in_head and not self._overhead_bytes
        if not self.half_close_s or not is_whole or cycle is None or cycle.response_complete:
            return False
        cycle.keep_alive = False  # of the last request
        if self._timeout is None:
            self._set_timeout(self.half_close_s)
        return True

    @override
    def on_headers_complete(self) -> None:
        # One read may contain a complete head that is too large, also behind another request.
        received_bytes = max(self._overhead_bytes, self._received_bytes)
        if received_bytes > self.head_bytes_max and self._head_bytes() > self.head_bytes_max:
            self._rejection = self._large_head()
            raise ValueError  # the parser turns it into an unreadable request
        if len(self.headers) > self.headers_max:
            self._rejection = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, _MANY_HEADERS.format(self.headers_max)
            raise ValueError
        if len(self.pipeline) >= self.pipelined_max:
            raise ValueError  # a response now would pass for that of an earlier request
        self.url = origin_form(self.url, self.headers)
        if self.parser.should_upgrade() and self.parser.get_method() == b"CONNECT":
            self._rejection = HTTPStatus.NOT_IMPLEMENTED, _TUNNEL
            raise ValueError
        if any(name == b"transfer-encoding" and value.strip().lower() != b"chunked" for name, value in self.headers):
            self._rejection = HTTPStatus.NOT_IMPLEMENTED, _CODING  # the parser undoes chunks alone
            raise ValueError
        self._clear_timeout()
        self.open_connections.mark_busy(self)
        self._in_head, self._overhead_bytes = False, 0
        super().on_headers_complete()
        if self.open_connections.are_last:
            self.cycle.keep_alive = False
        self.headers = []  # for trailers, which the application does not get
        write = UvicornSingleWrite(self.cycle, self.url)
        self.cycle.scope["extensions"] = {SINGLE_WRITE: write}  # type: ignore[dict-item]

    @override
    def on_body(self, body: bytes) -> None:
        self._overhead_bytes = 0
        super().on_body(body)

    @override
    def on_message_complete(self) -> None:
        if self.parser.should_upgrade():
            return  # the parser has skipped the body
        super().on_message_complete()
        self._in_head, self._overhead_bytes = True, 0

    @override
    def on_response_complete(self) -> None:
        """Do the same as uvicorn, with timers of our own."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            self._write_watch.start()
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        else:
            self.open_connections.mark_idle(self)
            if not (self._in_head and self._overhead_bytes):  # a head that has begun keeps its timeout
                self._set_timeout(self.timeout_keep_alive)

    def close_if_unused(self) -> bool:
        """Close the connection unless bytes are under way: a client that sends its request now would lose it.

        Unread bytes of a head that has begun do not count. Otherwise a slow head could stay open without end.
        """
        may_be_unread = not (self._overhead_bytes or self.transport.is_closing())
        if self.transport.get_write_buffer_size() or (may_be_unread and self._has_unread_bytes()):
            return False
        self.transport.close()
        return True

    def abort(self) -> None:
        """Close the connection at once."""
        self.transport.abort()

    @override
    def pause_writing(self) -> None:
        super().pause_writing()
        self._write_watch.start()

    @override
    def resume_writing(self) -> None:
        super().resume_writing()
        if not self.transport.is_closing():
            self._write_watch.stop()

    @override
    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        self._write_watch.start()

    def _feed(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except HttpParserError:
            self._reject(*self._rejection)
        except HttpParserUpgrade as upgrade:
            self.parser, head = behind_upgrade(self, self.scope["headers"])
            self._feed(head + data[upgrade.args[0] :])

    def _set_timeout(self, timeout_s: float) -> None:
        self._clear_timeout()
        self._timeout = self.loop.call_later(timeout_s, self.timeout_keep_alive_handler)

    def _clear_timeout(self) -> None:
        if self._timeout is not None:
            self._timeout.cancel()
            self._timeout = None

    def _check_overhead(self, *, is_first: bool) -> None:
        """Limit the bytes that are no body, because the parser buffers each header until it ends."""
        if self._overhead_bytes > self.head_bytes_max:
            framing = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, _LARGE_FRAMING.format(self.head_bytes_max)
            self._reject(*(self._large_head() if self._in_head else framing))
        elif self._in_head and is_first:
            self._set_timeout(self.head_timeout_s)
            if self._can_respond():  # else a request is in flight
                self.open_connections.mark_idle(self)

    def _has_unread_bytes(self) -> bool:
        """Return whether the kernel holds bytes of the client that the event loop has not read yet."""
        unread = fcntl.ioctl(self.transport.get_extra_info("socket").fileno(), termios.FIONREAD, bytes(4))
        return int.from_bytes(unread, sys.byteorder) > 0

    def _head_bytes(self) -> int:
        """Return the approximate size of the head: its target, and its headers with their separators."""
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def _large_head(self) -> tuple[HTTPStatus, str]:
        """Return the rejection of a head that is too large, by what takes most of it."""
        if 2 * len(self.url) > self.head_bytes_max:
            return HTTPStatus.REQUEST_URI_TOO_LONG, _LARGE_TARGET.format(self.head_bytes_max)
        return HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, _LARGE_HEAD.format(self.head_bytes_max)

    def _can_respond(self) -> bool:
        """Return whether a response now belongs to the bytes that have just arrived, not to an earlier request."""
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is None or self._in_head:
            return cycle is None or cycle.response_complete
        return not (cycle.response_started or self.pipeline)

    def _reject(self, status: HTTPStatus, message: str) -> None:
        """Send an error, unless it would pass for another response, and close the connection."""
        self._overhead_bytes = 0
        self.on_rejection(status)
        if self._can_respond():
            self.transport.write(error_response(status, message, body_of=self.error_body))
            _disconnect(self.cycle)  # so that a later response of the application is dropped
            self.transport.write_eof()
            self._linger()
        else:
            self.transport.close()
        self._write_watch.start()

    def _reject_connection(self) -> None:
        details = {"stored": "no", "executed": "no", "retry_after_ms": 1000}
        self.on_rejection(HTTPStatus.SERVICE_UNAVAILABLE)
        message = _CROWDED.format(self.open_connections.count_max)
        status = HTTPStatus.SERVICE_UNAVAILABLE
        self.transport.write(error_response(status, message, "OVERLOADED", details, self.error_body))
        self._linger()

    def _linger(self) -> None:
        """Ignore all further bytes, and close once the response has had time to arrive (RFC 9112, section 9.6)."""
        self._is_lingering = True
        self.open_connections.linger(self)
        self._set_timeout(_LINGERING_S)


def _disconnect(cycle: RequestResponseCycle | None) -> None:
    """Send `http.disconnect` to the application, unless its response is complete."""
    if cycle is not None and not cycle.response_complete:
        cycle.disconnected = True
        cycle.message_event.set()
