"""Accepting connections from a socket that sibling processes share."""

import asyncio
import contextlib
import select
import socket
import ssl
from collections.abc import Callable

from attrs import define, field

from entrypoints.server.open_connections import OpenConnections

_BACKLOG = 2048
_CROWDED_EIGHTHS = 7
_CHECKS_BEFORE_EVICTION = 2
"""How often a full process sees waiting clients before it closes idle connections for them: siblings may have room."""
_CHECKS_BEFORE_REJECTION = 5
"""How often a process with a request on every connection sees waiting clients before it accepts and rejects them."""
_CHECKS_WITHOUT_SIBLINGS = 100
"""For how many checks a process accepts all clients after it has found its siblings full."""
LAST_REQUEST_S = 1.0
"""How long an idle connection may still begin a request while the process leaves its clients: one may be under way."""
HANDSHAKE_TIMEOUT_S = 5.0
"""How long a client may take for a handshake of TLS. Until then its connection does not count."""
_CLOSING_ATTEMPTS_MAX = 50
_CLOSING_POLL_S = 0.02
LEAVING_TIMEOUT_S = LAST_REQUEST_S + _CLOSING_ATTEMPTS_MAX * _CLOSING_POLL_S
"""The limit of `Acceptor.leave_clients`."""


@define(eq=False)
class Acceptor:
    """Accepts connections, and leaves them to siblings while this process is crowded.

    Of several processes, the first one to wake accepts all clients that wait at the socket. So one process can be full
    while another is idle. A crowded process, with seven eighths of its connections open, stops waiting there (nginx
    uses the same eighth). At each check it accepts the clients that no sibling has accepted since. The last eighth is
    for clients that arrive before the process has stopped waiting.

    A full process that sees clients wait for `_CHECKS_BEFORE_EVICTION` checks assumes that its siblings are full too.
    It then accepts all clients for some time, unless seven eighths of its connections have a request. New connections
    replace idle ones. If all have a request, the process accepts clients after `_CHECKS_BEFORE_REJECTION` checks to
    reject them. A process without siblings always accepts.
    """

    _listener: socket.socket
    _protocol: Callable[[], asyncio.Protocol]
    _connections: OpenConnections
    _is_shared: bool = field(default=False, kw_only=True)
    _tls: ssl.SSLContext | None = field(default=None, kw_only=True)
    _last_request_s: float = field(default=LAST_REQUEST_S, kw_only=True)
    _waiting_checks: int = field(default=0, init=False)
    _checks_without_siblings: int = field(default=0, init=False)
    servers: list[asyncio.Server] = field(factory=list, init=False)
    """What waits at the socket; empty while this process leaves clients to its siblings."""

    async def open(self) -> None:
        """Wait at the socket."""
        loop = asyncio.get_running_loop()
        listener, handshake_s = self._listener.dup(), None if self._tls is None else HANDSHAKE_TIMEOUT_S
        self.servers.append(
            await loop.create_server(
                self._accepted, sock=listener, backlog=_BACKLOG, ssl=self._tls, ssl_handshake_timeout=handshake_s
            )
        )

    async def check(self) -> None:
        """Stop or resume waiting, or accept clients that siblings left. Called ten times a second; never raises."""
        if self._listener.fileno() < 0:
            return
        self._checks_without_siblings = max(0, self._checks_without_siblings - 1)
        with contextlib.suppress(OSError):  # the client has gone, or no descriptor is free until the next check
            if self.servers:
                self._pause_if_crowded()
            elif self._is_crowded:
                await self._accept(self._acceptable())
            else:
                await self.open()

    def close(self) -> None:
        """Stop waiting, for good; accepted connections stay open."""
        self._pause()
        self._listener.close()

    async def leave_clients(self) -> None:
        """Stop waiting, and close each connection after its next response, or once it has no request.

        New clients wait at the socket for another process. Takes `LEAVING_TIMEOUT_S` at most.
        """
        self.close()
        self._connections.are_last = True
        await asyncio.sleep(self._last_request_s)
        for _ in range(_CLOSING_ATTEMPTS_MAX):
            if not self._connections.close_idle():
                break
            await asyncio.sleep(_CLOSING_POLL_S)

    @property
    def _is_crowded(self) -> bool:
        connections = self._connections
        count = connections.busy if self._checks_without_siblings else connections.count
        return self._is_shared and 8 * count >= _CROWDED_EIGHTHS * connections.count_max

    def _accepted(self) -> asyncio.Protocol:
        if self._is_shared:
            asyncio.get_running_loop().call_soon(self._pause_if_crowded)  # once all that came together are counted
        return self._protocol()

    def _pause_if_crowded(self) -> None:
        if self._is_crowded:
            self._pause()

    def _pause(self) -> None:
        for server in self.servers:
            server.close()
        self.servers.clear()

    def _acceptable(self) -> int:
        """Return how many waiting clients this process accepts now."""
        connections = self._connections
        free = connections.count_max - connections.count
        if free > 0:
            self._waiting_checks = 0
            return free
        self._waiting_checks = self._waiting_checks + 1 if self._has_waiting_clients() else 0
        replaceable = connections.count_max - connections.busy
        if replaceable and self._waiting_checks >= _CHECKS_BEFORE_EVICTION:
            self._checks_without_siblings = _CHECKS_WITHOUT_SIBLINGS
            return replaceable
        return _BACKLOG if self._waiting_checks >= _CHECKS_BEFORE_REJECTION else 0

    def _has_waiting_clients(self) -> bool:
        poll = select.poll()
        poll.register(self._listener, select.POLLIN)
        return bool(poll.poll(0))

    async def _accept(self, count: int) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(count):
            accepted, _ = self._listener.accept()
            accepted.setblocking(False)
            handshake_s = None if self._tls is None else HANDSHAKE_TIMEOUT_S
            await loop.connect_accepted_socket(
                self._protocol, accepted, ssl=self._tls, ssl_handshake_timeout=handshake_s
            )
