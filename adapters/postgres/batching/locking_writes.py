"""Writes that lock rows: batches that no foreign lock delays, and read-modify-write without lost updates."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Hashable, Sequence
from typing import Generic

from attrs import define, evolve, field

from adapters.postgres.batching.call_queue import BatchKeys
from adapters.postgres.batching.coalescer import Coalescer, CoalescerOptions
from adapters.postgres.batching.statement import Call, LockingStatement, Response, RowLocked
from adapters.postgres.connections.errors import StillLocked
from adapters.postgres.gateway import Gateway, report_wait
from domain.errors import Overloaded, StorageUnavailable

_LOCK_WAITS_MAX = 2
"""Statements that wait for locks at once; more would only hold more connections."""
POLLS_MAX = 20
"""With the lock wait before them, these take about half of a request's time."""


@define
class _StuckRow:
    """A row that is locked for longer than a statement waits, and how many callers poll it."""

    pause_s: float
    callers: int = 0


class LockingWrites(Generic[Call, Response]):
    """Runs writes of one kind in batches.

    A call whose row is locked is run again in a statement that waits for the lock. If that is in vain, the row is
    polled for all of its callers, and takes no part in lock waits for other rows. So a foreign lock delays only the
    callers of its own row.
    """

    def __init__(
        self,
        gateway: Gateway,
        statement: LockingStatement[Call, Response],
        options: CoalescerOptions,
        *,
        exclusive: BatchKeys,
    ) -> None:
        self._statement = statement
        self._stuck: dict[Hashable, _StuckRow] = {}
        waits = evolve(options, concurrency=min(options.concurrency, _LOCK_WAITS_MAX))
        self._skipping = Coalescer(gateway, statement, options, exclusive=exclusive)
        self._waiting = Coalescer(gateway, statement, waits, exclusive=exclusive, pool="lock_wait")

    async def submit(self, call: Call) -> Response:
        """Return the response to this call; raises what Coalescer.submit raises."""
        try:
            return await self._skipping.submit(call)
        except RowLocked:
            pass
        try:
            return await self._wait(call)
        except RowLocked as error:
            raise StorageUnavailable(stored="no") from error

    @property
    def coalescers(self) -> Sequence[Coalescer[Call, Response]]:
        """Both coalescers, for metrics and to be closed."""
        return self._skipping, self._waiting

    @property
    def polled_rows(self) -> int:
        """How many rows are polled now."""
        return len(self._stuck)

    async def _wait(self, call: Call) -> Response:
        key = self._statement.batch_key(call)
        if key not in self._stuck:
            try:
                return await self._waiting.submit(call)
            except StillLocked as locked:
                self._stuck.setdefault(key, _StuckRow(locked.pause_s))
        return await self._poll(call, key)

    async def _poll(self, call: Call, key: Hashable) -> Response:
        """Run the call again and again; raises RowLocked if the row stays locked."""
        row = self._stuck[key]
        row.callers += 1
        try:
            for _ in range(POLLS_MAX):
                await self._pause(row.pause_s)
                with contextlib.suppress(RowLocked):
                    return await self._skipping.submit(call)
        finally:
            row.callers -= 1
            if not row.callers:
                del self._stuck[key]
        raise RowLocked

    async def _pause(self, longest_s: float) -> None:
        pause_s = random.uniform(longest_s / 2, longest_s)  # noqa: S311  # keeps processes apart
        await asyncio.sleep(pause_s)
        report_wait(f"{self._skipping.name}_locked", pause_s)


@define
class _Holder:
    lock: asyncio.Lock = field(factory=asyncio.Lock)
    callers: int = 0


class KeyedLock:
    """Locks by key within this process, for `size_max` callers; a lock exists only while it is used."""

    def __init__(self, size_max: int) -> None:
        self._size_max = size_max
        self._callers = 0
        self._holders: dict[Hashable, _Holder] = {}

    def __len__(self) -> int:
        return len(self._holders)

    @contextlib.asynccontextmanager
    async def hold(self, key: Hashable) -> AsyncIterator[None]:
        """Hold the key's lock, in the order of arrival; raises Overloaded when there are too many callers."""
        if self._callers >= self._size_max:
            raise Overloaded("the database")
        holder = self._holders.setdefault(key, _Holder())
        self._count(holder, 1)
        try:
            async with holder.lock:
                yield
        finally:
            self._count(holder, -1)
            if not holder.callers:
                del self._holders[key]

    def _count(self, holder: _Holder, callers: int) -> None:
        holder.callers += callers
        self._callers += callers
