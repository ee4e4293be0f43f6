"""The registrations of runtime hosts, and what the processes of a controller make of them."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import ip_address

from attrs import define, evolve, field, frozen

from domain.addresses import Address, parse_address
from domain.clock import Clock
from domain.errors import InvalidRequest, Unavailable
from domain.hosts.host import READ_EVERY_S, READ_SOONEST_S, HostState, RegisteredHost, Registration, continued
from domain.hosts.networks import HostLocation, HostNetworks, url_problem
from domain.hosts.ports import HostClient, HostDirectory, NameResolver


@define(eq=False)
class HostRegistry:
    """Registers hosts in the networks where they may be."""

    _clock: Clock
    _directory: HostDirectory
    _networks: HostNetworks
    _addresses_of: NameResolver
    _resolved_within_s: float = 2.0

    async def register(self, registration: Registration) -> None:
        """Store a host with the address of its URL.

        Raises InvalidRequest, NetworkForbidden, HostConflict, TooManyHosts, StorageUnavailable or Overloaded.
        """
        address = self._networks.chosen(await self._resolved(HostLocation.of(registration.url)))
        await self._directory.register(RegisteredHost.of(registration, address, self._clock.now()))

    async def _resolved(self, place: HostLocation) -> Sequence[Address]:
        literal = parse_address(place.host)
        if literal is not None:
            return [literal]
        try:
            async with asyncio.timeout(self._resolved_within_s):
                found = await self._addresses_of(place.host, place.port)
        except OSError as error:  # TimeoutError is one
            raise _unresolved(place.host, error.strerror or f"no reply within {self._resolved_within_s:g} s") from error
        except UnicodeError as error:
            raise _unresolved(place.host, "a part of it is empty, or longer than 63 characters") from error
        if not found:
            raise _unresolved(place.host, "it has no address")
        return [ip_address(text) for text in found]


def _unresolved(host: str, reason: str) -> InvalidRequest:
    return url_problem(f"has the name {host}, which the controller cannot resolve: {reason}")


@frozen
class HostsRead:
    """The hosts that a process knows, with what each is; `failure` is why they could not be read again, or empty."""

    hosts: Sequence[RegisteredHost] = ()
    standings: Sequence[str] = ()
    failure: str = "not read yet"


@define(eq=False)
class HostWatch:
    """Reads the directory of hosts again and again, and has the client use those that start scripts.

    While it cannot be read, the client keeps what it has: its hosts may well be alive.
    """

    _clock: Clock
    _directory: HostDirectory
    _networks: HostNetworks
    _client: HostClient
    _sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    state: HostsRead = field(init=False, factory=HostsRead)

    def endpoints(self) -> Sequence[tuple[str, int]]:
        """Return the address and the port of each host that has not ended, as it was read last."""
        hosts = (host for host in self.state.hosts if host.state is not HostState.ENDED)
        return [(str(host.address), HostLocation.of(host.url).port) for host in hosts]

    async def run(self) -> None:
        """Read for ever: every READ_EVERY_S, and every READ_SOONEST_S while callers wait for a host."""
        while True:
            await self.read()
            await self._sleep(READ_SOONEST_S)
            await self._pause(READ_EVERY_S - READ_SOONEST_S)

    async def _pause(self, pause_s: float) -> None:
        """Wait until the client wants a host, for this time at most."""
        waits = [asyncio.ensure_future(self._client.wanted()), asyncio.ensure_future(self._sleep(pause_s))]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()

    async def read(self) -> None:
        """Read once."""
        try:
            stored, now = await self._directory.hosts(), self._clock.now()
        except Unavailable as error:
            self.state = evolve(self.state, failure=error.message)
            return
        hosts = continued(self.state.hosts, stored, now)
        self.state = HostsRead(hosts, [host.standing(now) for host in hosts], "")
        ready = [each for each in hosts if each.state is HostState.READY and self._networks.accepts(each.address)]
        live = [host for host in ready if host.is_live(now)]
        await self._client.serve(live, [host for host in ready if not host.is_live(now)])
