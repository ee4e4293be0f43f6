"""A schedule, and the rules of what it does at an instant."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import islice, takewhile
from typing import ClassVar
from uuid import UUID

from attrs import define, evolve, frozen

from domain.errors import Conflict, Invalid, NotFound, PreconditionFailed
from domain.identity import Owner, SessionRef, uuid7_time
from domain.schedules.firing import Missed, ScheduleStep
from domain.schedules.plan import CatchUp, SchedulePlan
from domain.schedules.timing import DueTimes, TimingRefused

CAUGHT_UP_MAX = 100
"""Missed due times that `all` makes up for; older ones stay missed."""

ON_TIME = timedelta(seconds=60)
"""A due time that is reached within this time is on time, also for `skip`."""

UPCOMING = 5

COUNTED_MAX = 500
"""Due times that one step settles, and that one firing counts of a pause."""


class EndReason(StrEnum):
    """Why a schedule is never due again."""

    SESSION_ENDED = "session_ended"
    TIMING_UNKNOWN = "timing_unknown"
    """Its cron expression or zone cannot be understood here any more."""


@frozen
class Schedule:
    """A plan, and how far it is.

    `next_at` is the first due time that is not settled; None if there is none. `anchor_at` is the instant from which
    intervals count. All due times up to `settled_at` are settled. `last_execution` is the newest execution that a due
    time has started. `version` counts the changes of its owner, not the firings.
    """

    schedule_id: UUID
    owner: Owner
    plan: SchedulePlan
    anchor_at: datetime
    settled_at: datetime
    next_at: datetime | None
    paused: bool = False
    end_reason: EndReason | None = None
    last_execution: UUID | None = None
    version: int = 1

    @property
    def created_at(self) -> datetime:
        """When it was created."""
        return uuid7_time(self.schedule_id)

    def planned(self, plan: SchedulePlan, times_of: Callable[["Schedule"], DueTimes], now: datetime) -> "Schedule":
        """Return the schedule with another plan.

        If the timing or the jitter changes, due times that are not settled yet are given up, and intervals count from
        now. Another target begins a schedule again that a session has ended; so does another timing, if the old one was
        not known. Raises TimingRefused if the new plan is never due.
        """
        if plan == self.plan:
            return self
        changed, is_retimed = evolve(self, plan=plan, version=self.version + 1), plan.is_timed_unlike(self.plan)
        if plan.target != self.plan.target:
            changed = evolve(changed, last_execution=None)
            changed = changed.without_end(EndReason.SESSION_ENDED)
        if is_retimed:
            changed = changed.without_end(EndReason.TIMING_UNKNOWN)
        return changed.begun(times_of, now) if is_retimed or changed.end_reason != self.end_reason else changed

    def without_end(self, reason: EndReason) -> "Schedule":
        """Return the schedule that has not ended, if this was the reason."""
        return evolve(self, end_reason=None) if self.end_reason is reason else self

    def begun(self, times_of: Callable[["Schedule"], DueTimes], now: datetime) -> "Schedule":
        """Return the schedule with its first due time from now on; raises TimingRefused if there is none."""
        begun = evolve(self, anchor_at=now)
        next_at = times_of(begun).after(self._settled_by(now))
        if next_at is None:
            raise TimingRefused("its only due time is not in the future. Choose a later instant.")
        return evolve(begun, next_at=next_at)

    def pause(self) -> "Schedule":
        """Return the schedule without firings until it is resumed; pausing it again changes nothing."""
        return self if self.paused else evolve(self, paused=True, version=self.version + 1)

    def resume(self, times: DueTimes, now: datetime) -> "Schedule":
        """Return the schedule that is due again; due times during the pause do not fire."""
        if not self.paused:
            return self
        begun = self.without_end(EndReason.TIMING_UNKNOWN)  # it is known here
        next_at = None if begun.end_reason else times.after(self._settled_by(now))
        return evolve(begun, paused=False, next_at=next_at, version=self.version + 1)

    def _settled_by(self, now: datetime) -> datetime:
        """Return `now`, or the last settled due time: the clock of the process that settled it may be ahead."""
        return max(now, self.settled_at)

    def upcoming(self, times: DueTimes) -> Iterator[datetime]:
        """Iterate over the next due times, at most UPCOMING; none while it is paused or has ended."""
        if self.paused or self.next_at is None:
            return iter(())
        return islice(_from(self.next_at, times), UPCOMING)

    def is_due(self, now: datetime) -> bool:
        """Return whether a due time is to be settled."""
        return not self.paused and self.next_at is not None and self.next_at <= now

    def step(self, times: DueTimes, now: datetime) -> "ScheduleStep":
        """Return what is to be done first with the due times up to `now`; only for a schedule that is due.

        Every due time from `next_at` up to the new `next_at` is in exactly one place: it is fired or missed. Repeated
        steps settle all of them.
        """
        due = list(islice(_due_by(now, self._first_at, times), COUNTED_MAX + 1))
        is_last = len(due) <= COUNTED_MAX
        due = due[:COUNTED_MAX]
        fired = self._fired(due, now, is_last=is_last)
        missed = due if fired is None else due[: due.index(fired)]
        settled_until = fired or due[-1]
        return ScheduleStep(Missed.of(missed), fired, settled_until, times.after(settled_until))

    def last_step(self) -> "ScheduleStep":
        """Return the step of a schedule that is due, and whose further due times are not known."""
        return ScheduleStep(None, self._first_at, self._first_at, None)

    @property
    def _first_at(self) -> datetime:
        if self.next_at is None:
            raise ValueError("A schedule without a next due time has no step.")
        return self.next_at

    def unsettled(self, times: DueTimes, now: datetime) -> "ScheduleStep | None":
        """Return the step that gives up all due times up to `now`; None if there are none.

        It counts at most COUNTED_MAX of them, and then says that they last until `now`.
        """
        if self.next_at is None or self.next_at > now:
            return None
        due = list(islice(_due_by(now, self.next_at, times), COUNTED_MAX))
        last_at = now if len(due) == COUNTED_MAX else due[-1]
        return ScheduleStep(Missed(due[0], last_at, len(due)), None, last_at, times.after(now))

    def _fired(self, due: list[datetime], now: datetime, *, is_last: bool) -> datetime | None:
        """Return the due time that fires first; without the last ones, none of the examined may fire."""
        catch_up = self.plan.catch_up
        if catch_up is CatchUp.ALL and is_last:
            return due[-CAUGHT_UP_MAX:][0]
        if not is_last or (catch_up is CatchUp.SKIP and now - due[-1] > ON_TIME):
            return None
        return due[-1]


def _due_by(now: datetime, first_at: datetime, times: DueTimes) -> Iterator[datetime]:
    """Iterate over the due times up to `now`, and ask for one more: a due time may cost 1 ms of processor time."""
    return takewhile(lambda each: each <= now, _from(first_at, times))


def _from(first_at: datetime, times: DueTimes) -> Iterator[datetime]:
    due_at: datetime | None = first_at
    while due_at is not None:
        yield due_at
        due_at = times.after(due_at)


@define(eq=False)
class ScheduleNotFound(NotFound):
    """The owner has no schedule with this id."""

    code: ClassVar[str] = "SCHEDULE_NOT_FOUND"

    @property
    def message(self) -> str:
        return (
            "There is no schedule with this id: it never existed, was deleted, or belongs to another owner. List your "
            "schedules for their ids."
        )


@define(eq=False)
class ScheduleMismatch(PreconditionFailed):
    """The schedule is not at a version that the caller requires."""

    code: ClassVar[str] = "PRECONDITION_FAILED"
    version: int

    @property
    def message(self) -> str:
        return (
            f"The schedule is at version {self.version}, and the condition of the request does not hold. Read it again "
            "and repeat the call with its ETag."
        )

    @property
    def details(self) -> Mapping[str, object]:
        return {"version": self.version}


@define(eq=False)
class ScheduleElsewhere(Invalid):
    """The new target of a schedule is a session in another bucket, and a schedule does not move."""

    code: ClassVar[str] = "INVALID_REQUEST"
    target: SessionRef

    @property
    def message(self) -> str:
        return (
            "The schedule was not changed: the database is divided into buckets, and the session of the new target is "
            "in another one than the schedule. Create a new schedule for that session, and delete this one."
        )


@define(eq=False)
class ScheduleConflict(Conflict):
    """Other writers changed the schedule again and again."""

    code: ClassVar[str] = "CONFLICT"

    @property
    def message(self) -> str:
        return "Other calls change the schedule at the same time, so nothing was stored. Repeat the call."

    @property
    def details(self) -> Mapping[str, object]:
        return {"stored": "no", "retry_after_ms": 1000}


@frozen
class ScheduleCondition:
    """Versions of which the schedule must have one, and those that it must not have; None stands for every version."""

    matched: frozenset[str] | None = None
    excluded: frozenset[str] | None = frozenset()

    def require(self, schedule: Schedule) -> None:
        """Raise ScheduleMismatch unless the condition holds."""
        version = str(schedule.version)
        is_matched = self.matched is None or version in self.matched
        if not is_matched or self.excluded is None or version in self.excluded:
            raise ScheduleMismatch(schedule.version)


UNCONDITIONAL = ScheduleCondition()
"""Accepts every schedule."""
