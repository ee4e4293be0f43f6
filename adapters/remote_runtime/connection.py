"""The connection to one runtime host: requests out, bounded answers in."""

import asyncio
from collections.abc import Callable, Mapping

import httpx2
from attrs import define, field, frozen

from adapters.remote_runtime.options import RuntimeOptions
from domain.scripts.language import Language

_UNIX = "unix:"
_KEEPALIVE_S = 3.0
"""Less than servers keep an idle connection, so that none is used in the moment in which it is closed."""
_SPARE_CONNECTIONS = 16
"""For evictions and health beside the runs and checks."""


def no_headers() -> Mapping[str, str]:
    """Return nothing to be sent along."""
    return {}


class HostUnreached(Exception):
    """No connection was made, so the host knows nothing of the request."""


class HostSilent(Exception):
    """The request may have arrived, and there is no whole answer to it."""


@define(eq=False)
class ReplyTooLarge(Exception):
    """The answer has this status and goes on beyond its bound; `size` in bytes where it was declared."""

    status: int
    size: int | None


@frozen
class HostReply:
    """A whole answer."""

    status: int
    body: bytes = field(repr=False)


@define(eq=False)
class HostConnection:
    """Sends JSON to a URL, `http://...`, `https://...` or `unix:/path`; made closed.

    It uses the transport without the client around it: there are no redirects, cookies or proxies to care for, and a
    request costs a fifth less. `more_headers` are asked for with each request.
    """

    url: str
    _options: RuntimeOptions
    _more_headers: Callable[[], Mapping[str, str]] = no_headers
    _transport: httpx2.AsyncHTTPTransport | None = field(default=None, init=False)

    @property
    def public_url(self) -> str:
        """The URL without a password that may be in it."""
        scheme, slashes, rest = self.url.partition("://")
        return scheme + slashes + rest.rpartition("@")[2]

    async def open(self) -> None:
        """Get ready; nothing is connected yet."""
        options = self._options
        connections_max = options.runs_max * len(Language) + options.checks_max + _SPARE_CONNECTIONS
        self._transport = httpx2.AsyncHTTPTransport(
            verify=self.url.startswith("https:"),
            trust_env=False,
            limits=httpx2.Limits(
                max_connections=connections_max,
                max_keepalive_connections=connections_max,
                keepalive_expiry=_KEEPALIVE_S,
            ),
            uds=self.url.removeprefix(_UNIX) if self.url.startswith(_UNIX) else None,
        )

    async def close(self) -> None:
        """Close every connection."""
        transport, self._transport = self._transport, None
        if transport is not None:
            await transport.aclose()

    async def post(self, path: str, body: bytes, ends_at: float, size_max: int) -> HostReply:
        """Send the body and return the answer, all before `ends_at` in the loop's time.

        Raises Unreached, Unanswered or ReplyTooLarge.
        """
        return await self._send(self._request("POST", path, body), ends_at, size_max)

    async def get(self, path: str, ends_at: float, size_max: int) -> HostReply:
        """Return the answer, as `post` does."""
        return await self._send(self._request("GET", path, None), ends_at, size_max)

    async def _send(self, request: httpx2.Request, ends_at: float, size_max: int) -> HostReply:
        try:
            async with asyncio.timeout_at(ends_at):
                return await self._exchange(request, size_max)
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout) as error:
            raise HostUnreached(f"it cannot be reached ({_told(error)})") from error
        except httpx2.HTTPError as error:
            raise HostSilent(f"it broke off ({_told(error)})") from error
        except TimeoutError as error:
            raise HostSilent("it did not answer in time") from error

    async def _exchange(self, request: httpx2.Request, size_max: int) -> HostReply:
        assert self._transport is not None, "the connection is closed"
        response = await self._transport.handle_async_request(request)
        try:
            return HostReply(response.status_code, await _read(response, size_max))
        finally:
            await response.aclose()

    def _request(self, method: str, path: str, body: bytes | None) -> httpx2.Request:
        base = "http://runtime-host" if self.url.startswith(_UNIX) else self.url.rstrip("/")
        timeouts = dict.fromkeys(("connect", "pool"), self._options.connect_timeout_s)
        return httpx2.Request(
            method, base + path, headers=self._headers(), content=body, extensions={"timeout": timeouts}
        )

    def _headers(self) -> Mapping[str, str]:
        headers = {"Content-Type": "application/json", "Accept": "application/json", "Accept-Encoding": "identity"}
        if self._options.token is not None:
            headers["Authorization"] = f"Bearer {self._options.token}"
        return {**headers, **self._more_headers()}


async def _read(response: httpx2.Response, size_max: int) -> bytes:
    declared = response.headers.get("content-length", "")
    size = int(declared) if declared.isascii() and declared.isdigit() else None
    if size is not None and size > size_max:
        raise ReplyTooLarge(response.status_code, size)
    parts, received = [], 0
    async for part in response.aiter_raw():
        received += len(part)
        if received > size_max:
            raise ReplyTooLarge(response.status_code, size)
        parts.append(part)
    return b"".join(parts)


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
