"""Calls that have not left yet, grouped by key, in the order of arrival."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from typing import Generic

from attrs import frozen

from adapters.postgres.batching.batch import Answer, Call, PendingCall, StatementBatch
from adapters.postgres.batching.batch_keys import BatchKeys
from domain.errors import Overloaded


@frozen
class QueueBounds:
    """Calls and bytes in one batch, and calls and bytes that may wait."""

    batch_max: int
    batch_bytes_max: int
    queue_max: int
    queue_bytes_max: int


class CallQueue(Generic[Call, Answer]):
    """A bounded queue that gives out batches; no operation looks at more calls than it moves.

    With `exclusive`, a group whose key is held by a batch, of this queue or another, is parked until the key is
    granted to it; `wake` is called then. A call that nobody waits for any more is dropped when its turn comes.
    """

    def __init__(self, bounds: QueueBounds, exclusive: BatchKeys | None, wake: Callable[[], None]) -> None:
        self._bounds = bounds
        self._exclusive = exclusive
        self._wake = wake
        self._ready: OrderedDict[Hashable, deque[PendingCall[Call, Answer]]] = OrderedDict()
        self._parked: dict[Hashable, deque[PendingCall[Call, Answer]]] = {}
        self._granted: set[Hashable] = set()
        self.waiting = 0
        self.waiting_bytes = 0

    @property
    def ready(self) -> bool:
        """Whether there is a group that is not parked."""
        return bool(self._ready)

    def join(self, key: Hashable, future: asyncio.Future[Answer]) -> bool:
        """Wait for the answer to an equal call that is here already; return whether there is one."""
        group = self._ready.get(key) or self._parked.get(key)
        if group is None:
            return False
        group[-1].futures.append(future)
        return True

    def add(self, key: Hashable, slot: PendingCall[Call, Answer]) -> None:
        """Let the call wait; raises Overloaded when too much waits already."""
        full = self.waiting >= self._bounds.queue_max
        if full or self.waiting_bytes + slot.size > self._bounds.queue_bytes_max:
            raise Overloaded("the database")
        self.waiting += 1
        self.waiting_bytes += slot.size
        group = self._ready.get(key) or self._parked.get(key)
        if group is None:
            self._ready[key] = deque((slot,))
        else:
            group.append(slot)

    def next_batch(self) -> StatementBatch[Call, Answer]:
        """Return the next calls to leave; none when all of them were dropped or are parked."""
        batch: StatementBatch[Call, Answer] = StatementBatch(self._bounds.batch_max, self._bounds.batch_bytes_max)
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

    def release(self, batch: StatementBatch[Call, Answer]) -> None:
        """Give the keys of a batch back that has ended."""
        if self._exclusive is None:
            return
        for key in batch.keys:
            self._exclusive.release(key)

    def _fill(self, batch: StatementBatch[Call, Answer], group: deque[PendingCall[Call, Answer]]) -> int:
        """Move what fits from the group to the batch, and return how many calls that were."""
        before = len(batch.slots)
        while group and batch.takes(group[0]):
            slot = group.popleft()
            self.waiting -= 1
            self.waiting_bytes -= slot.size
            if slot.wanted:
                batch.add(slot)
        return len(batch.slots) - before

    def _keep_in_front(self, key: Hashable, group: deque[PendingCall[Call, Answer]]) -> None:
        if group:
            self._ready[key] = group
            self._ready.move_to_end(key, last=False)

    def _fill_exclusively(
        self,
        batch: StatementBatch[Call, Answer],
        key: Hashable,
        group: deque[PendingCall[Call, Answer]],
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
