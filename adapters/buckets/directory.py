"""The buckets of a database, and the storage of each."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import TypeVar
from uuid import UUID

from attrs import define, field, frozen

from domain.access.owner_move import OwnerMover, OwnerPurger
from domain.audit import AuditReader
from domain.buckets.bucket_map import FRESH, HOME, NUMBER_MAX, BucketMap
from domain.buckets.ports import BucketRegister
from domain.clock import Clock
from domain.concurrency.bounded_cache import BoundedCache
from domain.errors import StorageUnavailable, Unavailable
from domain.executions.ports import ExecutionRepository, KeyedExecutionRepository
from domain.files.ports import FileRepository
from domain.functions.ports import FunctionRepository
from domain.identity import Owner, uuid7_time
from domain.limits.ports import UsageReader
from domain.live.ports import LiveOutputStore
from domain.queue.ports import ExecutionQueue
from domain.schedules.ports import ScheduleRepository
from domain.sessions.ports import HiddenSessionRepository, KeyedSessionRepository, SessionPurger, SessionRepository
from domain.states.ports import StateRepository
from domain.timeline import TimelineReader
from domain.usage import ExecutionCounts
from domain.webhooks.ports import DeliveryQueue, WebhookRepository

Result = TypeVar("Result")

_READ_INTERVAL_S = 10.0
_OWNERS_MAX = 50_000
"""Owners whose buckets are remembered until the buckets are read again; that takes up to 0.2 ms for each."""


def _memory() -> BoundedCache[Owner, Sequence[int]]:
    return BoundedCache(_OWNERS_MAX, lambda _: 1)


def serves() -> bool:
    """Say of a bucket that it is never away."""
    return False


async def _nothing() -> None:
    return


@frozen
class Storage:
    """All ports of one bucket. `functions` are those of HOME; no other bucket has any.

    `is_away` is whether its node did not serve a moment ago, so that new sessions go elsewhere.
    """

    number: int
    sessions: SessionRepository
    keyed_sessions: KeyedSessionRepository
    hidden_sessions: HiddenSessionRepository
    executions: ExecutionRepository
    keyed_executions: KeyedExecutionRepository
    live_output: LiveOutputStore
    states: StateRepository
    files: FileRepository
    queue: ExecutionQueue
    schedules: ScheduleRepository
    usage: UsageReader
    execution_counts: ExecutionCounts
    webhooks: WebhookRepository
    deliveries: DeliveryQueue
    audit: AuditReader
    purger: SessionPurger
    owner_mover: OwnerMover
    owner_purger: OwnerPurger
    timeline: TimelineReader
    functions: FunctionRepository
    is_away: Callable[[], bool] = serves
    open: Callable[[], Awaitable[None]] = _nothing
    close: Callable[[], Awaitable[None]] = _nothing


@frozen
class _BucketsRead:
    buckets: BucketMap
    read_at: datetime
    owned: BoundedCache[Owner, Sequence[int]] = field(factory=_memory)


@define(eq=False)
class Directory:
    """Finds the storage of an id; `make` returns the storage of a bucket, once for each.

    `pause` is the longest time of a request. Until the buckets have been read every method but `refresh` and `run`
    raises StorageUnavailable.
    """

    home: Storage
    clock: Clock
    pause: timedelta
    register: BucketRegister
    _make: Callable[[int], Storage]
    _storages: dict[int, Storage] = field(factory=dict, init=False)
    _known: _BucketsRead | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self._storages[HOME] = self.home

    @property
    def buckets(self) -> BucketMap:
        """The buckets as they were read last."""
        return self._last_read().buckets

    @property
    def all(self) -> Sequence[Storage]:
        """The storages of all buckets, that of HOME first."""
        return [self._storages[number] for number in self.buckets.all_numbers]

    def of_owner(self, owner: Owner) -> Sequence[Storage]:
        """Return the storages that may have something of an owner, that of HOME first; for EVERY_OWNER all."""
        known = self._last_read()
        numbers = known.owned.get(owner)
        if numbers is None:
            numbers = known.buckets.all_of(owner)
            known.owned.put(owner, numbers)
        return [self._storages[number] for number in numbers]

    def listing(self, owner: Owner) -> Sequence[Storage]:
        """Return what `of_owner` does, for a list that has to be complete.

        Raises StorageUnavailable if the buckets were not read for FRESH.
        """
        self._require_fresh()
        return self.of_owner(owner)

    def number_of(self, identifier: UUID) -> int:
        """Return the bucket of an id. Raises StorageUnavailable for one that a bucket may have which is not known yet.

        That happens only if the buckets could not be read for FRESH.
        """
        known = self._last_read()
        number = known.buckets.of(identifier)
        if number == HOME and identifier.int & NUMBER_MAX and uuid7_time(identifier) >= known.read_at + FRESH:
            self._require_fresh()
        return number

    def at(self, number: int) -> Storage:
        """Return the storage of a bucket."""
        return self._storages[number]

    def of(self, identifier: UUID) -> Storage:
        """Return the storage that has what the id names; raises as `number_of`."""
        return self._storages[self.number_of(identifier)]

    def hashing(self) -> BucketMap:
        """Return the buckets to choose from by a hash; raises StorageUnavailable if they were not read for FRESH.

        All controllers must choose the same one.
        """
        self._require_fresh()
        return self.buckets

    async def refresh(self) -> None:
        """Read the buckets; raises StorageUnavailable or Overloaded."""
        read_at = self.clock.now()
        buckets = await self.register.read()
        for number in buckets.all_numbers:
            if number not in self._storages:
                storage = self._make(number)
                await storage.open()
                self._storages[number] = storage
        self._known = _BucketsRead(buckets, read_at)

    async def run(self) -> None:
        """Read the buckets again and again; while that fails, the last ones count."""
        while True:
            with contextlib.suppress(Unavailable):
                await self.refresh()
            await asyncio.sleep(_READ_INTERVAL_S)

    async def close(self) -> None:
        """Close the storages of all buckets but HOME."""
        await asyncio.gather(*(each.close() for number, each in self._storages.items() if number != HOME))

    def _last_read(self) -> _BucketsRead:
        if self._known is None:
            raise StorageUnavailable(stored="no")
        return self._known

    def _require_fresh(self) -> None:
        if self.clock.now() - self._last_read().read_at > FRESH:
            raise StorageUnavailable(stored="no")


async def of_each(storages: Sequence[Storage], call: Callable[[Storage], Awaitable[Result]]) -> Sequence[Result]:
    """Return the results of calls to several buckets at once; raises the first error once all have ended."""
    ended = await asyncio.gather(*map(call, storages), return_exceptions=True)
    results = []
    for each in ended:
        if isinstance(each, BaseException):
            raise each
        results.append(each)
    return results


async def of_those_that_serve(
    storages: Sequence[Storage], call: Callable[[Storage], Awaitable[Result]]
) -> Sequence[Result]:
    """Return the results of the buckets that serve; raises Unavailable if none does.

    For work in the background, which a bucket that is away does not hold up in the others. It is asked again after some
    seconds.
    """
    asked = [each for each in storages if not each.is_away()] or storages
    ended = await asyncio.gather(*map(call, asked), return_exceptions=True)
    failures = [each for each in ended if isinstance(each, BaseException)]
    for failure in failures:
        if not isinstance(failure, Unavailable) or len(failures) == len(asked):
            raise failure
    return [each for each in ended if not isinstance(each, BaseException)]
