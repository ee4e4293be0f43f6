"""Schedules in several buckets."""

from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import chain, zip_longest
from uuid import UUID

from attrs import define, field
from typing_extensions import override

from adapters.buckets.counts import LastAnswers
from adapters.buckets.directory import Directory, Storage, of_each, of_those_that_serve
from domain.audit import Act
from domain.buckets.pages import merged
from domain.errors import QuotaReached, StorageUnavailable, Unavailable
from domain.idempotency import IdempotencyConflict, IdempotencyKey
from domain.identity import Owner, SessionRef
from domain.paging import Page
from domain.schedules.firing import Firing, ScheduleStep
from domain.schedules.plan import SessionTarget
from domain.schedules.ports import DueSchedules, Fire, FireResult, ScheduleRepository
from domain.schedules.schedule import EndReason, Schedule, ScheduleElsewhere
from domain.sessions.session import SessionClosed


@define
class BucketSchedules(ScheduleRepository):
    """A schedule of a session is in its bucket. One of a function opens the session that it needs in its own bucket.

    So each firing is one write in one bucket.
    """

    _directory: Directory
    _held: LastAnswers[int] = field(factory=LastAnswers, init=False)

    @override
    async def add(self, schedule: Schedule, owner_max: int, act: Act, key: IdempotencyKey | None = None) -> bool:
        storage = self._directory.of(schedule.schedule_id)
        elsewhere = await self._held_outside(storage, schedule.owner)
        try:
            is_stored = await storage.schedules.add(schedule, max(0, owner_max - elsewhere), act, key)
        except QuotaReached as reached:
            raise QuotaReached(reached.limit, owner_max, reached.observed + elsewhere) from None
        return is_stored and (key is None or await self._is_first(storage, schedule, key, act))

    async def _is_first(self, storage: Storage, schedule: Schedule, key: IdempotencyKey, act: Act) -> bool:
        """Return whether no call at the same time has stored a schedule under the key in another bucket.

        A bucket knows its own keys only. If there is another one, this schedule is removed; two calls that see each
        other both fail, and are repeated.
        """
        try:
            others = [each for each in self._directory.listing(schedule.owner) if each is not storage]
            found = await of_each(others, lambda each: each.schedules.created(schedule.owner, key))
        except Unavailable:
            raise StorageUnavailable(stored="unknown") from None
        except IdempotencyConflict:
            await storage.schedules.remove(schedule.owner, schedule.schedule_id, act)
            raise
        if any(each is not None for each in found):
            await storage.schedules.remove(schedule.owner, schedule.schedule_id, act)
            return False
        return True

    async def _held_outside(self, storage: Storage, owner: Owner) -> int:
        """Return how many schedules the owner has in its other buckets."""

        async def held(each: Storage, owners: Sequence[Owner]) -> Sequence[int]:
            return [of_owner.schedules for of_owner in await each.usage.holdings(owners, 1)]

        (counts,) = await self._held.of_owners(self._directory, [owner], 0, held)
        return sum(count for number, count in counts.items() if number != storage.number)

    @override
    async def created(self, owner: Owner, key: IdempotencyKey) -> Schedule | None:
        found = await of_each(self._directory.listing(owner), lambda each: each.schedules.created(owner, key))
        return next((each for each in found if each is not None), None)

    @override
    async def find(self, owner: Owner, schedule_id: UUID) -> Schedule:
        return await self._directory.of(schedule_id).schedules.find(owner, schedule_id)

    @override
    async def update(
        self, owner: Owner, schedule_id: UUID, change: Callable[[Schedule], Schedule], act: Act
    ) -> Schedule:
        storage = self._directory.of(schedule_id)

        def within_the_bucket(stored: Schedule) -> Schedule:
            changed = change(stored)
            target = changed.plan.target
            if isinstance(target, SessionTarget) and self._directory.number_of(target.session_id) != storage.number:
                raise ScheduleElsewhere(SessionRef(stored.owner, target.session_id))
            return changed

        try:
            return await storage.schedules.update(owner, schedule_id, within_the_bucket, act)
        except ScheduleElsewhere as elsewhere:
            target = elsewhere.target
            session = await self._directory.of(target.session_id).sessions.get(target)
            if session.closed_at is not None:
                raise SessionClosed(session.closed_at) from None
            raise

    @override
    async def remove(self, owner: Owner, schedule_id: UUID, act: Act, version: int | None = None) -> None:
        await self._directory.of(schedule_id).schedules.remove(owner, schedule_id, act, version)

    @override
    async def page(self, owner: Owner, after: UUID | None, size: int) -> Page[Schedule]:
        pages = await of_each(self._directory.listing(owner), lambda each: each.schedules.page(owner, after, size))
        return merged(pages, size, lambda schedule: schedule.schedule_id)

    @override
    async def firings(self, schedule_id: UUID, before: datetime | None, size: int) -> Sequence[Firing]:
        return await self._directory.of(schedule_id).schedules.firings(schedule_id, before, size)

    @override
    async def due(self, now: datetime, size: int, owner_max: int) -> DueSchedules:
        found = await of_those_that_serve(self._directory.all, lambda each: each.schedules.due(now, size, owner_max))
        turns: dict[Owner, list[Schedule]] = {}
        for each in sorted((each for part in found for each in part.schedules), key=lambda each: each.next_at or now):
            turns.setdefault(each.owner, []).append(each)
        in_turn = chain.from_iterable(zip_longest(*(turn[:owner_max] for turn in turns.values())))
        following = (part.next_at for part in found if part.next_at is not None)
        return DueSchedules([each for each in in_turn if each is not None][:size], min(following, default=None))

    @override
    async def fire(self, fire: Fire) -> FireResult:
        return await self._directory.of(fire.schedule.schedule_id).schedules.fire(fire)

    @override
    async def settle(
        self, schedule: Schedule, step: ScheduleStep, firings: Sequence[Firing], end_reason: EndReason | None = None
    ) -> bool:
        schedules = self._directory.of(schedule.schedule_id).schedules
        return await schedules.settle(schedule, step, firings, end_reason)
