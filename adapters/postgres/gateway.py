"""The one place where statements run: bounded, judged, repeated where that is safe."""

import asyncio
import random
import time
from collections.abc import Mapping
from typing import Any, Literal

from attrs import frozen
from psycopg.errors import QueryCanceled

from adapters.postgres.connections.errors import Category, StatementRefused, StillLocked, TookTooLong
from adapters.postgres.connections.observer import StatementObserver, tell_caller
from adapters.postgres.connections.pool_log import thin_pool_log
from adapters.postgres.connections.statement_pool import AttemptFailed, StatementPool, StatementPoolStats
from adapters.postgres.gateway_options import GatewayOptions
from adapters.postgres.statement import Statement
from domain.errors import Overloaded, ShuttingDown, StorageUnavailable

__all__ = ["Gateway", "GatewayOptions", "GatewayStats"]

_BACKOFF_S = 0.01
_BACKOFF_MAX_S = 0.2
_LEAVE_INTERVAL_S = 1.0
_PING = Statement("select_nothing", "SELECT 1")

PoolName = Literal["main", "waiting"]


@frozen
class GatewayStats:
    """Connections of the main lane (open or being opened, idle), calls waiting for one, statements under way."""

    pool_size: int
    pool_size_max: int
    pool_idle: int
    pool_waiting: int
    in_flight: int


class Gateway:
    """Runs single autocommit statements on PostgreSQL within hard deadlines.

    `observe` is told of each statement that has ended.
    """

    def __init__(self, options: GatewayOptions, observe: StatementObserver | None = None) -> None:
        self._options = options
        self._left_at_s = float("-inf")
        sizes: dict[PoolName, int] = {"main": options.pool_size_max, "waiting": options.waiting_lane_size_max}
        self._lanes = {name: StatementPool(name, size, options, observe, self._leave) for name, size in sizes.items()}

    async def open(self) -> None:
        """Begin to connect, and go on trying for ever; never fails because the database is away."""
        thin_pool_log()
        for lane in self._lanes.values():
            await lane.open()

    async def close(self) -> None:
        """Take no more statements, wait for those under way (bounded), close the connections."""
        await asyncio.gather(*(lane.close() for lane in self._lanes.values()))

    async def fetch(  # noqa: PLR0913  # each says one thing about how the statement may be run
        self,
        statement: Statement,
        parameters: Mapping[str, object],
        *,
        timeout_s: float | None = None,
        repeatable: bool = True,
        lane: PoolName = "main",
        parts: int = 1,
    ) -> list[tuple[Any, ...]]:
        """Run the statement and return its rows, within `timeout_s` (default: the request timeout) whatever happens.

        `repeatable` says that running it twice does no harm. The call can be cancelled at any time; a statement that
        was sent goes on to its own end. The lane "waiting" is for statements that wait for locks of others.

        Raises StorageUnavailable (`stored` is None for a read, "no" or "unknown" for a write), Overloaded,
        ShuttingDown, Refused when PostgreSQL will never take the values; any other error is a bug. On the lane
        "waiting", where others wait for its connections, a wait that was too long is not repeated: StillLocked. Nor is
        what took too long where `parts` says that it can be done in several: TookTooLong.
        """
        started_s = time.monotonic()
        until_s = started_s + (timeout_s or self._options.request_timeout_s)
        try:
            return await self._fetch(statement, parameters, until_s, lane, repeatable=repeatable, parts=parts)
        finally:
            tell_caller(statement.name, time.monotonic() - started_s)

    async def ping(self, timeout_s: float) -> float:
        """Return the seconds that a round trip takes, with the wait for a connection; raises as `fetch` does."""
        started_s = time.monotonic()
        await self.fetch(_PING, {}, timeout_s=timeout_s, repeatable=False)
        return time.monotonic() - started_s

    def stats(self) -> GatewayStats:
        """Return the present figures."""
        lanes = self.lanes()
        main = lanes["main"]
        return GatewayStats(
            pool_size=main.pool_size,
            pool_size_max=main.pool_size_max,
            pool_idle=main.pool_idle,
            pool_waiting=main.pool_waiting,
            in_flight=sum(lane.in_flight for lane in lanes.values()),
        )

    def lanes(self) -> Mapping[PoolName, StatementPoolStats]:
        """Return the present figures of each lane."""
        return {name: lane.stats() for name, lane in self._lanes.items()}

    async def _fetch(  # noqa: PLR0913  # as `fetch`
        self,
        statement: Statement,
        parameters: Mapping[str, object],
        until_s: float,
        lane: PoolName,
        *,
        repeatable: bool,
        parts: int,
    ) -> list[tuple[Any, ...]]:
        sent, attempt = False, 0
        while True:
            attempt += 1
            try:
                return await self._lanes[lane].attempt(statement, parameters, until_s)
            except AttemptFailed as failed:
                if failed.verdict.refused:
                    raise StatementRefused(str(failed.__cause__)) from failed.__cause__
                sent = sent or failed.verdict.sent
                if lane == "waiting" and failed.verdict.category is Category.TIMEOUT and not sent:
                    raise StillLocked(pause_s=self._options.look_pause_s) from failed.__cause__
                if parts > 1 and isinstance(failed.__cause__, QueryCanceled) and not sent:
                    raise TookTooLong from failed.__cause__
                pause_s = _pause_s(attempt)
                if not (repeatable and self._may_try_again(attempt, until_s - pause_s)):
                    raise _unavailable(statement, sent=sent) from failed.__cause__
            except (Overloaded, ShuttingDown) as refusal:
                # They say that nothing is stored, which an earlier attempt may have made untrue.
                if sent and statement.writes:
                    raise _unavailable(statement, sent=sent) from refusal
                raise
            await asyncio.sleep(pause_s)

    def _may_try_again(self, attempt: int, until_s: float) -> bool:
        """Whether another attempt is allowed, and has time to end by its socket deadline."""
        in_time = until_s - time.monotonic() >= self._options.socket_timeout_s
        return in_time and attempt < self._options.attempts_max

    async def _leave(self, started_s: float) -> None:
        """Drop the idle connections to a server that is no more, once for all statements that find it out together.

        A server that has merely become read-only answers at once: it is not to be stormed with new connections.
        """
        if started_s < self._left_at_s + _LEAVE_INTERVAL_S:
            return
        self._left_at_s = time.monotonic()
        for lane in self._lanes.values():
            await lane.drop_idle()


def _pause_s(attempt: int) -> float:
    longest_s = min(_BACKOFF_MAX_S, _BACKOFF_S * 2**attempt)
    return random.uniform(longest_s / 2, longest_s)  # noqa: S311  # keeps losers of one race apart


def _unavailable(statement: Statement, *, sent: bool) -> StorageUnavailable:
    if not statement.writes:
        return StorageUnavailable()
    if sent:
        return StorageUnavailable(stored="unknown", retry_after_ms=None)
    return StorageUnavailable(stored="no")
