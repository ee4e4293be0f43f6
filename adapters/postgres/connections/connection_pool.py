"""A bounded pool of connections, and the calls that wait for one of them."""

import asyncio
import random
import time
from collections.abc import Awaitable, Mapping
from typing import Any

import psycopg
from psycopg_pool import AsyncConnectionPool, PoolClosed, PoolTimeout, TooManyRequests

from adapters.postgres.connections.connection import GatewayConnection
from adapters.postgres.connections.errors import NO_CONNECTION, AttemptFailed
from adapters.postgres.connections.exchange import SocketDeadline, looks_alive
from adapters.postgres.connections.timelines import READ_TIMELINE, Timelines
from adapters.postgres.gateway_options import GatewayOptions
from domain.errors import Overloaded, ShuttingDown
from domain.stats import PoolStats

_RECONNECT_PAUSE_S = 0.25
_UTC = (b"UTC", b"Etc/UTC")


class ConnectionPool:
    """Connections that share a bound, each of which looks alive and is of the newest timeline when it is taken.

    `facts` go to the constructor of the connections.
    """

    def __init__(
        self,
        name: str,
        size_max: int,
        options: GatewayOptions,
        connection_class: type[GatewayConnection],
        facts: Mapping[str, object],
    ) -> None:
        self._options = options
        self._socket_timeout_s, self._pool_timeout_s = options.socket_timeout_s, options.pool_timeout_s
        self._responded_at_s = float("-inf")
        self._connect_failure: Exception | None = None
        self.timelines = Timelines()
        self._closed = False
        # All writes may wait for one thing, such as a standby that is away. Reads must not wait with them.
        self._writers = asyncio.Semaphore(max(1, size_max - 1) if name == "normal" else size_max)
        self._writers_waiting = 0
        self._pool: AsyncConnectionPool[GatewayConnection] = AsyncConnectionPool(
            options.conninfo,
            connection_class=connection_class,
            kwargs={
                **facts,
                "autocommit": True,
                "prepare_threshold": 0 if options.prepares else None,
                "address_timeout_s": options.connect_timeout_s,
                "on_failure": self._note_connect_failure,
            },
            name=name,
            min_size=1,
            max_size=size_max,
            open=False,
            configure=self._configure,
            timeout=options.pool_timeout_s,
            max_waiting=options.pool_queue_max,
            # Below the pool's own pause, which doubles, so that each attempt is followed by this one.
            reconnect_timeout=_RECONNECT_PAUSE_S * random.uniform(0.8, 1.2),  # noqa: S311  # keeps controllers apart
            reconnect_failed=_keep_connecting,
        )

    def stats(self, in_flight: int) -> PoolStats:
        """Return the present figures; `in_flight` statements are on connections."""
        pool = self._pool.get_stats()  # a counter that is zero may be missing
        return PoolStats(
            pool_size=pool.get("pool_size", 0),
            pool_size_max=self._pool.max_size,
            pool_idle=pool.get("pool_available", 0),
            pool_waiting=pool.get("requests_waiting", 0) + self._writers_waiting,
            in_flight=in_flight,
            connects=pool.get("connections_num", 0),
            connect_errors=pool.get("connections_errors", 0),
        )

    async def open(self) -> None:
        """Begin to connect, and return."""
        await self._pool.open(wait=False)

    async def close(self, timeout_s: float) -> None:
        """Close the connections."""
        self._closed = True
        await self._pool.close(timeout=timeout_s)

    async def drop_idle(self) -> None:
        """Close the idle connections, and those in use when they are returned."""
        await self._pool.drain()

    def take(self, timeout_s: float, *, writes: bool) -> Awaitable[GatewayConnection]:
        """Wait for a connection, which `put_back` gets. Raises AttemptFailed, Overloaded or ShuttingDown."""
        return (self._writer if writes else self._connection)(timeout_s)

    async def put_back(self, connection: GatewayConnection, *, spent: bool, writes: bool) -> None:
        """Take a connection back; one that is `spent` is closed."""
        if writes:
            self._writers.release()
        if spent:
            await connection.close()
        await self._pool.putconn(connection)

    def note_response(self) -> None:
        """Note that the server has responded by now."""
        self._responded_at_s = time.monotonic()

    async def _writer(self, timeout_s: float) -> GatewayConnection:
        """Return a connection for a write; one of the pool `normal` stays free of writes, unless it is the only one."""
        since_s = time.monotonic()
        if self._writers.locked():
            await self._wait_for_writers(since_s, timeout_s)
        else:
            await self._writers.acquire()
        try:
            return await self._connection(since_s + timeout_s - time.monotonic())
        except BaseException:
            self._writers.release()
            raise

    async def _wait_for_writers(self, since_s: float, timeout_s: float) -> None:
        if self._writers_waiting >= self._options.pool_queue_max:
            raise self._no_connection(since_s - self._pool_timeout_s)
        self._writers_waiting += 1
        try:
            async with asyncio.timeout(timeout_s):
                await self._writers.acquire()
        except TimeoutError as error:
            raise self._no_connection(since_s) from error
        finally:
            self._writers_waiting -= 1

    async def _connection(self, timeout_s: float) -> GatewayConnection:
        since_s = time.monotonic()
        try:
            while True:
                connection = await self._pool.getconn(timeout=since_s + timeout_s - time.monotonic())
                if looks_alive(connection) and self.timelines.admits(connection.timeline):
                    return connection
                await self.put_back(connection, spent=True, writes=False)
        except PoolClosed as error:
            raise (ShuttingDown() if self._closed else AttemptFailed(NO_CONNECTION)) from error
        except TooManyRequests as error:
            # Until the pool has a connection again, it also counts callers that have left.
            raise self._no_connection(since_s - self._pool_timeout_s) from self._connect_failure or error
        except PoolTimeout as error:
            raise self._no_connection(since_s) from self._connect_failure or error

    def _no_connection(self, since_s: float) -> Overloaded | AttemptFailed:
        """Return the error for a missing connection: a database that has responded to others since is only busy."""
        return Overloaded("the database") if self._responded_at_s >= since_s else AttemptFailed(NO_CONNECTION)

    def _note_connect_failure(self, error: Exception) -> None:
        self._connect_failure = error.with_traceback(None)

    async def _configure(self, connection: GatewayConnection) -> None:
        self._connect_failure = None
        try:
            with SocketDeadline(connection, self._socket_timeout_s):
                if connection.pgconn.parameter_status(b"TimeZone") not in _UTC:
                    await connection.execute("SET TIME ZONE 'UTC'")
                for (timeline,) in await connection.run(READ_TIMELINE, {}):
                    connection.timeline = timeline
            self.timelines.require(connection.timeline)
        except psycopg.Error as error:
            self._note_connect_failure(error)
            await connection.close()
            raise


async def _keep_connecting(pool: AsyncConnectionPool[Any]) -> None:
    """Connect again: a pool without a connection otherwise stops trying."""
    if pool.get_stats()["pool_size"] == 0:
        await pool.check()
