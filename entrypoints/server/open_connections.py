"""The open connections of one process: how many it keeps, and which one it closes to make room for a new one."""

from itertools import islice
from typing import Protocol

from attrs import define, field

_LOOKS_MAX = 64
"""How many connections one new connection examines at most; those that cannot be closed are examined last from then on."""
_LINGERING_MAX = 128
"""How many refused connections stay open until their client has read the answer; below the descriptors kept in reserve."""


class KeptConnection(Protocol):
    """What this module needs from a connection."""

    def close_if_unused(self) -> bool:
        """Close the connection unless bytes are under way in either direction; return whether it is closed."""

    def abort(self) -> None:
        """Close the connection at once."""


@define(eq=False)
class OpenConnections:
    """Keeps at most `kept_max` connections; a new one replaces the one that has waited longest for a request.

    The waiting time begins when a connection opens or its answer ends, and once more with the first bytes of a head. The
    further bytes of a head do not renew it. So a client that sends one byte, or none, cannot keep others out: its
    connection is closed after `kept_max` newer ones at the latest. Connections with a request are never closed; if all
    have one, a new connection is refused. A refused connection takes no place while it lingers.
    """

    kept_max: int = 4096
    evicted: int = field(default=0, init=False)
    """How many connections were closed to make room."""
    _kept: set[KeptConnection] = field(factory=set, init=False)
    _waiting: dict[KeptConnection, None] = field(factory=dict, init=False)
    _lingering: dict[KeptConnection, None] = field(factory=dict, init=False)

    @property
    def kept(self) -> int:
        """The connections that have a place."""
        return len(self._kept)

    @property
    def busy(self) -> int:
        """The connections that have a request."""
        return len(self._kept) - len(self._waiting)

    def add(self, connection: KeptConnection) -> bool:
        """Give a new connection a place; return False if there is none."""
        if len(self._kept) >= self.kept_max and not self._make_room():
            return False
        self._kept.add(connection)
        self._waiting[connection] = None
        return True

    def wait(self, connection: KeptConnection) -> None:
        """Begin the waiting time of a connection anew."""
        self._waiting.pop(connection, None)
        self._waiting[connection] = None

    def serve(self, connection: KeptConnection) -> None:
        """Note that a connection has a request, until it waits again."""
        self._waiting.pop(connection, None)

    def linger(self, connection: KeptConnection) -> None:
        """Take the place of a refused connection away; abort the one that has lingered longest if there are too many."""
        self.remove(connection)
        if len(self._lingering) >= _LINGERING_MAX:
            oldest = next(iter(self._lingering))
            del self._lingering[oldest]
            oldest.abort()
        self._lingering[connection] = None

    def remove(self, connection: KeptConnection) -> None:
        """Forget a connection that is closed."""
        self._kept.discard(connection)
        self._waiting.pop(connection, None)
        self._lingering.pop(connection, None)

    def _make_room(self) -> bool:
        for connection in list(islice(self._waiting, _LOOKS_MAX)):
            if connection.close_if_unused():
                self.remove(connection)
                self.evicted += 1
                return True
            self.wait(connection)
        return False
