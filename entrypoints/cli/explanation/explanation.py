"""The story of an id, as far as stored facts prove it."""

from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID

from domain.identity import INSTANT_MAX, uuid7_time
from domain.timeline import (
    Evidence,
    ExplainedState,
    Explanation,
    RetentionTimes,
    Source,
    Timeline,
    counted,
    span,
    written,
)
from entrypoints.cli.explanation.execution import explain_execution
from entrypoints.cli.explanation.session import explain_session

_UUID7 = 7


def is_own(identifier: UUID) -> bool:
    """Tell whether an id can be one of this service's: all of them are UUIDv7 with a time of the present."""
    return identifier.version == _UUID7 and uuid7_time(identifier) < INSTANT_MAX


def explain_foreign(identifier: UUID) -> Explanation:
    """Return what is to be said of an id that cannot be one of this service's."""
    reason = (
        f"The time in it lies beyond the year {INSTANT_MAX.year}."
        if identifier.version == _UUID7
        else f"Its version is {identifier.version or 'none'}, not {_UUID7}."
    )
    return Explanation(
        ExplainedState.FOREIGN,
        f"{identifier} was not made by this service: every id of its sessions and executions is a UUIDv7 of the present, "
        "and this one is not. It was never in this database, nor in any other of the service.",
        [Evidence("id", reason, Source.ID)],
    )


def explain(chronicle: Timeline, keeping: RetentionTimes) -> Explanation:
    """Return the story of a UUIDv7."""
    if chronicle.execution is not None:
        return explain_execution(chronicle, keeping, chronicle.execution)
    if chronicle.session is not None:
        return explain_session(chronicle, keeping, chronicle.session)
    return _explain_absence(chronicle, keeping)


def _explain_absence(chronicle: Timeline, keeping: RetentionTimes) -> Explanation:
    verdict, summary = _absence(chronicle, keeping)
    return Explanation(
        verdict,
        summary,
        [
            Evidence("made", f"The time in the id is {written(chronicle.made_at)}.", Source.ID, chronicle.made_at),
            Evidence("session", "There is no session with this id.", Source.SESSION),
            *_traces(chronicle),
            *_as_execution(chronicle, keeping),
            chronicle.clock.told,
        ],
    )


def _absence(chronicle: Timeline, keeping: RetentionTimes) -> tuple[ExplainedState, str]:
    clock, made_at = chronicle.clock, chronicle.made_at
    if chronicle.history.total or chronicle.taken or chronicle.keys or chronicle.open:
        return ExplainedState.REMOVED, (
            "The session was here and has been removed: what it left behind proves it. The cleanup removes a session "
            f"{span(keeping.sessions)} after it has expired."
        )
    if made_at > clock.now + clock.error_bound:
        return ExplainedState.NEVER_HERE, (
            f"This id was never in this database: its time lies {span(made_at - clock.now)} ahead of the database's "
            "clock, by which ids are made here. It is from a service on another database."
        )
    if clock.now < made_at + keeping.sessions:
        return ExplainedState.NEVER_HERE, (
            "No session with this id was ever stored in this database: its row would still be here. A caller who was "
            "given the id with status 200 was given it by a service on another database, or somebody has removed rows "
            "by hand."
        )
    return ExplainedState.REMOVED_OR_NEVER_HERE, _either(chronicle, keeping)


def _either(chronicle: Timeline, keeping: RetentionTimes) -> str:
    longest_at = chronicle.made_at + keeping.lifetime_max + keeping.sessions
    certain = (
        f" Had it lived here, it would have been removed by {written(longest_at)} at the latest."
        if chronicle.clock.now >= longest_at
        else " A session that is still live, or has ended within the retention, would be here."
    )
    return (
        "Either a session with this id was here, has ended and has been removed, or it was never here: the id is older "
        f"than the {span(keeping.sessions)} that an ended session is kept, and nothing is left that tells these "
        f"apart.{certain}"
    )


def _traces(chronicle: Timeline) -> Iterator[Evidence]:
    if chronicle.history.total:
        history = chronicle.history
        yield Evidence(
            "executed",
            f"The history keeps {counted(history.total, 'execution')} of it, of {history.owner}.",
            Source.HISTORY,
        )
    else:
        yield Evidence("executed", "No execution of a session with this id is kept.", Source.HISTORY)
    if chronicle.taken is not None:
        yield Evidence("made", f"The call that made it had the Idempotency-Key {chronicle.taken.name!r}.", Source.KEYS)
    if chronicle.keys:
        yield Evidence("keys", f"{counted(len(chronicle.keys), 'key')} of its executions can be told.", Source.KEYS)
    if chronicle.open:
        yield Evidence("open", f"There are open records of it: {len(chronicle.open)}.", Source.OPEN)


def _as_execution(chronicle: Timeline, keeping: RetentionTimes) -> Iterator[Evidence]:
    """Yield what can be said of an execution with this id, whoever asks may mean one."""
    if chronicle.made_at.date() in [each.day for each in chronicle.shortened]:
        text = "The day's history was emptied for STORAGE_MAX_GB, so whether an execution had this id cannot be told."
    elif chronicle.clock.now < chronicle.made_at + timedelta(days=keeping.history_days):
        text = (
            "Nor is there an execution with this id, under way or ended, and its day is still kept. One that was "
            "refused or withdrawn before a worker took it leaves no trace."
        )
    else:
        text = (
            f"Nor is there an execution with this id; after {keeping.history_days} days executions are no longer kept."
        )
    yield Evidence("execution", text, Source.HISTORY)
