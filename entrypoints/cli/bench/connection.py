"""One persistent connection to the service; the client does little, so that the service is measured and not itself."""

import asyncio
import contextlib
import ssl
from collections.abc import Mapping, Sequence
from typing import Self
from urllib.parse import SplitResult

import msgspec
from attrs import define, frozen

_HEAD_SIZE_MAX = 64 * 1024
_BODY_SIZE_MAX = 16 * 1024 * 1024
_PORTS = {"http": 80, "https": 443}


class NoResponse(Exception):
    """There was no valid response; the text says why."""


@frozen
class MeasuredResponse:
    """A status and a body."""

    status: int
    body: bytes

    @property
    def document(self) -> Mapping[str, object]:
        """The body if it is a JSON object, else an empty one."""
        try:
            return msgspec.json.decode(self.body, type=dict[str, object])
        except msgspec.MsgspecError:
            return {}


@define(eq=False)
class MeasuredConnection:
    """Sends one request at a time, and waits at most `timeout_s` for its response."""

    _reader: asyncio.StreamReader
    _writer: asyncio.StreamWriter
    _head: bytes
    """The headers of every request: the host and the credential."""
    _prefix: str
    _timeout_s: float

    @classmethod
    async def to(cls, url: SplitResult, token: str | None, timeout_s: float) -> Self:
        """Connect; raises NoResponse."""
        assert url.hostname is not None
        port, secure = url.port or _PORTS[url.scheme], url.scheme == "https"
        try:
            async with asyncio.timeout(timeout_s):
                reader, writer = await asyncio.open_connection(
                    url.hostname, port, ssl=ssl.create_default_context() if secure else None, limit=_HEAD_SIZE_MAX
                )
        except TimeoutError:
            raise NoResponse(f"{url.hostname} port {port} did not respond within {timeout_s:g} s") from None
        except OSError as error:
            raise NoResponse(f"cannot connect to {url.hostname} port {port}: {error.strerror or error}") from error
        headers = [f"Host: {url.netloc.rpartition('@')[2]}", "Content-Type: application/json"]
        if token is not None:
            headers.append(f"Authorization: Bearer {token}")
        return cls(reader, writer, "".join(f"{each}\r\n" for each in headers).encode(), url.path.rstrip("/"), timeout_s)

    async def send(self, method: str, path: str, body: bytes = b"", headers: Sequence[str] = ()) -> MeasuredResponse:
        """Send a request and return its response; raises NoResponse, and then the connection is unusable."""
        more = "".join(f"{each}\r\n" for each in headers)
        start = f"{method} {self._prefix}{path} HTTP/1.1\r\nContent-Length: {len(body)}\r\n{more}".encode()
        try:
            async with asyncio.timeout(self._timeout_s):
                self._writer.write(b"".join((start, self._head, b"\r\n", body)))
                return await self._response()
        except TimeoutError:
            raise NoResponse(f"no response within {self._timeout_s:g} s") from None
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError, IndexError) as error:
            raise NoResponse(f"the connection failed: {error}") from error

    async def close(self) -> None:
        """End the connection."""
        self._writer.transport.abort()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    async def _response(self) -> MeasuredResponse:
        head = await self._reader.readuntil(b"\r\n\r\n")
        status, *lines = head[:-4].decode("latin-1").split("\r\n")
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        size = int(headers.get("content-length", "0"))
        if "transfer-encoding" in headers or size > _BODY_SIZE_MAX:
            raise ValueError("the response has no length, or it is too large")
        return MeasuredResponse(int(status.split(" ")[1]), await self._reader.readexactly(size) if size else b"")
