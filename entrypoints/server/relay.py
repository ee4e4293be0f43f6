"""Sending a response of another server to a connection as it was received."""

from collections.abc import Sequence

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from entrypoints.http.request import Header

_WITHOUT_BODY = frozenset({204, 304})


class UvicornRelay:
    """Sends one response on a request cycle of uvicorn: its reason phrase, and names of headers in their own spelling.

    uvicorn would write names in lower case and reason phrases of its own, and send chunks to clients of HTTP/1.0. A
    client that has disconnected gets nothing, silently.
    """

    __slots__ = ("_cycle", "_is_bare", "_is_chunked")

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self._cycle = cycle
        self._is_bare = self._is_chunked = False

    async def send(self, status: int, reason: bytes, headers: Sequence[Header], body: bytes) -> None:
        """Send a complete response with one system call."""
        if await self._can_write():
            content = self._head(status, reason, headers, is_last=False)
            content.append(self._framed(body, is_last=True))
            self._cycle.transport.write(b"".join(content))
            complete(self._cycle)

    async def start(self, status: int, reason: bytes, headers: Sequence[Header], *, is_last: bool) -> None:
        """Send the head of a response. With `is_last` the connection takes no further request."""
        if await self._can_write():
            self._cycle.transport.write(b"".join(self._head(status, reason, headers, is_last=is_last)))

    async def write(self, piece: bytes) -> None:
        """Send a piece of the body, which is not empty; returns when the client may take another."""
        if await self._can_write():
            self._cycle.transport.write(self._framed(piece, is_last=False))

    async def finish(self) -> None:
        """Send the end of the body."""
        if await self._can_write():
            self._cycle.transport.write(self._framed(b"", is_last=True))
            complete(self._cycle)

    def abort(self) -> None:
        """Close the connection at once, so that the client does not take the response for complete."""
        self._cycle.transport.abort()

    async def _can_write(self) -> bool:
        cycle = self._cycle
        if cycle.flow.write_paused and not cycle.disconnected:
            await cycle.flow.drain()
        return not cycle.disconnected

    def _head(self, status: int, reason: bytes, headers: Sequence[Header], *, is_last: bool) -> list[bytes]:
        cycle = self._cycle
        cycle.response_started = True
        self._is_bare = cycle.scope["method"] == "HEAD" or status in _WITHOUT_BODY
        has_length = self._is_bare or any(name.lower() == b"content-length" for name, _ in headers)
        self._is_chunked = not has_length and cycle.scope["http_version"] == "1.1"
        # Without a length a client of HTTP/1.0 takes the end of the connection for the end of the body. A client that
        # waits for its 100 (Continue) may send the body or not, so the next bytes are ambiguous (as in Go).
        cycle.keep_alive = cycle.keep_alive and not (is_last or cycle.waiting_for_100_continue)
        content = [b"HTTP/1.1 %d %b\r\n" % (status, reason)]
        for name, value in (*cycle.default_headers, *headers):
            content += (name, b": ", value, b"\r\n")
        if self._is_chunked:
            content.append(b"transfer-encoding: chunked\r\n")
        if not cycle.keep_alive:
            content.append(b"connection: close\r\n")
        content.append(b"\r\n")
        return content

    def _framed(self, piece: bytes, *, is_last: bool) -> bytes:
        if self._is_bare:
            return b""
        if not self._is_chunked:
            return piece
        chunk = b"%x\r\n%b\r\n" % (len(piece), piece) if piece else b""
        return chunk + b"0\r\n\r\n" if is_last else chunk


def complete(cycle: RequestResponseCycle) -> None:
    """Leave the cycle in the state that its own `send` leaves after the last message."""
    cycle.response_started = cycle.response_complete = True
    cycle.waiting_for_100_continue = False
    cycle.message_event.set()
    if not cycle.keep_alive:
        cycle.transport.close()
    cycle.on_response()
