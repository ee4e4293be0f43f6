"""Connections to public addresses only, whatever the names of hosts resolve to."""

import asyncio
import ssl
from collections.abc import Callable, Iterable, Sequence
from ipaddress import ip_address

import httpcore2
import structlog
from attrs import define, field
from typing_extensions import override

from adapters.public_addresses import Resolve, SystemResolver, is_own
from domain.addresses import Address, parse_address
from domain.webhooks.address import AddressPolicy

_ADDRESSES_MAX = 16
_PART_SIZE_MAX = 4096
"""Bytes that are parsed in one turn of the event loop: more would hold up its other work."""

_RECEIVED_MAX = 128 * 1024
"""Bytes of one response, with its head and its framing. Parsing costs time, so a receiver must not decide on it."""


_log = structlog.get_logger(__name__)


class ReceiverRefused(httpcore2.ConnectError):
    """Nothing is sent to this host; the text says why."""


@define(eq=False)
class _BoundedStream(httpcore2.AsyncNetworkStream):
    """A connection of which a bounded number of bytes is read, a few at a time."""

    _stream: httpcore2.AsyncNetworkStream
    _left: int = _RECEIVED_MAX

    @override
    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        part = await self._stream.read(min(max_bytes, _PART_SIZE_MAX), timeout)
        self._left -= len(part)
        if self._left < 0:
            raise httpcore2.ReadError(f"the response has more than {_RECEIVED_MAX} bytes")
        return part

    @override
    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        await self._stream.write(buffer, timeout)

    @override
    async def aclose(self) -> None:
        await self._stream.aclose()

    @override
    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.AsyncNetworkStream:
        return _BoundedStream(await self._stream.start_tls(ssl_context, server_hostname, timeout), self._left)

    @override
    def get_extra_info(self, info: str) -> object:
        return self._stream.get_extra_info(info)


@define(eq=False)
class BoundedNetwork(httpcore2.AsyncNetworkBackend):
    """Connects to any address, and bounds what is read."""

    _backend: httpcore2.AsyncNetworkBackend = field(factory=httpcore2.AnyIOBackend)

    @override
    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        return _BoundedStream(await self._backend.connect_tcp(host, port, timeout, local_address, socket_options))

    @override
    async def sleep(self, seconds: float) -> None:
        await self._backend.sleep(seconds)


@define(eq=False)
class PublicNetwork(httpcore2.AsyncNetworkBackend):
    """Resolves a name once for each connection, judges every address, and connects to one of those.

    The name stays in the request and in the TLS handshake, so certificates are checked against it. A name with one
    address that is refused is refused as a whole: an answer that mixes both is an attempt to get in.
    """

    _policy: AddressPolicy
    _resolve: Resolve = field(factory=SystemResolver)
    _is_own: Callable[[Address], bool] = is_own
    _backend: httpcore2.AsyncNetworkBackend = field(factory=BoundedNetwork)

    @override
    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        if not self._policy.accepts_port(port):
            raise ReceiverRefused(f"port {port} is not one of WEBHOOK_PORTS")
        async with asyncio.timeout(timeout):
            addresses = await self._judged(host, port)
        failure: Exception | None = None
        # Each address gets its part: the first ones may not respond at all, such as those of a network without a route.
        part_s = None if timeout is None else timeout / len(addresses)
        for address in addresses:
            try:
                return await self._backend.connect_tcp(str(address), port, part_s, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failure = error
        assert failure is not None, "a name without addresses is refused"
        raise failure

    @override
    async def sleep(self, seconds: float) -> None:
        await self._backend.sleep(seconds)

    async def _judged(self, host: str, port: int) -> Sequence[Address]:
        literal = parse_address(host)
        try:
            found = [host] if literal is not None else await self._resolve(host, port)
        except OSError as error:
            raise ReceiverRefused(f"the name {host} cannot be resolved: {error.strerror or error}") from error
        addresses = [ip_address(text) for text in found[:_ADDRESSES_MAX]]
        if not addresses:
            raise ReceiverRefused(f"the name {host} has no address")
        refused = [problem for problem in map(self._problem, addresses) if problem is not None]
        if refused:
            # The owner of the webhook reads the error, and must not learn the addresses of internal names from it.
            _log.info("webhook_refused", host=host, reasons=refused)
            raise ReceiverRefused(f"the name {host} is refused: not all of its addresses are public")
        return addresses

    def _problem(self, address: Address) -> str | None:
        problem = self._policy.problem_of_address(address)
        if problem is None and self._is_own(address) and not self._policy.is_listed(address):
            return f"{address} is an address of this machine"
        return problem
