"""The ports to the directory of runtime hosts, to the names in their URLs, and to what runs scripts on them."""

from collections.abc import Sequence
from typing import Protocol

from domain.hosts.host import RegisteredHost


class HostDirectory(Protocol):
    """Stores the runtime hosts of an installation, at most HOSTS_MAX.

    Every method may raise StorageUnavailable or Overloaded.
    """

    async def register(self, host: RegisteredHost) -> None:
        """Store a host in place of those that have its name or its URL; `host.seen_at` is the present.

        A process that registers again keeps its `registered_at`. Raises HostConflict if one of the others does not
        give way, and TooManyHosts if HOSTS_MAX others are live; nothing is stored then. A full directory forgets the
        host that was not seen for longest, of those that are not live. Registering again is safe.
        """
        ...

    async def hosts(self) -> Sequence[RegisteredHost]:
        """Return all hosts by name, also those that have ended or are stale."""
        ...


class NameResolver(Protocol):
    """Asks for the addresses of names."""

    async def __call__(self, host: str, port: int, /) -> Sequence[str]:
        """Return the addresses of a name; raises OSError, or UnicodeError if it cannot be the name of a host."""
        ...


class HostClient(Protocol):
    """Runs scripts on runtime hosts."""

    async def serve(self, hosts: Sequence[RegisteredHost], silent: Sequence[RegisteredHost] = ()) -> None:
        """Start scripts on these hosts from now on, and no longer on others; what runs on those ends as it does.

        Of the `silent` ones, which have not registered for long, those stay that the client is connected to.
        """
        ...

    async def wanted(self) -> None:
        """Return as soon as callers wait for a host that could be among further ones."""
        ...
