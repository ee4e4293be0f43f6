"""The one place where statements run: bounded, judged, and retried if that is safe."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import ContextVar
from itertools import count
from typing import Any, Literal, Protocol

from attrs import evolve
from psycopg.errors import QueryCanceled

from adapters.postgres.connections.connection import Rows
from adapters.postgres.connections.errors import AttemptFailed, Category, StatementRefused, StillLocked, TookTooLong
from adapters.postgres.connections.faults import fault_behind
from adapters.postgres.connections.observer import StatementObserver, limit_pool_log
from adapters.postgres.connections.statement import BoundStatement, Statement
from adapters.postgres.connections.statement_pool import StatementPool
from adapters.postgres.gateway_options import GatewayOptions
from domain.errors import Overloaded, ShuttingDown, StorageUnavailable
from domain.stats import PoolStats
from domain.storage.faults import StorageFault

__all__ = ["Gateway", "GatewayOptions", "PoolName"]

_BACKOFF_S = 0.01
_BACKOFF_MAX_S = 0.2
_LEAVE_INTERVAL_S = 1.0
_PING = Statement("select_nothing", "SELECT 1")

PoolName = Literal["normal", "lock_wait"]
"""Statements that wait for locks have connections of their own."""


class DatabaseWaiter(Protocol):
    """A request that waits for the database."""

    def waited(self, name: str, duration_s: float) -> None:
        """Note a wait that has ended, for a kind of calls or for a statement."""
        ...


CALLER: ContextVar[DatabaseWaiter | None] = ContextVar("caller", default=None)
"""The request that calls; None in work for many callers, or for none."""


def report_wait(name: str, duration_s: float) -> None:
    """Report to the caller, if there is one, how long it has waited."""
    caller = CALLER.get()
    if caller is not None:
        caller.waited(name, duration_s)


class Pool(Protocol):
    """Connections on which a gateway makes its attempts, as StatementPool does."""

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def drop_idle(self) -> None: ...

    async def attempt(
        self,
        statement: Statement,
        parameters: Mapping[str, object],
        until_s: float,
        fence: Sequence[Statement] = (),
        before: Sequence[BoundStatement] = (),
    ) -> Rows: ...

    def stats(self) -> PoolStats: ...


MakePool = Callable[[str, int, GatewayOptions, StatementObserver | None, Callable[[float], Awaitable[None]]], Pool]


class Gateway:
    """Runs single autocommit statements on PostgreSQL within hard deadlines.

    `observe` is called for each statement that has ended. `make_pool` makes each pool of connections.
    """

    def __init__(
        self,
        options: GatewayOptions,
        observe: StatementObserver | None = None,
        make_pool: MakePool = StatementPool,
    ) -> None:
        self._options = options
        self._left_at_s = float("-inf")
        self._copies = count(1)
        sizes: dict[PoolName, int] = {"normal": options.pool_size_max, "lock_wait": options.lock_wait_pool_size_max}
        self._pools = {name: make_pool(name, size, options, observe, self._leave) for name, size in sizes.items()}

    async def open(self) -> None:
        """Begin to connect, and keep trying; an unavailable database is no error."""
        limit_pool_log()
        for pool in self._pools.values():
            await pool.open()

    async def close(self) -> None:
        """Refuse further statements, wait for those in flight within a limit, and close the connections."""
        await asyncio.gather(*(pool.close() for pool in self._pools.values()))

    async def fetch(  # noqa: PLR0913  # each says one thing about how the statement may be run
        self,
        statement: Statement,
        parameters: Mapping[str, object],
        *,
        timeout_s: float | None = None,
        repeatable: bool = True,
        pool: PoolName = "normal",
        parts: int = 1,
        fence: Sequence[Statement] = (),
        before: Sequence[BoundStatement] = (),
    ) -> list[tuple[Any, ...]]:
        """Run the statement and return its rows, within `timeout_s` (default: the request timeout).

        Running a `repeatable` statement twice does no harm. One with a `fence` gets a parameter `copy`, a number that
        grows with each attempt at any statement. If an earlier copy may still run, the statements of the fence run
        before the next one with the same parameters, each in a transaction of its own. Statements `before` run in front
        of it, in one message and one transaction with it: the server stores all of them or none. `parts` is the number
        of calls that could run in statements of their own. The call can be cancelled at any time; a statement that was
        sent runs to its own end.

        Raises:
            StorageUnavailable: `stored` is None for a read, "no" or "unknown" for a write.
            Overloaded, ShuttingDown: the statement did not run.
            StatementRefused: PostgreSQL will never accept the values.
            StillLocked: on the pool `lock_wait`, the wait for a lock was too long. It is not retried, because other
                calls wait for the connection.
            TookTooLong: a statement of several `parts` was too long. It is not retried as a whole.
            Exception: any other error is a bug.
        """
        started_s = time.monotonic()
        until_s = started_s + (timeout_s or self._options.request_timeout_s)
        try:
            return await self._fetch(
                statement, parameters, until_s, pool, repeatable=repeatable, parts=parts, fence=fence, before=before
            )
        finally:
            report_wait(statement.name, time.monotonic() - started_s)

    async def ping(self, timeout_s: float) -> float:
        """Return the seconds of a round trip with the wait for a connection; raises what `fetch` raises."""
        started_s = time.monotonic()
        await self.fetch(_PING, {}, timeout_s=timeout_s, repeatable=False)
        return time.monotonic() - started_s

    def stats(self) -> PoolStats:
        """Return the present numbers of the pool `normal`, with the statements in flight of all pools."""
        pools = self.pools()
        return evolve(pools["normal"], in_flight=sum(pool.in_flight for pool in pools.values()))

    def pools(self) -> Mapping[str, PoolStats]:
        """Return the present numbers of each pool."""
        return {name: pool.stats() for name, pool in self._pools.items()}

    async def _fetch(  # noqa: PLR0913  # as `fetch`
        self,
        statement: Statement,
        parameters: Mapping[str, object],
        until_s: float,
        pool: PoolName,
        *,
        repeatable: bool,
        parts: int,
        fence: Sequence[Statement],
        before: Sequence[BoundStatement],
    ) -> list[tuple[Any, ...]]:
        sent, attempt = False, 0
        while True:
            attempt += 1
            try:
                numbered = {**parameters, "copy": next(self._copies)} if fence else parameters
                return await self._pools[pool].attempt(statement, numbered, until_s, fence if sent else (), before)
            except AttemptFailed as failed:
                if failed.decision.refused:
                    raise StatementRefused(str(failed.__cause__)) from failed.__cause__
                sent = sent or failed.decision.sent
                if pool == "lock_wait" and failed.decision.category is Category.TIMEOUT and not sent:
                    raise StillLocked(pause_s=self._options.poll_pause_s) from failed.__cause__
                if parts > 1 and isinstance(failed.__cause__, QueryCanceled) and not sent:
                    raise TookTooLong from failed.__cause__
                pause_s = _pause_s(attempt)
                if not (repeatable and self._may_retry(attempt, until_s - pause_s)):
                    fault = fault_behind(failed.decision, failed.__cause__)
                    raise _unavailable(statement, fault, sent=sent) from failed.__cause__
            except (Overloaded, ShuttingDown) as refusal:
                # They say that nothing is stored, and an earlier attempt may have stored it.
                if sent and statement.writes:
                    raise _unavailable(statement, None, sent=sent) from refusal
                raise
            await asyncio.sleep(pause_s)

    def _may_retry(self, attempt: int, until_s: float) -> bool:
        """Return whether another attempt is allowed, and can end by its socket deadline."""
        in_time = until_s - time.monotonic() >= self._options.socket_timeout_s
        return in_time and attempt < self._options.attempts_max

    async def _leave(self, started_s: float) -> None:
        """Drop the idle connections to a server that is gone, once for all statements that find it out together.

        A server that became read-only still responds, and must not be flooded with new connections.
        """
        if started_s < self._left_at_s + _LEAVE_INTERVAL_S:
            return
        self._left_at_s = time.monotonic()
        for pool in self._pools.values():
            await pool.drop_idle()


def _pause_s(attempt: int) -> float:
    longest_s = min(_BACKOFF_MAX_S, _BACKOFF_S * 2**attempt)
    return random.uniform(longest_s / 2, longest_s)  # noqa: S311  # keeps losers of one race apart


def _unavailable(statement: Statement, fault: StorageFault | None, *, sent: bool) -> StorageUnavailable:
    if statement.writes and sent:
        return StorageUnavailable(stored="unknown", retry_after_ms=None)
    return StorageUnavailable.of(fault, stored="no" if statement.writes else None)
