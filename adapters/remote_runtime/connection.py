"""The connection to one runtime host: requests, and replies within bounds of size and time."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from ipaddress import ip_address
from types import MappingProxyType
from urllib.parse import urlsplit

import httpx2
from attrs import Factory, define, field, frozen

from adapters.remote_runtime.options import RuntimeOptions
from adapters.remote_runtime.verification import Verification
from adapters.runtime_protocol import FAULT_SIZE_MAX
from domain.addresses import Address
from domain.scripts.language import Language

UNIX = "unix:"
_KEEPALIVE_S = 3.0
"""Shorter than servers keep an idle connection: a request on one that the server closes meanwhile would fail."""
_SMALL_REPLY_SIZE_MAX = 262_144
_FURTHER_CONNECTIONS = 16
"""For evictions, cancellations and health, beside runs and checks."""
_RUNS_MAX = 64
"""Connections for runs of one language; hosts with a stream need none."""


def no_headers() -> Mapping[str, str]:
    """Return no further headers."""
    return {}


class HostUnreached(Exception):
    """No connection was made, so the host has not received the request."""


class HostSilent(Exception):
    """The host may have received the request, and sent no complete reply."""


class HostLate(HostSilent):
    """The time of the request is over."""

    def __init__(self) -> None:
        super().__init__("it did not reply in time")


@define(eq=False)
class ReplyTooLarge(Exception):
    """The reply has this status and is larger than its bound; `size` in bytes if it was declared."""

    status: int
    size: int | None


@frozen
class HostReply:
    """A complete reply."""

    status: int
    body: bytes = field(repr=False)


@define(eq=False)
class HostConnection:
    """Sends JSON to a URL, `http://...`, `https://...` or `unix:/path`; call `open` before use.

    It uses the transport without httpx2's client, which would add redirects, cookies and proxies: a request costs a
    fifth less. `more_headers` is called for each request, and what it returns is sent along. With an `address`, the
    name in the URL is not resolved: it is for the certificate and the head of requests alone.
    """

    url: str
    _options: RuntimeOptions
    _more_headers: Callable[[], Mapping[str, str]] = no_headers
    address: Address | None = None
    verification: Verification = Factory(lambda self: Verification(self._options.ca_file), takes_self=True)
    _transport: httpx2.AsyncHTTPTransport | None = field(default=None, init=False)
    _verified_by: ssl.SSLContext | None = field(default=None, init=False)
    _in_flight: int = field(default=0, init=False)
    _is_left: bool = field(default=False, init=False)

    @property
    def is_open(self) -> bool:
        """Whether requests can be sent."""
        return self._transport is not None

    @property
    def public_url(self) -> str:
        """The URL without its credentials."""
        scheme, slashes, rest = self.url.partition("://")
        return scheme + slashes + rest.rpartition("@")[2]

    @property
    def is_private(self) -> bool:
        """Whether no other machine can read what is sent."""
        parts = urlsplit(self.url)
        if self.url.startswith(UNIX) or parts.scheme == "https":
            return True
        try:
            return ip_address(parts.hostname or "").is_loopback
        except ValueError:
            return parts.hostname == "localhost"

    async def open(self) -> None:
        """Prepare the transport; it connects when a request needs it. Raises OSError if certificates cannot be used."""
        self._verified_by = await self._current_verification()
        self._transport = self._new_transport()

    def _new_transport(self) -> httpx2.AsyncHTTPTransport:
        options = self._options
        connections_max = min(options.runs_max, _RUNS_MAX) * len(Language) + options.checks_max + _FURTHER_CONNECTIONS
        return httpx2.AsyncHTTPTransport(
            verify=self._verified_by or False,
            trust_env=False,
            limits=httpx2.Limits(
                max_connections=connections_max,
                max_keepalive_connections=connections_max,
                keepalive_expiry=_KEEPALIVE_S,
            ),
            uds=self.url.removeprefix(UNIX) if self.url.startswith(UNIX) else None,
        )

    async def close(self) -> None:
        """Close every connection."""
        transport, self._transport = self._transport, None
        if transport is not None:
            await transport.aclose()

    async def leave(self) -> None:
        """Close every connection once no request is in flight. No further one is sent, except about those."""
        self._is_left = True
        if self._in_flight == 0:
            await self.close()

    async def post(self, path: str, body: bytes, ends_at: float, size_max: int) -> HostReply:
        """Send the body and return the reply, all before `ends_at` in the loop's time.

        Raises HostUnreached, HostSilent or ReplyTooLarge.
        """
        return await self._send(self._request("POST", path, body), ends_at, size_max)

    async def put(self, path: str, body: AsyncIterator[bytes], headers: Mapping[str, str], ends_at: float) -> HostReply:
        """Send bytes as they come, and return the reply, as `post` does; raises what `body` raises too."""
        further = {"Content-Type": "application/octet-stream", **headers}
        return await self._send(self._request("PUT", path, body, further), ends_at, _SMALL_REPLY_SIZE_MAX)

    async def get(self, path: str, ends_at: float, size_max: int) -> HostReply:
        """Return the reply, as `post` does."""
        return await self._send(self._request("GET", path, None), ends_at, size_max)

    async def _current_verification(self) -> ssl.SSLContext | None:
        return await self.verification.context() if self.url.startswith("https:") else None

    async def _renew(self) -> None:
        """Take a new transport if the certificates have changed, once no other request is in flight."""
        try:
            current = await self._current_verification()
        except OSError as error:
            raise HostUnreached(f"it cannot be verified ({_summary(error)})") from error
        if current is not self._verified_by and self._in_flight == 1 and self._transport is not None:
            former, self._verified_by = self._transport, current
            self._transport = self._new_transport()
            await former.aclose()

    async def _send(self, request: httpx2.Request, ends_at: float, size_max: int) -> HostReply:
        self._in_flight += 1
        try:
            async with asyncio.timeout_at(ends_at):
                return await self._exchange(request, size_max)
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout) as error:
            raise HostUnreached(f"it cannot be reached ({_summary(error)})") from error
        except httpx2.HTTPError as error:
            raise HostSilent(f"the connection broke before its reply ({_summary(error)})") from error
        except TimeoutError as error:
            raise HostLate from error
        finally:
            self._in_flight -= 1
            if self._is_left and self._in_flight == 0:
                await self.close()

    async def _exchange(self, request: httpx2.Request, size_max: int) -> HostReply:
        await self._renew()
        if self._transport is None:
            raise HostUnreached("it has ended, and its connections are closed")
        response = await self._transport.handle_async_request(request)
        try:
            return HostReply(response.status_code, await _read(response, size_max))
        finally:
            await response.aclose()

    def _request(
        self,
        method: str,
        path: str,
        body: bytes | AsyncIterator[bytes] | None,
        further: Mapping[str, str] = MappingProxyType({}),
    ) -> httpx2.Request:
        timeouts = dict.fromkeys(("connect", "pool"), self._options.connect_timeout_s)
        extensions: dict[str, object] = {"timeout": timeouts}
        headers = {**self._headers(), **further}
        base = "http://runtime-host" if self.url.startswith(UNIX) else self.url.rstrip("/")
        if self.address is not None:
            parts = urlsplit(self.url)
            base = _located(parts.scheme, self.address, parts.port)
            headers |= {"Host": parts.netloc}
            extensions["sni_hostname"] = parts.hostname
        return httpx2.Request(method, base + path, headers=headers, content=body, extensions=extensions)

    def _headers(self) -> dict[str, str]:
        json = "application/json"
        headers = {"Content-Type": json, "Accept": json, "Accept-Encoding": "identity"}
        if self._options.token is not None:
            headers["Authorization"] = f"Bearer {self._options.token}"
        return {**headers, **self._more_headers()}


def _located(scheme: str, address: Address, port: int | None) -> str:
    host = f"[{address}]" if address.version == 6 else str(address)  # IPv6
    return f"{scheme}://{host}" if port is None else f"{scheme}://{host}:{port}"


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


def _summary(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:FAULT_SIZE_MAX]
