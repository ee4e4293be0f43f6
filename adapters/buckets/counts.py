"""What owners have in several buckets: quotas and usage, added up."""

from collections.abc import Awaitable, Callable, Hashable, Sequence
from datetime import date, datetime
from itertools import chain
from typing import Generic, TypeVar

from attrs import define, evolve, field, frozen
from typing_extensions import override

from adapters.buckets.directory import Directory, Storage, of_each
from domain.concurrency.bounded_cache import BoundedCache
from domain.errors import Unavailable
from domain.identity import Owner
from domain.limits.ports import OwnerHoldings, OwnerUsage, UsageReader
from domain.usage import ExecutionCounts, UsedDay

Count = TypeVar("Count")

_REMEMBERED_MAX = 50_000
"""Counts of owners in buckets; an older one that is away counts as nothing."""


def _memory() -> BoundedCache[Hashable, Count]:
    return BoundedCache(_REMEMBERED_MAX, lambda _: 1)


@define(eq=False)
class LastAnswers(Generic[Count]):
    """Remembers what buckets have counted: one that is away counts as at its last answer.

    So a quota refuses nothing, and admits little more, while a bucket is away.
    """

    _known: BoundedCache[Hashable, Count] = field(factory=_memory, init=False)

    async def of_each(
        self,
        storages: Sequence[Storage],
        counted: Sequence[Hashable],
        unknown: Count,
        count: Callable[[Storage], Awaitable[Sequence[Count]]],
    ) -> Sequence[Sequence[Count]]:
        """Return the counts of each bucket, `unknown` for what one that is away never counted.

        `counted` is what is counted, in the order of the counts. Raises Unavailable if all are away.
        """
        failures: list[Unavailable] = []

        async def asked(storage: Storage) -> Sequence[Count]:
            keys = [(storage.number, each) for each in counted]
            known = [self._known.get(key) for key in keys]
            if storage.is_away() and None not in known:  # the caller would wait for a response that does not come
                return [each for each in known if each is not None]
            try:
                answers = await count(storage)
            except Unavailable as error:
                failures.append(error)
                return [unknown if each is None else each for each in known]
            for key, answer in zip(keys, answers, strict=True):
                self._known.put(key, answer)
            return answers

        counts = await of_each(storages, asked)
        if len(failures) == len(storages):
            raise failures[0]
        return counts


@define(eq=False)
class BucketUsageReader(UsageReader):
    """Adds up what owners have in all buckets; of HOME alone are webhooks, whose copies count nowhere.

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
        found = await self._usage.of_each(
            self._directory.all, owners, OwnerUsage(0, 0), lambda each: each.usage.usage(owners, now, examined_max)
        )
        return [_used(of_owner) for of_owner in zip(*found, strict=True)]

    @override
    async def open_executions(self, owners: Sequence[Owner], now: datetime) -> Sequence[int]:
        found = await self._open.of_each(
            self._directory.all, owners, 0, lambda each: each.usage.open_executions(owners, now)
        )
        return [sum(of_owner) for of_owner in zip(*found, strict=True)]

    @override
    async def holdings(self, owners: Sequence[Owner], queued_max: int) -> Sequence[OwnerHoldings]:
        found = await self._holdings.of_each(
            self._directory.all, owners, OwnerHoldings(), lambda each: each.usage.holdings(owners, queued_max)
        )
        return [_held(of_owner, queued_max) for of_owner in zip(*found, strict=True)]


@frozen
class BucketExecutionCounts(ExecutionCounts):
    """Adds up what each bucket has counted; all of them have counted until the earliest instant."""

    _directory: Directory

    @override
    async def counted_until(self) -> datetime | None:
        found = await of_each(self._directory.all, lambda each: each.execution_counts.counted_until())
        return min((each for each in found if each is not None), default=None)

    @override
    async def days(self, owners: Sequence[Owner], since: date) -> Sequence[Sequence[UsedDay]]:
        found = await of_each(self._directory.all, lambda each: each.execution_counts.days(owners, since))
        return [_days(list(chain.from_iterable(of_owner))) for of_owner in zip(*found, strict=True)]

    @override
    async def owners(self, after: Owner, size: int) -> Sequence[Owner]:
        found = await of_each(self._directory.all, lambda each: each.execution_counts.owners(after, size))
        return sorted(set(chain.from_iterable(found)))[:size]


def _used(parts: Sequence[OwnerUsage]) -> OwnerUsage:
    return OwnerUsage(
        sum(each.live_sessions for each in parts),
        sum(each.stored_bytes for each in parts),
        complete=all(each.complete for each in parts),
    )


def _held(parts: Sequence[OwnerHoldings], queued_max: int) -> OwnerHoldings:
    home, *_ = parts
    return OwnerHoldings(
        sum(each.schedules for each in parts),
        home.webhooks,
        min(queued_max, sum(each.queued_executions for each in parts)),
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
    )
