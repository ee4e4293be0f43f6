"""Passes calls on to the origin over HTTP/1.1."""

import asyncio
import ssl
from collections import deque
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

from attrs import define, field, frozen
from typing_extensions import override

from adapters.origin.connection import ConnectionBroken, OriginConnection
from adapters.origin.reply import ReceivedReply
from domain.takeover.passing import Header, OriginRequest, OriginUnavailable, passed_headers
from domain.takeover.ports import OriginClient, OriginReply

_LAST_CHUNK = b"0\r\n\r\n"
_DEFAULT_PORTS = {"http": 80, "https": 443}


@frozen
class OriginClientOptions:
    """The address of the origin, `http://host:port` or `https://host:port`, and the limits of the client."""

    url: str
    is_authenticated: bool = False
    """Whether `Authorization` is a credential for this service, which the origin must not see."""
    connect_timeout_s: float = 5.0
    keep_alive_s: float = 3.0
    """Shorter than the origin keeps an idle connection, 5 s: a request on one that it closes meanwhile would fail."""
    idle_max: int = 128
    continue_timeout_s: float = 1.0
    """How long a body waits for the 100 (Continue) of a server that may not know it."""


@define(eq=False)
class HttpOrigin(OriginClient):
    """Holds connections that are open to the origin, and makes one for a call that finds none idle.

    The number of connections is that of the calls at once, which the caller limits, and of `idle_max` idle ones. The
    one that was used last is used next.
    """

    _options: OriginClientOptions
    _idle: deque[OriginConnection] = field(factory=deque, init=False)
    _expiry: asyncio.TimerHandle | None = field(default=None, init=False)
    _host: str = field(init=False)
    _port: int = field(init=False)
    _authority: bytes = field(init=False)
    _tls: ssl.SSLContext | None = field(init=False)

    def __attrs_post_init__(self) -> None:
        parts = urlsplit(self._options.url)
        self._host = parts.hostname or ""
        self._port = parts.port or _DEFAULT_PORTS[parts.scheme]
        self._authority = parts.netloc.encode()
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None

    @property
    def idle_connections(self) -> int:
        """How many connections wait for a call."""
        return sum(connection.is_open for connection in self._idle)

    @override
    async def send(self, request: OriginRequest) -> OriginReply:
        connection = await self._connection()
        call = _SentCall(self, connection, ReceivedReply(is_head=request.method == b"HEAD"))
        try:
            await call.begin(self._head(request), request, self._options.continue_timeout_s)
        except BaseException:
            call.close()
            raise
        return call

    async def close(self) -> None:
        """Close the idle connections."""
        for connection in self._idle:
            connection.abort()
        self._idle.clear()
        if self._expiry is not None:
            self._expiry.cancel()

    def keep(self, connection: OriginConnection) -> None:
        """Keep a connection for the next call."""
        loop = asyncio.get_running_loop()
        connection.idle_until = loop.time() + self._options.keep_alive_s
        self._idle.append(connection)
        if len(self._idle) > self._options.idle_max:
            self._idle.popleft().abort()
        if self._expiry is None:
            self._expiry = loop.call_later(self._options.keep_alive_s, self._expire)

    async def _connection(self) -> OriginConnection:
        now_s = asyncio.get_running_loop().time()
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open and now_s < connection.idle_until:
                return connection
            connection.abort()
        return await self._connect()

    async def _connect(self) -> OriginConnection:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._options.connect_timeout_s):
                _, connection = await loop.create_connection(OriginConnection, self._host, self._port, ssl=self._tls)
        except TimeoutError:
            reason = f"no connection within {self._options.connect_timeout_s:g} s"
            raise OriginUnavailable(reason, "no") from None
        except OSError as error:
            raise OriginUnavailable(error.strerror or str(error), "no") from error
        return connection

    def _expire(self) -> None:
        loop = asyncio.get_running_loop()
        while self._idle and self._idle[0].idle_until <= loop.time():
            self._idle.popleft().abort()
        self._expiry = loop.call_at(self._idle[0].idle_until, self._expire) if self._idle else None

    def _head(self, request: OriginRequest) -> bytes:
        content = [request.method, b" ", request.target, b" HTTP/1.1\r\n"]
        headers = passed_headers(request.headers, self._authority, is_authenticated=self._options.is_authenticated)
        for name, value in headers:
            content += (name, b": ", value, b"\r\n")
        if _is_chunked(request):
            content.append(b"transfer-encoding: chunked\r\n")
        content.append(b"\r\n")
        return b"".join(content)


@define(eq=False)
class _SentCall(OriginReply):
    """One request on one connection, and its reply."""

    _origin: HttpOrigin
    _connection: OriginConnection
    _received: ReceivedReply
    _upload: "asyncio.Task[None] | None" = field(default=None, init=False)
    body: bytes | None = field(default=None, init=False)
    status: int = field(default=0, init=False)
    reason: bytes = field(default=b"", init=False)
    headers: list[Header] = field(factory=list, init=False)
    _is_sent: bool = field(default=False, init=False)
    _is_closed: bool = field(default=False, init=False)

    async def begin(self, head: bytes, request: OriginRequest, continue_timeout_s: float) -> None:
        """Send the request, and wait for the head of the reply."""
        connection, received, body = self._connection, self._received, request.body
        if isinstance(body, bytes):
            connection.begin(received, head + (_chunk(body) + _LAST_CHUNK if _is_chunked(request) else body))
            self._is_sent = True
        else:
            connection.begin(received, head)
            if request.expects_continue:
                await self._await_continue(continue_timeout_s)
            if not received.has_head:
                self._upload = asyncio.create_task(self._send_body(body, is_chunked=_is_chunked(request)))
                self._upload.add_done_callback(self._on_upload_end)
        while not received.has_head:
            await self._progress()
        self.status, self.reason, self.headers = received.status, received.reason, received.headers
        if received.is_complete:
            self.body = received.take()

    @override
    async def pieces(self) -> AsyncIterator[bytes]:
        received = self._received
        while not received.is_complete or received.buffered:
            if received.buffered:
                yield received.take()
            else:
                await self._progress()

    @override
    def close(self) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        if self._upload is not None:
            self._upload.cancel()
        if self._received.is_complete and self._connection.finish() and self._is_sent:
            self._origin.keep(self._connection)
        else:
            self._connection.abort()

    def _on_upload_end(self, upload: "asyncio.Task[None]") -> None:
        self._is_sent = not upload.cancelled() and upload.exception() is None
        self._connection.wake()

    def debug_snapshot(self) -> dict[str, bool]:
        """Return what tests look at."""
        return {"is_complete": self._received.is_complete, "is_reusable": self._received.is_reusable}

    async def _progress(self) -> None:
        if self._upload is not None and self._upload.done():
            self._upload.result()  # raises what the caller's body has raised
        try:
            await self._connection.progress()
        except ConnectionBroken as error:
            raise OriginUnavailable(str(error)) from error

    async def _await_continue(self, timeout_s: float) -> None:
        try:
            async with asyncio.timeout(timeout_s):
                while not (self._received.may_continue or self._received.has_head):
                    await self._progress()
        except TimeoutError:
            return

    async def _send_body(self, body: AsyncIterator[bytes], *, is_chunked: bool) -> None:
        write = self._connection.write
        async for piece in body:
            await write(_chunk(piece) if is_chunked else piece)
        if is_chunked:
            await write(_LAST_CHUNK)


def _is_chunked(request: OriginRequest) -> bool:
    """Return whether the body is sent in chunks, because its length is not declared."""
    return bool(request.body) and not any(name == b"content-length" for name, _ in request.headers)


def _chunk(piece: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(piece), piece)
