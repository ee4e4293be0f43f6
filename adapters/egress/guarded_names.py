"""The addresses of the service's own endpoints, as this machine resolves their names."""

import asyncio
import contextlib
from collections.abc import Sequence

from attrs import define, field

from adapters.public_addresses import SystemResolver
from domain.addresses import parse_address
from domain.egress.endpoints import NamedEndpoint

_LOOKUP_S = 2.0
_ADDRESSES_MAX = 16


@define(eq=False)
class GuardedNames:
    """Endpoints by name, and their addresses.

    Executions bring both to the host that runs them: that one may resolve a name to other addresses, or not at all.
    """

    _named: Sequence[NamedEndpoint]
    _resolver: SystemResolver = field(factory=SystemResolver)
    _pause_s: float = 30.0
    _addresses: dict[NamedEndpoint, Sequence[NamedEndpoint]] = field(factory=dict, init=False)

    def endpoints(self) -> Sequence[NamedEndpoint]:
        """Return the addresses that names had last, and the endpoints by name."""
        return [*(each for found in self._addresses.values() for each in found), *self._named]

    async def look(self) -> None:
        """Resolve each name once, within 2 s; one that has no address now keeps the last ones."""
        names = [each for each in dict.fromkeys(self._named) if parse_address(each[0]) is None]
        await asyncio.gather(*(self._look(*each) for each in names))

    async def run(self) -> None:
        """Resolve the names for ever, every 30 s."""
        while True:
            await asyncio.sleep(self._pause_s)
            await self.look()

    async def close(self) -> None:
        """Take no further lookups."""
        self._resolver.close()

    async def _look(self, host: str, port: int) -> None:
        with contextlib.suppress(OSError, UnicodeError):  # also TimeoutError
            async with asyncio.timeout(_LOOKUP_S):
                found = await self._resolver(host, port)
            if found:
                self._addresses[host, port] = [(address, port) for address in found[:_ADDRESSES_MAX]]
