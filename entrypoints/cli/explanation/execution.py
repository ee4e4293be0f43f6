"""The story of an execution that is stored."""

from collections.abc import Iterator
from datetime import timedelta

from domain.executions.execution import Execution
from domain.identity import SessionRef
from domain.scripts.report import Outcome
from domain.timeline import (
    Evidence,
    ExecutionTrace,
    ExplainedState,
    Explanation,
    RetentionTimes,
    Source,
    Timeline,
    written,
)


def explain_execution(chronicle: Timeline, keeping: RetentionTimes, trace: ExecutionTrace) -> Explanation:
    """Return the story of the execution with the chronicle's id."""
    verdict, summary = _summary(chronicle, trace)
    return Explanation(
        verdict,
        summary,
        [
            Evidence(
                "admitted",
                f"It was admitted on {written(chronicle.made_at)}, by the database's clock as the controller kept it.",
                Source.ID,
                chronicle.made_at,
            ),
            *_records(trace),
            *_key(chronicle),
            *_session(chronicle, trace),
            _removal(chronicle, keeping, trace),
            chronicle.clock.told,
        ],
    )


def _summary(chronicle: Timeline, trace: ExecutionTrace) -> tuple[ExplainedState, str]:
    if trace.ended is not None:
        if trace.ended.outcome is Outcome.UNKNOWN:
            return ExplainedState.UNKNOWN, (
                "Nobody recorded the end of this execution by its deadline: its script may have run, in part or whole."
            )
        return ExplainedState.ENDED, f"This execution has ended: it {trace.ended.outcome}."
    assert trace.open is not None
    if chronicle.clock.now < trace.open.deadline_at:
        return ExplainedState.UNDER_WAY, (
            f"This execution is under way, or its end is still to be recorded, until {written(trace.open.deadline_at)}."
        )
    return ExplainedState.UNKNOWN, (
        f"Nobody recorded the end of this execution by {written(trace.open.deadline_at)}: its script may have run, in "
        "part or whole."
    )


def _records(trace: ExecutionTrace) -> Iterator[Evidence]:
    if trace.open is not None:
        yield Evidence(
            "open",
            f"Its open record has the deadline {written(trace.open.deadline_at)}; it goes when the end is recorded, or "
            "moves into the history as unknown.",
            Source.OPEN,
            trace.open.deadline_at,
        )
    if trace.ended is not None:
        yield Evidence("ended", _figures(trace.ended), Source.HISTORY)
    yield Evidence("partition", f"The history keeps it in partition {trace.partition}, that of its day.", Source.ID)


def _figures(execution: Execution) -> str:
    known = {
        "ms of wall time": execution.execution_time_ms,
        "ms of processor time": execution.cpu_time_ms,
        "bytes of memory": execution.memory_usage_bytes,
    }
    count = "It was not counted."
    if execution.execution_count is not None:
        count = f"It is the session's number {execution.execution_count}."
    used = ", ".join(f"{value} {name}" for name, value in known.items() if value is not None)
    start = {True: " Its worker was prepared for it.", False: " Its worker was warm.", None: ""}[execution.cold_start]
    return f"{count}{f' It used {used}.' if used else ''}{start}"


def _key(chronicle: Timeline) -> Iterator[Evidence]:
    key = chronicle.taken
    if key is not None:
        state = "its answer is kept for whoever repeats the call" if key.is_answered else "no answer is kept"
        yield Evidence(
            "key",
            f"It had the Idempotency-Key {key.name!r} until {written(key.expires_at)}; {state}.",
            Source.KEYS,
            key.expires_at,
        )


def _session(chronicle: Timeline, trace: ExecutionTrace) -> Iterator[Evidence]:
    key = _key_of(trace)
    belongs = f"It belongs to {key.owner}, and to the session {key.session_id}"
    if chronicle.session is None:
        yield Evidence("session", f"{belongs}, which has been removed.", Source.HISTORY)
    else:
        status = chronicle.session.status(chronicle.clock.now)
        yield Evidence("session", f"{belongs}, which is {status}. Ask for that id to hear more.", Source.SESSION)


def _key_of(trace: ExecutionTrace) -> SessionRef:
    known = trace.open or trace.ended
    assert known is not None
    return known.ref


def _removal(chronicle: Timeline, keeping: RetentionTimes, trace: ExecutionTrace) -> Evidence:
    kept_until = chronicle.made_at + timedelta(days=keeping.history_days)
    what = "It is kept" if trace.ended is not None else "Its end will be kept"
    text = f"{what} until {written(kept_until)}, unless its day goes before for STORAGE_MAX_GB; days go as a whole."
    return Evidence("removal", text, Source.RETENTION, kept_until)
