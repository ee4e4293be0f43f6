"""A bounded pool of connections, and one statement on one of them."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, cast

import psycopg
import structlog
from psycopg_pool import AsyncConnectionPool, PoolClosed, PoolTimeout, TooManyRequests

from adapters.postgres.connections.connection import GatewayConnection, Rows
from adapters.postgres.connections.errors import CUT, CUT_SHORT, NO_CONNECTION, RetryDecision, judge
from adapters.postgres.connections.exchange import SocketDeadline, looks_alive
from adapters.postgres.connections.held import HeldConnection, Hold
from adapters.postgres.connections.node_connection import HeldStatement, NodeConnection
from adapters.postgres.connections.observer import FailureLog, StatementObserver, failure_class
from adapters.postgres.connections.statement import BoundStatement, Statement
from adapters.postgres.connections.timelines import READ_TIMELINE, Timelines
from adapters.postgres.gateway_options import GatewayOptions
from domain.errors import Overloaded, ShuttingDown
from domain.stats import PoolStats

_CLOSE_TIMEOUT_S = 1.0
_RECONNECT_PAUSE_S = 0.25
_UTC = (b"UTC", b"Etc/UTC")

_log = structlog.get_logger(__name__)


class AttemptFailed(Exception):
    """One attempt at a statement failed; its cause is the driver's error."""

    def __init__(self, decision: RetryDecision) -> None:
        super().__init__(decision)
        self.decision = decision


class StatementPool:
    """Connections that share a bound; a statement on them ends by its socket deadline, whatever the server does.

    `on_server_left` is called with the start of a statement that found the server gone. With `hold` all statements are
    for one bucket, and run behind it. With `gathers` they are for the buckets of one node, and run by `attempt_each`.
    """

    def __init__(  # noqa: PLR0913  # as a gateway makes it, and what a bucket adds
        self,
        name: str,
        size_max: int,
        options: GatewayOptions,
        observe: StatementObserver | None,
        on_server_left: Callable[[float], Awaitable[None]],
        *,
        hold: Hold | None = None,
        gathers: bool = False,
    ) -> None:
        self._options = options
        self._socket_timeout_s, self._pool_timeout_s = options.socket_timeout_s, options.pool_timeout_s
        self._observe = observe
        self._on_server_left = on_server_left
        self._failures = FailureLog(options.log_facts)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._responded_at_s = float("-inf")
        self._connect_failure: Exception | None = None
        self._timelines = Timelines()
        self._closed = False
        # All writes may wait for one thing, such as a standby that is away. Reads must not wait with them.
        self._writers = asyncio.Semaphore(max(1, size_max - 1) if name == "normal" else size_max)
        self._writers_waiting = 0
        self._pool: AsyncConnectionPool[GatewayConnection] = AsyncConnectionPool(
            options.conninfo,
            connection_class=NodeConnection if gathers else GatewayConnection if hold is None else HeldConnection,
            kwargs=({} if hold is None else {"hold": hold})
            | {
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

    def stats(self) -> PoolStats:
        """Return the present figures."""
        pool = self._pool.get_stats()  # a counter that is zero may be missing
        return PoolStats(
            pool_size=pool.get("pool_size", 0),
            pool_size_max=self._pool.max_size,
            pool_idle=pool.get("pool_available", 0),
            pool_waiting=pool.get("requests_waiting", 0) + self._writers_waiting,
            in_flight=len(self._tasks),
            connects=pool.get("connections_num", 0),
            connect_errors=pool.get("connections_errors", 0),
        )

    async def open(self) -> None:
        """Begin to connect, and return."""
        await self._pool.open(wait=False)

    async def close(self) -> None:
        """Wait for the statements in flight, within a limit, and close the connections."""
        self._closed = True
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=self._socket_timeout_s + _CLOSE_TIMEOUT_S)
        await self._pool.close(timeout=_CLOSE_TIMEOUT_S)

    async def drop_idle(self) -> None:
        """Close the idle connections, and those in use when they are returned."""
        await self._pool.drain()

    async def attempt(
        self,
        statement: Statement,
        parameters: Mapping[str, object],
        until_s: float,
        fence: Sequence[Statement] = (),
        before: Sequence[BoundStatement] = (),
    ) -> Rows:
        """Run the statement once, and end by `until_s` (of `time.monotonic`); the rest is as in `Gateway.fetch`.

        If the call is cancelled, a statement that was sent runs to its own end.

        Raises AttemptFailed, Overloaded, ShuttingDown, or the driver's error if it shows a bug.
        """
        timeout_s = self._connection_timeout_s(until_s - time.monotonic())
        connection = await (self._writer if statement.writes else self._connection)(timeout_s)
        socket_s = min(self._socket_timeout_s, until_s - time.monotonic())
        work = self._run(connection, statement, parameters, socket_s, fence, before)
        task = asyncio.get_running_loop().create_task(work, name=statement.name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        outcome = await asyncio.shield(task)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def attempt_each(self, statements: Sequence[HeldStatement], until_s: float) -> Sequence[Rows | Exception]:
        """Run each statement, all in one message on one connection; return the rows or the failure of each.

        The failures are those that `attempt` raises. The task that calls is never cancelled: others wait for it. Raises
        AttemptFailed, Overloaded or ShuttingDown if none was sent.
        """
        timeout_s = self._connection_timeout_s(until_s - time.monotonic())
        writes = any(each.statement.writes for each in statements)
        connection = await (self._writer if writes else self._connection)(timeout_s)
        socket_s = min(self._socket_timeout_s, until_s - time.monotonic())
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            return await self._run_each(cast("NodeConnection", connection), statements, socket_s, writes=writes)
        finally:
            self._tasks.discard(task)

    async def _run_each(
        self, connection: NodeConnection, statements: Sequence[HeldStatement], timeout_s: float, *, writes: bool
    ) -> Sequence[Rows | Exception]:
        started_s, spent = time.monotonic(), True
        try:
            with SocketDeadline(connection, timeout_s) as deadline:
                outcomes = list(await connection.run_each(statements))
            cut_after_s = timeout_s if deadline.passed else None
            self._timelines.require(connection.timeline)
            decisions = [self._judge(each, cut_after_s) if isinstance(each, Exception) else None for each in outcomes]
            spent = any(decision is not None and decision.connection_spent for decision in decisions)
        except Exception as error:  # noqa: BLE001  # judged, and returned to each caller
            outcomes, decisions = [error] * len(statements), [self._judge(error, None)] * len(statements)
        finally:
            if writes:
                self._writers.release()
            await self._return(connection, spent=spent)
        return await self._judged(statements, outcomes, decisions, started_s)

    async def _judged(
        self,
        statements: Sequence[HeldStatement],
        outcomes: Sequence[Rows | Exception],
        decisions: Sequence[RetryDecision | None],
        started_s: float,
    ) -> Sequence[Rows | Exception]:
        duration_s, judged = time.monotonic() - started_s, list(outcomes)
        for nth, (held, outcome, decision) in enumerate(zip(statements, outcomes, decisions, strict=True)):
            failure = None
            if isinstance(outcome, Exception) and decision is not None:
                failure = failure_class(outcome, decision)
                self._failures.note(held.statement.name, outcome, decision)
                judged[nth] = _failure(decision, outcome)
            self._note(held.statement, duration_s, failure, responded=decision is None or not decision.connection_spent)
        if any(decision is not None and decision.server_left for decision in decisions):
            await self._on_server_left(started_s)
        return judged

    def _connection_timeout_s(self, left_s: float) -> float:
        """Return how long to wait for a connection, so that the statement keeps its time, or half of the rest."""
        return min(self._pool_timeout_s, max(left_s - self._socket_timeout_s, left_s / 2))

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
                if looks_alive(connection) and self._timelines.admits(connection.timeline):
                    return connection
                await self._return(connection, spent=True)
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

    async def _run(  # noqa: PLR0913, PLR0917  # as `attempt`, and the connection
        self,
        connection: GatewayConnection,
        statement: Statement,
        parameters: Mapping[str, object],
        timeout_s: float,
        fence: Sequence[Statement],
        before: Sequence[BoundStatement],
    ) -> Rows | Exception:
        """Return rows or the failure: there may be no caller left to raise it to."""
        started_s = time.monotonic()
        spent = True
        failure: str | None = None
        try:
            with SocketDeadline(connection, timeout_s) as deadline:
                rows = await connection.run(statement, parameters, fence, before)
            self._timelines.require(connection.timeline)
            spent = False
        except Exception as error:  # noqa: BLE001  # judged, and raised to the caller
            decision = self._judge(error, timeout_s if deadline.passed else None)
            spent, failure = decision.connection_spent, failure_class(error, decision)
            self._failures.note(statement.name, error, decision)
            if decision.server_left:
                await self._on_server_left(started_s)
            return _failure(decision, error)
        else:
            return rows
        finally:
            self._note(statement, time.monotonic() - started_s, failure, responded=not spent)
            if statement.writes:
                self._writers.release()
            await self._return(connection, spent=spent)

    def _judge(self, error: Exception, cut_after_s: float | None) -> RetryDecision:
        if cut_after_s is None:
            return judge(error)
        return CUT if cut_after_s >= self._socket_timeout_s else CUT_SHORT

    def _note(self, statement: Statement, duration_s: float, failure: str | None, *, responded: bool) -> None:
        if responded:
            self._responded_at_s = time.monotonic()
        if self._observe is not None:
            self._observe(statement.name, duration_s, failure)
        if duration_s >= self._options.slow_statement_s:
            duration_ms = round(duration_s * 1000, 1)
            _log.warning("slow_statement", statement=statement.name, duration_ms=duration_ms, **self._options.log_facts)

    async def _return(self, connection: GatewayConnection, *, spent: bool) -> None:
        if spent:
            await connection.close()
        await self._pool.putconn(connection)

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
            self._timelines.require(connection.timeline)
        except psycopg.Error as error:
            self._note_connect_failure(error)
            await connection.close()
            raise


def _failure(decision: RetryDecision, error: Exception) -> Exception:
    if not (decision.passing or decision.refused):
        return error
    failed = AttemptFailed(decision)
    failed.__cause__ = error
    return failed


async def _keep_connecting(pool: AsyncConnectionPool[Any]) -> None:
    """Connect again: a pool without a connection otherwise stops trying."""
    if pool.get_stats()["pool_size"] == 0:
        await pool.check()
