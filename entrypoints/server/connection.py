"""An HTTP connection with a limit on what its client may send, hold open and leave unread."""

import asyncio
import fcntl
import sys
import termios
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, ClassVar

import msgspec
from typing_extensions import override
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from entrypoints.http.response import SINGLE_WRITE
from entrypoints.server.open_connections import OpenConnections
from entrypoints.server.rearmable_timer import RearmableTimer
from entrypoints.server.single_write import UvicornSingleWrite
from entrypoints.server.write_watch import WriteLimits, WriteWatch

_NOT_HTTP = "This is not a request of HTTP/1.1 that can be read. Nothing was done; correct it and send it again."
_LARGE_HEAD = "The request's line and headers take more than the {} bytes that are allowed. Send less."
_LARGE_TARGET = (
    "The request's path and query leave no room in the {} bytes that are allowed with its headers. Send less."
)
_LARGE_FRAME = "What frames the body, or follows it, takes more than the {} bytes that are allowed. Send less."
_MANY_HEADERS = "The request has more than the {} headers that are allowed. Send fewer."
_CROWDED = (
    "All {} connections that this process keeps (MAX_CONNECTIONS) have a request under way. Nothing was done; repeat the "
    "call after a moment, or let calls share connections."
)
_LINGERING_S = 1.0
"""How long whoever is hung up on may take to get the answer: a client that still sends to a closed one loses it."""


class BoundedConnection(HttpToolsProtocol):
    """A connection of uvicorn, which by itself would wait for ever for a request's head, and gather it without end.

    `head_bytes_max` is looked at after each read and for each head, and holds for what follows a body too; of trailers
    nothing is taken over, as they would pass for headers. A new connection has the time of a head; one that has been
    served has `timeout_keep_alive`. `open_connections` limits how many there are. A client that does not read is
    hung up on, as is one that asks more than `waiting_max` times ahead of an answer: what waits takes a hundred times
    the memory that it took to be sent.
    """

    head_bytes_max: ClassVar[int] = 64 * 1024
    head_timeout_s: ClassVar[float] = 10.0
    headers_max: ClassVar[int] = 100
    open_connections: ClassVar[OpenConnections] = OpenConnections()
    waiting_max: ClassVar[int] = 64
    write_limits: ClassVar[WriteLimits] = WriteLimits()

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._in_head = True
        self._bare_bytes = 0
        self._read_bytes = 0
        self._lingers = False
        self._answered: RequestResponseCycle | None = None
        self.url = b""
        self._refusal = HTTPStatus.BAD_REQUEST, _NOT_HTTP
        self._patience = RearmableTimer(self.loop, self.timeout_keep_alive_handler)

    @staticmethod
    def refused(status: HTTPStatus) -> None:
        """Take note of a refusal that no request has come to; who wants to know of them has this in another way."""

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn types it
        super().connection_made(transport)
        self._writing = WriteWatch(self.loop, transport, self.write_limits)
        if self.open_connections.add(self):
            self._patience.last(self.head_timeout_s)
        else:
            self._turn_away()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self.open_connections.remove(self)
        self._patience.close()
        self._writing.stop()
        super().connection_lost(exc)
        # The last request has been told; the one that is being answered may be an earlier one.
        _tell_gone(self._answered)

    @override
    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._answered = cycle
        super()._start_asgi_task(cycle, app)

    @override
    def data_received(self, data: bytes) -> None:
        if self._lingers:
            return
        self._read_bytes = len(data)
        self._bare_bytes += len(data)
        super().data_received(data)
        # Nearly every head comes whole, and then there is nothing to wait for.
        if self._bare_bytes and not self.transport.is_closing():
            self._look_at_bare(is_first=self._bare_bytes == len(data))

    @override
    def on_headers_complete(self) -> None:
        # One read may bring a whole head that is too large, also behind another request.
        if max(self._bare_bytes, self._read_bytes) > self.head_bytes_max and self._head_bytes() > self.head_bytes_max:
            self._refusal = self._large_head()
            raise ValueError  # which the parser passes on as a request that cannot be read
        if len(self.headers) > self.headers_max:
            self._refusal = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, _MANY_HEADERS.format(self.headers_max)
            raise ValueError
        if len(self.pipeline) >= self.waiting_max:
            raise ValueError  # there is no answer to it that would not be taken for an earlier one
        self._patience.rest()
        self.open_connections.serve(self)
        self._in_head, self._bare_bytes = False, 0
        super().on_headers_complete()
        self.headers = []  # what comes now is a trailer, and none of what the application gets
        extensions: dict[str, Any] = {SINGLE_WRITE: UvicornSingleWrite(self.cycle)}
        self.cycle.scope["extensions"] = extensions

    @override
    def on_body(self, body: bytes) -> None:
        self._bare_bytes = 0
        super().on_body(body)

    @override
    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._in_head, self._bare_bytes = True, 0

    @override
    def on_response_complete(self) -> None:
        """Do as uvicorn does, save for its timer for idle connections."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            self._writing.start()
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        else:
            self.open_connections.wait(self)
            if not (self._in_head and self._bare_bytes):  # a head that has begun keeps its own time
                self._patience.last(self.timeout_keep_alive)

    def close_if_unused(self) -> bool:
        """Close the connection unless bytes are under way: a client that sends its request now would lose it.

        Unread bytes of a head that has begun do not count. Otherwise a slow head could keep its place for ever.
        """
        if self.transport.get_write_buffer_size():
            return False
        if not (self._bare_bytes or self.transport.is_closing()) and self._has_unread_bytes():
            return False
        self.transport.close()
        return True

    def abort(self) -> None:
        """Close the connection at once."""
        self.transport.abort()

    @override
    def pause_writing(self) -> None:
        super().pause_writing()
        self._writing.start()

    @override
    def resume_writing(self) -> None:
        super().resume_writing()
        if not self.transport.is_closing():
            self._writing.stop()

    @override
    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        self._writing.start()

    @override
    def _unsupported_upgrade_warning(self) -> None:
        """Be silent: whoever asks for another protocol is answered in this one, and nothing is to be installed."""

    @override
    def send_400_response(self, msg: str) -> None:
        self._refuse(*self._refusal)

    def _look_at_bare(self, *, is_first: bool) -> None:
        """Bound what has come of a request and is no body: the parser gathers each header until it ends."""
        if self._bare_bytes > self.head_bytes_max:
            frame = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, _LARGE_FRAME.format(self.head_bytes_max)
            self._refuse(*(self._large_head() if self._in_head else frame))
        elif self._in_head and is_first:
            self._patience.last(self.head_timeout_s)
            if self._may_answer():  # else a request is under way
                self.open_connections.wait(self)

    def _has_unread_bytes(self) -> bool:
        """Whether the system holds bytes of the client that the event loop has not read yet."""
        descriptor = self.transport.get_extra_info("socket").fileno()
        return int.from_bytes(fcntl.ioctl(descriptor, termios.FIONREAD, bytes(4)), sys.byteorder) > 0

    def _head_bytes(self) -> int:
        """Return about what the head has taken: its target, and its headers with what is between them."""
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def _large_head(self) -> tuple[HTTPStatus, str]:
        """Return what is told of a head that is too large, by what takes most of it."""
        if 2 * len(self.url) > self.head_bytes_max:
            return HTTPStatus.REQUEST_URI_TOO_LONG, _LARGE_TARGET.format(self.head_bytes_max)
        return HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, _LARGE_HEAD.format(self.head_bytes_max)

    def _may_answer(self) -> bool:
        """Whether what is written now would be taken for the answer to what has just come, and not to an earlier one."""
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is None:
            return True
        if self._in_head:
            return cycle.response_complete
        return not (cycle.response_started or self.pipeline)

    def _refuse(self, status: HTTPStatus, message: str) -> None:
        """Answer in the shape of all errors, unless that would be taken for another answer, and hang up."""
        self._bare_bytes = 0  # nothing more is to be said of them
        self.refused(status)
        if self._may_answer():
            self.transport.write(_answer(status, message))
            self._end_request()
            self.transport.write_eof()
            self._linger()
        else:
            self.transport.close()
        self._writing.start()

    def _end_request(self) -> None:
        """Let the application know, as if its client had gone, and say nothing of what it may answer yet."""
        _tell_gone(self.cycle)

    def _turn_away(self) -> None:
        """Answer before anything is asked, and hang up."""
        details = {"stored": "no", "executed": "no", "retry_after_ms": 1000}
        self.refused(HTTPStatus.SERVICE_UNAVAILABLE)
        message = _CROWDED.format(self.open_connections.kept_max)
        self.transport.write(_answer(HTTPStatus.SERVICE_UNAVAILABLE, message, "OVERLOADED", details))
        self._linger()

    def _linger(self) -> None:
        """Take no more notice of what comes, and hang up once the answer has had time to arrive (RFC 9112, 9.6)."""
        self._lingers = True
        self.open_connections.linger(self)
        self._patience.last(_LINGERING_S)


def _tell_gone(cycle: RequestResponseCycle | None) -> None:
    """Let the application know that its client is gone, unless the answer is complete."""
    if cycle is not None and not cycle.response_complete:
        cycle.disconnected = True
        cycle.message_event.set()


def _answer(
    status: HTTPStatus, message: str, code: str = "INVALID_REQUEST", details: Mapping[str, object] | None = None
) -> bytes:
    body = msgspec.json.encode({"error": {"code": code, "message": message, "details": details or {}}})
    retry_after = "retry-after: 1\r\n" if details else ""
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: application/json\r\n{retry_after}"
        f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
    )
    return head.encode() + body
