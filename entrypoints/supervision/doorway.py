"""Taking connections from a socket at which sibling processes wait as well."""

import asyncio
import contextlib
import select
import socket
from collections.abc import Callable

from attrs import define, field

_BACKLOG = 2048
_EIGHTHS_SHARED = 7
_LOOKS_LEFT_TO_SIBLINGS = 5
"""How often somebody is seen waiting before a full process takes them: any sibling with room has looked meanwhile."""


@define(eq=False)
class Doorway:
    """Takes connections, and leaves them to siblings while this process has nearly all it keeps.

    Whoever of several processes is the first to wake takes all that wait at their socket, so that one can be full while
    another is idle. One that has seven eighths of `kept_max` waits there no more, and takes at each look what none has
    taken since the last (nginx keeps the same eighth); the rest of its places is for what comes before it has stepped
    aside. One that is full leaves whoever waits some looks longer, and then takes them all, to be told so. Without
    siblings, which is without `kept_max`, a process stays.
    """

    _listener: socket.socket
    _connection: Callable[[], asyncio.Protocol]
    _kept: Callable[[], int]
    _kept_max: int | None = None
    _seen_waiting: int = field(default=0, init=False)
    servers: list[asyncio.Server] = field(factory=list, init=False)
    """What waits at the socket; nothing while this process stands aside."""

    async def open(self) -> None:
        """Wait at the socket."""
        loop = asyncio.get_running_loop()
        self.servers.append(await loop.create_server(self._connected, sock=self._listener.dup(), backlog=_BACKLOG))

    async def look(self) -> None:
        """Stay or come back, step aside, or take what siblings have left; to be called every moment. Never raises."""
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
        return self._kept_max is not None and 8 * self._kept() >= _EIGHTHS_SHARED * self._kept_max

    def _connected(self) -> asyncio.Protocol:
        if self._kept_max is not None:
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
        room = (self._kept_max or 0) - self._kept()
        poll = select.poll()
        poll.register(self._listener, select.POLLIN)
        self._seen_waiting = self._seen_waiting + 1 if room <= 0 and poll.poll(0) else 0
        return room if self._seen_waiting < _LOOKS_LEFT_TO_SIBLINGS else _BACKLOG

    async def _take(self, count: int) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(count):
            taken, _ = self._listener.accept()
            taken.setblocking(False)
            await loop.connect_accepted_socket(self._connection, taken)
