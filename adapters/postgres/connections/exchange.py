"""The socket of a connection: statements and results on it, its deadline, and whether it still lives."""

import asyncio
import select
import socket
import struct
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self

import psycopg
from psycopg.pq import ConnStatus, ExecStatus, PipelineStatus
from psycopg.pq.abc import PGconn, PGresult

_RESET_AT_CLOSE = struct.pack("ii", 1, 0)
"""SO_LINGER: closing the socket discards undelivered data."""

_READS_MAX = 3
"""A lost connection has a last message and then its end; one that sends more is not idle."""


CopySource = Callable[[Sequence[PGresult]], bytes]
"""Returns the rows that are copied in, in the server's binary form, after these results."""


class StatementExchange:
    """Results of the statements on one connection, one statement at a time; not thread-safe.

    The socket is watched from the first statement on. A watch for each statement, with the generators that the driver
    has for it, costs more than the rest of the statement. Others may wait for the socket once `unwatch` was called.
    """

    __slots__ = ("_copied", "_descriptor", "_is_sent", "_loop", "_pgconn", "_results", "_syncs_left", "_waiter")

    def __init__(self, pgconn: PGconn) -> None:
        self._pgconn = pgconn
        self._loop: asyncio.AbstractEventLoop | None = None
        self._descriptor = -1
        self._waiter: asyncio.Future[None] | None = None
        self._results: list[PGresult] = []
        self._copied: CopySource | None = None
        self._is_sent = True
        self._syncs_left = 1

    async def results(self, copied: "CopySource | None" = None, syncs: int = 1) -> list[PGresult]:
        """Send what is queued, and return the results once the server is ready for the next statement.

        In a pipeline it is ready after so many `syncs`, each of which ends a transaction. There is at least one result;
        the caller judges them. If a statement copies rows in, `copied` returns them. If the call is cancelled, the
        connection is unusable. If the connection is lost, it returns the results up to the server's error, or up to the
        last transaction that has ended. Raises psycopg.OperationalError if there is neither.
        """
        loop = self._watch()
        self._results = []
        self._copied = copied
        self._syncs_left = syncs
        self._is_sent = False
        self._waiter = waiter = loop.create_future()
        try:
            self._advance()
            await waiter
        finally:
            self._waiter = self._copied = None
        return self._results

    def unwatch(self) -> None:
        """Leave the socket to others, before it is closed or the driver waits for it; calling it again is no error."""
        if self._loop is None:
            return
        self._loop.remove_reader(self._descriptor)
        self._loop.remove_writer(self._descriptor)
        self._loop = None
        self._end(psycopg.OperationalError("the connection was closed during a statement"))

    def _watch(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._descriptor = self._pgconn.socket
            self._loop = asyncio.get_running_loop()
            self._loop.add_reader(self._descriptor, self._on_readable)
        return self._loop

    def _on_readable(self) -> None:
        try:
            self._pgconn.consume_input()
        except psycopg.OperationalError as error:
            self._lose(error)
        else:
            self._advance()

    def _on_writable(self) -> None:
        assert self._loop is not None
        self._loop.remove_writer(self._descriptor)
        self._advance()

    def _advance(self) -> None:
        """Send and receive as much as is possible without waiting."""
        if self._waiter is None:
            self._pgconn.is_busy()  # takes in a notice
            return
        try:
            if self._is_sent or self._flush():
                self._receive()
        except psycopg.OperationalError as error:
            self._lose(error)

    def _flush(self) -> bool:
        """Return whether all that was queued is sent; the server may have to be read first, as it does not wait."""
        self._is_sent = self._pgconn.flush() == 0
        if not self._is_sent:
            assert self._loop is not None
            self._loop.add_writer(self._descriptor, self._on_writable)
        return self._is_sent

    def _receive(self) -> None:
        pgconn = self._pgconn
        while not pgconn.is_busy():
            result = pgconn.get_result()
            if result is None:
                if pgconn.pipeline_status == PipelineStatus.OFF:
                    return self._end()
                if pgconn.status == ConnStatus.BAD:  # no result will come, however often it is asked for
                    return self._lose(psycopg.OperationalError("the connection is lost"))
            elif result.status == ExecStatus.COPY_IN:
                self._copy_in()
                if not self._flush():
                    return None
            else:
                self._results.append(result)
                if result.status == ExecStatus.PIPELINE_SYNC:
                    self._syncs_left -= 1
                    if not self._syncs_left:
                        return self._end()
        return None

    def _copy_in(self) -> None:
        """Queue the rows that the server waits for, or that there are none, which is an error there."""
        if self._copied is None:
            self._pgconn.put_copy_end(b"no rows")
        else:
            self._pgconn.put_copy_data(self._copied(self._results))
            self._pgconn.put_copy_end()

    def _lose(self, error: psycopg.OperationalError) -> None:
        """End with the server's own error, or the transactions that have ended, if one came; else with this error."""
        is_told = any(result.status in (ExecStatus.FATAL_ERROR, ExecStatus.PIPELINE_SYNC) for result in self._results)
        self._end(None if is_told else error)
        self.unwatch()

    def _end(self, error: psycopg.OperationalError | None = None) -> None:
        waiter = self._waiter
        if waiter is None or waiter.done():
            return
        if error is None:
            waiter.set_result(None)
        else:
            waiter.set_exception(error)


class SocketDeadline:
    """Shuts the connection's socket down at the deadline, so that the statement fails at once.

    Cancelling a statement does not end it: the driver then waits for the server, which may never respond. Closing the
    connection discards data on its way to the server. It would otherwise be executed after the failure was reported.
    """

    def __init__(self, connection: psycopg.AsyncConnection[Any], timeout_s: float) -> None:
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
            return  # the server closed it first
        finally:
            borrowed.detach()


def looks_alive(connection: psycopg.AsyncConnection[Any]) -> bool:
    """Return whether the server has not ended an idle connection, as its socket shows without a round trip."""
    if connection.closed:
        return False
    poll = select.poll()
    poll.register(connection.pgconn.socket, select.POLLIN)
    try:
        for _ in range(_READS_MAX):
            if not poll.poll(0):
                return True
            connection.pgconn.consume_input()
            connection.pgconn.is_busy()
    except psycopg.OperationalError:
        return False
    return False
