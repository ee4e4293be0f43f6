"""Which facts explain the id of an execution."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from domain.executions.execution import Execution
from domain.scripts.report import ExecutionStatus
from domain.timeline import AcceptedTrace, ClockReading, ExecutionTrace, RetentionTimes, Timeline
from entrypoints.cli.explain.environment import environment
from entrypoints.cli.explain.sentences import Evidence, Explanation, clock_read, fact, known, summary, written

_ENDED = {ExecutionStatus.CANCELLED: "was cancelled"}


def explain_execution(timeline: Timeline, retention: RetentionTimes, trace: ExecutionTrace) -> Explanation:
    """Return the explanation of an execution."""
    kept_until, key = timeline.made_at + timedelta(days=retention.history_days), timeline.taken
    key_name = "key_with_response" if key and key.is_answered else "key_without_response"
    statements = known(
        *_acceptance(timeline, trace),
        fact("open_record", trace.open.deadline_at) if trace.open else None,
        *(_end(trace.ended) if trace.ended else ()),
        _messages(trace),
        fact("partition", partition=trace.partition),
        fact(key_name, key.expires_at, key=key.name) if key else None,
        _session_of(timeline, trace),
        environment(timeline),
        fact("end_kept", kept_until, end="It is kept" if trace.ended else "Its end will be kept"),
        clock_read(timeline.clock),
    )
    return Explanation(*_execution_summary(timeline.clock, trace), statements)


def _acceptance(timeline: Timeline, trace: ExecutionTrace) -> Iterator[Evidence]:
    """Yield when the execution was admitted, or what it was accepted with to run later."""
    accepted = trace.accepted
    if accepted is None:
        yield fact("admitted", timeline.made_at)
        return
    yield fact(
        "accepted", timeline.made_at, attempt=accepted.attempt, first=accepted.not_before, by=accepted.expires_at
    )
    if accepted.schedule_id is not None:
        yield fact("by_schedule", id=accepted.schedule_id)
    if accepted.retry_of is not None:
        yield fact("retry_of", id=accepted.retry_of)
    if accepted.may_start_at is not None:
        yield _place_in_queue(accepted, accepted.may_start_at, timeline.clock)
    if accepted.next_attempt is not None:
        yield fact("next_attempt", id=accepted.next_attempt)
    name = "response_kept" if accepted.status else "response_due"
    yield fact("response_erased" if accepted.is_erased else name, accepted.kept_until)
    if accepted.name is not None:
        reply = "409" if accepted.is_erased else "its response" if accepted.status else "202 with its state"
        yield fact("key_given", accepted.kept_until, key=accepted.name, reply=reply)


def _place_in_queue(accepted: AcceptedTrace, may_start_at: datetime, clock: ClockReading) -> Evidence:
    if may_start_at > accepted.not_before:
        return fact("put_back", may_start_at)
    return fact("in_queue_until" if may_start_at > clock.now else "in_queue", may_start_at)


def _messages(trace: ExecutionTrace) -> Evidence | None:
    if not trace.messages:
        return None
    return fact("messages", messages=", ".join(f"{number} {state}" for state, number in trace.messages.items()))


def _execution_summary(clock: ClockReading, trace: ExecutionTrace) -> tuple[str, str]:
    accepted = trace.accepted
    if accepted is not None and accepted.may_start_at is not None:
        return summary("queued", at=max(accepted.may_start_at, clock.now), by=accepted.expires_at)
    if trace.ended is not None and trace.ended.status is not ExecutionStatus.UNKNOWN:
        return summary("ended", outcome=_ENDED.get(trace.ended.status, trace.ended.status))
    if trace.open is None:
        return summary("unknown", deadline="")
    name = "under_way" if clock.now < trace.open.deadline_at else "unknown"
    return summary(name, deadline=f" at {written(trace.open.deadline_at)}")


def _end(execution: Execution) -> Iterator[Evidence]:
    used = {
        "ms of wall time": execution.execution_time_ms,
        "ms of processor time": execution.cpu_time_ms,
        "bytes of memory": execution.memory_usage_bytes,
    }
    known = ", ".join(f"{value} {name}" for name, value in used.items() if value is not None)
    number = execution.execution_count
    yield fact("not_counted" if number is None else "counted", number=number)
    if known:
        yield fact("used", used=known)
    if execution.uses is not None:
        yield fact("uses", uses=execution.uses)
    if execution.cold_start is not None:
        yield fact("cold" if execution.cold_start else "warm")


def _session_of(timeline: Timeline, trace: ExecutionTrace) -> Evidence:
    status = timeline.session and timeline.session.status(timeline.clock.now)
    name = "of_session" if timeline.session else "of_removed_session"
    return fact(name, owner=trace.ref.owner, session=trace.ref.session_id, status=status)
