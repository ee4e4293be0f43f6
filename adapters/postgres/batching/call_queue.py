"""Calls that wait for a statement: grouped by batch key, in the order of arrival."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from typing import Generic

from attrs import define, field, frozen

from adapters.postgres.batching.statement import Call, Response
from domain.errors import Overloaded

Grant = Callable[[Hashable], None]


class BatchKeys:
    """Batch keys of which each is held by one batch at a time, with a queue for each; not thread-safe.

    A session's key is the number of its id, which hashes fast.
    """

    def __init__(self) -> None:
        self._queues: dict[Hashable, deque[Grant] | None] = {}

    def __len__(self) -> int:
        return len(self._queues)

    def take(self, key: Hashable, grant: Grant) -> bool:
        """Hold the key if it is free; else join its queue, and `grant(key)` is called once the key is held."""
        if key not in self._queues:
            self._queues[key] = None
            return True
        queue = self._queues[key]
        if queue is None:
            queue = self._queues[key] = deque()
        queue.append(grant)
        return False

    def release(self, key: Hashable) -> None:
        """Pass the key to the first in its queue, or free it."""
        queue = self._queues[key]
        if queue:
            queue.popleft()(key)
        else:
            del self._queues[key]


@define(eq=False)
class PendingCall(Generic[Call, Response]):
    """A call of `size` bytes, and the futures of the callers that wait for its response since `submitted_s`."""

    call: Call
    size: int
    futures: list[asyncio.Future[Response]]
    submitted_s: float = 0.0

    @property
    def wanted(self) -> bool:
        """Whether a caller still waits."""
        for future in self.futures:  # noqa: SIM110  # for every call: a generator costs twice as much
            if not future.done():
                return True
        return False

    def settle(self, outcome: Response | Exception) -> None:
        """Return the response, or raise the error, to all callers that still wait."""
        for future in self.futures:
            if future.done():
                continue
            # Many callers may get one instance: a future resets the traceback whenever it raises.
            if isinstance(outcome, Exception):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)

    def cancel(self) -> None:
        """Cancel all callers that still wait."""
        for future in self.futures:
            future.cancel()


@define(eq=False)
class StatementBatch(Generic[Call, Response]):
    """Calls for one statement, bounded in number and bytes, and the batch keys that it holds."""

    calls_max: int
    bytes_max: int
    pending: list[PendingCall[Call, Response]] = field(factory=list)
    keys: list[Hashable] = field(factory=list)
    size: int = 0

    def takes(self, call: PendingCall[Call, Response]) -> bool:
        """Return whether the call fits; the first one always does."""
        if not self.pending:
            return True
        return len(self.pending) < self.calls_max and self.size + call.size <= self.bytes_max

    def add(self, call: PendingCall[Call, Response]) -> None:
        """Add the call."""
        self.pending.append(call)
        self.size += call.size


@frozen
class QueueBounds:
    """Calls and bytes in one batch, and calls and bytes that may wait."""

    batch_max: int
    batch_bytes_max: int
    queue_max: int
    queue_bytes_max: int


class CallQueue(Generic[Call, Response]):
    """A bounded queue that makes batches; no operation examines more calls than it moves.

    With `exclusive`, a group whose key is held by a batch, of this queue or another, is parked until it gets the key;
    then `wake` is called. A call without waiting callers is dropped at its turn.
    """

    def __init__(self, bounds: QueueBounds, exclusive: BatchKeys | None, wake: Callable[[], None]) -> None:
        self._bounds = bounds
        self._exclusive = exclusive
        self._wake = wake
        self._ready: OrderedDict[Hashable, deque[PendingCall[Call, Response]]] = OrderedDict()
        self._parked: dict[Hashable, deque[PendingCall[Call, Response]]] = {}
        self._granted: set[Hashable] = set()
        self.waiting = 0
        self.waiting_bytes = 0

    @property
    def ready(self) -> bool:
        """Whether there is a group that is not parked."""
        return bool(self._ready)

    def join(self, key: Hashable, future: asyncio.Future[Response]) -> bool:
        """Wait for the response to an equal call in the queue; return whether there is one."""
        group = self._ready.get(key) or self._parked.get(key)
        if group is None:
            return False
        group[-1].futures.append(future)
        return True

    def add(self, key: Hashable, call: PendingCall[Call, Response]) -> None:
        """Queue the call; raises Overloaded when too many calls or bytes wait."""
        full = self.waiting >= self._bounds.queue_max
        if full or self.waiting_bytes + call.size > self._bounds.queue_bytes_max:
            raise Overloaded("the database")
        self.waiting += 1
        self.waiting_bytes += call.size
        group = self._ready.get(key) or self._parked.get(key)
        if group is None:
            self._ready[key] = deque((call,))
        else:
            group.append(call)

    def next_batch(self) -> StatementBatch[Call, Response]:
        """Return the next calls to run; none if all of them were dropped or are parked."""
        batch: StatementBatch[Call, Response] = StatementBatch(self._bounds.batch_max, self._bounds.batch_bytes_max)
        while self._ready and batch.takes(next(iter(self._ready.values()))[0]):
            key, group = self._ready.popitem(last=False)
            if self._exclusive is None:
                self._fill(batch, group)
                self._keep_in_front(key, group)
            elif self._hold(key, self._exclusive):
                self._fill_exclusively(batch, key, group, self._exclusive)
            else:
                self._parked[key] = group
        return batch

    def release(self, batch: StatementBatch[Call, Response]) -> None:
        """Release the keys of a batch that has ended."""
        if self._exclusive is None:
            return
        for key in batch.keys:
            self._exclusive.release(key)

    def _fill(self, batch: StatementBatch[Call, Response], group: deque[PendingCall[Call, Response]]) -> int:
        """Move the calls that fit from the group to the batch, and return how many were moved."""
        before = len(batch.pending)
        while group and batch.takes(group[0]):
            call = group.popleft()
            self.waiting -= 1
            self.waiting_bytes -= call.size
            if call.wanted:
                batch.add(call)
        return len(batch.pending) - before

    def _keep_in_front(self, key: Hashable, group: deque[PendingCall[Call, Response]]) -> None:
        if group:
            self._ready[key] = group
            self._ready.move_to_end(key, last=False)

    def _fill_exclusively(
        self,
        batch: StatementBatch[Call, Response],
        key: Hashable,
        group: deque[PendingCall[Call, Response]],
        exclusive: BatchKeys,
    ) -> None:
        filled = self._fill(batch, group)
        if group:
            self._parked[key] = group
            exclusive.take(key, self._grant)
        if filled:
            batch.keys.append(key)
        else:
            exclusive.release(key)

    def _hold(self, key: Hashable, exclusive: BatchKeys) -> bool:
        if key in self._granted:
            self._granted.discard(key)
            return True
        return exclusive.take(key, self._grant)

    def _grant(self, key: Hashable) -> None:
        self._granted.add(key)
        self._ready[key] = self._parked.pop(key)
        self._wake()
