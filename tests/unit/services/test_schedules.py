"""Schedules over fakes: what is accepted, what fires, and what becomes of due times that cannot fire."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from attrs import evolve
from typing_extensions import override

from adapters.cron_calendar import CronCalendar
from adapters.memory.queue import MemoryExecutionQueue
from adapters.memory.schedules import MemoryScheduleRepository
from adapters.memory.store import MemoryStore
from domain.access.principal import ANYBODY, EXECUTE, Principal, Scope, ScopeMissing
from domain.audit import ActName, Actor
from domain.errors import InvalidRequest, QuotaReached, StorageUnavailable
from domain.files.asked import AskedFiles
from domain.functions.function import FunctionNotFound, Precondition
from domain.functions.schema import FunctionSchema, ParamsRefused, SchemaUnusable
from domain.functions.service import FunctionRequest, Write
from domain.grants.files import FilesGrant
from domain.grants.grants import Grants
from domain.idempotency import IdempotencyConflict, IdempotencyKey
from domain.identity import ANONYMOUS, EVERY_OWNER, SHARED, Owner, SessionRef
from domain.json_text import JsonText
from domain.queue.entry import AcceptOptions, CallbackNotFound, Entry, ResponsesNotKept
from domain.queue.ports import ExecutionQueue
from domain.queue.state import ExecutionState
from domain.schedules.dispatcher import ScheduleDispatcher, ScheduleFirer, SchedulePolicy
from domain.schedules.plan import CatchUp, FunctionTarget, Overlap, SchedulePlan, SessionTarget
from domain.schedules.ports import Fire, FireResult
from domain.schedules.schedule import (
    EndReason,
    Schedule,
    ScheduleCondition,
    ScheduleConflict,
    ScheduleMismatch,
    ScheduleNotFound,
)
from domain.schedules.service import ScheduleService, ScheduleView
from domain.schedules.targets import ScheduleTargets
from domain.schedules.timing import Calendar, Cron, CronTimes, Interval, Once, Timing, TimingRefused
from domain.scripts.language import Language, LanguageTitle
from domain.scripts.report import ExecutionStatus
from domain.sessions.session import Renewal, SessionClosed, SessionExpired, SessionNotFound
from entrypoints.composition.controller import Controller
from entrypoints.settings.loading import load_settings
from tests.support.waiting import until
from tests.unit.services.conftest import World

KEY = IdempotencyKey("again", "a" * 64)
ACTOR = Actor("alice", "127.0.0.1")
SECOND = timedelta(seconds=1)
EVERYTHING = Principal(ANONYMOUS, frozenset(Scope)).require_language


class ScheduleWorld:
    """One process with schedules."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.queue = MemoryExecutionQueue(world.store, world.executions, world.ids)
        self.stored = MemoryScheduleRepository(world.store, self.queue)
        world.schedules = self.stored

    @property
    def service(self) -> ScheduleService:
        service: ScheduleService = self.world.container.schedules.service()
        return service

    @property
    def dispatcher(self) -> ScheduleDispatcher:
        dispatcher: ScheduleDispatcher = self.world.container.schedules.dispatcher()
        return dispatcher

    async def session(self, **fields: Any) -> SessionTarget:
        ref = await self.world.session(**{"ttl_seconds": 1000} | fields)
        return SessionTarget(ref.session_id)

    async def create(self, target: Any = None, **plan: Any) -> Schedule:
        target = target or await self.session()
        wanted = SchedulePlan(
            **{"name": "x", "target": target, "timing": Interval(10), "params": JsonText('{"a":1}')} | plan
        )
        return (await self.service.create(ANONYMOUS, wanted, ACTOR, EVERYTHING)).schedule

    async def settle(self, seconds: float = 10) -> ScheduleDispatcher:
        """Let time pass, and settle everything that is due then."""
        self.world.clock.advance(timedelta(seconds=seconds))
        dispatcher = self.dispatcher
        for _ in range(1000):
            before = dict(self.world.store.schedules)
            await dispatcher.run_once()
            if before == self.world.store.schedules:
                return dispatcher
        raise AssertionError("it never ends")

    async def view(self, schedule: Schedule) -> ScheduleView:
        return await self.service.get(ANONYMOUS, schedule.schedule_id)

    async def history(self, schedule: Schedule) -> list[tuple[str, int, str | None]]:
        found = await self.service.firings(ANONYMOUS, schedule.schedule_id, None, 200)
        return [(each.state, each.due_times, each.reason) for each in found]

    async def register(self, source: str, schema: str | None = None, grants: Grants | None = None) -> None:
        write = Write(SHARED, SHARED, "python-adder", Precondition(), "127.0.0.1", ANYBODY.require_grants)
        params = None if schema is None else JsonText(schema)
        request = FunctionRequest(source, schema=FunctionSchema(params), grants=grants)
        await self.world.function_service.register(write, request, check=False)


@pytest.fixture
def process(world: World) -> ScheduleWorld:
    return ScheduleWorld(world)


class Silent(MemoryScheduleRepository):
    """Never confirms a write."""

    async def add(self, *_: Any) -> bool:
        await asyncio.Event().wait()
        raise AssertionError

    async def fire(self, _: Any) -> FireResult:
        await asyncio.Event().wait()
        raise AssertionError


async def test_a_write_that_is_not_confirmed_in_time_may_be_stored(world: World) -> None:
    world.request_timeout_s = 0.03
    process = ScheduleWorld(world)
    schedule = await process.create()
    process.world.schedules = Silent(world.store, process.queue)
    for call in (process.create(), process.service.run(ANONYMOUS, schedule.schedule_id, EVERYTHING)):
        with pytest.raises(StorageUnavailable) as late:
            await call
        assert late.value.details == {"stored": "unknown"}
    for call in (process.service.create(ANONYMOUS, schedule.plan, ACTOR, EVERYTHING, KEY), run(process, schedule)):
        with pytest.raises(StorageUnavailable) as late:
            await call
        assert late.value.details == {"stored": "unknown", "retry_after_ms": 1000}


async def test_an_owner_who_catches_up_holds_no_other_owner_up(process: ScheduleWorld) -> None:
    await process.register("result = params['a']")
    policy: SchedulePolicy = process.world.container.schedules.policy()
    target, rules = FunctionTarget("python-adder"), {"catch_up": CatchUp.ALL, "overlap": Overlap.ALLOW}
    many = [await process.create(target, **rules) for _ in range(policy.batch_owner_max + 1)]
    process.world.clock.advance(timedelta(seconds=5))
    plan = evolve(many[0].plan, name="of bob")
    late = (await process.service.create(Owner("bob"), plan, ACTOR, EVERYTHING)).schedule
    process.world.clock.advance(timedelta(hours=1))
    assert await process.dispatcher.run_once() == policy.pause_min_s
    assert [each.state for each in await process.service.firings(EVERY_OWNER, late.schedule_id, None, 9)] == [
        "fired",
        "missed",
    ]
    fired = [each for each in many if await process.history(each)]
    assert fired == many[: policy.batch_owner_max]


class Raced(MemoryScheduleRepository):
    """Another call with the key stores the schedule first."""

    async def add(self, *call: Any) -> bool:
        await super().add(*call)
        return False


class Vanishing(MemoryScheduleRepository):
    """Another call with the key stores its schedule first, and removes it."""

    async def add(self, *_: Any) -> bool:
        return False


async def test_a_call_that_loses_the_race_for_its_key_gets_the_schedule_of_the_other_one(
    process: ScheduleWorld,
) -> None:
    plan = (await process.create()).plan
    process.world.schedules = Raced(process.world.store, process.queue)
    assert (await process.service.create(ANONYMOUS, plan, ACTOR, EVERYTHING, KEY)).replayed


async def test_a_key_that_another_call_took_and_gave_up_is_a_conflict(process: ScheduleWorld) -> None:
    plan = (await process.create()).plan
    process.world.schedules = Vanishing(process.world.store, process.queue)
    with pytest.raises(ScheduleConflict):
        await process.service.create(ANONYMOUS, plan, ACTOR, EVERYTHING, KEY)


async def test_schedules_that_are_created_at_once_under_one_key_are_one(process: ScheduleWorld) -> None:
    plan = SchedulePlan("x", await process.session(), Interval(10), JsonText("{}"))
    creating = (process.service.create(ANONYMOUS, plan, ACTOR, EVERYTHING, KEY) for _ in range(4))
    views = await asyncio.gather(*creating)
    assert sorted(each.replayed for each in views) == [False, True, True, True]
    assert len({each.schedule for each in views}) == 1


async def test_a_schedule_begins_with_its_first_due_time(process: ScheduleWorld) -> None:
    schedule = await process.create()
    now = process.world.clock.now()
    assert (await process.view(schedule)).upcoming == tuple(now + 10 * n * SECOND for n in range(1, 6))
    assert [each.name for each in process.stored.acts] == [ActName.SCHEDULES_CREATE]


async def test_a_due_time_starts_an_execution(process: ScheduleWorld) -> None:
    schedule = await process.create()
    dispatcher = await process.settle()
    assert await process.history(schedule) == [("fired", 1, None)]
    assert len(process.world.store.queued) == 1
    assert dict(dispatcher.stats.settled) == {"fired": 1}
    assert dispatcher.stats.lateness_s == 0


async def test_a_function_is_called_by_its_name(process: ScheduleWorld) -> None:
    await process.register("result = params['a']")
    schedule = await process.create(FunctionTarget("python-adder"))
    await process.settle()
    assert await process.history(schedule) == [("fired", 1, None)]
    (execution_id,) = process.world.store.queued
    ref = process.world.store.accepted[execution_id].entry.ref
    assert process.world.store.sessions[ref.session_id].hidden


async def test_a_function_whose_session_was_closed_gets_another_one(process: ScheduleWorld) -> None:
    await process.register("result = params['a']")
    schedule = await process.create(FunctionTarget("python-adder"), overlap=Overlap.ALLOW)
    await process.settle()
    (first,) = [each for each in process.world.store.sessions.values() if each.hidden]
    process.world.store.put(first.close(process.world.clock.now()))
    await process.settle()
    assert await process.history(schedule) == [("fired", 1, None)] * 2


async def test_a_function_that_is_gone_misses_and_the_schedule_goes_on(process: ScheduleWorld) -> None:
    await process.register("result = params['a']")
    schedule = await process.create(FunctionTarget("python-adder"))
    write = Write(SHARED, SHARED, "python-adder", Precondition(), "127.0.0.1", ANYBODY.require_grants)
    await process.world.function_service.deactivate(write)
    await process.settle()
    assert await process.history(schedule) == [("missed", 1, "FUNCTION_NOT_FOUND")]
    assert (await process.view(schedule)).schedule.next_at is not None


async def test_a_session_that_has_ended_ends_its_schedule(process: ScheduleWorld) -> None:
    schedule = await process.create(await process.session(ttl_seconds=15))
    await process.settle(20)
    assert await process.history(schedule) == [("missed", 1, "SESSION_EXPIRED"), ("missed", 1, "late")]
    view = await process.view(schedule)
    assert (view.schedule.end_reason, view.upcoming) == (EndReason.SESSION_ENDED, ())
    target = await process.session()
    again = await process.service.change(
        ANONYMOUS, schedule.schedule_id, lambda plan: evolve(plan, target=target), ACTOR, EVERYTHING
    )
    assert again.schedule.end_reason is None
    await process.settle()
    assert (await process.history(schedule))[0] == ("fired", 1, None)


async def test_a_due_time_beside_an_execution_under_way_is_skipped(process: ScheduleWorld) -> None:
    schedule = await process.create()
    await process.settle()
    dispatcher = await process.settle()
    assert await process.history(schedule) == [("skipped", 1, "overlap"), ("fired", 1, None)]
    assert dict(dispatcher.stats.settled) == {"skipped": 1}


class Stale(MemoryScheduleRepository):
    """Finds a schedule as another process has left it before."""

    def __init__(self, store: MemoryStore, queue: MemoryExecutionQueue, read: Schedule) -> None:
        super().__init__(store, queue)
        self.read = read

    async def find(self, *_: Any) -> Schedule:
        return self.read


class StaleOnce(MemoryScheduleRepository):
    """Finds a schedule once as it was before another process has changed it."""

    def __init__(self, store: MemoryStore, queue: MemoryExecutionQueue, read: Schedule) -> None:
        super().__init__(store, queue)
        self.reads = [read]

    async def find(self, *named: Any) -> Schedule:
        return self.reads.pop() if self.reads else await super().find(*named)


class Refusing:
    """The quota of a queue that takes nothing."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def take(self, *_: object) -> None:
        raise self._error


async def test_a_full_queue_misses_the_due_time(process: ScheduleWorld) -> None:
    schedule = await process.create()
    process.world.clock.advance(10 * SECOND)
    await with_quota(process, Refusing(QuotaReached("queued_executions", 1, 1))).run_once()
    assert await process.history(schedule) == [("missed", 1, "RATE_LIMITED")]


async def test_an_error_that_concerns_one_schedule_alone_is_recorded_as_missed(process: ScheduleWorld) -> None:
    schedule = await process.create()
    process.world.clock.advance(10 * SECOND)
    unusable = SchemaUnusable(LanguageTitle(Language.PYTHON, "adder"), 1, "it is old")
    await with_quota(process, Refusing(unusable)).run_once()
    assert await process.history(schedule) == [("missed", 1, "RUNTIME_UNAVAILABLE")]


class BrokenCalendar(CronCalendar):
    """Fails as nobody expects it."""

    def cron_times(self, cron: Cron) -> CronTimes:
        raise OverflowError(cron.expression)


async def test_a_schedule_that_fails_unexpectedly_holds_up_no_other_one(process: ScheduleWorld) -> None:
    broken, good = await process.create(timing=Cron("* * * * *")), await process.create()
    process.world.clock.advance(60 * SECOND)
    for _ in range(2):
        with pytest.raises(OverflowError):
            await with_quota(process, Unlimited(), BrokenCalendar()).run_once()
    assert (await process.history(good))[0] == ("fired", 1, None)
    assert await process.history(broken) == []


async def test_a_schedule_follows_its_session_to_another_owner(process: ScheduleWorld) -> None:
    schedule = await process.create()
    store, alice = process.world.store, Owner("alice")
    (session,) = store.sessions.values()
    store.put(evolve(session, ref=evolve(session.ref, owner=alice)))
    await process.settle()
    assert await process.history(schedule) == []
    moved = store.schedules[schedule.schedule_id]
    store.schedules[schedule.schedule_id] = evolve(moved, owner=alice)
    await process.settle(0)
    assert [each.state for each in store.firings[schedule.schedule_id]] == ["fired"]


class Unlimited:
    """The quota of a queue that takes everything."""

    async def take(self, *_: object) -> None:
        return

    def settle(self, *_: object, stored: bool) -> None:
        return


def with_quota(process: ScheduleWorld, quota: Any, calendar: Calendar | None = None) -> ScheduleDispatcher:
    world, container, stored = process.world, process.world.container, process.stored
    parts = container.function_sessions(), container.database.webhooks(), container.mapping(), container.params()
    policy: SchedulePolicy = container.schedules.policy()
    queue: ExecutionQueue = container.database.execution_queue()
    targets = ScheduleTargets(world.sessions, world.functions, *parts)
    firer = ScheduleFirer(world.clock, world.ids, stored, targets, queue, quota, policy, lambda: None)
    return ScheduleDispatcher(world.clock, stored, firer, calendar or CronCalendar(), policy)


async def test_params_that_no_longer_fit_are_missed(process: ScheduleWorld) -> None:
    await process.register("result = params['a']")
    schedule = await process.create(FunctionTarget("python-adder"))
    await process.register("result = params['b']", '{"required":["b"]}')
    await process.settle()
    assert await process.history(schedule) == [("missed", 1, ParamsRefused.code)]


async def test_a_database_that_takes_nothing_leaves_due_times_due(process: ScheduleWorld) -> None:
    schedule = await process.create(catch_up=CatchUp.ALL, overlap=Overlap.ALLOW)
    process.world.clock.advance(35 * SECOND)
    process.world.store.failure = StorageUnavailable()
    with pytest.raises(StorageUnavailable):
        await process.dispatcher.run_once()
    process.world.store.failure = None
    await process.settle(0)
    assert await process.history(schedule) == [("fired", 1, None)] * 3


async def test_a_clock_that_jumps_ahead_fires_what_the_rule_says(process: ScheduleWorld) -> None:
    await process.register("result = params['a']")
    target = FunctionTarget("python-adder")
    rules = {CatchUp.SKIP: 1, CatchUp.ONCE: 1, CatchUp.ALL: 100}
    made = {rule: await process.create(target, catch_up=rule, overlap=Overlap.ALLOW) for rule in rules}
    await process.settle(86_400)
    for rule, fired in rules.items():
        history = await process.history(made[rule])
        assert sum(times for state, times, _ in history if state == "fired") == fired
        assert sum(times for _, times, _ in history) == 8640


async def test_a_firing_that_fails_for_now_is_tried_again(process: ScheduleWorld) -> None:
    schedule = await process.create()
    process.world.clock.advance(10 * SECOND)
    dispatcher = with_quota(process, Refusing(StorageUnavailable()))
    assert await dispatcher.run_once() == 1.0
    assert await process.history(schedule) == []
    await process.settle(0)
    assert await process.history(schedule) == [("fired", 1, None)]


async def test_a_timing_that_cannot_be_understood_any_more_ends_the_schedule(process: ScheduleWorld) -> None:
    schedule = await process.create(timing=Cron("* * * * *"))
    plan = evolve(schedule.plan, timing=Cron("* * * * *", "Atlantis/Capital"))
    process.world.store.schedules[schedule.schedule_id] = evolve(schedule, plan=plan)
    await process.settle(60)
    assert await process.history(schedule) == [], "other processes may know it"
    await process.settle(600)
    assert await process.history(schedule) == [("missed", 1, TimingRefused.code)]
    view = await process.view(schedule)
    assert (view.schedule.end_reason, view.upcoming) == (EndReason.TIMING_UNKNOWN, ())


async def test_an_unreadable_timing_is_shown_without_due_times(process: ScheduleWorld) -> None:
    schedule = await process.create(timing=Cron("* * * * *"))
    process.world.store.schedules[schedule.schedule_id] = evolve(
        schedule, plan=evolve(schedule.plan, timing=Cron("* * * * *", "Atlantis/Capital"))
    )
    assert (await process.view(schedule)).upcoming == ()


async def test_another_process_that_was_faster_leaves_nothing_to_do(process: ScheduleWorld) -> None:
    schedule = await process.create()
    process.world.clock.advance(10 * SECOND)
    first, second = process.dispatcher, process.world.container.schedules.dispatcher()
    await asyncio.gather(first.run_once(), second.run_once())
    assert await process.history(schedule) == [("fired", 1, None)]


async def test_of_two_processes_that_miss_one_due_time_one_records_it(process: ScheduleWorld) -> None:
    await process.register("result = params['a']")
    schedule = await process.create(FunctionTarget("python-adder"))
    await process.world.function_service.deactivate(
        Write(SHARED, SHARED, "python-adder", Precondition(), "127.0.0.1", ANYBODY.require_grants)
    )
    process.world.clock.advance(10 * SECOND)
    both = process.dispatcher, process.world.container.schedules.dispatcher()
    await asyncio.gather(*(each.run_once() for each in both))
    assert await process.history(schedule) == [("missed", 1, "FUNCTION_NOT_FOUND")]
    assert sum((each.stats.settled for each in both), Counter()) == {"missed": 1}


async def test_the_next_look_is_at_the_next_due_time(process: ScheduleWorld) -> None:
    assert await process.dispatcher.run_once() == 1.0
    await process.create()
    process.world.clock.advance(9.75 * SECOND)
    assert await process.dispatcher.run_once() == pytest.approx(0.25)
    process.world.clock.advance(0.25 * SECOND)
    assert await process.dispatcher.run_once() == 0.01


@asynccontextmanager
async def running(dispatcher: ScheduleDispatcher) -> AsyncIterator[None]:
    """Run the loop meanwhile; it must not end by itself."""
    task = asyncio.create_task(dispatcher.run())
    try:
        yield
    finally:
        assert task.cancel()
        await asyncio.wait([task])


async def test_the_loop_settles_what_comes(process: ScheduleWorld) -> None:
    container = process.world.container
    dispatcher, service = container.schedules.dispatcher(), container.schedules.service()
    async with running(dispatcher):
        target = await process.session()
        plan = SchedulePlan("x", target, Interval(10), JsonText('{"a":1}'))
        schedule = (await service.create(ANONYMOUS, plan, ACTOR, EVERYTHING)).schedule
        process.world.clock.advance(10 * SECOND)
        dispatcher.wake()
        await until(lambda: process.world.store.queued)
    assert len(process.world.store.firings[schedule.schedule_id]) == 1


async def test_the_loop_survives_a_database_that_is_away(process: ScheduleWorld) -> None:
    await process.create()
    dispatcher = process.dispatcher
    process.world.clock.advance(10 * SECOND)
    process.world.store.failure = StorageUnavailable()
    async with running(dispatcher):
        await asyncio.sleep(0)
        process.world.store.failure = None
        dispatcher.wake()
        await until(lambda: process.world.store.queued)


async def test_what_could_never_run_is_refused_at_once(process: ScheduleWorld) -> None:
    with pytest.raises(TimingRefused, match="not in the future"):
        await process.create(timing=Once(process.world.clock.now()))
    with pytest.raises(TimingRefused, match="five fields"):
        await process.create(timing=Cron("nonsense"))
    with pytest.raises(SessionNotFound):
        await process.create(SessionTarget(UUID(int=4711)))
    ended = await process.session(ttl_seconds=1)
    process.world.clock.advance(SECOND)
    with pytest.raises(SessionExpired):
        await process.create(ended)
    with pytest.raises(FunctionNotFound):
        await process.create(FunctionTarget("python-nothing"))
    await process.register("result = params['b']", '{"required":["b"]}')
    with pytest.raises(ParamsRefused):
        await process.create(FunctionTarget("python-adder"))
    assert process.world.store.schedules == {}


async def test_a_caller_who_may_not_run_the_language_may_not_schedule_it(process: ScheduleWorld) -> None:
    only_nodejs = Principal(ANONYMOUS, frozenset({EXECUTE[Language.NODEJS]})).require_language
    plan = SchedulePlan("x", await process.session(), Interval(10), JsonText("{}"))
    with pytest.raises(ScopeMissing):
        await process.service.create(ANONYMOUS, plan, ACTOR, only_nodejs)
    schedule = await process.create()
    with pytest.raises(ScopeMissing):
        await process.service.run(ANONYMOUS, schedule.schedule_id, only_nodejs)
    with pytest.raises(ScopeMissing):
        await process.service.change(ANONYMOUS, schedule.schedule_id, lambda read: read, ACTOR, only_nodejs)


async def test_a_change_needs_its_condition(process: ScheduleWorld) -> None:
    schedule = await process.create()
    at_2 = ScheduleCondition(frozenset({"2"}))
    named = ANONYMOUS, schedule.schedule_id
    with pytest.raises(ScheduleMismatch):
        await process.service.change(*named, lambda plan: evolve(plan, name="y"), ACTOR, EVERYTHING, at_2)
    for refused in (process.service.pause, process.service.resume, process.service.remove):
        with pytest.raises(ScheduleMismatch):
            await refused(*named, ACTOR, at_2)
    assert (await process.view(schedule)).schedule == schedule


async def test_a_changed_interval_counts_from_the_change(process: ScheduleWorld) -> None:
    schedule = await process.create()
    process.world.clock.advance(7 * SECOND)
    view = await process.service.change(
        ANONYMOUS, schedule.schedule_id, lambda plan: evolve(plan, timing=Interval(20)), ACTOR, EVERYTHING
    )
    assert view.upcoming[0] == process.world.clock.now() + 20 * SECOND


async def test_a_pause_and_its_end(process: ScheduleWorld) -> None:
    schedule = await process.create()
    paused = await process.service.pause(ANONYMOUS, schedule.schedule_id, ACTOR)
    assert paused.upcoming == ()
    await process.settle(100)
    assert await process.history(schedule) == []
    resumed = await process.service.resume(ANONYMOUS, schedule.schedule_id, ACTOR)
    assert resumed.upcoming[0] == process.world.clock.now() + 10 * SECOND
    assert await process.service.resume(ANONYMOUS, schedule.schedule_id, ACTOR) == resumed
    await process.settle()
    assert await process.history(schedule) == [("fired", 1, None), ("skipped", 10, "paused")]


async def test_due_times_that_a_change_of_the_timing_overtakes_are_recorded(process: ScheduleWorld) -> None:
    schedule = await process.create()
    process.world.clock.advance(25 * SECOND)

    async def change(timing: Timing) -> None:
        await process.service.change(
            ANONYMOUS, schedule.schedule_id, lambda plan: evolve(plan, timing=timing), ACTOR, EVERYTHING
        )

    await change(Interval(20))
    assert await process.history(schedule) == [("missed", 2, "changed")]
    await process.service.pause(ANONYMOUS, schedule.schedule_id, ACTOR)
    process.world.clock.advance(45 * SECOND)
    await change(Interval(10))
    assert await process.history(schedule) == [("skipped", 2, "paused"), ("missed", 2, "changed")]


async def test_a_resume_that_another_process_overtakes_conflicts(process: ScheduleWorld) -> None:
    schedule = await process.create()
    await process.service.pause(ANONYMOUS, schedule.schedule_id, ACTOR)
    process.world.clock.advance(10 * SECOND)
    stale = Stale(process.world.store, process.queue, await process.stored.find(EVERY_OWNER, schedule.schedule_id))
    process.world.store.schedules[schedule.schedule_id] = evolve(stale.read, version=7)
    process.world.schedules = stale
    with pytest.raises(ScheduleConflict):
        await process.service.resume(ANONYMOUS, schedule.schedule_id, ACTOR)


async def test_a_change_that_another_process_overtakes_drops_no_due_time(process: ScheduleWorld) -> None:
    schedule = await process.create()
    process.world.clock.advance(5 * SECOND)
    stored = await process.stored.find(EVERY_OWNER, schedule.schedule_id)
    now = process.world.clock.now()
    process.world.store.schedules[schedule.schedule_id] = evolve(stored, next_at=now, version=2)
    process.world.schedules = StaleOnce(process.world.store, process.queue, stored)
    with pytest.raises(ScheduleConflict):
        await process.service.change(
            ANONYMOUS, schedule.schedule_id, lambda plan: evolve(plan, timing=Interval(60)), ACTOR, EVERYTHING
        )
    assert process.world.store.schedules[schedule.schedule_id].next_at == now


async def test_a_removal_under_a_condition_removes_no_later_version(process: ScheduleWorld) -> None:
    schedule = await process.create()
    await process.service.pause(ANONYMOUS, schedule.schedule_id, ACTOR)
    named = ANONYMOUS, schedule.schedule_id, ACTOR
    process.world.schedules = StaleOnce(process.world.store, process.queue, schedule)
    with pytest.raises(ScheduleConflict):
        await process.service.remove(*named, ScheduleCondition(frozenset({"1"})))
    assert (await process.view(schedule)).schedule.paused
    process.world.schedules = StaleOnce(process.world.store, process.queue, schedule)
    await process.service.remove(*named)
    assert process.world.store.schedules == {}


async def test_a_change_of_a_timing_that_is_not_known_here_records_what_was_due(process: ScheduleWorld) -> None:
    schedule = await process.create(timing=Cron("* * * * *"))
    plan = evolve(schedule.plan, timing=Cron("* * * * *", "Atlantis/Capital"))
    process.world.store.schedules[schedule.schedule_id] = evolve(schedule, plan=plan)
    process.world.clock.advance(150 * SECOND)
    view = await process.service.change(
        ANONYMOUS, schedule.schedule_id, lambda plan: evolve(plan, timing=Interval(60)), ACTOR, EVERYTHING
    )
    assert await process.history(schedule) == [("missed", 1, "changed")]
    assert view.upcoming[0] == process.world.clock.now() + 60 * SECOND


async def test_a_pause_of_an_unreadable_timing_records_nothing(process: ScheduleWorld) -> None:
    schedule = await process.create(timing=Cron("* * * * *"))
    plan = evolve(schedule.plan, timing=Cron("* * * * *", "Atlantis/Capital"))
    process.world.store.schedules[schedule.schedule_id] = evolve(schedule, plan=plan, paused=True)
    process.world.clock.advance(60 * SECOND)
    with pytest.raises(TimingRefused):
        await process.service.resume(ANONYMOUS, schedule.schedule_id, ACTOR)
    assert await process.history(schedule) == []


async def test_a_callback_must_be_a_webhook_of_the_owner(process: ScheduleWorld) -> None:
    calling = AcceptOptions(webhook_id=UUID(int=4711))
    with pytest.raises(CallbackNotFound, match="Nothing was accepted"):
        await process.create(options=calling)
    schedule = await process.create()
    with pytest.raises(CallbackNotFound):
        await process.service.change(
            ANONYMOUS, schedule.schedule_id, lambda plan: evolve(plan, options=calling), ACTOR, EVERYTHING
        )
    assert (await process.view(schedule)).schedule == schedule


FILES = Grants(files=FilesGrant(1))
COLLECTS = AcceptOptions(files=AskedFiles(collect=("*.csv",)))
ADDER = FunctionTarget("python-adder")


async def test_each_execution_collects_what_the_schedule_says(process: ScheduleWorld) -> None:
    await process.register("result = 1", grants=FILES)
    for target in (await process.session(grants=FILES), ADDER):
        await process.create(target, options=COLLECTS)
    await process.settle()
    entries = [process.world.store.accepted[each].entry for each in process.world.store.queued]
    assert [each.options.files for each in entries] == [COLLECTS.files] * 2


async def test_a_target_without_files_collects_none(process: ScheduleWorld) -> None:
    await process.register("result = 1")
    for target in (await process.session(), ADDER):
        with pytest.raises(InvalidRequest, match="what the schedule executes has no files"):
            await process.create(target, options=COLLECTS)
    schedule = await process.create(await process.session())
    with pytest.raises(InvalidRequest, match="/collect"):
        await process.service.change(
            ANONYMOUS, schedule.schedule_id, lambda plan: evolve(plan, options=COLLECTS), ACTOR, EVERYTHING
        )


async def test_due_times_are_missed_while_a_function_has_no_files_any_more(process: ScheduleWorld) -> None:
    await process.register("result = 1", grants=FILES)
    schedule = await process.create(ADDER, options=COLLECTS)
    await process.register("result = 2")
    await process.settle()
    assert await process.history(schedule) == [("missed", 1, "INVALID_REQUEST")]
    await process.register("result = 3", grants=FILES)
    await process.settle()
    assert [state for state, *_ in await process.history(schedule)] == ["fired", "missed"]


async def test_a_callback_that_was_removed_holds_no_due_time_up(process: ScheduleWorld) -> None:
    schedule = await process.create()
    plan = evolve(schedule.plan, options=AcceptOptions(webhook_id=UUID(int=4711)))
    process.world.store.schedules[schedule.schedule_id] = evolve(schedule, plan=plan)
    await process.settle()
    assert await process.history(schedule) == [("fired", 1, None)]
    with pytest.raises(CallbackNotFound):
        await process.service.run(ANONYMOUS, schedule.schedule_id, EVERYTHING)


async def test_a_page_of_rare_expressions_lets_others_run_in_between(process: ScheduleWorld) -> None:
    for _ in range(3):
        await process.create(timing=Cron("0 0 * 2 MON#5"))
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(others())
    assert len((await process.service.page(ANONYMOUS, None, 10)).items) == 3
    task.cancel()
    assert turns >= 3


async def test_a_run_by_hand_is_beside_the_due_times(process: ScheduleWorld) -> None:
    schedule = await process.create()
    entry = await process.service.run(ANONYMOUS, schedule.schedule_id, EVERYTHING)
    assert isinstance(entry, Entry)
    assert entry.execution_id in process.world.store.queued
    (firing,) = await process.service.firings(ANONYMOUS, schedule.schedule_id, None, 10)
    assert firing.manual
    assert (await process.view(schedule)).schedule == schedule


async def test_a_run_of_a_schedule_that_changes_meanwhile_conflicts(process: ScheduleWorld) -> None:
    schedule = await process.create()
    stale = Stale(process.world.store, process.queue, await process.stored.find(EVERY_OWNER, schedule.schedule_id))
    process.world.store.schedules[schedule.schedule_id] = evolve(stale.read, version=2)
    process.world.schedules = stale
    with pytest.raises(ScheduleConflict):
        await process.service.run(ANONYMOUS, schedule.schedule_id, EVERYTHING)


async def test_schedules_are_listed_and_removed(process: ScheduleWorld) -> None:
    made = [await process.create() for _ in range(3)]
    page = await process.service.page(ANONYMOUS, None, 2)
    assert [each.schedule for each in page.items] == made[:0:-1]
    await process.service.remove(ANONYMOUS, made[0].schedule_id, ACTOR)
    with pytest.raises(ScheduleNotFound):
        await process.view(made[0])
    with pytest.raises(ScheduleNotFound):
        await process.service.firings(ANONYMOUS, made[0].schedule_id, None, 10)


async def test_firing_renews_a_sliding_session(process: ScheduleWorld) -> None:
    target = await process.session(ttl_seconds=15, renewal=Renewal.SLIDING)
    await process.create(target, overlap=Overlap.ALLOW)
    for _ in range(5):
        await process.settle()
    session = await process.world.sessions.get(SessionRef(ANONYMOUS, target.session_id))
    assert session.expires_at == process.world.clock.now() + 15 * SECOND


class Keeping(MemoryScheduleRepository):
    """Finds that each key is held."""

    @override
    async def fire(self, fire: Fire) -> FireResult:
        return FireResult.KEPT


async def run(process: ScheduleWorld, schedule: Schedule, key: IdempotencyKey | None = KEY) -> Entry | ExecutionState:
    return await process.service.run(ANONYMOUS, schedule.schedule_id, EVERYTHING, key)


async def test_a_repeated_run_with_its_key_accepts_nothing_more(process: ScheduleWorld) -> None:
    await process.register("result = params['a']")
    for target in (await process.session(), FunctionTarget("python-adder")):
        schedule = await process.create(target)
        first, again = await run(process, schedule), await run(process, schedule)
        assert isinstance(again, ExecutionState)
        assert again.execution_id == first.execution_id
        assert (await run(process, schedule, None)).execution_id != first.execution_id
        assert await process.history(schedule) == [("fired", 1, None)] * 2
        await process.queue.cancel(ANONYMOUS, first.execution_id, process.world.clock.now())
        ended = await run(process, schedule)
        assert (ended.execution_id, ended.status) == (first.execution_id, ExecutionStatus.CANCELLED)  # type: ignore[union-attr]


async def test_a_repeated_run_is_answered_although_a_first_one_would_be_refused(process: ScheduleWorld) -> None:
    target = await process.session()
    schedule = await process.create(target)
    first = await run(process, schedule)
    await process.world.session_service.close(SessionRef(ANONYMOUS, target.session_id))
    assert (await run(process, schedule)).execution_id == first.execution_id
    with pytest.raises(SessionClosed):
        await run(process, schedule, IdempotencyKey("new", "a" * 64))


async def test_a_key_runs_one_schedule_of_a_session(process: ScheduleWorld) -> None:
    target = await process.session()
    await run(process, await process.create(target))
    with pytest.raises(IdempotencyConflict):
        await run(process, await process.create(target), IdempotencyKey("again", "b" * 64))


async def test_runs_with_one_key_at_the_same_time_accept_one_execution(process: ScheduleWorld) -> None:
    schedule = await process.create()
    found = await asyncio.gather(*(run(process, schedule) for _ in range(4)))
    assert len({each.execution_id for each in found}) == 1


async def test_a_run_whose_key_is_free_again_at_once_is_refused(process: ScheduleWorld) -> None:
    process.world.schedules = Keeping(process.world.store, process.queue)
    schedule = await process.create()
    with pytest.raises(ScheduleConflict):
        await run(process, schedule)


async def test_nothing_is_created_or_run_where_no_responses_are_kept(process: ScheduleWorld) -> None:
    schedule = await process.create()
    policy: SchedulePolicy = process.world.container.schedules.policy()
    service = evolve(process.service, policy=evolve(policy, keeps_responses=False))
    with pytest.raises(ResponsesNotKept):
        await service.create(ANONYMOUS, schedule.plan, ACTOR, EVERYTHING)
    with pytest.raises(ResponsesNotKept):
        await service.run(ANONYMOUS, schedule.schedule_id, EVERYTHING)
    assert await service.pause(ANONYMOUS, schedule.schedule_id, ACTOR)


async def test_due_times_wait_for_a_process_that_keeps_responses() -> None:
    for kept, steps in (("on", 1), ("off", 0)):
        settings = load_settings({"DATABASE_URL": "postgresql://nobody/nothing", "IDEMPOTENCY": kept})
        assert len(Controller(settings=settings).schedules.background()) == steps
