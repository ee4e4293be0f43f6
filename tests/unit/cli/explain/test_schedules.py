"""What `explain` says about the id of a schedule."""

from datetime import timedelta
from uuid import UUID

import pytest
from attrs import evolve

from domain.identity import Owner, uuid7_at
from domain.json_text import EMPTY_OBJECT
from domain.schedules.firing import LATE, Firing, FiringState
from domain.schedules.plan import FunctionTarget, SchedulePlan, SessionTarget
from domain.schedules.schedule import EndReason, Schedule
from domain.schedules.timing import Interval
from domain.timeline import ClockReading, RetentionTimes, ScheduleTrace, Timeline
from entrypoints.cli.explain.explanation import explain
from entrypoints.cli.explain.sentences import written
from tests.unit.domain.builders import START

ID = uuid7_at(START, 1)
RUN = uuid7_at(START, 2)
DAY = timedelta(days=1)
DUE = START + timedelta(minutes=1)
PLAN = SchedulePlan("nightly", FunctionTarget("python-report"), Interval(60), EMPTY_OBJECT)
SCHEDULE = Schedule(ID, Owner("alice"), PLAN, START, START, DUE)


def explained(*firings, **facts):
    trace = ScheduleTrace(evolve(SCHEDULE, **facts), firings)
    found = explain(Timeline(ID, ClockReading(START, 0.25, 12.5), schedule=trace), RetentionTimes(DAY, 7, 30 * DAY))
    return found, [each.text for each in found.statements]


@pytest.mark.parametrize(
    ("facts", "state", "text"),
    [
        ({}, "active", f"next due at {written(DUE)}"),
        ({"paused": True}, "paused", "pglambda schedules resume"),
        ({"next_at": None}, "ended", "its only due time is over"),
        ({"next_at": None, "end_reason": EndReason.SESSION_ENDED}, "ended", "its session was closed"),
        ({"next_at": None, "end_reason": EndReason.TIMING_UNKNOWN}, "ended", "Update tzdata"),
    ],
)
def test_a_schedule_is_due_paused_or_ended_for_a_reason(facts, state, text):
    found, _ = explained(**facts)
    assert (found.state, text in found.summary) == (state, True)


def test_it_says_whose_it_is_and_what_it_executes():
    _, texts = explained()
    assert "'nightly'" in texts[0]
    assert "alice" in texts[0]
    assert texts[1] == "It calls the function python-report by name."
    _, texts = explained(plan=evolve(PLAN, target=SessionTarget(UUID(int=7))))
    assert texts[1] == f"It executes the session {UUID(int=7)}."


def test_it_says_what_became_of_due_times():
    fired = Firing(DUE, DUE, 1, FiringState.FIRED, DUE, None, RUN)
    _, texts = explained(
        fired,
        evolve(fired, manual=True),
        Firing(DUE, DUE, 1, FiringState.SKIPPED, DUE, "overlap"),
        Firing(DUE, DUE + DAY, 9, FiringState.MISSED, DUE, LATE),
    )
    assert texts[2:] == [
        f"The due time {written(DUE)} fired at {written(DUE)}: it started the execution {RUN}.",
        f"A call started the execution {RUN} at {written(DUE)}.",
        f"Skipped: 1 due time, {written(DUE)}. Reason: overlap.",
        f"Missed: 9 due times, {written(DUE)} to {written(DUE + DAY)}. Reason: late.",
    ]
