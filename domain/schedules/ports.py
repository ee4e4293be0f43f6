"""The port to stored schedules."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from attrs import frozen

from domain.audit import Act
from domain.idempotency import IdempotencyKey
from domain.identity import Owner
from domain.paging import Page
from domain.queue.entry import Entry
from domain.schedules.firing import Firing, ScheduleStep
from domain.schedules.schedule import EndReason, Schedule


class FireResult(StrEnum):
    """What an attempt to fire has done."""

    FIRED = "fired"
    """The execution was accepted, and the schedule moved to its next due time."""
    BUSY = "busy"
    """Nothing: the execution before is queued or running, and the plan wants no other one beside it."""
    LOST = "lost"
    """Nothing: another process has settled the due time, or its owner has changed or paused the schedule."""
    KEPT = "kept"
    """Nothing: an earlier call holds the idempotency key."""


@frozen
class Fire:
    """A due time to fire: the schedule as it was read, and what it is to execute.

    `step` is None for a run by hand, which settles no due time and takes no notice of a pause.
    """

    schedule: Schedule
    step: ScheduleStep | None
    entry: Entry
    allowance: timedelta
    retention: timedelta


@frozen
class DueSchedules:
    """Schedules that are due, and when the next of the others is due; None if none ever is."""

    schedules: Sequence[Schedule]
    next_at: datetime | None


class ScheduleRepository(Protocol):
    """Stores schedules, and what became of their due times.

    Every method may raise StorageUnavailable or Overloaded, as in SessionRepository. EVERY_OWNER stands for all owners
    in `find`, `update`, `remove` and `page`. Of each schedule about `history_max` firings are kept, the newest ones.
    """

    async def add(self, schedule: Schedule, owner_max: int, act: Act, key: IdempotencyKey | None = None) -> bool:
        """Store a new schedule durably, with its key and the record of the act, and return whether it is stored.

        It is not if another schedule of the owner has the key. Adding it again changes and records nothing. Raises
        QuotaReached if the owner has `owner_max` of them; calls at
        the same moment may exceed it. Raises SessionNotFound or SessionClosed if its target is such a session, so that
        no purge of the session leaves it.
        """
        ...

    async def find(self, owner: Owner, schedule_id: UUID) -> Schedule:
        """Return a schedule as all acknowledged writes left it; raises ScheduleNotFound."""
        ...

    async def created(self, owner: Owner, key: IdempotencyKey) -> Schedule | None:
        """Return the schedule that has the key, as it is now; None if none has it.

        A schedule has its key until it is removed. Raises IdempotencyConflict if it was created by another payload.
        """
        ...

    async def update(
        self, owner: Owner, schedule_id: UUID, change: Callable[[Schedule], Schedule], act: Act
    ) -> Schedule:
        """Replace a schedule by what `change` makes of it, record the act, and return the new one.

        `change` may be called several times; it sees each due time that was settled before. If it raises, or returns
        its argument, nothing is stored. Raises ScheduleNotFound, ScheduleConflict if races do not end, or as `add` if
        the target is another session.
        """
        ...

    async def remove(self, owner: Owner, schedule_id: UUID, act: Act, version: int | None = None) -> None:
        """Remove a schedule with its firings, and record the act.

        With a version, only this one is removed. Raises ScheduleNotFound, or ScheduleConflict for another version.
        """
        ...

    async def page(self, owner: Owner, after: UUID | None, size: int) -> Page[Schedule]:
        """Return at most `size` schedules, newest first, older than `after`."""
        ...

    async def firings(self, schedule_id: UUID, before: datetime | None, size: int) -> Sequence[Firing]:
        """Return at most `size` firings of a schedule, newest due time first, due before the instant."""
        ...

    async def due(self, now: datetime, size: int, owner_max: int) -> DueSchedules:
        """Return at most `size` schedules that are due at `now`, of each owner at most `owner_max`.

        Owners take turns: first comes the longest due schedule of each owner, then the second one of each. If many
        thousands are due, owners whose schedules became due last may be left out.
        """
        ...

    async def fire(self, fire: Fire) -> FireResult:
        """Accept the execution, record the firing and move the schedule: all in one write, or nothing.

        The session is judged and renewed as ExecutionQueue.accept does. Of several processes that fire one due time,
        one succeeds; so does one of several runs by hand under one key. Raises SessionNotFound, SessionExpired or
        SessionClosed; nothing is stored then.
        """
        ...

    async def settle(
        self, schedule: Schedule, step: ScheduleStep, firings: Sequence[Firing], end_reason: EndReason | None = None
    ) -> bool:
        """Record due times that do not fire, and move the schedule, or end it for a reason; return whether it was done.

        Nothing is done if another process was faster, as in `fire`, or if the reason is SESSION_ENDED and the session
        has another owner by now. A paused schedule stays paused.
        """
        ...
