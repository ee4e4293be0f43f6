"""The open connections of a process: a limit, and which one closes in favour of a new one."""

from itertools import islice
from typing import Protocol

from attrs import define, field

_CHECKS_MAX = 64
"""How many idle connections one new connection checks at most. Those that cannot be closed move to the end."""
_LINGERING_MAX = 128
"""How many rejected connections stay open until their client has read the response; fewer than spare descriptors."""


class KeptConnection(Protocol):
    """What this module needs from a connection."""

    def close_if_unused(self) -> bool:
        """Close the connection unless bytes are under way in either direction; return whether it is closed."""

    def abort(self) -> None:
        """Close the connection at once."""


@define(eq=False)
class OpenConnections:
    """At most `count_max` connections. A new one replaces the one that has been idle for longest.

    A connection is idle from its opening or the end of its response, and again from the first bytes of a head. Further
    bytes of the head do not count. So a client that sends one byte, or none, cannot keep others out: its connection
    closes after `count_max` newer ones at the latest. Connections with a request are never closed. If all have one, a
    new connection is rejected. A rejected connection does not count while it lingers.
    """

    count_max: int = 4096
    evicted: int = field(default=0, init=False)
    """How many connections were closed in favour of new ones."""
    are_last: bool = field(default=False, init=False)
    """Whether each connection closes after its next response, because the process ends."""
    _open: set[KeptConnection] = field(factory=set, init=False)
    _idle: dict[KeptConnection, None] = field(factory=dict, init=False)
    _lingering: dict[KeptConnection, None] = field(factory=dict, init=False)

    @property
    def count(self) -> int:
        """The number of connections, without lingering ones."""
        return len(self._open)

    @property
    def busy(self) -> int:
        """The number of connections with a request."""
        return len(self._open) - len(self._idle)

    def add(self, connection: KeptConnection) -> bool:
        """Add a new connection; return False if it has to be rejected."""
        if len(self._open) >= self.count_max and not self._evict():
            return False
        self._open.add(connection)
        self._idle[connection] = None
        return True

    def mark_idle(self, connection: KeptConnection) -> None:
        """Begin the idle time of a connection again."""
        self._idle.pop(connection, None)
        self._idle[connection] = None

    def mark_busy(self, connection: KeptConnection) -> None:
        """Protect a connection with a request, until it is idle again."""
        self._idle.pop(connection, None)

    def linger(self, connection: KeptConnection) -> None:
        """Stop counting a rejected connection; abort the oldest of them if there are too many."""
        self.remove(connection)
        if len(self._lingering) >= _LINGERING_MAX:
            oldest = next(iter(self._lingering))
            del self._lingering[oldest]
            oldest.abort()
        self._lingering[connection] = None

    def close_idle(self) -> int:
        """Close the idle connections that have nothing under way; return how many idle ones are left."""
        for connection in list(self._idle):
            if connection.close_if_unused():
                self.remove(connection)
        return len(self._idle)

    def remove(self, connection: KeptConnection) -> None:
        """Forget a closed connection."""
        self._open.discard(connection)
        self._idle.pop(connection, None)
        self._lingering.pop(connection, None)

    def _evict(self) -> bool:
        for connection in list(islice(self._idle, _CHECKS_MAX)):
            if connection.close_if_unused():
                self.remove(connection)
                self.evicted += 1
                return True
            self.mark_idle(connection)
        return False
