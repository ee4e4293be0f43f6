"""The use cases of schedules: create, read, change, pause, resume, run and delete them."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from attrs import define, evolve, frozen

from domain.audit import Act, ActName, Actor, new_act
from domain.clock import Clock, IdGenerator
from domain.concurrency.budget import Budget
from domain.errors import StorageUnavailable, commit_unknown
from domain.idempotency import IdempotencyKey, Repeatable
from domain.identity import Owner
from domain.paging import Page
from domain.queue.entry import Entry
from domain.queue.state import ExecutionState
from domain.schedules.dispatcher import ScheduleFirer, SchedulePolicy, times_of
from domain.schedules.firing import CHANGED, PAUSED, Firing, FiringState
from domain.schedules.plan import SchedulePlan
from domain.schedules.ports import FireResult, ScheduleRepository
from domain.schedules.schedule import UNCONDITIONAL, Schedule, ScheduleCondition, ScheduleConflict
from domain.schedules.targets import ScheduleTargets
from domain.schedules.timing import Calendar, DueTimes, SingleTime, TimingRefused
from domain.scripts.language import Language

Result = TypeVar("Result")
Permit = Callable[[Language], None]
"""Raises ScopeMissing unless the caller may run scripts of the language."""


@frozen
class ScheduleView:
    """A schedule, and its next due times. It is `replayed` if an earlier call with the key has created it."""

    schedule: Schedule
    upcoming: tuple[datetime, ...]
    replayed: bool = False


@define(eq=False)
class ScheduleService:
    """The use cases of schedules. `wake` lets this process look for due schedules at once.

    Every method may raise StorageUnavailable or Overloaded; those that name a schedule also ScheduleNotFound.
    EVERY_OWNER reaches the schedules of all owners.
    """

    _clock: Clock
    _ids: IdGenerator
    _schedules: ScheduleRepository
    _targets: ScheduleTargets
    _calendar: Calendar
    _firer: ScheduleFirer
    _policy: SchedulePolicy
    _wake: Callable[[], None]

    async def create(
        self, owner: Owner, plan: SchedulePlan, actor: Actor, permit: Permit, key: IdempotencyKey | None = None
    ) -> ScheduleView:
        """Store a schedule that begins now.

        Under the key of an earlier call nothing is stored, and the schedule of that call is returned, whatever would
        refuse a first call. Raises ResponsesNotKept, TimingRefused if it is never due, QuotaReached,
        IdempotencyConflict, ScheduleConflict if the schedule of an earlier call is removed at this moment, and what
        `permit` or ScheduleTargets.require raise.
        """
        self._policy.require_kept()
        earlier = await self._created(owner, key)
        if earlier is not None:
            return earlier
        now = self._clock.now()
        schedule_id = self._targets.new_id(owner, plan, now, self._ids)
        schedule = Schedule(schedule_id, owner, plan, now, now, None).begun(self._times, now)
        permit(await self._spend(self._targets.require(owner, plan, now)))
        adding = self._schedules.add(schedule, self._policy.owner_max, self._act(actor, ActName.SCHEDULES_CREATE), key)
        with Repeatable(key):
            is_stored = await self._write(adding)
        if is_stored:
            self._wake()
            return self._view(schedule)
        earlier = await self._created(owner, key)  # by a call at the same time
        if earlier is None:
            raise ScheduleConflict
        return earlier

    async def get(self, owner: Owner, schedule_id: UUID) -> ScheduleView:
        """Return a schedule."""
        return self._view(await self._spend(self._schedules.find(owner, schedule_id)))

    async def page(self, owner: Owner, after: UUID | None, size: int) -> Page[ScheduleView]:
        """Return at most `size` schedules, newest first."""
        page = await self._spend(self._schedules.page(owner, after, size))
        views = []
        for each in page.items:
            views.append(self._view(each))
            await asyncio.sleep(0)  # five times of a rare expression take 4 ms of the event loop
        return Page(views, page.next_after)

    async def firings(self, owner: Owner, schedule_id: UUID, before: datetime | None, size: int) -> Sequence[Firing]:
        """Return at most `size` firings of a schedule that were due before an instant, newest first."""
        await self._spend(self._schedules.find(owner, schedule_id))
        return await self._spend(self._schedules.firings(schedule_id, before, size))

    async def change(  # noqa: PLR0913, PLR0917  # what is changed, on which condition, and who may
        self,
        owner: Owner,
        schedule_id: UUID,
        change: Callable[[SchedulePlan], SchedulePlan],
        actor: Actor,
        permit: Permit,
        condition: ScheduleCondition = UNCONDITIONAL,
    ) -> ScheduleView:
        """Replace the plan of a schedule by what `change` makes of it.

        Raises ScheduleMismatch, ScheduleConflict, and what `create` raises but for QuotaReached.
        """
        now = self._clock.now()
        read = await self._spend(self._schedules.find(owner, schedule_id))
        plan = change(read.plan)
        permit(await self._spend(self._targets.require(read.owner, plan, now)))

        def planned(stored: Schedule) -> Schedule:
            condition.require(stored)
            return _without_loss(stored, stored.planned(change(stored.plan), self._times, now), now)

        condition.require(read)
        if read.planned(plan, self._times, now).plan.is_timed_unlike(read.plan):
            await self._give_up(read, self._known_times(read), now)
        return await self._updated(owner, schedule_id, planned, self._act(actor, ActName.SCHEDULES_CHANGE))

    async def pause(
        self, owner: Owner, schedule_id: UUID, actor: Actor, condition: ScheduleCondition = UNCONDITIONAL
    ) -> ScheduleView:
        """Let nothing fire until it is resumed; pausing it again changes nothing. Raises ScheduleMismatch."""

        def paused(stored: Schedule) -> Schedule:
            condition.require(stored)
            return stored.pause()

        return await self._updated(owner, schedule_id, paused, self._act(actor, ActName.SCHEDULES_PAUSE))

    async def resume(
        self, owner: Owner, schedule_id: UUID, actor: Actor, condition: ScheduleCondition = UNCONDITIONAL
    ) -> ScheduleView:
        """Continue with the first due time from now on; resuming it again changes nothing.

        Due times during the pause are recorded as skipped. Raises ScheduleMismatch or ScheduleConflict.
        """
        now = self._clock.now()
        read = await self._spend(self._schedules.find(owner, schedule_id))
        condition.require(read)
        if read.paused:
            await self._give_up(read, self._times(read), now)

        def resumed(stored: Schedule) -> Schedule:
            condition.require(stored)
            return _without_loss(stored, stored.resume(self._times(stored), now), now)

        return await self._updated(owner, schedule_id, resumed, self._act(actor, ActName.SCHEDULES_RESUME))

    async def remove(
        self, owner: Owner, schedule_id: UUID, actor: Actor, condition: ScheduleCondition = UNCONDITIONAL
    ) -> None:
        """Remove a schedule with its firings; executions that it has started stay.

        Raises ScheduleMismatch, or ScheduleConflict if it is changed meanwhile, and there is a condition.
        """
        read = await self._spend(self._schedules.find(owner, schedule_id))
        condition.require(read)
        version = None if condition == UNCONDITIONAL else read.version
        act = self._act(actor, ActName.SCHEDULES_DELETE)
        await self._write(self._schedules.remove(owner, schedule_id, act, version))

    async def run(
        self, owner: Owner, schedule_id: UUID, permit: Permit, key: IdempotencyKey | None = None
    ) -> Entry | ExecutionState:
        """Accept an execution now, beside the due times, also of a paused schedule.

        Under the key of an earlier call nothing is accepted, and the state of its execution is returned, whatever
        would refuse a first call. Raises ResponsesNotKept, ScheduleConflict, QuotaReached, and what
        ScheduleTargets.require and ScheduleFirer.replayed raise.
        """
        self._policy.require_kept()
        schedule = await self._spend(self._schedules.find(owner, schedule_id))
        permit(await self._spend(self._targets.language(schedule.owner, schedule.plan)))
        earlier = None if key is None else await self._firer.replayed(schedule, key)
        if earlier is not None:
            return earlier
        await self._spend(self._targets.require(schedule.owner, schedule.plan, self._clock.now()))
        with Repeatable(key):
            result, entry = await self._firer.fire(schedule, None, key)
        if result is FireResult.FIRED:
            return entry
        if result is FireResult.KEPT and key is not None and (taken := await self._firer.replayed(schedule, key)):
            return taken  # by a call at the same time
        raise ScheduleConflict

    async def _created(self, owner: Owner, key: IdempotencyKey | None) -> ScheduleView | None:
        earlier = None if key is None else await self._spend(self._schedules.created(owner, key))
        return None if earlier is None else evolve(self._view(earlier), replayed=True)

    async def _give_up(self, read: Schedule, times: DueTimes, now: datetime) -> None:
        """Record due times that a pause or a change of the timing has overtaken; raises ScheduleConflict."""
        step = read.unsettled(times, now)
        if step is None or step.missed is None:
            return
        state, reason = (FiringState.SKIPPED, PAUSED) if read.paused else (FiringState.MISSED, CHANGED)
        missed = step.missed
        firing = Firing(missed.first_at, missed.last_at, missed.count, state, now, reason)
        if not await self._write(self._schedules.settle(read, step, [firing])):
            raise ScheduleConflict

    async def _updated(
        self, owner: Owner, schedule_id: UUID, change: Callable[[Schedule], Schedule], act: Act
    ) -> ScheduleView:
        schedule = await self._write(self._schedules.update(owner, schedule_id, change, act))
        self._wake()
        return self._view(schedule)

    def _times(self, schedule: Schedule) -> DueTimes:
        return times_of(schedule, self._calendar)

    def _known_times(self, schedule: Schedule) -> DueTimes:
        """Return the due times of a schedule; none after the next one if this process does not know its timing."""
        try:
            return self._times(schedule)
        except TimingRefused:
            return SingleTime(schedule.settled_at)

    def _view(self, schedule: Schedule) -> ScheduleView:
        try:
            return ScheduleView(schedule, tuple(schedule.upcoming(self._times(schedule))))
        except TimingRefused:
            return ScheduleView(schedule, ())

    def _act(self, actor: Actor, name: ActName) -> Act:
        return new_act(self._clock, self._ids, actor, name)

    async def _spend(self, work: Awaitable[Result]) -> Result:
        return await Budget(self._policy.request_timeout_s).spend(work, StorageUnavailable)

    async def _write(self, work: Awaitable[Result]) -> Result:
        return await Budget(self._policy.request_timeout_s).spend(work, commit_unknown)


def _without_loss(stored: Schedule, changed: Schedule, now: datetime) -> Schedule:
    """Return the changed schedule; raises ScheduleConflict if it would drop a due time that has no record yet."""
    is_overdue = stored.next_at is not None and stored.next_at <= now
    if is_overdue and changed.next_at != stored.next_at:
        raise ScheduleConflict
    return changed
