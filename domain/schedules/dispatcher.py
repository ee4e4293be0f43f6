"""Fires schedules that are due, and records what they have missed."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta

from attrs import define, field, frozen

from domain.clock import Clock, IdGenerator
from domain.concurrency.budget import Budget
from domain.errors import DomainError, Overloaded, StorageUnavailable, Unavailable, commit_unknown
from domain.idempotency import IdempotencyKey
from domain.identity import SessionRef
from domain.queue.entry import Entry, ResponsesNotKept
from domain.queue.ports import ExecutionQueue
from domain.queue.quota import QueueQuota
from domain.queue.state import Accepted, ExecutionState
from domain.queue.submission import Start, Submission
from domain.schedules.firing import LATE, OVERLAP, Firing, FiringState, Missed, ScheduleStep
from domain.schedules.plan import SessionTarget
from domain.schedules.ports import Fire, FireResult, ScheduleRepository
from domain.schedules.schedule import EndReason, Schedule
from domain.schedules.targets import ScheduleTargets
from domain.schedules.timing import Calendar, DueTimes, TimingRefused, due_times, shift_of
from domain.sessions.session import SessionClosed, SessionExpired, SessionNotFound

_SESSION_ENDED = SessionNotFound, SessionExpired, SessionClosed
_FOR_NOW = StorageUnavailable, Overloaded
"""Nothing takes an execution of any schedule. Every other error concerns one schedule."""


@frozen
class SchedulePolicy:
    """Limits of schedules, times in seconds. `allowance` and `retention` are those of the queue.

    A batch has `batch_max` schedules, of one owner at most `batch_owner_max`, and `concurrency` of them are settled at
    once. Between two looks are `pause_s` at most, so that what another process has stored is found. A timing that is
    not known here is left to other processes for `unknown_for`. Without `keeps_responses` nothing is accepted.
    """

    request_timeout_s: float
    allowance: timedelta
    retention: timedelta
    owner_max: int = 100
    batch_max: int = 100
    batch_owner_max: int = 20
    concurrency: int = 4
    pause_s: float = 1.0
    pause_min_s: float = 0.01
    unknown_for: timedelta = timedelta(minutes=10)
    keeps_responses: bool = True

    def require_kept(self) -> None:
        """Raise ResponsesNotKept if nothing is accepted."""
        if not self.keeps_responses:
            raise ResponsesNotKept


@define
class ScheduleStats:
    """Due times that this process has settled, by state, and how late the longest due one was at the last look."""

    settled: Counter[FiringState] = field(factory=Counter)
    lateness_s: float = 0.0


@define(eq=False)
class ScheduleFirer:
    """Accepts the executions of schedules. `wake` starts a claim of the queue in this process."""

    _clock: Clock
    _ids: IdGenerator
    _schedules: ScheduleRepository
    _targets: ScheduleTargets
    _queue: ExecutionQueue
    _quota: QueueQuota
    _policy: SchedulePolicy
    _wake: Callable[[], None]

    async def fire(
        self, schedule: Schedule, step: ScheduleStep | None, key: IdempotencyKey | None = None
    ) -> tuple[FireResult, Entry]:
        """Accept the execution of a due time, or one by hand without a step.

        Raises QuotaReached, and what ScheduleTargets.in_session and ScheduleRepository.fire raise; nothing is stored
        then.
        """
        submission = _submission(schedule, key)

        async def accept(ref: SessionRef) -> tuple[FireResult, Entry]:
            entry = submission.entry(ref, self._ids.new(self._clock.now(), ref.session_id))
            fire = Fire(schedule, step, entry, self._policy.allowance, self._policy.retention)
            return await self._schedules.fire(fire), entry

        owner, size, stored = schedule.owner, len(submission.params), False
        budget = Budget(self._policy.request_timeout_s)
        await budget.spend(self._quota.take(owner, size), StorageUnavailable)
        try:
            firing = self._targets.in_session(owner, schedule.plan, accept, schedule.schedule_id, key)
            result, entry = await budget.spend(firing, commit_unknown)
            stored = result is FireResult.FIRED
        finally:
            self._quota.settle(owner, size, stored=stored)
        if stored:
            self._wake()
        return result, entry

    async def replayed(self, schedule: Schedule, key: IdempotencyKey) -> ExecutionState | None:
        """Return the state of the execution that an earlier call with the key accepted; None if the key is free.

        Raises what ScheduleTargets.in_session raises, IdempotencyConflict, KeyInFlight, KeyInterrupted or KeyErased.
        """
        submission, owner, now = _submission(schedule, key), schedule.owner, self._clock.now()

        async def read(ref: SessionRef) -> Accepted | None:
            return await self._queue.replayed(submission.entry(ref, self._ids.new(now, ref.session_id)))

        budget = Budget(self._policy.request_timeout_s)
        reading = self._targets.in_session(owner, schedule.plan, read, schedule.schedule_id, key)
        earlier = await budget.spend(reading, StorageUnavailable)
        if earlier is None or isinstance(earlier, ExecutionState):
            return earlier
        return await budget.spend(self._queue.state(owner, earlier.execution_id, now), StorageUnavailable)


@define(eq=False)
class ScheduleDispatcher:
    """Settles due times for ever, by the clock that all controllers share.

    A due time that cannot be settled, because the database or the queue takes nothing, stays due. Later the rules for
    catching up apply to it.
    """

    _clock: Clock
    _schedules: ScheduleRepository
    _firer: ScheduleFirer
    _calendar: Calendar
    _policy: SchedulePolicy
    stats: ScheduleStats = field(factory=ScheduleStats, init=False)
    _woken: asyncio.Event = field(init=False, factory=asyncio.Event)

    def wake(self) -> None:
        """Look now rather than after the pause."""
        self._woken.set()

    async def run(self) -> None:
        """Settle what is due, again and again. It may be cancelled at any point: each write stands alone."""
        while True:
            self._woken.clear()
            pause_s = self._policy.pause_s
            with contextlib.suppress(Unavailable):
                pause_s = await self.run_once()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._woken.wait()

    async def run_once(self) -> float:
        """Settle one step of each schedule in a batch, and return the seconds until the next look.

        Raises StorageUnavailable or Overloaded. An error that nobody expects of one schedule is raised once all others
        are settled, so that it holds none of them up.
        """
        now, policy = self._clock.now(), self._policy
        found = await self._schedules.due(now, policy.batch_max, policy.batch_owner_max)
        first_at = next((each.next_at for each in found.schedules), None)
        self.stats.lateness_s = 0.0 if first_at is None else (now - first_at).total_seconds()
        slots = asyncio.Semaphore(policy.concurrency)

        async def in_turn(schedule: Schedule) -> bool:
            async with slots:
                return await self._settle_or_leave(schedule, now)

        settled = await asyncio.gather(*map(in_turn, found.schedules), return_exceptions=True)
        for each in settled:
            if isinstance(each, BaseException):
                raise each
        if any(settled):
            return policy.pause_min_s
        until_s = policy.pause_s if found.next_at is None else (found.next_at - now).total_seconds()
        return min(policy.pause_s, max(policy.pause_min_s, until_s))

    async def _settle_or_leave(self, schedule: Schedule, now: datetime) -> bool:
        """Settle one step, and return whether that was done here; else it is another process's, or stays due."""
        try:
            return await self._settle(schedule, now)
        except _FOR_NOW:
            return False

    async def _settle(self, schedule: Schedule, now: datetime) -> bool:
        try:
            step = schedule.step(times_of(schedule, self._calendar), now)
        except TimingRefused as refused:
            step = schedule.last_step()
            if now - step.settled_at < self._policy.unknown_for:
                return False
            return await self._record(schedule, step, now, refused.code, EndReason.TIMING_UNKNOWN)
        if step.fired_at is None:
            return await self._record(schedule, step, now)
        return await self._fire(schedule, step, now)

    async def _fire(self, schedule: Schedule, step: ScheduleStep, now: datetime) -> bool:
        try:
            result, _ = await self._firer.fire(schedule, step)
        except _SESSION_ENDED as error:
            ended = EndReason.SESSION_ENDED if isinstance(schedule.plan.target, SessionTarget) else None
            return await self._record(schedule, step, now, error.code, ended)
        except _FOR_NOW:
            raise
        except DomainError as error:
            return await self._record(schedule, step, now, error.code)
        if result is FireResult.BUSY:
            return await self._record(schedule, step, now, OVERLAP)
        if result is FireResult.FIRED:
            self._count(step.missed, FiringState.FIRED)
        return result is FireResult.FIRED

    async def _record(
        self,
        schedule: Schedule,
        step: ScheduleStep,
        now: datetime,
        reason: str = LATE,
        ended: EndReason | None = None,
    ) -> bool:
        """Record a step that fires nothing; return False if another process was faster."""
        state = FiringState.SKIPPED if reason == OVERLAP else FiringState.MISSED
        firings = []
        if step.missed is not None:
            missed = step.missed
            firings.append(Firing(missed.first_at, missed.last_at, missed.count, FiringState.MISSED, now, LATE))
        if step.fired_at is not None:
            firings.append(Firing(step.fired_at, step.fired_at, 1, state, now, reason))
        is_done = await self._schedules.settle(schedule, step, firings, ended)
        if is_done:
            self._count(step.missed, state if step.fired_at else None)
        return is_done

    def _count(self, missed: Missed | None, state: FiringState | None) -> None:
        if missed is not None:
            self.stats.settled[FiringState.MISSED] += missed.count
        if state is not None:
            self.stats.settled[state] += 1


def _submission(schedule: Schedule, key: IdempotencyKey | None) -> Submission:
    plan = schedule.plan
    return Submission(plan.params, Start(expires_in=plan.expires_in), plan.accept_options, key)


def times_of(schedule: Schedule, calendar: Calendar) -> DueTimes:
    """Return the due times of a schedule; raises TimingRefused."""
    plan = schedule.plan
    return due_times(plan.timing, schedule.anchor_at, shift_of(schedule.schedule_id, plan.jitter_s), calendar)
