"""Counts what owners have executed, from the history."""

from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from attrs import define, field

from adapters.postgres.codec import PARTITIONS, date_of, day_at, day_of, first_id_of
from adapters.postgres.gateway import Gateway
from adapters.postgres.statements.calls import UsageStatements
from domain.clock import Clock
from domain.identity import uuid7_at, uuid7_time

_SETTLED_AFTER = timedelta(minutes=2)
"""A request takes at most a minute. So the begin of an older execution is stored, or it never will be."""


class _Span(NamedTuple):
    """The executions to count next: of one day, behind `after` and before `until`."""

    day: int
    after: UUID
    until: UUID


@define(eq=False)
class UsageCounter:
    """Any number of controllers may count at once: one of them moves the progress, and the others count nothing."""

    _gateway: Gateway
    _statements: UsageStatements
    _clock: Clock
    _history_days: int
    lag_s: float | None = field(default=None, init=False)
    """Seconds from the admission until which executions have been counted; None before the first count."""

    async def count(self, rows_max: int) -> int:
        """Count at most `rows_max` executions of one day; return how many, or `rows_max` if there may be more.

        Raises StorageUnavailable or Overloaded.
        """
        ((progress,),) = await self._gateway.fetch(self._statements.select_usage_progress, {})
        now = self._clock.now()
        span = self._next(progress, now)
        if span.until <= span.after:
            return self._noted(now, span.after, 0)
        ((counted, reached),) = await self._gateway.fetch(
            self._statements.count_usage,
            {
                "partition": span.day % PARTITIONS,
                "day": date_of(span.day),
                "progress": progress,
                "after": span.after,
                "until": span.until,
                "rows_max": rows_max,
            },
        )
        is_day_over = reached == first_id_of(span.day + 1)
        return self._noted(now, reached or span.after, rows_max if is_day_over else counted)

    async def count_added(self, rows_max: int) -> int:
        """Count at most `rows_max` executions that were accepted to run later and have ended; return how many."""
        ((counted,),) = await self._gateway.fetch(self._statements.count_added_usage, {"rows_max": rows_max})
        return int(counted)

    async def remove_old(self, rows_max: int) -> int:
        """Remove the usage of days whose history is not kept any more; return how many rows."""
        first_kept = date_of(self._first_day(self._clock.now()))
        ((removed,),) = await self._gateway.fetch(
            self._statements.delete_old_usage, {"day": first_kept, "rows_max": rows_max}
        )
        return int(removed)

    def _next(self, progress: UUID, now: datetime) -> _Span:
        after = max(progress, first_id_of(self._first_day(now)))
        day = day_of(after)
        return _Span(day, after, min(first_id_of(day + 1), uuid7_at(now - _SETTLED_AFTER, 0)))

    def _first_day(self, now: datetime) -> int:
        return day_at(now) - self._history_days

    def _noted(self, now: datetime, reached: UUID, counted: int) -> int:
        self.lag_s = (now - uuid7_time(reached)).total_seconds()
        return counted
