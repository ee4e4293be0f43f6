"""The connections to one bucket, at the node where it lies at the moment."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

from attrs import evolve
from psycopg import errors
from typing_extensions import override

from adapters.postgres.buckets.node import SIZE, Nodes, NodeStatements
from adapters.postgres.buckets.placements import Placement, Placements
from adapters.postgres.connections.connection import Rows
from adapters.postgres.connections.errors import (
    BUCKET_MOVED,
    NO_CONNECTION,
    AttemptFailed,
    StillLocked,
    TookTooLong,
    judge,
)
from adapters.postgres.connections.node_connection import HeldStatement
from adapters.postgres.connections.observer import StatementObserver
from adapters.postgres.connections.statement import BoundStatement, Statement, UnknownTable
from adapters.postgres.connections.statement_pool import StatementPool
from adapters.postgres.gateway import Gateway, MakePool, PoolName
from adapters.postgres.gateway_options import GatewayOptions
from domain.concurrency.background_tasks import BackgroundTasks
from domain.errors import Overloaded, ShuttingDown, StorageUnavailable
from domain.stats import PoolStats
from domain.storage.faults import StorageFault

_SIZE_MIN: Mapping[str, int] = {"normal": 2, "lock_wait": 1}
_PAUSE_S = 0.02
_CLOSE_TIMEOUT_S = 10.0
_AWAY_S = 5.0
"""So long new sessions get other buckets after a failure; the first call that succeeds ends it."""
_ALONE_S = 5.0
"""So long statements of a bucket share no message after one that failed: it may move, or its statements be slow."""

GATHERED = frozenset({"select_sessions", "begin_executions", "finish_executions"})
"""The statements of each execute: with the plans of others each connection to a node would grow too large.

None of them waits for the lock of a row, so those of one transaction may come in any order of buckets.
"""

_NONE = PoolStats(0, 0, 0, 0, 0, 0, 0)
_HOLDING = ".hold("
"""What PostgreSQL says of where an error arose, if that was the hold."""


class BucketPool:
    """Makes attempts of a gateway on one bucket: with the names of its shards, at its node, behind its hold.

    A bucket that has moved is found anew, and the statement is sent again within its time: it has not run.
    """

    def __init__(  # noqa: PLR0913  # as StatementPool, and which bucket
        self,
        name: str,
        size_max: int,
        options: GatewayOptions,
        observe: StatementObserver | None,
        on_server_left: Callable[[float], Awaitable[None]],
        *,
        number: int,
        placements: Placements,
        nodes: Nodes | None = None,
        make: Callable[..., StatementPool] = StatementPool,
    ) -> None:
        self._nodes = nodes
        self._make = make
        self._alone_until_s = float("-inf")
        self._name, self._size_max, self._options = name, size_max, options
        self._observe = observe
        self._on_server_left = on_server_left
        self._number = number
        self._placements = placements
        self._pool: StatementPool | None = None
        self._placement: Placement | None = None
        self._changing = asyncio.Lock()
        self._leaving = BackgroundTasks()
        self._closed = False

    def stats(self) -> PoolStats:
        """Return the present figures."""
        return _NONE if self._pool is None else self._pool.stats()

    async def open(self) -> None:
        """Begin to connect if it is known where; the first statement connects in any case."""
        placement = self._placements.known(self._number)
        if placement is not None:
            await self._at(placement)

    async def close(self) -> None:
        """Wait for the statements in flight, within a limit, and close the connections."""
        self._closed = True
        if self._pool is not None:
            await self._pool.close()
        await self._leaving.drain(_CLOSE_TIMEOUT_S)

    async def drop_idle(self) -> None:
        """Close the idle connections, and those in use when they are returned."""
        if self._pool is not None:
            await self._pool.drop_idle()

    async def attempt(
        self,
        statement: Statement,
        parameters: Mapping[str, object],
        until_s: float,
        fence: Sequence[Statement] = (),
        before: Sequence[BoundStatement] = (),
    ) -> Rows:
        """Run the statement once, as StatementPool does."""
        placement = await self._placements.of(self._number)
        while True:
            try:
                placed = placement.statement(statement)
                if (
                    self._nodes is not None
                    and placement.gathers
                    and self._is_gathered(placed, [*fence, *before], until_s)
                ):
                    node = await self._nodes.at(placement.node)
                    return await self._together(node, HeldStatement(placement.hold, placed, parameters), until_s)
                pool = await self._at(placement)
                placed_fence = [placement.statement(each) for each in fence]
                placed_before = [BoundStatement(placement.statement(e.statement), e.parameters) for e in before]
                return await pool.attempt(placed, parameters, until_s, placed_fence, placed_before)
            except (AttemptFailed, UnknownTable, errors.UndefinedFunction, ShuttingDown) as failed:
                placement = await self._next(placement, failed, until_s)

    async def _together(self, node: NodeStatements, held: HeldStatement, until_s: float) -> Rows:
        """Run the statement in one message with those of other buckets, which a failed one does not hold up again."""
        try:
            return await node.attempt(held, until_s)
        except Exception:
            self._alone_until_s = time.monotonic() + _ALONE_S
            raise

    def _is_gathered(self, statement: Statement, others: Sequence[object], until_s: float) -> bool:
        """Return whether the statement may share a message: all of these have the same time."""
        now_s = time.monotonic()
        may_share = now_s >= self._alone_until_s and until_s - now_s >= self._options.socket_timeout_s
        return may_share and statement.prepare and not others and self._name == "normal" and statement.name in GATHERED

    async def _next(self, seen: Placement, failed: Exception, until_s: float) -> Placement:
        """Return where to send the statement now; raises the failure if no move is behind it."""
        if self._closed or not _may_be_a_move(failed) or until_s - time.monotonic() < self._options.socket_timeout_s:
            raise _as_attempt(failed)
        if _was_held(failed):
            return self._placements.known(self._number) or seen
        found = await self._found_after(seen)
        if found is seen and not _has_moved(failed):
            raise _as_attempt(failed)
        await asyncio.sleep(_PAUSE_S if found is seen else 0)
        return found

    async def _found_after(self, seen: Placement) -> Placement:
        """Return where the bucket is now; where it was last if home is away."""
        try:
            return await self._placements.after(seen)
        except (StorageUnavailable, Overloaded, ShuttingDown):
            return self._placements.known(self._number) or seen

    async def _at(self, placement: Placement) -> StatementPool:
        """Return the connections to the bucket's node; those to an earlier one end with their statements."""
        if self._placement is placement and self._pool is not None:
            return self._pool
        async with self._changing:
            if self._placement is not placement or self._pool is None:
                if self._pool is not None:
                    self._leaving.spawn(self._pool.close())
                self._pool = self._pool_at(placement)
                self._placement = placement
                await self._pool.open()
            return self._pool

    def _pool_at(self, placement: Placement) -> StatementPool:
        size = _size(self._name, self._size_max, placement.buckets_of_node)
        dsn = placement.node.dsn(self._options.dsn)
        options = evolve(self._options, dsn=dsn, holds_buckets=True, log_facts={"bucket": self._number})
        return self._make(self._name, size, options, self._observe, self._on_server_left, hold=placement.hold)


def _size(name: str, size_max: int, buckets: int) -> int:
    """Return the size of a pool of a bucket, whose node has so many: they share what home has."""
    return max(_SIZE_MIN[name], size_max // buckets)


def connections_of_node(options: GatewayOptions, buckets: int) -> int:
    """Return how many connections a process opens to a node with so many buckets."""
    sizes = {"normal": options.pool_size_max, "lock_wait": options.lock_wait_pool_size_max}
    return SIZE + buckets * sum(_size(name, size_max, buckets) for name, size_max in sizes.items())


class BucketGateway(Gateway):
    """Runs statements on one bucket; its errors name the bucket."""

    def __init__(
        self, number: int, options: GatewayOptions, observe: StatementObserver | None, make_pool: MakePool
    ) -> None:
        super().__init__(options, observe, make_pool)
        self.number = number
        self.fault: StorageFault | None = None
        """What the last failure says."""
        self._failed_at_s = float("-inf")

    @property
    def is_away(self) -> bool:
        """Whether the bucket did not serve a statement a moment ago."""
        return time.monotonic() - self._failed_at_s < _AWAY_S

    @override
    async def fetch(
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
    ) -> Rows:
        try:
            rows = await super().fetch(
                statement,
                parameters,
                timeout_s=timeout_s,
                repeatable=repeatable,
                pool=pool,
                parts=parts,
                fence=fence,
                before=before,
            )
        except StorageUnavailable as error:
            error.bucket = self.number
            if not isinstance(error, StillLocked | TookTooLong):  # the node has responded
                self._failed_at_s, self.fault = time.monotonic(), error.fault
            raise
        self._failed_at_s = float("-inf")
        return rows


def bucket_gateway(
    number: int,
    placements: Placements,
    options: GatewayOptions,
    observe: StatementObserver | None = None,
    nodes: Nodes | None = None,
) -> BucketGateway:
    """Return a gateway whose statements run on one bucket. `options` are those of home, whose pools are divided.

    With `nodes`, statements of several buckets that start together share a message.
    """

    def make_pool(
        name: str,
        size_max: int,
        options: GatewayOptions,
        observe: StatementObserver | None,
        on_server_left: Callable[[float], Awaitable[None]],
    ) -> BucketPool:
        return BucketPool(
            name, size_max, options, observe, on_server_left, number=number, placements=placements, nodes=nodes
        )

    return BucketGateway(number, options, observe, make_pool)


def _may_be_a_move(failed: Exception) -> bool:
    if not isinstance(failed, AttemptFailed):
        return True  # a name is unknown there, or the connections to an earlier node have been closed
    unknown = isinstance(failed.__cause__, errors.UndefinedTable)
    return failed.decision is NO_CONNECTION or unknown or _has_moved(failed) or _was_held(failed)


def _has_moved(failed: Exception) -> bool:
    """Return whether the node said that it does not have the bucket, or the pool to it was left."""
    return isinstance(failed, ShuttingDown) or getattr(failed.__cause__, "sqlstate", None) == BUCKET_MOVED


def _was_held(failed: Exception) -> bool:
    """Return whether the statement has waited for the last step of a move, and has not run."""
    cause = failed.__cause__
    if not isinstance(cause, errors.LockNotAvailable | errors.QueryCanceled):
        return False
    return _HOLDING in (cause.diag.context or "")


def _as_attempt(failed: Exception) -> Exception:
    """Return the failure as one of an attempt: a bucket without a table or function lacks a migration."""
    if not isinstance(failed, UnknownTable | errors.UndefinedFunction):
        return failed
    attempt = AttemptFailed(judge(errors.UndefinedTable()))
    attempt.__cause__ = failed
    return attempt
