"""The attempts at statements, each on a connection of a bounded pool."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, cast

import structlog

from adapters.postgres.connections.connection import GatewayConnection, Rows
from adapters.postgres.connections.connection_pool import ConnectionPool
from adapters.postgres.connections.errors import CUT, CUT_SHORT, AttemptFailed, RetryDecision, judge
from adapters.postgres.connections.exchange import SocketDeadline
from adapters.postgres.connections.held import HeldConnection, Hold
from adapters.postgres.connections.node_connection import HeldStatement, NodeConnection
from adapters.postgres.connections.observer import FailureLog, StatementObserver, failure_class
from adapters.postgres.connections.statement import BoundStatement, Statement
from adapters.postgres.gateway_options import GatewayOptions
from domain.stats import PoolStats

_CLOSE_TIMEOUT_S = 1.0

_log = structlog.get_logger(__name__)


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
        connection_class = NodeConnection if gathers else GatewayConnection if hold is None else HeldConnection
        self._pool = ConnectionPool(name, size_max, options, connection_class, {} if hold is None else {"hold": hold})

    def stats(self) -> PoolStats:
        """Return the present figures."""
        return self._pool.stats(len(self._tasks))

    async def open(self) -> None:
        """Begin to connect, and return."""
        await self._pool.open()

    async def close(self) -> None:
        """Wait for the statements in flight, within a limit, and close the connections."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=self._socket_timeout_s + _CLOSE_TIMEOUT_S)
        await self._pool.close(_CLOSE_TIMEOUT_S)

    async def drop_idle(self) -> None:
        """Close the idle connections, and those in use when they are returned."""
        await self._pool.drop_idle()

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
        connection = await self._pool.take(timeout_s, writes=statement.writes)
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
        connection = await self._pool.take(timeout_s, writes=writes)
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
            self._pool.timelines.require(connection.timeline)
            decisions = [self._judge(each, cut_after_s) if isinstance(each, Exception) else None for each in outcomes]
            spent = any(decision is not None and decision.connection_spent for decision in decisions)
        except Exception as error:  # noqa: BLE001  # judged, and returned to each caller
            outcomes, decisions = [error] * len(statements), [self._judge(error, None)] * len(statements)
        finally:
            await self._pool.put_back(connection, spent=spent, writes=writes)
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
            self._pool.timelines.require(connection.timeline)
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
            await self._pool.put_back(connection, spent=spent, writes=statement.writes)

    def _judge(self, error: Exception, cut_after_s: float | None) -> RetryDecision:
        if cut_after_s is None:
            return judge(error)
        return CUT if cut_after_s >= self._socket_timeout_s else CUT_SHORT

    def _note(self, statement: Statement, duration_s: float, failure: str | None, *, responded: bool) -> None:
        if responded:
            self._pool.note_response()
        if self._observe is not None:
            self._observe(statement.name, duration_s, failure)
        if duration_s >= self._options.slow_statement_s:
            duration_ms = round(duration_s * 1000, 1)
            _log.warning("slow_statement", statement=statement.name, duration_ms=duration_ms, **self._options.log_facts)


def _failure(decision: RetryDecision, error: Exception) -> Exception:
    if not (decision.passing or decision.refused):
        return error
    failed = AttemptFailed(decision)
    failed.__cause__ = error
    return failed
