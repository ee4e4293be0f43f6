"""When a schedule is due: cron expressions in a time zone, intervals and single times."""

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from typing import ClassVar, Protocol
from uuid import UUID

from attrs import define, field, frozen
from attrs.validators import ge, le

from domain.errors import Invalid

EXPRESSION_SIZE_MAX = 100
ZONE_SIZE_MAX = 64
INTERVAL_MIN_S = 10
INTERVAL_MAX_S = 366 * 86_400
JITTER_MAX_S = 3600

_SECOND = timedelta(seconds=1)


@define(eq=False)
class TimingRefused(Invalid):
    """A schedule with this timing is never due, or its parts cannot be understood."""

    code: ClassVar[str] = "INVALID_REQUEST"
    reason: str

    @property
    def message(self) -> str:
        return f"The schedule was not stored: {self.reason}"


@frozen
class Cron:
    """The local times of a cron expression with five fields, in a time zone of the IANA database."""

    expression: str
    zone: str = "UTC"


@frozen
class Interval:
    """Every `seconds`, counted from the anchor of the schedule by elapsed time."""

    seconds: int = field(validator=[ge(INTERVAL_MIN_S), le(INTERVAL_MAX_S)])


@frozen
class Once:
    """A single instant."""

    at: datetime


Timing = Cron | Interval | Once


class DueTimes(Protocol):
    """The due times of a schedule, in ascending order."""

    def after(self, instant: datetime) -> datetime | None:
        """Return the first due time after the instant; None if there is none."""
        ...


class LocalTimes(Protocol):
    """Local times without a zone, in ascending order and never twice."""

    def after(self, local: datetime) -> Iterator[datetime]:
        """Iterate over those after `local`; the iteration ends where no more are found in 50 years."""
        ...


@frozen
class CronTimes:
    """The instants of local times in a zone, each once.

    A local time that a change of the clock leaves out stands for the first instant after the gap, together with all
    others of the gap. A local time that occurs twice stands for its first occurrence.
    """

    local_times: LocalTimes
    zone: tzinfo

    def after(self, instant: datetime) -> datetime | None:
        """Return the first due time after the instant, which may be the end of a gap."""
        local = instant.astimezone(self.zone).replace(tzinfo=None, fold=0)
        for each in self.local_times.after(local):
            due_at = instant_of(each, self.zone)
            if due_at > instant:
                return due_at
        return None


def instant_of(local: datetime, zone: tzinfo) -> datetime:
    """Return the instant of a local time: the first one if it occurs twice, the end of the gap if it does not occur."""
    first = local.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if first.astimezone(zone).replace(tzinfo=None, fold=0) == local:
        return first
    # In a gap, fold=0 applies the offset before the change, which gives an instant after it; fold=1 does the opposite.
    return _change_between(local.replace(tzinfo=zone, fold=1).astimezone(UTC), first, zone)


def _change_between(low: datetime, high: datetime, zone: tzinfo) -> datetime:
    """Return the first instant after `low` at which the offset is that of `high`. Offsets change at whole seconds."""
    offset = high.astimezone(zone).utcoffset()
    while high - low > _SECOND:
        middle = low + (high - low) // _SECOND // 2 * _SECOND
        if middle.astimezone(zone).utcoffset() == offset:
            high = middle
        else:
            low = middle
    return high


@frozen
class IntervalTimes:
    """The multiples of an interval after an anchor."""

    anchor_at: datetime
    interval: timedelta

    def after(self, instant: datetime) -> datetime:
        """Return the first due time after the instant; the anchor is not due."""
        elapsed = max(instant - self.anchor_at, timedelta(0))
        return self.anchor_at + (elapsed // self.interval + 1) * self.interval


@frozen
class SingleTime:
    """One instant."""

    at: datetime

    def after(self, instant: datetime) -> datetime | None:
        """Return the instant if it is after the other one."""
        return self.at if self.at > instant else None


@frozen
class ShiftedTimes:
    """Due times, each later by the same time."""

    times: DueTimes
    shift: timedelta

    def after(self, instant: datetime) -> datetime | None:
        """Return the first shifted due time after the instant."""
        found = self.times.after(instant - self.shift)
        return None if found is None else found + self.shift


def shift_of(schedule_id: UUID, jitter_s: int) -> timedelta:
    """Return the part of the jitter by which this schedule is always late, in whole milliseconds.

    It follows from the id, so it is the same in every process, and the distances of due times stay as they are.
    """
    number = int.from_bytes(hashlib.sha256(schedule_id.bytes).digest()[:8])
    return timedelta(milliseconds=number * (jitter_s * 1000 + 1) >> 64)


class Calendar(Protocol):
    """Reads cron expressions and time zones."""

    def cron_times(self, cron: Cron) -> CronTimes:
        """Return the times of an expression in a zone; raises TimingRefused if one of them cannot be understood."""
        ...


def due_times(timing: Timing, anchor_at: datetime, shift: timedelta, calendar: Calendar) -> DueTimes:
    """Return the due times of a schedule; raises TimingRefused."""
    return ShiftedTimes(_times(timing, anchor_at, calendar), shift)


def _times(timing: Timing, anchor_at: datetime, calendar: Calendar) -> DueTimes:
    if isinstance(timing, Cron):
        return calendar.cron_times(timing)
    if isinstance(timing, Interval):
        return IntervalTimes(anchor_at, timedelta(seconds=timing.seconds))
    return SingleTime(timing.at)
