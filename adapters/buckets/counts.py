"""What owners have in several buckets: quotas and usage, added up."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import date, datetime
from itertools import chain
from typing import Generic, TypeVar

from attrs import define, evolve, field, frozen
from typing_extensions import override

from adapters.buckets.directory import Directory, Storage, of_each
from domain.buckets.bucket_map import HOME
from domain.concurrency.bounded_cache import BoundedCache
from domain.errors import Unavailable
from domain.identity import EVERY_OWNER, Owner
from domain.limits.ports import OwnerHoldings, OwnerUsage, UsageReader
from domain.usage import ExecutionCounts, UsedDay

Count = TypeVar("Count")

_REMEMBERED_MAX = 50_000
"""Counts of owners in buckets; an older one that is away counts as nothing."""


def _memory() -> BoundedCache[tuple[int, Owner], Count]:
    return BoundedCache(_REMEMBERED_MAX, lambda _: 1)


async def of_owners(
    directory: Directory,
    owners: Sequence[Owner],
    count: Callable[[Storage, Sequence[Owner]], Awaitable[Sequence[Count]]],
) -> Sequence[Mapping[int, Count]]:
    """Return for each owner what is counted in its buckets, by their numbers. Each bucket is asked once.

    `count` returns a count for each owner that the bucket may have something of.
    """
    storages: dict[int, Storage] = {}
    present: dict[int, list[Owner]] = {}
    for owner in dict.fromkeys(owners):
        for storage in directory.of_owner(owner):
            storages[storage.number] = storage
            present.setdefault(storage.number, []).append(owner)
    found = await of_each(list(storages.values()), lambda storage: count(storage, present[storage.number]))
    counts: dict[Owner, dict[int, Count]] = {}
    for number, of_bucket in zip(storages, found, strict=True):
        for owner, each in zip(present[number], of_bucket, strict=True):
            counts.setdefault(owner, {})[number] = each
    return [counts[owner] for owner in owners]


@define(eq=False)
class LastAnswers(Generic[Count]):
    """Remembers what buckets have counted: one that is away counts as at its last answer.

    So a quota refuses nothing, and admits little more, while a bucket is away.
    """

    _known: BoundedCache[tuple[int, Owner], Count] = field(factory=_memory, init=False)

    async def of_owners(
        self,
        directory: Directory,
        owners: Sequence[Owner],
        unknown: Count,
        count: Callable[[Storage, Sequence[Owner]], Awaitable[Sequence[Count]]],
    ) -> Sequence[Mapping[int, Count]]:
        """Return what the function `of_owners` does, `unknown` for what a bucket that is away never counted.

        Raises Unavailable if all buckets of the owners are away.
        """
        failures: list[Unavailable] = []
        answered: list[int] = []

        async def asked(storage: Storage, present: Sequence[Owner]) -> Sequence[Count]:
            keys = [(storage.number, owner) for owner in present]
            known = [self._known.get(key) for key in keys]
            if storage.is_away() and None not in known:  # the caller would wait for a response that does not come
                answered.append(storage.number)
                return [each for each in known if each is not None]
            try:
                answers = await count(storage, present)
            except Unavailable as error:
                failures.append(error)
                return [unknown if each is None else each for each in known]
            answered.append(storage.number)
            for key, answer in zip(keys, answers, strict=True):
                self._known.put(key, answer)
            return answers

        counts = await of_owners(directory, owners, asked)
        if failures and not answered:
            raise failures[0]
        return counts


@define(eq=False)
class BucketUsageReader(UsageReader):
    """Adds up what owners have in their buckets; of HOME alone are webhooks, whose copies count nowhere.

    `examined_max` holds for each bucket.
    """

    _directory: Directory
    _usage: LastAnswers[OwnerUsage] = field(factory=LastAnswers, init=False)
    _open: LastAnswers[int] = field(factory=LastAnswers, init=False)
    _holdings: LastAnswers[OwnerHoldings] = field(factory=LastAnswers, init=False)

    @override
    async def usage(
        self, owners: Sequence[Owner], now: datetime, examined_max: int | None = None
    ) -> Sequence[OwnerUsage]:
        found = await self._usage.of_owners(
            self._directory, owners, OwnerUsage(0, 0), lambda each, named: each.usage.usage(named, now, examined_max)
        )
        return [_used(list(parts.values())) for parts in found]

    @override
    async def open_executions(self, owners: Sequence[Owner], now: datetime) -> Sequence[int]:
        found = await self._open.of_owners(
            self._directory, owners, 0, lambda each, named: each.usage.open_executions(named, now)
        )
        return [sum(parts.values()) for parts in found]

    @override
    async def holdings(self, owners: Sequence[Owner], queued_max: int) -> Sequence[OwnerHoldings]:
        found = await self._holdings.of_owners(
            self._directory, owners, OwnerHoldings(), lambda each, named: each.usage.holdings(named, queued_max)
        )
        return [_held(parts, queued_max) for parts in found]


@frozen
class BucketExecutionCounts(ExecutionCounts):
    """Adds up what buckets have counted; all that are asked have counted until the earliest instant."""

    _directory: Directory

    @override
    async def counted_until(self, owner: Owner = EVERY_OWNER) -> datetime | None:
        storages = self._directory.of_owner(owner)
        found = await of_each(storages, lambda each: each.execution_counts.counted_until(owner))
        return min((each for each in found if each is not None), default=None)

    @override
    async def days(self, owners: Sequence[Owner], since: date) -> Sequence[Sequence[UsedDay]]:
        found = await of_owners(self._directory, owners, lambda each, named: each.execution_counts.days(named, since))
        return [_days(list(chain.from_iterable(parts.values()))) for parts in found]

    @override
    async def owners(self, after: Owner, size: int) -> Sequence[Owner]:
        found = await of_each(self._directory.all, lambda each: each.execution_counts.owners(after, size))
        return (await self.in_order(list(set(chain.from_iterable(found)))))[:size]

    @override
    async def in_order(self, owners: Sequence[Owner]) -> Sequence[Owner]:
        return await self._directory.home.execution_counts.in_order(owners)


def _used(parts: Sequence[OwnerUsage]) -> OwnerUsage:
    return OwnerUsage(
        sum(each.live_sessions for each in parts),
        sum(each.stored_bytes for each in parts),
        complete=all(each.complete for each in parts),
    )


def _held(parts: Mapping[int, OwnerHoldings], queued_max: int) -> OwnerHoldings:
    return OwnerHoldings(
        sum(each.schedules for each in parts.values()),
        parts[HOME].webhooks,
        min(queued_max, sum(each.queued_executions for each in parts.values())),
    )


def _days(days: Sequence[UsedDay]) -> Sequence[UsedDay]:
    """Return one entry for each day, in order."""
    added: dict[date, UsedDay] = {}
    for each in days:
        known = added.get(each.day)
        added[each.day] = each if known is None else _sum(known, each)
    return [added[day] for day in sorted(added)]


def _sum(one: UsedDay, other: UsedDay) -> UsedDay:
    return evolve(
        one,
        executions=one.executions + other.executions,
        failed=one.failed + other.failed,
        unknown=one.unknown + other.unknown,
        execution_time_ms=one.execution_time_ms + other.execution_time_ms,
        cpu_time_ms=one.cpu_time_ms + other.cpu_time_ms,
        connections=one.connections + other.connections,
        sent_bytes=one.sent_bytes + other.sent_bytes,
        received_bytes=one.received_bytes + other.received_bytes,
    )
