"""Dialling a runtime host: the upgrade of an HTTP connection to a stream, and again after the stream was lost."""

import asyncio
import contextlib
import random
import re
from collections.abc import Awaitable, Callable
from typing import cast
from urllib.parse import SplitResult, urlsplit

from attrs import define, field
from typing_extensions import override

from adapters.remote_runtime.connection import UNIX, HostConnection, HostUnreached
from adapters.remote_runtime.fleet import Condition, HostView
from adapters.remote_runtime.options import RuntimeOptions
from adapters.remote_runtime.stream import HostStream
from adapters.runtime_link import PATH, PROTOCOL, FrameLink

_HEAD_SIZE_MAX = 16_384
_REPLY_S = 1.0
"""How long a host may take for the upgrade and for its first frame."""
_SWITCHED = 101
_UPGRADED = re.compile(rb"\r\nupgrade:[ \t]*" + re.escape(PROTOCOL.encode()) + rb"[ \t]*(\r\n|$)", re.IGNORECASE)
_PAUSE_MIN_S, _PAUSE_MAX_S = 0.1, 2.0
_PAUSES_S = {Condition.HTTP: 60.0, Condition.INCOMPATIBLE: 30.0, Condition.REFUSED: 30.0}
"""Between attempts at a host that answers without a stream."""
_ANSWERED = {401: Condition.REFUSED, 403: Condition.REFUSED, 426: Condition.INCOMPATIBLE} | dict.fromkeys(
    (429, 502, 503, 504), Condition.UNREACHED
)
_REASONS = {
    Condition.REFUSED: "it refuses the token; set RUNTIME_TOKEN to the same value here and there",
    Condition.INCOMPATIBLE: "it shares no version of the protocol; use the same release here and there",
}
_PORTS = {"http": 80, "https": 443}


@define(eq=False)
class NoStream(Exception):
    """The host replies to the upgrade with another status."""

    status: int


Dial = Callable[[HostConnection, RuntimeOptions, HostStream], Awaitable[None]]
"""Opens a stream to the URL of a connection, at its address if it has one; raises HostUnreached or NoStream.

It returns after the first frame.
"""


async def dial(connection: HostConnection, options: RuntimeOptions, stream: HostStream) -> None:
    """Open the stream; see Dial."""
    handshake = _Handshake(_request(connection.url, options), stream.link)
    try:
        await _connect(connection, options, handshake)
        async with asyncio.timeout(_REPLY_S):
            _require_switched(await handshake.status)
            await stream.begun
    except TimeoutError:
        handshake.abort()
        raise HostUnreached("it did not reply in time") from None
    except BaseException:
        handshake.abort()
        raise


def _require_switched(status: int) -> None:
    if status != _SWITCHED:
        raise NoStream(status)


@define(eq=False)
class KeptStream:
    """Keeps a stream to one host open, and records in `state` why there is none."""

    connection: HostConnection
    state: HostView
    _options: RuntimeOptions
    _on_change: Callable[[], None]
    _dial: Dial = dial
    _jitter: Callable[[float, float], float] = random.uniform
    """Keeps the HTTP workers of all controllers apart, which lose a host in the same instant."""
    _stream: HostStream | None = field(default=None, init=False)
    _task: "asyncio.Task[None] | None" = field(default=None, init=False)
    _wanted: asyncio.Event = field(factory=asyncio.Event, init=False)
    _attempted: asyncio.Event = field(factory=asyncio.Event, init=False)

    @property
    def is_open(self) -> bool:
        """Whether it keeps the stream."""
        return self._task is not None

    def open(self) -> None:
        """Begin to dial."""
        self._task = asyncio.get_running_loop().create_task(self._keep())

    async def close(self) -> None:
        """Close the stream; the ends of its runs stay unknown."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def current(self) -> HostStream | None:
        """Return the stream, None if the host has none and gets each run over HTTP.

        A host that could not be reached is dialled at once. Raises HostUnreached if it gets no runs now.
        """
        if self.want():
            self._attempted.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._options.connect_timeout_s + _REPLY_S):
                    await self._attempted.wait()
        now_s = asyncio.get_running_loop().time()
        if not self.state.takes_runs(now_s):
            raise HostUnreached(self.state.refusal(now_s))
        if self.state.condition is Condition.HTTP:
            return None
        if self._stream is None:
            raise HostUnreached(self.state.refusal(now_s))
        return self._stream

    def want(self) -> bool:
        """Dial a host that could not be reached at once; return whether there is such an attempt."""
        is_lost = self._stream is None and self.state.condition not in _PAUSES_S
        if is_lost:
            self._wanted.set()
        return is_lost

    def miss(self, reason: str) -> None:
        """Take note that a host without a stream could not be reached, and dial it."""
        if self.state.condition is Condition.HTTP:
            self.state.become(Condition.UNREACHED, reason)
            self._wanted.set()
            self._on_change()

    def opened(self) -> HostStream | None:
        """Return the stream if there is one now."""
        return self._stream

    async def _keep(self) -> None:
        pause_s = _PAUSE_MIN_S
        while True:
            stream = HostStream(self.state, self._options, self._on_change)
            if await self._attempt(stream):
                await self._serve(stream)
                pause_s = _PAUSE_MIN_S
            await self._pause(_PAUSES_S.get(self.state.condition, pause_s))
            pause_s = min(2 * pause_s, _PAUSE_MAX_S)

    async def _attempt(self, stream: HostStream) -> bool:
        self._wanted.clear()
        try:
            await self._dial(self.connection, self._options, stream)
            self._stream = stream
        except HostUnreached as error:
            self.state.become(Condition.UNREACHED, str(error))
        except NoStream as answer:
            self._answered(answer.status)
        self._attempted.set()
        self._on_change()
        return self._stream is not None

    async def _serve(self, stream: HostStream) -> None:
        try:
            await stream.lost
        finally:
            self._stream = None
            stream.link.abort("the controller ends")

    async def _pause(self, pause_s: float) -> None:
        """Wait before the next attempt; a run that wants the host shortens that to the least pause."""
        await asyncio.sleep(self._jitter(_PAUSE_MIN_S / 2, _PAUSE_MIN_S))
        if self.state.condition is not Condition.UNREACHED:
            self._wanted.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._jitter(pause_s / 2, pause_s) - _PAUSE_MIN_S):
                await self._wanted.wait()

    def _answered(self, status: int) -> None:
        condition = _ANSWERED.get(status, Condition.HTTP)
        self.state.become(condition, _REASONS.get(condition, f"it replied to GET {PATH} with status {status}"))
        if condition is Condition.HTTP:
            self.state.window = self.state.runs_max


class _Handshake(asyncio.Protocol):
    """Sends the request, reads the head of the reply, and gives the connection to the link after a 101."""

    def __init__(self, request: bytes, link: FrameLink) -> None:
        self._request, self._link = request, link
        self._head = bytearray()
        self._transport: asyncio.Transport | None = None
        self.status: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def abort(self) -> None:
        """Close the connection at once, if there is one."""
        if self._transport is not None:
            self._transport.abort()

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # that of uvloop is no subclass
        self._transport.write(self._request)

    @override
    def data_received(self, data: bytes) -> None:
        self._head += data
        head, end, rest = bytes(self._head).partition(b"\r\n\r\n")
        if self.status.done() or self._transport is None:
            return
        if end:
            self._take(self._transport, head, rest)
        elif len(head) > _HEAD_SIZE_MAX:
            self._fail("the head of its reply does not end")

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._fail("the connection broke before its reply" + (f": {exc}" if exc else ""))

    def _take(self, transport: asyncio.Transport, head: bytes, rest: bytes) -> None:
        status = _status_of(head)
        if status is None:
            self._fail("its reply is not HTTP")
            return
        if status == _SWITCHED and not _UPGRADED.search(head):
            self._fail(f"it switched to another protocol than {PROTOCOL}")
            return
        self.status.set_result(status)
        if status == _SWITCHED:
            transport.set_protocol(self._link)
            self._link.connection_made(transport)
            if rest:
                self._link.data_received(rest)

    def _fail(self, reason: str) -> None:
        if not self.status.done():
            self.status.set_exception(HostUnreached(f"it cannot be reached ({reason})"))


async def _connect(connection: HostConnection, options: RuntimeOptions, handshake: _Handshake) -> None:
    loop, url = asyncio.get_running_loop(), connection.url
    try:
        async with asyncio.timeout(options.connect_timeout_s):
            if url.startswith(UNIX):
                await loop.create_unix_connection(lambda: handshake, url.removeprefix(UNIX))
                return
            parts = urlsplit(url)
            secure = await connection.verification.context() if parts.scheme == "https" else None
            port = parts.port or _PORTS[parts.scheme]
            name = parts.hostname or ""
            host = name if connection.address is None else str(connection.address)
            verified = None if secure is None else name
            await loop.create_connection(lambda: handshake, host, port, ssl=secure, server_hostname=verified)
    except TimeoutError:
        raise HostUnreached("it cannot be reached (ConnectTimeout)") from None
    except (OSError, UnicodeError) as error:  # the latter if the URL has no name that DNS allows
        raise HostUnreached(f"it cannot be reached ({type(error).__name__}: {error})") from error


def _request(url: str, options: RuntimeOptions) -> bytes:
    parts = urlsplit("http://runtime-host" if url.startswith(UNIX) else url)
    token = "" if options.token is None else f"Authorization: Bearer {options.token}\r\n"
    return (
        f"GET {parts.path.rstrip('/')}{PATH} HTTP/1.1\r\nHost: {_host_of(parts)}\r\n"
        f"Connection: Upgrade\r\nUpgrade: {PROTOCOL}\r\n{token}\r\n"
    ).encode()


def _host_of(parts: SplitResult) -> str:
    return parts.netloc.rpartition("@")[2]


def _status_of(head: bytes) -> int | None:
    version, _, rest = head.partition(b" ")
    status = rest[:3]
    return int(status) if version.startswith(b"HTTP/1.") and status.isdigit() else None
