"""Gathers calls of one kind into few statements."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from contextvars import Context
from typing import Generic, TypeVar

from attrs import define, field, frozen, validators

from adapters.postgres.errors import Refused
from adapters.postgres.key_set import KeySet
from domain.errors import Overloaded, ShuttingDown

Call = TypeVar("Call")
Answer = TypeVar("Answer")

_MIB = 1024 * 1024
_positive = validators.ge(1)


@frozen
class CoalescerOptions:
    """Bounds of one coalescer: statements under way at once, calls and bytes in one, calls and bytes waiting."""

    concurrency: int = field(default=2, validator=_positive)
    batch_max: int = field(default=256, validator=_positive)
    batch_bytes_max: int = field(default=8 * _MIB, validator=_positive)
    queue_max: int = field(default=4096, validator=_positive)
    queue_bytes_max: int = field(default=64 * _MIB, validator=_positive)


@frozen
class CoalescerStats:
    """What waits and what is under way now, and counts since the start."""

    waiting: int
    waiting_bytes: int
    under_way: int
    calls: int
    batches: int
    overloaded: int


@define(eq=False)
class _Slot(Generic[Call, Answer]):
    """A call and those who wait for its answer; it is wanted while one of them still does."""

    call: Call
    size: int
    futures: list[asyncio.Future[Answer]]

    @property
    def wanted(self) -> bool:
        for future in self.futures:  # noqa: SIM110  # in the way of every call: a generator costs twice as much
            if not future.done():
                return True
        return False

    def settle(self, outcome: Answer | Exception) -> None:
        for future in self.futures:
            if future.done():
                continue
            # One instance may go to many callers: a future resets the traceback whenever it raises.
            if isinstance(outcome, Exception):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)

    def cancel(self) -> None:
        for future in self.futures:
            future.cancel()


@define(eq=False)
class _Batch(Generic[Call, Answer]):
    """Slots that leave together, and the keys that are held for them."""

    slots: list[_Slot[Call, Answer]] = field(factory=list)
    keys: list[Hashable] = field(factory=list)
    size: int = 0

    def add(self, slot: _Slot[Call, Answer]) -> None:
        self.slots.append(slot)
        self.size += slot.size


class Coalescer(Generic[Call, Answer]):
    """Sends the calls that arrive in one turn of the event loop, or while statements are under way, together.

    A lone call leaves at once. `send` gets the calls of a batch and returns their answers in the same order; an
    answer that is an Exception is raised to its own caller. With `share`, calls of equal keys that have not left yet
    are one call. With `exclusive`, a key is in one batch at a time among all coalescers with that KeySet; its further
    calls wait for a later batch, in the order of arrival, and delay nobody else. Calls of one key may be in one batch.
    """

    def __init__(  # noqa: PLR0913  # each is one property of the kind of call
        self,
        name: str,
        send: Callable[[Sequence[Call]], Awaitable[Sequence[Answer | Exception]]],
        *,
        key: Callable[[Call], Hashable],
        size: Callable[[Call], int],
        options: CoalescerOptions,
        exclusive: KeySet | None = None,
        share: bool = False,
    ) -> None:
        self.name = name
        self._send = send
        self._key = key
        self._size = size
        self._options = options
        self._exclusive = exclusive
        self._share = share
        self._ready: OrderedDict[Hashable, deque[_Slot[Call, Answer]]] = OrderedDict()
        self._parked: dict[Hashable, deque[_Slot[Call, Answer]]] = {}
        self._granted: set[Hashable] = set()
        self._waiting = 0
        self._waiting_bytes = 0
        self._calls = 0
        self._batches = 0
        self._overloaded = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._departing = False
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
        self._enqueue(call, future)
        return await future

    def stats(self) -> CoalescerStats:
        """Return the present figures."""
        return CoalescerStats(
            waiting=self._waiting,
            waiting_bytes=self._waiting_bytes,
            under_way=len(self._tasks),
            calls=self._calls,
            batches=self._batches,
            overloaded=self._overloaded,
        )

    async def drain(self) -> None:
        """Wait until nothing waits and nothing is under way."""
        while self._waiting or self._tasks:
            drained: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._drained.append(drained)
            await drained

    async def close(self) -> None:
        """Take no more calls, and drain."""
        self._closed = True
        await self.drain()

    def _enqueue(self, call: Call, future: asyncio.Future[Answer]) -> None:
        if self._closed:
            raise ShuttingDown
        key = self._key(call)
        group = self._ready.get(key) or self._parked.get(key)
        if group and self._share:
            group[-1].futures.append(future)
        else:
            self._admit(key, group, _Slot(call, self._size(call), [future]))
        self._calls += 1

    def _admit(self, key: Hashable, group: deque[_Slot[Call, Answer]] | None, slot: _Slot[Call, Answer]) -> None:
        full = self._waiting >= self._options.queue_max
        if full or self._waiting_bytes + slot.size > self._options.queue_bytes_max:
            self._overloaded += 1
            raise Overloaded("the database")
        self._waiting += 1
        self._waiting_bytes += slot.size
        if group is None:
            self._ready[key] = deque((slot,))
            self._depart_soon()
        else:
            group.append(slot)

    def _depart_soon(self) -> None:
        if not self._departing and len(self._tasks) < self._options.concurrency:
            self._departing = True
            asyncio.get_running_loop().call_soon(self._depart, context=self._context)

    def _depart(self) -> None:
        self._departing = False
        while self._ready and len(self._tasks) < self._options.concurrency:
            batch = self._next_batch()
            if batch.slots:
                self._start(batch)
        self._tell_drained()

    def _next_batch(self) -> _Batch[Call, Answer]:
        batch: _Batch[Call, Answer] = _Batch()
        while self._ready and self._fits(batch, next(iter(self._ready.values()))[0]):
            key, group = self._ready.popitem(last=False)
            if self._hold(key):
                self._board(batch, key, group)
            else:
                self._parked[key] = group
        return batch

    def _fits(self, batch: _Batch[Call, Answer], slot: _Slot[Call, Answer]) -> bool:
        if not batch.slots:
            return True
        roomy = batch.size + slot.size <= self._options.batch_bytes_max
        return roomy and len(batch.slots) < self._options.batch_max

    def _hold(self, key: Hashable) -> bool:
        if self._exclusive is None:
            return True
        if key in self._granted:
            self._granted.discard(key)
            return True
        return self._exclusive.take(key, self._grant)

    def _grant(self, key: Hashable) -> None:
        self._granted.add(key)
        self._ready[key] = self._parked.pop(key)
        self._depart_soon()

    def _board(self, batch: _Batch[Call, Answer], key: Hashable, group: deque[_Slot[Call, Answer]]) -> None:
        boarded = len(batch.slots)
        while group and self._fits(batch, group[0]):
            slot = group.popleft()
            self._waiting -= 1
            self._waiting_bytes -= slot.size
            if slot.wanted:
                batch.add(slot)
        if self._exclusive is None:
            self._keep(key, group)
            return
        if group:
            self._parked[key] = group
            self._exclusive.take(key, self._grant)
        if len(batch.slots) > boarded:
            batch.keys.append(key)
        else:
            self._exclusive.release(key)

    def _keep(self, key: Hashable, group: deque[_Slot[Call, Answer]]) -> None:
        if group:
            self._ready[key] = group
            self._ready.move_to_end(key, last=False)

    def _start(self, batch: _Batch[Call, Answer]) -> None:
        self._batches += 1
        task = asyncio.get_running_loop().create_task(self._run(batch), name=self.name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._depart_soon()
        self._tell_drained()

    def _tell_drained(self) -> None:
        if self._waiting or self._tasks:
            return
        drained, self._drained = self._drained, []
        for future in drained:
            if not future.done():
                future.set_result(None)

    async def _run(self, batch: _Batch[Call, Answer]) -> None:
        try:
            await self._deliver(batch.slots)
        except asyncio.CancelledError:
            for slot in batch.slots:
                slot.cancel()
            raise
        except Exception as error:  # noqa: BLE001  # whatever it is belongs to the callers
            for slot in batch.slots:
                slot.settle(error)
        finally:
            for key in batch.keys:
                assert self._exclusive is not None
                self._exclusive.release(key)

    async def _deliver(self, slots: Sequence[_Slot[Call, Answer]]) -> None:
        """Send, and settle each slot; a refused batch is sent again in halves, until the bad value stands alone."""
        slots = [slot for slot in slots if slot.wanted]  # callers may have left since the batch was made up
        if not slots:
            return
        try:
            answers = await self._send([slot.call for slot in slots])
        except Refused as refusal:
            if len(slots) == 1:
                slots[0].settle(refusal)
                return
        else:
            if len(answers) != len(slots):
                raise RuntimeError(f"{self.name}: {len(slots)} calls got {len(answers)} answers")
            for slot, answer in zip(slots, answers, strict=True):
                slot.settle(answer)
            return
        half = len(slots) // 2
        await self._deliver(slots[:half])
        await self._deliver(slots[half:])
