"""Which facts explain the id of a schedule."""

from collections.abc import Iterator

from domain.schedules.firing import Firing, FiringState
from domain.schedules.plan import FunctionTarget
from domain.schedules.schedule import EndReason, Schedule
from domain.timeline import ScheduleTrace
from entrypoints.cli.explain.sentences import Evidence, Explanation, counted, fact, summary, written

_ENDED = {
    EndReason.SESSION_ENDED: "schedule_session_ended",
    EndReason.TIMING_UNKNOWN: "schedule_timing_unknown",
}
_NOT_FIRED = {FiringState.MISSED: "schedule_missed", FiringState.SKIPPED: "schedule_skipped"}


def explain_schedule(trace: ScheduleTrace) -> Explanation:
    """Return the explanation of a schedule."""
    return Explanation(*_summary(trace.schedule), list(_statements(trace)))


def _summary(schedule: Schedule) -> tuple[str, str]:
    if schedule.end_reason is not None:
        return summary(_ENDED[schedule.end_reason])
    if schedule.paused:
        return summary("schedule_paused")
    if schedule.next_at is None:
        return summary("schedule_over")
    return summary("schedule_due", at=schedule.next_at)


def _statements(trace: ScheduleTrace) -> Iterator[Evidence]:
    schedule, target = trace.schedule, trace.schedule.plan.target
    yield fact("schedule_made", schedule.created_at, owner=schedule.owner, called=schedule.plan.name)
    if isinstance(target, FunctionTarget):
        yield fact("schedule_of_function", function=target.name)
    else:
        yield fact("schedule_of_session", id=target.session_id)
    for firing in trace.firings:
        yield _firing(firing)


def _firing(firing: Firing) -> Evidence:
    if firing.state is FiringState.FIRED:
        name = "schedule_run" if firing.manual else "schedule_fired"
        return fact(name, firing.due_at, execution=firing.execution_id, settled=firing.settled_at)
    times = counted(firing.due_times, "due time")
    until = "" if firing.due_times == 1 else f" to {written(firing.last_due_at)}"
    return fact(_NOT_FIRED[firing.state], firing.due_at, times=times, until=until, reason=firing.reason)
