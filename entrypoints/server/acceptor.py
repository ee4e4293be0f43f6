"""Taking connections from a socket at which sibling processes wait as well."""

import asyncio
import contextlib
import select
import socket
from collections.abc import Callable

from attrs import define, field

from entrypoints.server.open_connections import OpenConnections

_BACKLOG = 2048
_EIGHTHS_SHARED = 7
_LOOKS_BEFORE_EVICTION = 2
"""How often a full process sees clients wait before it closes unused connections for them: siblings may have room."""
_LOOKS_BEFORE_REFUSAL = 5
"""How often a process that is full of requests sees clients wait before it takes and refuses them."""
_LOOKS_WITHOUT_SIBLINGS = 100
"""How many looks a process accepts everybody after it has found its siblings full; then it leaves clients to them again."""


@define(eq=False)
class Acceptor:
    """Takes connections, and leaves them to siblings while this process has nearly all it keeps.

    Whoever of several processes is the first to wake takes all that wait at their socket, so that one can be full while
    another is idle. One that has seven eighths of `kept_max` waits there no more, and takes at each look what none has
    taken since the last (nginx keeps the same eighth); the rest of its places is for what comes before it has stepped
    aside.

    A full process that sees clients wait for `_LOOKS_BEFORE_EVICTION` looks takes its siblings for full as well. It then
    accepts all clients for some time, unless nearly all of its connections have a request. New connections replace those
    without a request. If all have one, it takes clients after `_LOOKS_BEFORE_REFUSAL` looks to refuse them.
    Without siblings a process always accepts.
    """

    _listener: socket.socket
    _connection: Callable[[], asyncio.Protocol]
    _connections: OpenConnections
    _is_shared: bool = field(default=False, kw_only=True)
    _seen_waiting: int = field(default=0, init=False)
    _looks_without_siblings: int = field(default=0, init=False)
    servers: list[asyncio.Server] = field(factory=list, init=False)
    """What waits at the socket; nothing while this process stands aside."""

    async def open(self) -> None:
        """Wait at the socket."""
        loop = asyncio.get_running_loop()
        self.servers.append(await loop.create_server(self._connected, sock=self._listener.dup(), backlog=_BACKLOG))

    async def look(self) -> None:
        """Stay or come back, step aside, or take what siblings have left; to be called every moment. Never raises."""
        self._looks_without_siblings = max(0, self._looks_without_siblings - 1)
        with contextlib.suppress(OSError):  # of a client that has gone, or for want of descriptors, until the next look
            if self.servers:
                self._step_aside()
            elif self._is_crowded:
                await self._take(self._left())
            else:
                await self.open()

    def close(self) -> None:
        """Wait no more, for good; connections that were taken stay."""
        self._leave()
        self._listener.close()

    @property
    def _is_crowded(self) -> bool:
        connections = self._connections
        count = connections.busy if self._looks_without_siblings else connections.kept
        return self._is_shared and 8 * count >= _EIGHTHS_SHARED * connections.kept_max

    def _connected(self) -> asyncio.Protocol:
        if self._is_shared:
            asyncio.get_running_loop().call_soon(self._step_aside)  # when all that came at once are counted
        return self._connection()

    def _step_aside(self) -> None:
        if self._is_crowded:
            self._leave()

    def _leave(self) -> None:
        for server in self.servers:
            server.close()
        self.servers.clear()

    def _left(self) -> int:
        """Return how many of those that wait this process is to take now."""
        connections = self._connections
        room = connections.kept_max - connections.kept
        if room > 0:
            self._seen_waiting = 0
            return room
        self._seen_waiting = self._seen_waiting + 1 if self._somebody_waits() else 0
        replaceable = connections.kept_max - connections.busy
        if replaceable and self._seen_waiting >= _LOOKS_BEFORE_EVICTION:
            self._looks_without_siblings = _LOOKS_WITHOUT_SIBLINGS
            return replaceable
        return _BACKLOG if self._seen_waiting >= _LOOKS_BEFORE_REFUSAL else 0

    def _somebody_waits(self) -> bool:
        poll = select.poll()
        poll.register(self._listener, select.POLLIN)
        return bool(poll.poll(0))

    async def _take(self, count: int) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(count):
            taken, _ = self._listener.accept()
            taken.setblocking(False)
            await loop.connect_accepted_socket(self._connection, taken)
