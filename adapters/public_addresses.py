"""The addresses of names, and which of them are this machine's: for all that connects to names of callers."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from attrs import define, field

from domain.addresses import Address

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Returns the addresses of a name; raises OSError."""

_DISCARD_PORT = 9
_LOOKUPS_MAX = 64
"""Threads at most, so that names which hang hold up no other name."""


def system_addresses(host: str, port: int) -> Sequence[str]:
    """Return the addresses that the resolver of the host knows; it may take half a minute. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


@define(eq=False)
class SystemResolver:
    """Asks the resolver of the host, in threads of its own: names that hang must not hold up other work.

    Callers that ask for one name at the same time share a lookup, so that a name which hangs takes one thread.
    """

    _threads: ThreadPoolExecutor = field(factory=lambda: ThreadPoolExecutor(_LOOKUPS_MAX, "resolver"))
    _lookup: Callable[[str, int], Sequence[str]] = system_addresses
    _asked: dict[tuple[str, int], asyncio.Future[Sequence[str]]] = field(init=False, factory=dict)

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """Return the addresses of a name; raises OSError."""
        asked = self._asked.get((host, port))
        if asked is None:
            asked = asyncio.get_running_loop().run_in_executor(self._threads, self._lookup, host, port)
            self._asked[host, port] = asked
            asked.add_done_callback(lambda ended: self._forget((host, port), ended))
        return await asyncio.shield(asked)

    def _forget(self, name: tuple[str, int], ended: asyncio.Future[Sequence[str]]) -> None:
        del self._asked[name]
        if not ended.cancelled():
            ended.exception()  # its callers may have left

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
