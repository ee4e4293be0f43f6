"""The contract of ScheduleRepository."""

import asyncio
from abc import ABC, abstractmethod
from collections import Counter
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from attrs import evolve

from adapters.cron_calendar import CronCalendar
from domain.audit import ActName
from domain.errors import QuotaReached
from domain.files.asked import AskedFiles
from domain.idempotency import IdempotencyConflict, IdempotencyKey
from domain.identity import EVERY_OWNER, Owner
from domain.json_text import JsonText
from domain.queue.entry import AcceptOptions, RetryCause, RetryPolicy
from domain.queue.submission import Start, Submission
from domain.schedules.firing import LATE, OVERLAP, PAUSED, Firing, FiringState, Missed, ScheduleStep
from domain.schedules.plan import CatchUp, FunctionTarget, Overlap, SchedulePlan, SessionTarget
from domain.schedules.ports import Fire, FireResult, ScheduleRepository
from domain.schedules.schedule import EndReason, Schedule, ScheduleConflict, ScheduleNotFound
from domain.schedules.timing import Cron, DueTimes, Interval, Once, due_times
from domain.scripts.report import ExecutionStatus
from domain.sessions.session import Renewal, Session, SessionClosed, SessionExpired, SessionNotFound
from tests.contracts.execution_queue import FAILED, LONG, QueueOfOne
from tests.contracts.storage import ALICE, ALLOWANCE, BOB, Storage
from tests.support.acts import act

HISTORY_MAX = 5
INTERVAL = Interval(10)
PERIOD = timedelta(seconds=10)
KEY = IdempotencyKey("again", "a" * 64)
RETENTION = timedelta(days=1)
PARAMS = JsonText('{"ä": "\\u0000 {,}\\\\"}')


class Planner:
    """A process that makes and fires schedules of a storage."""

    def __init__(self, storage: Storage, schedules: ScheduleRepository) -> None:
        self.storage = storage
        self.schedules = schedules

    def new(self, session: Session | None = None, owner: Owner | None = None, **plan: Any) -> Schedule:
        now = self.storage.clock.now()
        target = FunctionTarget("python-adder@3") if session is None else SessionTarget(session.ref.session_id)
        wanted = SchedulePlan(**{"name": "häufig", "target": target, "timing": INTERVAL, "params": PARAMS} | plan)
        owner = owner or (ALICE if session is None else session.ref.owner)
        schedule = Schedule(
            self.storage.ids.new(now, session and session.ref.session_id), owner, wanted, now, now, None
        )
        return evolve(schedule, next_at=self.times(schedule).after(now))

    def times(self, schedule: Schedule) -> DueTimes:
        return due_times(schedule.plan.timing, schedule.anchor_at, timedelta(0), CronCalendar())

    async def add(self, session: Session | None = None, owner: Owner | None = None, **plan: Any) -> Schedule:
        schedule = self.new(session, owner, **plan)
        await self.schedules.add(schedule, 100, act(ActName.SCHEDULES_CREATE))
        return schedule

    async def read(self, schedule: Schedule) -> Schedule:
        return await self.schedules.find(schedule.owner, schedule.schedule_id)

    def step(self, schedule: Schedule) -> ScheduleStep:
        return schedule.step(self.times(schedule), self.storage.clock.now())

    def attempt(
        self, schedule: Schedule, session: Session, *, manual: bool = False, key: IdempotencyKey | None = None
    ) -> Fire:
        now = self.storage.clock.now()
        submission = Submission(
            schedule.plan.params, Start(expires_in=schedule.plan.expires_in), schedule.plan.accept_options, key
        )
        entry = submission.entry(session.ref, self.storage.ids.new(now, session.ref.session_id))
        return Fire(schedule, None if manual else self.step(schedule), entry, ALLOWANCE, RETENTION)

    async def fire(self, schedule: Schedule, session: Session, *, manual: bool = False) -> FireResult:
        return await self.schedules.fire(self.attempt(schedule, session, manual=manual))

    async def run(self, schedule: Schedule, session: Session, key: IdempotencyKey = KEY) -> FireResult:
        return await self.schedules.fire(self.attempt(schedule, session, manual=True, key=key))

    async def history(self, schedule: Schedule) -> list[tuple[str, int, str | None]]:
        found = await self.schedules.firings(schedule.schedule_id, None, 100)
        return [(each.state, each.due_times, each.reason) for each in found]


class ScheduleRepositoryContract(ABC):
    """Subclasses have the fixtures `storage` and `schedules`, which keeps HISTORY_MAX firings of a schedule."""

    @pytest.fixture
    @abstractmethod
    def storage(self) -> Storage: ...

    @pytest.fixture
    @abstractmethod
    def schedules(self, storage: Storage) -> ScheduleRepository: ...

    @pytest.fixture
    def planner(self, storage: Storage, schedules: ScheduleRepository) -> Planner:
        return Planner(storage, schedules)

    @pytest.fixture
    def process(self, storage: Storage) -> QueueOfOne:
        return QueueOfOne(storage)

    @pytest.fixture
    async def session(self, storage: Storage) -> Session:
        return await storage.add(ALICE, **LONG)

    async def test_a_schedule_is_found_as_it_was_stored(self, planner: Planner, session: Session) -> None:
        collects = AskedFiles(collect=("plots/*.png",))
        options = AcceptOptions(
            30, RetryPolicy(3, frozenset({RetryCause.MEMORY})), webhook_id=UUID(int=7), files=collects
        )
        for schedule in (
            await planner.add(session),
            await planner.add(
                timing=Cron("0 9 * * MON", "Europe/Berlin"),
                jitter_s=60,
                catch_up=CatchUp.ALL,
                overlap=Overlap.QUEUE,
                expires_in=timedelta(minutes=5),
                options=options,
            ),
            await planner.add(session, timing=Once(planner.storage.clock.now() + timedelta(days=1))),
        ):
            assert await planner.read(schedule) == schedule

    async def test_adding_again_changes_and_counts_nothing(self, planner: Planner, session: Session) -> None:
        schedule = planner.new(session)
        for _ in range(2):
            await planner.schedules.add(schedule, 1, act(ActName.SCHEDULES_CREATE))
        assert (await planner.schedules.page(ALICE, None, 10)).items == [schedule]

    async def test_an_owner_has_a_bounded_number(self, planner: Planner, session: Session) -> None:
        await planner.add(session)
        with pytest.raises(QuotaReached) as refused:
            await planner.schedules.add(planner.new(session), 1, act(ActName.SCHEDULES_CREATE))
        assert refused.value.details == {"limit": "schedules", "allowed": 1, "observed": 1}
        await planner.schedules.add(planner.new(owner=BOB), 1, act(ActName.SCHEDULES_CREATE))

    async def test_one_schedule_of_an_owner_has_a_key(self, planner: Planner, session: Session) -> None:
        first, second, of_bob = planner.new(session), planner.new(session), planner.new(owner=BOB)
        made, schedules = act(ActName.SCHEDULES_CREATE), planner.schedules
        assert await schedules.created(ALICE, KEY) is None
        assert [await schedules.add(each, 1, made, KEY) for each in (first, first, second, of_bob)] == [
            True,
            True,
            False,
            True,
        ]
        await schedules.update(ALICE, first.schedule_id, Schedule.pause, act(ActName.SCHEDULES_PAUSE))
        assert await schedules.created(ALICE, KEY) == first.pause()
        with pytest.raises(IdempotencyConflict):
            await schedules.created(ALICE, evolve(KEY, payload_hash="b" * 64))
        await schedules.remove(ALICE, first.schedule_id, act(ActName.SCHEDULES_DELETE))
        assert await schedules.created(ALICE, KEY) is None
        assert await schedules.created(BOB, KEY) == of_bob
        assert await schedules.add(second, 1, act(ActName.SCHEDULES_CREATE), KEY)

    async def test_of_schedules_that_are_added_at_once_under_one_key_one_is_stored(
        self, planner: Planner, session: Session
    ) -> None:
        made = [planner.new(session) for _ in range(6)]
        stored = await asyncio.gather(
            *(planner.schedules.add(each, 100, act(ActName.SCHEDULES_CREATE), KEY) for each in made)
        )
        (winner,) = [each for each, is_stored in zip(made, stored, strict=True) if is_stored]
        assert await planner.schedules.created(ALICE, KEY) == winner
        assert (await planner.schedules.page(ALICE, None, 10)).items == [winner]

    async def test_a_schedule_of_another_owner_counts_as_absent(self, planner: Planner, session: Session) -> None:
        schedule = await planner.add(session)
        of_bob = BOB, schedule.schedule_id
        with pytest.raises(ScheduleNotFound):
            await planner.schedules.find(*of_bob)
        with pytest.raises(ScheduleNotFound):
            await planner.schedules.update(*of_bob, Schedule.pause, act(ActName.SCHEDULES_PAUSE))
        with pytest.raises(ScheduleNotFound):
            await planner.schedules.remove(*of_bob, act(ActName.SCHEDULES_DELETE))
        assert (await planner.schedules.page(BOB, None, 10)).items == []
        assert await planner.schedules.find(EVERY_OWNER, schedule.schedule_id) == schedule

    async def test_an_update_stores_what_the_change_returns(self, planner: Planner, session: Session) -> None:
        schedule = await planner.add(session)
        plan = SchedulePlan(
            "neu", FunctionTarget("nodejs-x"), Cron("1 2 * * *"), JsonText("[]"), 5, options=AcceptOptions(9)
        )
        now = planner.storage.clock.now() + timedelta(seconds=3)
        changed = await planner.schedules.update(
            ALICE, schedule.schedule_id, lambda read: read.planned(plan, planner.times, now).pause(), act()
        )
        assert changed.plan == plan
        assert changed.paused
        assert await planner.read(schedule) == changed

    async def test_a_change_that_raises_or_changes_nothing_stores_nothing(
        self, planner: Planner, session: Session
    ) -> None:
        schedule = await planner.add(session)

        def refuse(_: Schedule) -> Schedule:
            raise KeyError

        with pytest.raises(KeyError):
            await planner.schedules.update(ALICE, schedule.schedule_id, refuse, act())
        same = await planner.schedules.update(ALICE, schedule.schedule_id, lambda read: read, act())
        assert same == schedule == await planner.read(schedule)

    async def test_concurrent_changes_see_each_other(self, planner: Planner, session: Session) -> None:
        schedule = await planner.add(session)

        def renamed(read: Schedule) -> Schedule:
            return evolve(read, plan=evolve(read.plan, name=read.plan.name + "x"), version=read.version + 1)

        await asyncio.gather(*(planner.schedules.update(ALICE, schedule.schedule_id, renamed, act()) for _ in range(5)))
        stored = await planner.read(schedule)
        assert (stored.plan.name, stored.version) == ("häufigxxxxx", 6)

    async def test_a_removed_schedule_is_gone_with_its_firings(self, planner: Planner, session: Session) -> None:
        schedule = await planner.add(session)
        planner.storage.clock.advance(PERIOD)
        await planner.fire(schedule, session)
        await planner.schedules.remove(ALICE, schedule.schedule_id, act(ActName.SCHEDULES_DELETE))
        with pytest.raises(ScheduleNotFound):
            await planner.read(schedule)
        assert await planner.history(schedule) == []
        with pytest.raises(ScheduleNotFound):
            await planner.schedules.remove(ALICE, schedule.schedule_id, act(ActName.SCHEDULES_DELETE))

    async def test_only_the_version_that_is_named_is_removed(self, planner: Planner, session: Session) -> None:
        schedule = await planner.add(session)
        paused = await planner.schedules.update(ALICE, schedule.schedule_id, Schedule.pause, act())
        with pytest.raises(ScheduleConflict):
            await planner.schedules.remove(ALICE, schedule.schedule_id, act(), schedule.version)
        assert await planner.read(schedule) == paused
        await planner.schedules.remove(ALICE, schedule.schedule_id, act(), paused.version)
        with pytest.raises(ScheduleNotFound):
            await planner.read(schedule)

    async def test_pages_are_newest_first(self, planner: Planner, session: Session) -> None:
        made = [await planner.add(session) for _ in range(5)]
        first = await planner.schedules.page(ALICE, None, 3)
        second = await planner.schedules.page(EVERY_OWNER, first.next_after, 3)
        assert [*first.items, *second.items] == made[::-1]
        assert second.next_after is None

    async def test_due_schedules_come_by_due_time_and_the_following_one_is_known(
        self, planner: Planner, session: Session
    ) -> None:
        assert (await planner.schedules.due(planner.storage.clock.now(), 10, 10)).next_at is None
        late, later = await planner.add(session), await planner.add(timing=Interval(20))
        paused = await planner.add(timing=Interval(11))
        await planner.schedules.update(ALICE, paused.schedule_id, Schedule.pause, act())
        now = planner.storage.clock.now()
        found = await planner.schedules.due(now, 10, 10)
        assert (found.schedules, found.next_at) == ([], now + PERIOD)
        found = await planner.schedules.due(now + PERIOD, 10, 10)
        assert (found.schedules, found.next_at) == ([late], now + 2 * PERIOD)
        found = await planner.schedules.due(now + 2 * PERIOD, 10, 10)
        assert (found.schedules, found.next_at) == ([late, later], None)
        assert (await planner.schedules.due(now + 2 * PERIOD, 1, 10)).schedules == [late]

    async def test_owners_of_due_schedules_take_turns(self, planner: Planner) -> None:
        now, schedules = planner.storage.clock.now(), planner.schedules
        first, second, third = [await planner.add(owner=ALICE, timing=Interval(10 + each)) for each in range(3)]
        late, last = [await planner.add(owner=BOB, timing=Interval(20 + each)) for each in range(2)]
        assert (await schedules.due(now + 3 * PERIOD, 10, 10)).schedules == [first, late, second, last, third]
        assert (await schedules.due(now + 3 * PERIOD, 10, 2)).schedules == [first, late, second, last]
        assert (await schedules.due(now + 3 * PERIOD, 3, 2)).schedules == [first, late, second]

    async def test_firing_queues_the_execution_and_moves_the_schedule(
        self, planner: Planner, process: QueueOfOne, session: Session
    ) -> None:
        collects = AskedFiles(collect=True)
        options = AcceptOptions(
            30, RetryPolicy(3, frozenset({RetryCause.TIMEOUT})), webhook_id=UUID(int=7), files=collects
        )
        schedule = await planner.add(session, options=options, overlap=Overlap.QUEUE)
        planner.storage.clock.advance(PERIOD)
        attempt = planner.attempt(schedule, session)
        assert await planner.schedules.fire(attempt) is FireResult.FIRED
        claimed = await process.claim_one()
        assert claimed.entry == attempt.entry
        assert claimed.entry.options == evolve(options, in_order=True)
        moved = await planner.read(schedule)
        now = planner.storage.clock.now()
        assert (moved.settled_at, moved.next_at) == (now, now + PERIOD)
        assert moved.last_execution == attempt.entry.execution_id
        assert moved.version == schedule.version
        firing = Firing(now, now, 1, FiringState.FIRED, now, None, attempt.entry.execution_id)
        assert await planner.schedules.firings(schedule.schedule_id, None, 10) == [firing]
        assert await process.finish(claimed) == 1
        assert await process.status(claimed.entry.execution_id) is ExecutionStatus.SUCCEEDED

    async def test_what_was_missed_before_is_recorded_with_the_firing(self, planner: Planner, session: Session) -> None:
        schedule = await planner.add(session)
        start = planner.storage.clock.now()
        planner.storage.clock.advance(timedelta(seconds=45))
        assert await planner.fire(schedule, session) is FireResult.FIRED
        fired, missed = await planner.schedules.firings(schedule.schedule_id, None, 10)
        assert (fired.state, fired.due_at) == (FiringState.FIRED, start + 4 * PERIOD)
        now = planner.storage.clock.now()
        assert missed == Firing(start + PERIOD, start + 3 * PERIOD, 3, FiringState.MISSED, now, LATE)
        assert await planner.schedules.firings(schedule.schedule_id, fired.due_at, 10) == [missed]

    async def test_one_of_several_processes_fires_a_due_time(
        self, planner: Planner, process: QueueOfOne, session: Session
    ) -> None:
        schedule = await planner.add(session)
        planner.storage.clock.advance(PERIOD)
        results = await asyncio.gather(*(planner.fire(schedule, session) for _ in range(6)))
        assert sorted(results) == [FireResult.FIRED, *[FireResult.LOST] * 5]
        assert len(await process.claim()) == 1
        assert await planner.history(schedule) == [("fired", 1, None)]

    @pytest.mark.parametrize("change", [Schedule.pause, lambda read: evolve(read, version=2)])
    async def test_a_changed_or_paused_schedule_does_not_fire_as_it_was_read(
        self, planner: Planner, process: QueueOfOne, session: Session, change: Any
    ) -> None:
        schedule = await planner.add(session)
        planner.storage.clock.advance(PERIOD)
        attempt = planner.attempt(schedule, session)
        changed = await planner.schedules.update(ALICE, schedule.schedule_id, change, act())
        assert await planner.schedules.fire(attempt) is FireResult.LOST
        assert attempt.step is not None
        assert not await planner.schedules.settle(schedule, attempt.step, [])
        assert await planner.read(schedule) == changed
        assert await process.claim() == []

    async def test_a_removed_schedule_does_not_fire(
        self, planner: Planner, process: QueueOfOne, session: Session
    ) -> None:
        schedule = await planner.add(session)
        planner.storage.clock.advance(PERIOD)
        await planner.schedules.remove(ALICE, schedule.schedule_id, act())
        assert await planner.fire(schedule, session) is FireResult.LOST
        assert await process.claim() == []

    async def test_a_session_that_has_ended_leaves_all_as_it_was(
        self, planner: Planner, process: QueueOfOne, storage: Storage, session: Session
    ) -> None:
        schedule = await planner.add(session)
        short = await storage.add(ALICE, ttl_seconds=5)
        storage.clock.advance(PERIOD)
        with pytest.raises(SessionNotFound):
            await planner.fire(schedule, storage.new_session(ALICE))
        with pytest.raises(SessionExpired):
            await planner.fire(schedule, short)
        await storage.close(session)
        with pytest.raises(SessionClosed):
            await planner.fire(schedule, session)
        assert await planner.read(schedule) == schedule
        assert await planner.history(schedule) == []
        assert await process.claim() == []

    async def test_firing_renews_a_sliding_session(self, planner: Planner, storage: Storage) -> None:
        session = await storage.add(ALICE, ttl_seconds=100, lifetime_seconds_max=1000, renewal=Renewal.SLIDING)
        schedule = await planner.add(session, timing=Interval(50))
        storage.clock.advance(timedelta(seconds=50))
        assert await planner.fire(schedule, session) is FireResult.FIRED
        renewed = await storage.sessions.get(session.ref)
        assert renewed.expires_at == storage.clock.now() + timedelta(seconds=100)

    async def test_an_entry_expires_with_its_session(
        self, planner: Planner, process: QueueOfOne, storage: Storage
    ) -> None:
        session = await storage.add(ALICE, ttl_seconds=100)
        schedule = await planner.add(session)
        storage.clock.advance(PERIOD)
        await planner.fire(schedule, session)
        assert (await process.claim_one()).entry.window.expires_at == session.expires_at

    async def test_while_the_execution_before_is_under_way_nothing_fires(
        self, planner: Planner, process: QueueOfOne, session: Session
    ) -> None:
        schedule = await planner.add(session)
        planner.storage.clock.advance(PERIOD)
        await planner.fire(schedule, session)
        moved = await planner.read(schedule)
        planner.storage.clock.advance(PERIOD)
        assert await planner.fire(moved, session) is FireResult.BUSY
        claimed = await process.claim_one()
        assert await planner.fire(moved, session) is FireResult.BUSY
        assert await planner.read(schedule) == moved
        await process.finish(claimed)
        assert await planner.fire(moved, session) is FireResult.FIRED

    async def test_an_attempt_that_follows_keeps_the_schedule_busy(
        self, planner: Planner, process: QueueOfOne, session: Session
    ) -> None:
        retry = RetryPolicy(3, frozenset({RetryCause.TIMEOUT}))
        schedule = await planner.add(session, options=AcceptOptions(retry=retry))
        planner.storage.clock.advance(PERIOD)
        await planner.fire(schedule, session)
        claimed = await process.claim_one()
        following = claimed.entry.next_attempt(
            planner.storage.ids.new(planner.storage.clock.now(), claimed.entry.ref.session_id), timedelta(0)
        )
        await process.finish(claimed, FAILED, following)
        moved = await planner.read(schedule)
        planner.storage.clock.advance(PERIOD)
        assert await planner.fire(moved, session) is FireResult.BUSY
        await process.finish(await process.claim_one(), FAILED)
        assert await planner.fire(moved, session) is FireResult.FIRED

    async def test_an_execution_past_its_deadline_keeps_nothing_busy(
        self, planner: Planner, process: QueueOfOne, session: Session
    ) -> None:
        schedule = await planner.add(session)
        planner.storage.clock.advance(PERIOD)
        await planner.fire(schedule, session)
        await process.claim_one()
        moved = await planner.read(schedule)
        planner.storage.clock.advance(timedelta(seconds=3600))
        assert await planner.fire(moved, session) is FireResult.FIRED

    @pytest.mark.parametrize("overlap", [Overlap.ALLOW, Overlap.QUEUE])
    async def test_other_overlaps_fire_beside_what_is_under_way(
        self, planner: Planner, process: QueueOfOne, session: Session, overlap: Overlap
    ) -> None:
        schedule = await planner.add(session, overlap=overlap)
        for _ in range(2):
            planner.storage.clock.advance(PERIOD)
            assert await planner.fire(await planner.read(schedule), session) is FireResult.FIRED
        assert len(await process.claim()) == (1 if overlap is Overlap.QUEUE else 2)

    async def test_a_run_by_hand_settles_nothing_and_needs_no_due_time(
        self, planner: Planner, process: QueueOfOne, session: Session
    ) -> None:
        schedule = await planner.add(session)
        paused = await planner.schedules.update(ALICE, schedule.schedule_id, Schedule.pause, act())
        planner.storage.clock.advance(timedelta(seconds=3))
        assert await planner.fire(paused, session, manual=True) is FireResult.FIRED
        assert await planner.read(schedule) == paused
        (firing,) = await planner.schedules.firings(schedule.schedule_id, None, 10)
        assert (firing.manual, firing.execution_id) == (True, (await process.claim_one()).entry.execution_id)

    async def test_a_run_under_a_key_that_is_held_stores_nothing(
        self, planner: Planner, process: QueueOfOne, session: Session
    ) -> None:
        schedule = await planner.add(session)
        assert await planner.run(schedule, session) is FireResult.FIRED
        planner.storage.clock.advance(timedelta(seconds=1))
        assert await planner.run(schedule, session) is FireResult.KEPT
        await process.finish(await process.claim_one())
        assert await planner.run(schedule, session) is FireResult.KEPT
        assert (len(await planner.history(schedule)), await process.claim()) == (1, [])
        waiting = IdempotencyKey("waits", "0" * 64)
        await planner.storage.keyed_executions.begin(*planner.storage.request(session.ref), waiting)
        assert await planner.run(schedule, session, waiting) is FireResult.KEPT

    async def test_one_of_several_runs_under_one_key_at_the_same_time_is_stored(
        self, planner: Planner, process: QueueOfOne, session: Session
    ) -> None:
        schedule = await planner.add(session)
        results = await asyncio.gather(*(planner.run(schedule, session) for _ in range(6)))
        assert Counter(results) == {FireResult.FIRED: 1, FireResult.KEPT: 5}
        assert len(await process.claim()) == 1

    async def test_a_run_takes_over_a_key_whose_time_is_over(
        self, planner: Planner, process: QueueOfOne, storage: Storage
    ) -> None:
        session = await storage.add(ALICE, **LONG)
        schedule = await planner.add(session)
        assert await planner.run(schedule, session) is FireResult.FIRED
        await process.finish(await process.claim_one())
        storage.clock.advance(RETENTION + timedelta(days=1))
        assert await planner.run(schedule, session) is FireResult.FIRED
        claimed = await process.claim_one()
        assert (claimed.entry.idempotency_key, len(await planner.history(schedule))) == (KEY, 2)

    async def test_no_schedule_is_stored_for_a_session_that_is_gone_or_closed(
        self, planner: Planner, storage: Storage, session: Session
    ) -> None:
        closed = await storage.add(ALICE, **LONG)
        stays = await planner.add(closed)
        await storage.close(closed)
        schedule = await planner.add(session)
        for owner, target, error in ((ALICE, closed, SessionClosed), (BOB, session, SessionNotFound)):
            with pytest.raises(error):
                await planner.add(target, owner)
        for target, error in ((closed.ref.session_id, SessionClosed), (UUID(int=1), SessionNotFound)):
            other = SessionTarget(target)
            with pytest.raises(error):
                await planner.schedules.update(
                    ALICE,
                    schedule.schedule_id,
                    lambda read, other=other: evolve(read, plan=evolve(read.plan, target=other)),
                    act(),
                )
        assert await planner.read(schedule) == schedule
        assert (await planner.schedules.update(ALICE, stays.schedule_id, Schedule.pause, act())).paused
        assert {each.schedule_id for each in (await planner.schedules.page(EVERY_OWNER, None, 9)).items} == {
            schedule.schedule_id,
            stays.schedule_id,
        }

    async def test_settling_records_and_moves_once(self, planner: Planner, session: Session) -> None:
        schedule = await planner.add(session)
        start = planner.storage.clock.now()
        planner.storage.clock.advance(timedelta(seconds=20))
        now, first, second = planner.storage.clock.now(), start + PERIOD, start + 2 * PERIOD
        step = ScheduleStep(Missed(first, first, 1), second, second, second + PERIOD)
        firings = [
            Firing(first, first, 1, FiringState.MISSED, now, LATE),
            Firing(second, second, 1, FiringState.SKIPPED, now, OVERLAP),
        ]
        assert await planner.schedules.settle(schedule, step, firings)
        assert not await planner.schedules.settle(schedule, step, firings)
        assert await planner.history(schedule) == [("skipped", 1, OVERLAP), ("missed", 1, LATE)]
        stored = await planner.read(schedule)
        assert (stored.settled_at, stored.next_at, stored.end_reason) == (second, second + PERIOD, None)

    async def test_settling_a_paused_schedule_leaves_it_paused(self, planner: Planner, session: Session) -> None:
        schedule = await planner.add(session)
        paused = await planner.schedules.update(ALICE, schedule.schedule_id, Schedule.pause, act())
        planner.storage.clock.advance(PERIOD)
        now = planner.storage.clock.now()
        step = ScheduleStep(Missed(now, now, 1), None, now, now + PERIOD)
        assert await planner.schedules.settle(paused, step, [Firing(now, now, 1, FiringState.SKIPPED, now, PAUSED)])
        stored = await planner.read(schedule)
        assert (stored.paused, stored.version, stored.next_at) == (True, paused.version, now + PERIOD)
        assert await planner.history(schedule) == [("skipped", 1, PAUSED)]

    async def test_a_schedule_can_be_ended_for_a_reason(self, planner: Planner, session: Session) -> None:
        schedule = await planner.add(session)
        planner.storage.clock.advance(PERIOD)
        step, now = planner.step(schedule), planner.storage.clock.now()
        firing = Firing(now, now, 1, FiringState.MISSED, now, "SESSION_CLOSED")
        assert await planner.schedules.settle(schedule, step, [firing], EndReason.SESSION_ENDED)
        stored = await planner.read(schedule)
        assert (stored.next_at, stored.end_reason) == (None, EndReason.SESSION_ENDED)

    async def test_about_as_many_firings_are_kept_as_the_limit_says(self, planner: Planner, session: Session) -> None:
        schedule = await planner.add(session, overlap=Overlap.ALLOW)
        for _ in range(3 * HISTORY_MAX):
            planner.storage.clock.advance(PERIOD)
            await planner.fire(await planner.read(schedule), session)
        kept = await planner.history(schedule)
        assert HISTORY_MAX <= len(kept) <= HISTORY_MAX + 2
