"""Gathers calls of one kind into few statements."""

import asyncio
import time
from collections.abc import Callable, Hashable, Sequence
from contextvars import Context
from functools import partial
from typing import Generic

from attrs import field, frozen, validators

from adapters.postgres.batching.call_queue import BatchKeys, CallQueue, PendingCall, QueueBounds, StatementBatch
from adapters.postgres.batching.statement import BatchStatement, Call, Response
from adapters.postgres.batching.statement_turns import StatementGroup, StatementTurns
from adapters.postgres.connections.errors import StatementRefused, TookTooLong
from adapters.postgres.gateway import Gateway, PoolName, report_wait
from domain.concurrency.budget import call_later
from domain.errors import Overloaded, ShuttingDown
from domain.histogram import Histogram
from domain.stats import CoalescerStats

_MIB = 1024 * 1024
_SIZES = tuple(2**n for n in range(9))
_WAITS_S = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
_positive = validators.ge(1)


@frozen
class CoalescerOptions:
    """Bounds of one coalescer: statements in progress, calls and bytes in one statement, calls and bytes waiting.

    A statement starts beside others only after the latest of them has run for `overlap_s`. Calls with other work behind
    them are so gathered into half as many statements; calls without it would only wait.
    """

    concurrency: int = field(default=2, validator=_positive)
    overlap_s: float = field(default=0.0, validator=validators.ge(0))
    batch_max: int = field(default=256, validator=_positive)
    batch_bytes_max: int = field(default=8 * _MIB, validator=_positive)
    queue_max: int = field(default=4096, validator=_positive)
    queue_bytes_max: int = field(default=64 * _MIB, validator=_positive)

    @property
    def bounds(self) -> QueueBounds:
        """The bounds of batches and of the queue."""
        return QueueBounds(self.batch_max, self.batch_bytes_max, self.queue_max, self.queue_bytes_max)


class Coalescer(Generic[Call, Response]):
    """Runs calls in one statement if they arrive in one turn of the event loop, or while statements are in progress.

    A lone call starts at once; CoalescerOptions says when the next ones start. With `share`, calls of equal keys that
    have not started are one call. With `exclusive`, a key is in one batch at a time among all coalescers with these
    BatchKeys; its further calls wait for a later batch, in the order of arrival, and delay no other key. Several calls
    of one key may be in one batch.
    """

    def __init__(  # noqa: PLR0913  # each is one property of the kind of call
        self,
        gateway: Gateway,
        statement: BatchStatement[Call, Response],
        options: CoalescerOptions,
        *,
        exclusive: BatchKeys | None = None,
        share: bool = False,
        pool: PoolName = "normal",
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = statement.name if pool == "normal" else f"{statement.name}_{pool}"
        self._gateway = gateway
        self._statement = statement
        self._options = options
        self._share = share
        self._pool = pool
        self._monotonic_s = monotonic_s
        self._queue: CallQueue[Call, Response] = CallQueue(options.bounds, exclusive, self._start_soon)
        self._calls = 0
        self._batches = 0
        self._overloaded = 0
        self._sizes = Histogram(_SIZES)
        self._waits = Histogram(_WAITS_S)
        self._tasks: set[asyncio.Task[None]] = set()
        self._starting = False
        self._turns = StatementTurns()
        self._group: StatementGroup | None = None
        self._next: asyncio.TimerHandle | None = None
        self._closed = False
        self._drained: list[asyncio.Future[None]] = []
        # A statement belongs to all of its callers, so it runs in the context of none.
        self._context = Context()

    @property
    def statement_name(self) -> str | None:
        """The name of the statement that runs the calls; None if it waits for locks."""
        return self._statement.sql.name if self._pool == "normal" else None

    def share(self, turns: StatementTurns) -> None:
        """Start statements in turn with the other members of `turns` from now on, and with no earlier ones."""
        if self in self._turns.members:
            self._turns.members.remove(self)
        turns.members.append(self)
        self._turns = turns
        self.start_if_ready()

    def start_if_ready(self) -> None:
        """Start waiting calls soon, if a statement may start now."""
        if self._queue.ready:
            self._start_soon()

    async def submit(self, call: Call) -> Response:
        """Return the response to this call, or raise the error of the statement, or of this call in it.

        A call that is cancelled before its batch has started is not sent. Raises Overloaded when too many calls wait,
        ShuttingDown after `close`.
        """
        future: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        submitted_s = self._monotonic_s()
        self._enqueue(call, future, submitted_s)
        try:
            return await future
        finally:
            report_wait(self.name, self._monotonic_s() - submitted_s)

    def stats(self) -> CoalescerStats:
        """Return the present figures."""
        return CoalescerStats(
            waiting=self._queue.waiting,
            waiting_bytes=self._queue.waiting_bytes,
            in_flight=len(self._tasks),
            calls=self._calls,
            batches=self._batches,
            overloaded=self._overloaded,
            sizes=self._sizes,
            waits=self._waits,
        )

    async def drain(self) -> None:
        """Wait until no call waits and no statement is in progress."""
        while self._queue.waiting or self._tasks:
            drained: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._drained.append(drained)
            await drained

    async def close(self) -> None:
        """Refuse further calls, and drain."""
        self._closed = True
        await self.drain()

    def _enqueue(self, call: Call, future: asyncio.Future[Response], submitted_s: float) -> None:
        if self._closed:
            raise ShuttingDown
        key = self._statement.batch_key(call)
        if not (self._share and self._queue.join(key, future)):
            self._add(key, PendingCall(call, self._statement.size(call), [future], submitted_s))
        self._calls += 1

    def _add(self, key: Hashable, call: PendingCall[Call, Response]) -> None:
        try:
            self._queue.add(key, call)
        except Overloaded:
            self._overloaded += 1
            raise
        self._start_soon()

    def _start_soon(self) -> None:
        if not self._starting and self._turns.may_start(self._options.concurrency, self._group):
            self._starting = True
            asyncio.get_running_loop().call_soon(self._start_batches, context=self._context)

    def _start_batches(self) -> None:
        self._starting = False
        while self._queue.ready and self._turns.may_start(self._options.concurrency, self._group):
            pause_s = self._turns.pause_s(self._options.overlap_s, self._monotonic_s())
            if pause_s > 0:
                self._start_after(pause_s)
                break
            batch = self._queue.next_batch()
            if batch.pending:
                self._start(batch)
        self._notify_drained()

    def _start_after(self, pause_s: float) -> None:
        if self._next is None:
            self._next = call_later(asyncio.get_running_loop(), pause_s, self._start_next, self._context)

    def _start_next(self) -> None:
        self._next = None
        self._start_batches()

    def _start(self, batch: StatementBatch[Call, Response]) -> None:
        turns, started_at_s, calls = self._turns, self._monotonic_s(), len(batch.pending)
        self._group = group = turns.start(started_at_s, calls)
        self._batches += 1
        self._sizes.add(calls)
        self._waits.add(started_at_s - batch.pending[0].submitted_s)
        task = asyncio.get_running_loop().create_task(self._run(batch), name=self.name)
        self._tasks.add(task)
        task.add_done_callback(partial(self._on_end, turns, group))

    def _on_end(self, turns: StatementTurns, group: StatementGroup, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        wakes = turns.end(group)
        if turns is self._turns and not turns.is_shared:
            self._start_soon()
        elif wakes:
            turns.wake_next()
        self._notify_drained()

    def _notify_drained(self) -> None:
        if self._queue.waiting or self._tasks:
            return
        drained, self._drained = self._drained, []
        for future in drained:
            if not future.done():
                future.set_result(None)

    async def _run(self, batch: StatementBatch[Call, Response]) -> None:
        try:
            await self._deliver(batch.pending)
        except asyncio.CancelledError:
            for call in batch.pending:
                call.cancel()
            raise
        finally:
            self._queue.release(batch)

    async def _deliver(self, pending: Sequence[PendingCall[Call, Response]]) -> None:
        """Run the statement, and settle each call.

        A batch that is refused, or takes too long, is run again in halves: until the bad value stands alone, or the
        statement is small enough.
        """
        pending = [call for call in pending if call.wanted]  # callers may have left since the batch was made
        if not pending:
            return
        try:
            await self._exchange(pending)
        except (StatementRefused, TookTooLong) as failure:
            if len(pending) == 1:
                pending[0].settle(failure)
                return
            half = len(pending) // 2
            await self._deliver(pending[:half])
            await self._deliver(pending[half:])
        except Exception as error:  # noqa: BLE001  # any error belongs to the callers of this statement
            for call in pending:
                call.settle(error)

    async def _exchange(self, pending: Sequence[PendingCall[Call, Response]]) -> None:
        statement, calls = self._statement, [each.call for each in pending]
        rows = await self._gateway.fetch(
            statement.sql,
            statement.parameters(calls, self._pool),
            repeatable=statement.repeatable,
            pool=self._pool,
            parts=len(calls) if statement.divisible else 1,
            fence=statement.fence,
            before=statement.before(calls),
        )
        for call, response in zip(pending, statement.responses(calls, rows), strict=True):
            call.settle(response)
