"""The end of patience with a silent server, and a look at a connection that costs no round trip."""

import asyncio
import select
import socket
import struct
from types import TracebackType
from typing import Any, Self

import psycopg

Connection = psycopg.AsyncConnection[tuple[Any, ...]]

_RESET_AT_CLOSE = struct.pack("ii", 1, 0)
"""SO_LINGER: what was not delivered when the socket is closed is thrown away."""

_LOOKS_MAX = 3
"""A lost connection shows a last message and then its end; what still talks after that is not idle."""


class SocketDeadline:
    """Shuts the connection's socket down when its time is over, so that the statement fails at once.

    Cancelling a statement does not end it: the driver then waits for the server, which may never answer. What is still
    on its way to the server when the connection is closed is not delivered any more: it would be executed after
    whatever was made of its failure.
    """

    def __init__(self, connection: Connection, timeout_s: float) -> None:
        self._connection = connection
        self._timeout_s = timeout_s
        self.passed = False

    def __enter__(self) -> Self:
        self._timer = asyncio.get_running_loop().call_later(self._timeout_s, self._cut)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()

    def _cut(self) -> None:
        self.passed = True
        if self._connection.closed:
            return
        # The driver owns the descriptor; a duplicate would need a free one, and the process may have none left.
        borrowed = socket.socket(fileno=self._connection.pgconn.socket)
        try:
            borrowed.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
            borrowed.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # the other side was faster
        finally:
            borrowed.detach()


def looks_alive(connection: Connection) -> bool:
    """Whether an idle connection has not been ended by the server, as far as its socket tells without a round trip."""
    if connection.closed:
        return False
    poll = select.poll()
    poll.register(connection.pgconn.socket, select.POLLIN)
    try:
        for _ in range(_LOOKS_MAX):
            if not poll.poll(0):
                return True
            connection.pgconn.consume_input()
            connection.pgconn.is_busy()
    except psycopg.OperationalError:
        return False
    return False
