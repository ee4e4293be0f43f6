"""Gathers calls of one kind into few statements."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable, Sequence
from contextvars import Context
from typing import Generic

from attrs import field, frozen, validators

from adapters.postgres.batching.batch import Answer, Call, PendingCall, StatementBatch
from adapters.postgres.batching.batch_keys import BatchKeys
from adapters.postgres.batching.call_queue import CallQueue, QueueBounds
from adapters.postgres.connections.errors import StatementRefused, TookTooLong
from adapters.postgres.connections.observer import tell_caller
from adapters.timers import call_later
from domain.errors import Overloaded, ShuttingDown
from domain.histogram import Histogram

_MIB = 1024 * 1024
_SIZES = tuple(2**n for n in range(9))
_WAITS_S = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
_positive = validators.ge(1)


@frozen
class CoalescerOptions:
    """Bounds of one coalescer: statements under way at once, calls and bytes in one, calls and bytes waiting.

    A statement leaves beside others only when the latest of them has been under way for `overlap_s`: calls that have
    other work behind them are gathered into half as many so, and those that have none would wait for it.
    """

    concurrency: int = field(default=2, validator=_positive)
    overlap_s: float = field(default=0.0, validator=validators.ge(0))
    batch_max: int = field(default=256, validator=_positive)
    batch_bytes_max: int = field(default=8 * _MIB, validator=_positive)
    queue_max: int = field(default=4096, validator=_positive)
    queue_bytes_max: int = field(default=64 * _MIB, validator=_positive)

    @property
    def bounds(self) -> QueueBounds:
        """The bounds of what waits."""
        return QueueBounds(self.batch_max, self.batch_bytes_max, self.queue_max, self.queue_bytes_max)


@frozen
class CoalescerStats:
    """What waits and what is under way now, and counts since the start.

    `sizes` are the calls in each batch; `waits` are the seconds that the oldest call of each has waited to leave.
    """

    waiting: int
    waiting_bytes: int
    under_way: int
    calls: int
    batches: int
    overloaded: int
    sizes: Histogram
    waits: Histogram


class Coalescer(Generic[Call, Answer]):
    """Sends the calls that arrive in one turn of the event loop, or while statements are under way, together.

    A lone call leaves at once; see CoalescerOptions for the next ones. `send` gets the calls of a batch and returns
    their answers in the same order; an answer that is an Exception is raised to its own caller. With `share`, calls of
    equal keys that have not left yet are one call. With `exclusive`, a key is in one batch at a time among all
    coalescers with that BatchKeys; its further calls wait for a later batch, in the order of arrival, and delay nobody
    else. Calls of one key may be in one batch.
    """

    def __init__(  # noqa: PLR0913  # each is one property of the kind of call
        self,
        name: str,
        send: Callable[[Sequence[Call]], Awaitable[Sequence[Answer | Exception]]],
        *,
        key: Callable[[Call], Hashable],
        size: Callable[[Call], int],
        options: CoalescerOptions,
        exclusive: BatchKeys | None = None,
        share: bool = False,
    ) -> None:
        self.name = name
        self._send = send
        self._key = key
        self._size = size
        self._options = options
        self._share = share
        self._queue: CallQueue[Call, Answer] = CallQueue(options.bounds, exclusive, self._depart_soon)
        self._calls = 0
        self._batches = 0
        self._overloaded = 0
        self._sizes = Histogram(_SIZES)
        self._waits = Histogram(_WAITS_S)
        self._tasks: set[asyncio.Task[None]] = set()
        self._departing = False
        self._left_at_s = 0.0
        self._next: asyncio.TimerHandle | None = None
        self._closed = False
        self._drained: list[asyncio.Future[None]] = []
        # A statement belongs to all of its callers, so it runs in the context of none.
        self._context = Context()

    async def ask(self, call: Call) -> Answer:
        """Return the answer to this call, or raise what `send` raised or put in its place.

        Cancelling it before its batch has left keeps the call from being sent. Raises Overloaded when too much is
        waiting, ShuttingDown after `close`.
        """
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        asked_s = time.monotonic()
        self._enqueue(call, future, asked_s)
        try:
            return await future
        finally:
            tell_caller(self.name, time.monotonic() - asked_s)

    def stats(self) -> CoalescerStats:
        """Return the present figures."""
        return CoalescerStats(
            waiting=self._queue.waiting,
            waiting_bytes=self._queue.waiting_bytes,
            under_way=len(self._tasks),
            calls=self._calls,
            batches=self._batches,
            overloaded=self._overloaded,
            sizes=self._sizes,
            waits=self._waits,
        )

    async def drain(self) -> None:
        """Wait until nothing waits and nothing is under way."""
        while self._queue.waiting or self._tasks:
            drained: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._drained.append(drained)
            await drained

    async def close(self) -> None:
        """Take no more calls, and drain."""
        self._closed = True
        await self.drain()

    def _enqueue(self, call: Call, future: asyncio.Future[Answer], asked_s: float) -> None:
        if self._closed:
            raise ShuttingDown
        key = self._key(call)
        if not (self._share and self._queue.join(key, future)):
            self._add(key, PendingCall(call, self._size(call), [future], asked_s))
        self._calls += 1

    def _add(self, key: Hashable, slot: PendingCall[Call, Answer]) -> None:
        try:
            self._queue.add(key, slot)
        except Overloaded:
            self._overloaded += 1
            raise
        self._depart_soon()

    def _depart_soon(self) -> None:
        if not self._departing and len(self._tasks) < self._options.concurrency:
            self._departing = True
            asyncio.get_running_loop().call_soon(self._depart, context=self._context)

    def _depart(self) -> None:
        self._departing = False
        while self._queue.ready and len(self._tasks) < self._options.concurrency:
            pause_s = self._pause_s()
            if pause_s > 0:
                self._depart_after(pause_s)
                break
            batch = self._queue.next_batch()
            if batch.slots:
                self._start(batch)
        self._tell_drained()

    def _pause_s(self) -> float:
        """Return for how long what waits is not to leave beside what is under way."""
        return self._left_at_s + self._options.overlap_s - time.monotonic() if self._tasks else 0.0

    def _depart_after(self, pause_s: float) -> None:
        if self._next is None:
            self._next = call_later(asyncio.get_running_loop(), pause_s, self._depart_next, self._context)

    def _depart_next(self) -> None:
        self._next = None
        self._depart()

    def _start(self, batch: StatementBatch[Call, Answer]) -> None:
        self._left_at_s = time.monotonic()
        self._batches += 1
        self._sizes.add(len(batch.slots))
        self._waits.add(self._left_at_s - batch.slots[0].asked_s)
        task = asyncio.get_running_loop().create_task(self._run(batch), name=self.name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._depart_soon()
        self._tell_drained()

    def _tell_drained(self) -> None:
        if self._queue.waiting or self._tasks:
            return
        drained, self._drained = self._drained, []
        for future in drained:
            if not future.done():
                future.set_result(None)

    async def _run(self, batch: StatementBatch[Call, Answer]) -> None:
        try:
            await self._deliver(batch.slots)
        except asyncio.CancelledError:
            for slot in batch.slots:
                slot.cancel()
            raise
        finally:
            self._queue.release(batch)

    async def _deliver(self, slots: Sequence[PendingCall[Call, Answer]]) -> None:
        """Send, and settle each slot.

        A batch that is refused, or took too long, is sent again in halves: until the bad value stands alone, or the
        statement is small enough.
        """
        slots = [slot for slot in slots if slot.wanted]  # callers may have left since the batch was made up
        if not slots:
            return
        try:
            await self._exchange(slots)
        except (StatementRefused, TookTooLong) as failure:
            if len(slots) == 1:
                slots[0].settle(failure)
                return
            half = len(slots) // 2
            await self._deliver(slots[:half])
            await self._deliver(slots[half:])
        except Exception as error:  # noqa: BLE001  # whatever it is belongs to the callers of what was sent
            for slot in slots:
                slot.settle(error)

    async def _exchange(self, slots: Sequence[PendingCall[Call, Answer]]) -> None:
        answers = await self._send([slot.call for slot in slots])
        if len(answers) != len(slots):
            raise RuntimeError(f"{self.name}: {len(slots)} calls got {len(answers)} answers")
        for slot, answer in zip(slots, answers, strict=True):
            slot.settle(answer)
