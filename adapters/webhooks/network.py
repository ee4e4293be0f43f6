"""Connections to public addresses only, whatever the names of hosts resolve to."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from ipaddress import ip_address

import httpcore2
from attrs import define, field
from typing_extensions import override

from domain.webhooks.address import Address, AddressPolicy, parse_address

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Returns the addresses of a name; raises OSError."""

_DISCARD_PORT = 9
_ADDRESSES_MAX = 16
_LOOKUPS_MAX = 8


class ReceiverRefused(httpcore2.ConnectError):
    """Nothing is sent to this host; the text says why."""


@define(eq=False)
class SystemResolver:
    """Asks the resolver of the host, in threads of its own: names that hang must not hold up other work."""

    _threads: ThreadPoolExecutor = field(factory=lambda: ThreadPoolExecutor(_LOOKUPS_MAX, "webhook-resolver"))

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """Return the addresses of a name; raises OSError."""
        lookup = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        found = await asyncio.get_running_loop().run_in_executor(self._threads, lookup)
        return list(dict.fromkeys(str(address[0]) for *_, address in found))

    def close(self) -> None:
        """Take no further lookups."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def is_own(address: Address) -> bool:
    """Return whether this machine has the address: its packets to it would come from it. Nothing is sent."""
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET  # IPv6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((str(address), _DISCARD_PORT))
            return bool(probe.getsockname()[0] == str(address))
    except OSError:  # no route to it
        return False


@define(eq=False)
class PublicNetwork(httpcore2.AsyncNetworkBackend):
    """Resolves a name once for each connection, judges every address, and connects to one of those.

    The name stays in the request and in the TLS handshake, so certificates are checked against it. A name with one
    address that is refused is refused as a whole: an answer that mixes both is an attempt to get in.
    """

    _policy: AddressPolicy
    _resolve: Resolve = field(factory=SystemResolver)
    _is_own: Callable[[Address], bool] = is_own
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
        if not self._policy.accepts_port(port):
            raise ReceiverRefused(f"port {port} is not one of WEBHOOK_PORTS")
        async with asyncio.timeout(timeout):
            addresses = await self._judged(host, port)
        failure: Exception | None = None
        for address in addresses:
            try:
                return await self._backend.connect_tcp(str(address), port, timeout, local_address, socket_options)
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
        for address in addresses:
            self._require_public(host, address)
        if not addresses:
            raise ReceiverRefused(f"the name {host} has no address")
        return addresses

    def _require_public(self, host: str, address: Address) -> None:
        problem = self._policy.problem_of_address(address)
        if problem is None and self._is_own(address) and not self._policy.is_listed(address):
            problem = f"{address} is an address of this machine"
        if problem is not None:
            raise ReceiverRefused(f"the name {host} is refused: {problem}")
