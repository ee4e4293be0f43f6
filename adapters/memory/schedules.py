"""Schedules in memory."""

from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import chain, zip_longest
from uuid import UUID

from attrs import define, evolve, field
from typing_extensions import override

from adapters.memory.store import MemoryStore, newest_first, page_of
from domain.audit import Act
from domain.errors import QuotaReached
from domain.idempotency import IdempotencyKey, KeyTaken
from domain.identity import EVERY_OWNER, Owner, SessionRef
from domain.paging import Page
from domain.queue.entry import Entry
from domain.queue.ports import ExecutionQueue
from domain.schedules.firing import LATE, Firing, FiringState, ScheduleStep
from domain.schedules.plan import Overlap, SessionTarget
from domain.schedules.ports import DueSchedules, Fire, FireResult, ScheduleRepository
from domain.schedules.schedule import EndReason, Schedule, ScheduleConflict, ScheduleNotFound
from domain.scripts.report import ExecutionStatus
from domain.sessions.session import SessionClosed

_UNDER_WAY = frozenset({ExecutionStatus.QUEUED, ExecutionStatus.RUNNING})


@define
class MemoryScheduleRepository(ScheduleRepository):
    """Stores schedules beside a queue; of each it keeps `history_max` firings."""

    _store: MemoryStore
    _queue: ExecutionQueue
    _history_max: int = 200
    acts: list[Act] = field(factory=list, init=False)
    _keys: dict[UUID, IdempotencyKey] = field(factory=dict, init=False)

    @override
    async def add(self, schedule: Schedule, owner_max: int, act: Act, key: IdempotencyKey | None = None) -> bool:
        self._store.require_available()
        if schedule.schedule_id in self._store.schedules:
            return True
        if key is not None and self._keyed(schedule.owner, key) is not None:
            return False
        self._require_open(schedule)
        held = sum(each.owner == schedule.owner for each in self._store.schedules.values())
        if held >= owner_max:
            raise QuotaReached("schedules", owner_max, held)
        self._store.schedules[schedule.schedule_id] = schedule
        self._store.firings[schedule.schedule_id] = []
        self.acts.append(act)
        if key is not None:
            self._keys[schedule.schedule_id] = key
        return True

    @override
    async def created(self, owner: Owner, key: IdempotencyKey) -> Schedule | None:
        self._store.require_available()
        schedule = self._keyed(owner, key)
        if schedule is not None:
            key.require_payload(self._keys[schedule.schedule_id].payload_hash, None)
        return schedule

    @override
    async def find(self, owner: Owner, schedule_id: UUID) -> Schedule:
        self._store.require_available()
        schedule = self._store.schedules.get(schedule_id)
        if schedule is None or owner not in (schedule.owner, EVERY_OWNER):
            raise ScheduleNotFound
        return schedule

    @override
    async def update(
        self, owner: Owner, schedule_id: UUID, change: Callable[[Schedule], Schedule], act: Act
    ) -> Schedule:
        read = await self.find(owner, schedule_id)
        changed = change(read)
        if changed is not read:
            if changed.plan.target != read.plan.target:
                self._require_open(changed)
            self._store.schedules[schedule_id] = changed
            self.acts.append(act)
        return changed

    @override
    async def remove(self, owner: Owner, schedule_id: UUID, act: Act, version: int | None = None) -> None:
        if version not in {None, (await self.find(owner, schedule_id)).version}:
            raise ScheduleConflict
        del self._store.schedules[schedule_id], self._store.firings[schedule_id]
        self.acts.append(act)

    @override
    async def page(self, owner: Owner, after: UUID | None, size: int) -> Page[Schedule]:
        self._store.require_available()
        rows = [(key, each) for key, each in self._store.schedules.items() if owner in (each.owner, EVERY_OWNER)]
        return page_of(newest_first(rows, after), size)

    @override
    async def firings(self, schedule_id: UUID, before: datetime | None, size: int) -> Sequence[Firing]:
        self._store.require_available()
        found = [each for each in self._store.firings.get(schedule_id, []) if before is None or each.due_at < before]
        return sorted(found, key=lambda each: each.due_at, reverse=True)[:size]

    @override
    async def due(self, now: datetime, size: int, owner_max: int) -> DueSchedules:
        self._store.require_available()
        waiting = [(each.next_at, each) for each in self._store.schedules.values() if each.next_at and not each.paused]
        waiting.sort(key=lambda pair: pair[0])
        following = (next_at for next_at, _ in waiting if next_at > now)
        turns: dict[Owner, list[Schedule]] = {}
        for next_at, each in waiting:
            if next_at <= now:
                turns.setdefault(each.owner, []).append(each)
        in_turn = chain.from_iterable(zip_longest(*(turn[:owner_max] for turn in turns.values())))
        return DueSchedules([each for each in in_turn if each is not None][:size], next(following, None))

    @override
    async def fire(self, fire: Fire) -> FireResult:
        self._store.require_available()
        read, step, entry = fire.schedule, fire.step, fire.entry
        session = self._store.session(entry.ref)
        stored = self._store.schedules.get(read.schedule_id)
        if stored is None or not self._is_unsettled(stored, fire):
            return FireResult.LOST
        session.require_live(entry.accepted_at)
        if step is not None and await self._is_busy(stored, entry.accepted_at):
            return FireResult.BUSY
        try:
            accepted = await self._queue.accept(entry, fire.allowance, fire.retention)
        except KeyTaken:
            return FireResult.KEPT
        if not isinstance(accepted, Entry):
            return FireResult.KEPT
        now = entry.accepted_at
        fired_at = now if step is None or step.fired_at is None else step.fired_at
        firings = _missed(step, now)
        firings.append(Firing(fired_at, fired_at, 1, FiringState.FIRED, now, None, entry.execution_id, step is None))
        self._record(read.schedule_id, firings)
        if step is not None:
            moved = evolve(stored, settled_at=step.settled_at, next_at=step.next_at, last_execution=entry.execution_id)
            self._store.schedules[read.schedule_id] = moved
        return FireResult.FIRED

    @override
    async def settle(
        self, schedule: Schedule, step: ScheduleStep, firings: Sequence[Firing], end_reason: EndReason | None = None
    ) -> bool:
        self._store.require_available()
        stored = self._store.schedules.get(schedule.schedule_id)
        if stored is None or (stored.version, stored.next_at) != (schedule.version, schedule.next_at):
            return False
        if end_reason is EndReason.SESSION_ENDED and self._has_another_owner(stored):
            return False
        moved = evolve(stored, settled_at=step.settled_at, next_at=None if end_reason else step.next_at)
        self._store.schedules[schedule.schedule_id] = evolve(moved, end_reason=end_reason or stored.end_reason)
        self._record(schedule.schedule_id, firings)
        return True

    def _keyed(self, owner: Owner, key: IdempotencyKey) -> Schedule | None:
        named = (each for each, taken in self._keys.items() if taken.value == key.value)
        found = (self._store.schedules.get(each) for each in named)
        return next((each for each in found if each is not None and each.owner == owner), None)

    def _require_open(self, schedule: Schedule) -> None:
        target = schedule.plan.target
        if isinstance(target, SessionTarget):
            session = self._store.session(SessionRef(schedule.owner, target.session_id))
            if session.closed_at is not None:
                raise SessionClosed(session.closed_at)

    def _has_another_owner(self, schedule: Schedule) -> bool:
        target = schedule.plan.target
        session = self._store.sessions.get(target.session_id) if isinstance(target, SessionTarget) else None
        return session is not None and session.ref.owner != schedule.owner

    def _is_unsettled(self, stored: Schedule, fire: Fire) -> bool:
        is_owned = stored.owner == fire.entry.ref.owner
        is_manual = fire.step is None and stored.version == fire.schedule.version
        return is_owned and (is_manual or _is_as_read(stored, fire.schedule))

    async def _is_busy(self, stored: Schedule, now: datetime) -> bool:
        execution_id = stored.last_execution if stored.plan.overlap is Overlap.SKIP else None
        while execution_id is not None:
            state = await self._queue.state(EVERY_OWNER, execution_id, now)
            opened = self._store.open_executions.get(execution_id)
            if state.status in _UNDER_WAY and (opened is None or now < opened.deadline_at):
                return True
            execution_id = state.next_attempt
        return False

    def _record(self, schedule_id: UUID, firings: Sequence[Firing]) -> None:
        kept = self._store.firings[schedule_id]
        kept.extend(firings)
        kept.sort(key=lambda each: each.due_at)
        del kept[: -self._history_max]


def _is_as_read(stored: Schedule, read: Schedule) -> bool:
    return (stored.version, stored.next_at, stored.paused) == (read.version, read.next_at, False)


def _missed(step: ScheduleStep | None, now: datetime) -> list[Firing]:
    if step is None or step.missed is None:
        return []
    missed = step.missed
    return [Firing(missed.first_at, missed.last_at, missed.count, FiringState.MISSED, now, LATE)]
