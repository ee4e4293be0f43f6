"""What a schedule does at an instant: fire, miss, pause, resume, change."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from attrs import define, evolve
from hypothesis import given
from hypothesis import strategies as st

from adapters.cron_calendar import CronCalendar
from domain.identity import Owner, uuid7_at
from domain.json_text import JsonText
from domain.schedules.firing import Missed, ScheduleStep
from domain.schedules.plan import CatchUp, Overlap, SchedulePlan, SessionTarget
from domain.schedules.schedule import CAUGHT_UP_MAX, ON_TIME, EndReason, Schedule, ScheduleCondition, ScheduleMismatch
from domain.schedules.timing import Cron, DueTimes, Interval, Once, Timing, TimingRefused, due_times

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
EVERY_10_S = Interval(10)
PLAN = SchedulePlan("report", SessionTarget(UUID(int=1)), EVERY_10_S, JsonText("{}"))


def times_of(schedule: Schedule) -> DueTimes:
    return due_times(schedule.plan.timing, schedule.anchor_at, timedelta(0), CronCalendar())


def made(timing: Timing = EVERY_10_S, catch_up: CatchUp = CatchUp.ONCE) -> Schedule:
    plan = evolve(PLAN, timing=timing, catch_up=catch_up)
    schedule = Schedule(uuid7_at(NOW, 0), Owner("alice"), plan, NOW, NOW, None)
    return evolve(schedule, next_at=times_of(schedule).after(NOW))


def stepped(schedule: Schedule, step: ScheduleStep) -> Schedule:
    return evolve(schedule, settled_at=step.settled_at, next_at=step.next_at)


def settle(schedule: Schedule, now: datetime) -> tuple[Schedule, list[datetime], int]:
    """Return the schedule after all its steps, what fired, and how many due times it missed."""
    fired, missed = [], 0
    while schedule.is_due(now):
        step = schedule.step(times_of(schedule), now)
        fired += [step.fired_at] if step.fired_at else []
        missed += step.missed.count if step.missed else 0
        schedule = stepped(schedule, step)
    return schedule, fired, missed


def test_a_due_time_that_is_reached_in_time_fires() -> None:
    step = made().step(times_of(made()), NOW + 10 * SECOND)
    assert step == ScheduleStep(None, NOW + 10 * SECOND, NOW + 10 * SECOND, NOW + 20 * SECOND)


def test_once_fires_the_newest_due_time_after_a_break() -> None:
    step = made().step(times_of(made()), NOW + 3605 * SECOND)
    missed = Missed(NOW + 10 * SECOND, NOW + 3590 * SECOND, 359)
    assert step == ScheduleStep(missed, NOW + 3600 * SECOND, NOW + 3600 * SECOND, NOW + 3610 * SECOND)


def test_skip_fires_nothing_that_is_late() -> None:
    hourly = made(Cron("0 * * * *"), CatchUp.SKIP)
    due_at = NOW + timedelta(hours=1)
    assert hourly.step(times_of(hourly), due_at + ON_TIME).fired_at == due_at
    assert hourly.step(times_of(hourly), due_at + ON_TIME + SECOND) == ScheduleStep(
        Missed(due_at, due_at, 1), None, due_at, due_at + timedelta(hours=1)
    )


def test_all_fires_the_newest_hundred_one_step_each() -> None:
    schedule, fired, missed = settle(made(catch_up=CatchUp.ALL), NOW + 10 * 150 * SECOND)
    assert fired == [NOW + 10 * n * SECOND for n in range(51, 151)]
    assert missed == 150 - CAUGHT_UP_MAX
    assert schedule.next_at == NOW + 1510 * SECOND


def test_a_single_time_fires_once_and_is_over() -> None:
    schedule, fired, missed = settle(made(Once(NOW + SECOND)), NOW + timedelta(days=900))
    assert (schedule.next_at, fired, missed) == (None, [NOW + SECOND], 0)


def test_a_clock_that_steps_back_fires_nothing_again() -> None:
    schedule, _, _ = settle(made(), NOW + 15 * SECOND)
    assert not schedule.is_due(NOW + 12 * SECOND)


@given(
    st.sampled_from(CatchUp),
    st.sampled_from([EVERY_10_S, Interval(610), Cron("*/5 * * * *"), Cron("30 2 * * *", "Europe/Berlin")]),
    st.lists(st.integers(0, 300) | st.integers(5000, 8000) | st.just(20_000), max_size=4),
)
def test_each_due_time_is_fired_once_or_missed_once(catch_up: CatchUp, timing: Timing, pauses_s: list[int]) -> None:
    schedule, now, fired, missed = made(timing, catch_up), NOW, [], 0
    for pause_s in pauses_s:
        now += pause_s * SECOND
        schedule, more, lost = settle(schedule, now)
        fired += more
        missed += lost
    wanted, due_at = [], times_of(schedule).after(NOW)
    while due_at is not None and due_at <= now:
        wanted.append(due_at)
        due_at = times_of(schedule).after(due_at)
    assert schedule.next_at == due_at
    assert set(fired) <= set(wanted)
    assert fired == sorted(set(fired))
    assert len(fired) + missed == len(wanted)


def test_one_step_examines_a_bounded_number_of_due_times() -> None:
    step = made().step(times_of(made()), NOW + timedelta(days=365))
    missed = Missed(NOW + 10 * SECOND, NOW + 5000 * SECOND, 500)
    assert step == ScheduleStep(missed, None, NOW + 5000 * SECOND, NOW + 5010 * SECOND)


@define
class CountedTimes:
    """Counts how many due times were asked for."""

    times: DueTimes
    asked: int = 0

    def after(self, instant: datetime) -> datetime | None:
        self.asked += 1
        return self.times.after(instant)


@pytest.mark.parametrize("catch_up", CatchUp)
def test_a_step_asks_for_no_more_due_times_than_it_needs(catch_up: CatchUp) -> None:
    schedule = made(catch_up=catch_up)
    times = CountedTimes(times_of(schedule))
    schedule.step(times, NOW + 15 * SECOND)
    schedule.unsettled(times, NOW + 15 * SECOND)
    assert times.asked <= 4


@pytest.mark.parametrize("day", ["MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN"])
def test_a_due_time_that_comes_every_28_years_fires_within_the_calendar(day: str) -> None:
    schedule = made(Cron(f"0 0 */28 2 {day}#5"))
    assert schedule.next_at is not None
    step = schedule.step(times_of(schedule), schedule.next_at)
    assert step.fired_at == schedule.next_at
    assert step.next_at is not None
    assert (schedule.next_at.month, schedule.next_at.day) == (step.next_at.month, step.next_at.day) == (2, 29)


def test_a_schedule_without_a_due_time_has_no_step() -> None:
    over = evolve(made(), next_at=None)
    assert not over.is_due(NOW + timedelta(days=900))
    with pytest.raises(ValueError, match="no step"):
        over.step(times_of(over), NOW)


def test_due_times_that_are_given_up_are_counted_up_to_a_limit() -> None:
    schedule = made()
    assert schedule.unsettled(times_of(schedule), NOW + 9 * SECOND) is None
    assert evolve(schedule, next_at=None).unsettled(times_of(schedule), NOW + 99 * SECOND) is None
    found = schedule.unsettled(times_of(schedule), NOW + 25 * SECOND)
    missed = Missed(NOW + 10 * SECOND, NOW + 20 * SECOND, 2)
    assert found == ScheduleStep(missed, None, NOW + 20 * SECOND, NOW + 30 * SECOND)
    later = NOW + timedelta(days=365)
    found = schedule.unsettled(times_of(schedule), later)
    assert found == ScheduleStep(Missed(NOW + 10 * SECOND, later, 500), None, later, later + 10 * SECOND)


def test_a_timing_that_is_known_again_begins_anew() -> None:
    ended = evolve(made(), end_reason=EndReason.TIMING_UNKNOWN, next_at=None)
    later = NOW + 25 * SECOND
    changed = ended.planned(evolve(PLAN, timing=Interval(60)), times_of, later)
    assert (changed.end_reason, changed.next_at) == (None, later + 60 * SECOND)
    resumed = ended.pause().resume(times_of(ended), later)
    assert (resumed.end_reason, resumed.next_at) == (None, NOW + 30 * SECOND)


def test_a_paused_schedule_is_not_due_and_forgets_the_times_of_the_pause() -> None:
    paused = made().pause()
    later = NOW + timedelta(hours=1)
    assert not paused.is_due(later)
    assert list(paused.upcoming(times_of(paused))) == []
    resumed = paused.resume(times_of(paused), later)
    assert (resumed.next_at, resumed.version) == (later + 10 * SECOND, 3)


def test_pausing_and_resuming_again_change_nothing() -> None:
    paused = made().pause()
    assert paused.pause() is paused
    resumed = paused.resume(times_of(paused), NOW)
    assert resumed.resume(times_of(resumed), NOW) is resumed


def test_an_ended_schedule_stays_ended_when_it_is_resumed() -> None:
    ended = evolve(made().pause(), end_reason=EndReason.SESSION_ENDED, next_at=None)
    assert ended.resume(times_of(ended), NOW).next_at is None


def test_no_due_time_that_was_settled_comes_again_for_a_clock_that_is_behind() -> None:
    schedule, _, _ = settle(made(Cron("* * * * *")), NOW + timedelta(minutes=1))
    paused = schedule.pause()
    assert paused.resume(times_of(paused), NOW + 59 * SECOND).next_at == NOW + timedelta(minutes=2)


def test_the_next_five_due_times_are_shown() -> None:
    schedule = made()
    assert list(schedule.upcoming(times_of(schedule))) == [NOW + 10 * n * SECOND for n in range(1, 6)]


def test_another_timing_counts_from_the_change() -> None:
    later = NOW + 25 * SECOND
    plan = evolve(PLAN, timing=Interval(60))
    changed = made().planned(plan, times_of, later)
    assert (changed.anchor_at, changed.next_at, changed.version) == (later, later + 60 * SECOND, 2)


def test_a_plan_that_is_never_due_is_refused() -> None:
    with pytest.raises(TimingRefused, match="not in the future"):
        made().planned(evolve(PLAN, timing=Once(NOW)), times_of, NOW)


def test_another_text_keeps_what_is_due() -> None:
    schedule = made()
    changed = schedule.planned(evolve(PLAN, params=JsonText("[1]")), times_of, NOW + 25 * SECOND)
    assert (changed.next_at, changed.version) == (schedule.next_at, 2)


def test_the_same_plan_again_changes_nothing() -> None:
    schedule = made()
    assert schedule.planned(PLAN, times_of, NOW) is schedule


def test_another_target_begins_anew_after_the_end_of_a_session() -> None:
    ended = evolve(made(), end_reason=EndReason.SESSION_ENDED, next_at=None, last_execution=UUID(int=5))
    later = NOW + 25 * SECOND
    plan = evolve(PLAN, target=SessionTarget(UUID(int=2)))
    changed = ended.planned(plan, times_of, later)
    assert (changed.end_reason, changed.last_execution, changed.next_at) == (None, None, later + 10 * SECOND)


def test_executions_of_an_overlap_that_queues_run_in_order() -> None:
    assert evolve(PLAN, overlap=Overlap.QUEUE).accept_options.in_order
    assert not PLAN.accept_options.in_order


def test_a_condition_names_versions() -> None:
    schedule = made()
    ScheduleCondition().require(schedule)
    ScheduleCondition(frozenset({"1"})).require(schedule)
    for condition in (
        ScheduleCondition(frozenset({"2"})),
        ScheduleCondition(None, frozenset({"1"})),
        ScheduleCondition(None, None),
    ):
        with pytest.raises(ScheduleMismatch) as error:
            condition.require(schedule)
        assert error.value.details == {"version": 1}
