"""An hour of schedules at two controllers that die, whose clocks differ, and whose owners change them meanwhile."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from typing import Any, TypeVar
from uuid import UUID

from attrs import define, evolve, field, frozen
from hypothesis import given
from hypothesis import strategies as st

from adapters.cron_calendar import CronCalendar
from adapters.memory.manual_clock import ManualClock
from adapters.memory.schedules import MemoryScheduleRepository
from domain.audit import Actor
from domain.clock import Clock
from domain.errors import StorageUnavailable
from domain.identity import ANONYMOUS, EVERY_OWNER, Owner
from domain.json_text import JsonText
from domain.schedules.dispatcher import ScheduleDispatcher, ScheduleFirer, times_of
from domain.schedules.firing import Firing, FiringState
from domain.schedules.plan import CatchUp, Overlap, SchedulePlan, SessionTarget
from domain.schedules.schedule import Schedule, ScheduleConflict
from domain.schedules.service import ScheduleService
from domain.schedules.targets import ScheduleTargets
from domain.schedules.timing import Cron, Interval, Timing
from tests.unit.services.conftest import World

HOUR_S = 3600
SECOND = timedelta(seconds=1)
ACTOR = Actor("anonymous", "127.0.0.1")
CALENDAR = CronCalendar()
BEFORE_CHANGES = [
    datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    datetime(2026, 3, 29, 0, 40, tzinfo=UTC),  # Berlin: a gap of an hour; Troll: of two
    datetime(2026, 10, 25, 0, 40, tzinfo=UTC),  # Berlin: an hour occurs again; Troll: two
    datetime(2026, 4, 4, 14, 50, tzinfo=UTC),  # Lord Howe: half an hour occurs again
    datetime(2026, 10, 3, 15, 10, tzinfo=UTC),  # Lord Howe: a gap of half an hour
]
ZONES = ["UTC", "Europe/Berlin", "Antarctica/Troll", "Australia/Lord_Howe", "Africa/Casablanca"]

Result = TypeVar("Result")


class Fate(Enum):
    """What happens to a process before or after a write."""

    NOTHING = auto()
    OTHERS_RUN = auto()
    IT_DIES = auto()
    NO_ANSWER = auto()


class Killed(Exception):
    """The process ended here."""


@frozen
class Era:
    """A time in which a schedule has one timing: how it began, and the records from before."""

    begun: Schedule
    before: frozenset[Firing]


class Fateful(MemoryScheduleRepository):
    """The schedules as one process stores them; each write has a fate before it and one after it."""

    life: "Life"
    fates: list[Fate]

    async def fire(self, *given: object) -> object:
        return await self._written(lambda: super(Fateful, self).fire(*given))

    async def settle(self, *given: object) -> object:
        return await self._written(lambda: super(Fateful, self).settle(*given))

    async def update(self, owner: Owner, schedule_id: UUID, change: object, act: object) -> object:
        async def changed() -> Schedule:
            read = await self.find(owner, schedule_id)
            changed: Schedule = await super(Fateful, self).update(owner, schedule_id, change, act)
            if (changed.anchor_at, changed.plan.timing) != (read.anchor_at, read.plan.timing):
                self.life.end_era(read, changed.anchor_at)
                self.life.begin_era(changed)
            return changed

        return await self._written(changed)

    async def _written(self, write: Callable[[], Awaitable[Result]]) -> Result:
        await self._meet()
        result = await write()
        await self._meet()
        return result

    async def _meet(self) -> None:
        fate = self.fates.pop() if self.fates else Fate.NOTHING
        if fate is Fate.OTHERS_RUN:
            for _ in range(5):
                await asyncio.sleep(0)
        if fate is Fate.IT_DIES:
            raise Killed
        if fate is Fate.NO_ANSWER:
            raise StorageUnavailable(stored="unknown")


@frozen
class Skewed(Clock):
    """A clock that is ahead of another one."""

    clock: Clock
    ahead: timedelta

    def now(self) -> datetime:
        return self.clock.now() + self.ahead


@frozen
class Process:
    """A controller: what fires, and what its callers reach."""

    stored: Fateful
    dispatcher: ScheduleDispatcher
    service: ScheduleService


@define(eq=False)
class Life:
    """A schedule, the controllers that serve it, and what it must have become of each due time."""

    world: World
    skews_s: Sequence[int]
    processes: list[Process] = field(factory=list)
    schedule_id: UUID = field(init=False)
    era: Era = field(init=False)

    async def begin(self, **fields: Any) -> None:
        ref = await self.world.session()
        session = self.world.store.sessions[ref.session_id]
        self.world.store.put(evolve(session, expires_at=session.expires_at + timedelta(days=1)))
        target = SessionTarget(ref.session_id)
        plan = SchedulePlan(name="x", target=target, params=JsonText('{"a":1}'), **fields)
        self.processes = [self.process(skew_s) for skew_s in self.skews_s]
        made = await self.processes[0].service.create(ANONYMOUS, plan, ACTOR, lambda _: None)
        self.schedule_id = made.schedule.schedule_id
        self.begin_era(made.schedule)

    def process(self, skew_s: int) -> Process:
        """Start a controller whose clock is ahead by so many seconds."""
        world, container = self.world, self.world.container
        clock = Skewed(world.clock, skew_s * SECOND)
        stored = Fateful(world.store, world.queue, history_max=10_000)
        stored.life, stored.fates = self, []
        parts = container.function_sessions(), container.database.webhooks(), container.mapping(), container.params()
        targets = ScheduleTargets(world.sessions, world.functions, *parts)
        policy, quota = container.schedules.policy(), container.queue.quota()
        queue = container.database.execution_queue()
        firer = ScheduleFirer(clock, world.ids, stored, targets, queue, quota, policy, lambda: None)
        dispatcher = ScheduleDispatcher(clock, stored, firer, CALENDAR, policy)
        service = ScheduleService(clock, world.ids, stored, targets, CALENDAR, firer, policy, dispatcher.wake)
        return Process(stored, dispatcher, service)

    @property
    def stored(self) -> Schedule:
        return self.world.store.schedules[self.schedule_id]

    @property
    def records(self) -> list[Firing]:
        return [each for each in self.world.store.firings[self.schedule_id] if not each.manual]

    def begin_era(self, begun: Schedule) -> None:
        self.era = Era(begun, frozenset(self.world.store.firings.get(begun.schedule_id, ())))

    def end_era(self, last: Schedule, at: datetime) -> None:
        """Require that each due time of the era stands in one record, and that none was due and has no record."""
        assert last.next_at is None or last.next_at > at
        first_at, times = self.era.begun.next_at, times_of(self.era.begun, CALENDAR)
        settled = []
        while first_at is not None and (last.next_at is None or first_at < last.next_at):
            settled.append(first_at)
            first_at = times.after(first_at)
        recorded = []
        for each in sorted(self.records, key=lambda each: each.due_at):
            if each in self.era.before:
                continue
            part = [due_at for due_at in settled if each.due_at <= due_at <= each.last_due_at]
            assert len(part) == each.due_times
            recorded += part
        assert recorded == settled

    async def look(self, *who: int) -> None:
        """Let controllers settle what is due, at the same time."""
        looks = (self.processes[each].dispatcher.run_once() for each in who)
        for failure in await asyncio.gather(*looks, return_exceptions=True):
            assert failure is None or isinstance(failure, (float, Killed, StorageUnavailable)), failure

    async def end_executions(self) -> None:
        for execution_id in list(self.world.store.queued):
            await self.world.queue.cancel(EVERY_OWNER, execution_id, self.world.clock.now())

    async def end(self) -> None:
        """Let both controllers settle everything, and require that nothing was lost or done twice."""
        for each in self.processes:
            each.stored.fates.clear()
        ahead_s = max(self.skews_s)
        now = self.world.clock.now() + ahead_s * SECOND
        while self.stored.is_due(now):
            await self.look(0, 1)
        if self.stored.paused:
            service = self.processes[self.skews_s.index(ahead_s)].service
            await service.resume(ANONYMOUS, self.schedule_id, ACTOR)
        self.end_era(self.stored, now)
        fired = [each.execution_id for each in self.world.store.firings[self.schedule_id] if each.execution_id]
        assert sorted(fired) == sorted(self.world.store.accepted)
        assert {each.state for each in self.records if each.execution_id} <= {FiringState.FIRED}


TIMINGS = st.one_of(
    st.integers(10, 600).map(Interval),
    st.builds(Cron, st.sampled_from(["* * * * *", "*/7 * * * *", "0,30 1-4 * * *"]), st.sampled_from(ZONES)),
)


@frozen
class Act:
    """What a controller does after some seconds, beside a look of the other one, and the fates of its next writes."""

    pause_s: int
    who: int
    name: str
    timing: Timing
    fates: Sequence[Fate]


ACTS = st.builds(
    Act,
    st.sampled_from([0, 1, 5, 10, 30, 60, 61, 200, 900]),
    st.integers(0, 1),
    st.sampled_from(["look", "look", "look", "pause", "resume", "change", "run", "end", "kill"]),
    TIMINGS,
    st.lists(st.sampled_from(Fate), max_size=4),
)


async def perform(life: Life, act: Act) -> None:
    process, named = life.processes[act.who], (ANONYMOUS, life.schedule_id)
    process.stored.fates[:] = act.fates
    with suppress(Killed, StorageUnavailable, ScheduleConflict):
        match act.name:
            case "look":
                await life.look(act.who)
            case "pause":
                await process.service.pause(*named, ACTOR)
            case "resume":
                await process.service.resume(*named, ACTOR)
            case "change":
                await process.service.change(
                    *named, lambda plan: evolve(plan, timing=act.timing), ACTOR, lambda _: None
                )
            case "run":
                await process.service.run(*named, lambda _: None)
            case "end":
                await life.end_executions()
            case "kill":
                life.processes[act.who] = life.process(life.skews_s[act.who])


PLANS = st.fixed_dictionaries(
    {"timing": TIMINGS, "catch_up": st.sampled_from(CatchUp), "overlap": st.sampled_from(Overlap)}
)


@given(
    st.sampled_from(BEFORE_CHANGES),
    PLANS,
    st.tuples(st.integers(-3, 3), st.integers(-3, 3)),
    st.lists(ACTS, min_size=5, max_size=50),
)
async def test_each_due_time_of_an_hour_is_fired_once_or_recorded_once(start, plan, skews_s, acts):
    life = Life(World(clock=ManualClock(start)), skews_s)
    await life.begin(**plan)
    left_s = HOUR_S
    for act in acts:
        pause_s = min(act.pause_s, left_s)
        left_s -= pause_s
        life.world.clock.advance(pause_s * SECOND)
        await asyncio.gather(perform(life, act), life.look(1 - act.who))
    await life.end()
