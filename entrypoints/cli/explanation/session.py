"""The story of a session that is stored."""

from collections.abc import Iterator
from datetime import timedelta

from domain.sessions.session import Renewal, Session, Status
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

_VERDICTS = {
    Status.ACTIVE: ExplainedState.ACTIVE,
    Status.EXPIRED: ExplainedState.EXPIRED,
    Status.CLOSED: ExplainedState.CLOSED,
}
_INSTANT = timedelta(milliseconds=1)
_RENEWALS = {
    Renewal.FIXED: "It is fixed, so executions do not prolong it.",
    Renewal.SLIDING: "It is sliding, so an execution prolongs it once a tenth of its length has passed.",
}


def explain_session(chronicle: Timeline, keeping: RetentionTimes, session: Session) -> Explanation:
    """Return the story of the session with the chronicle's id."""
    status = session.status(chronicle.clock.now)
    return Explanation(
        _VERDICTS[status],
        _summary(chronicle, session, status),
        [
            *_making(chronicle, session),
            *_executions(chronicle, keeping, session),
            *_under_way(chronicle),
            *_keys(chronicle),
            *_prolongation(session),
            *_changes(session),
            *_end(session, status),
            _removal(chronicle, keeping, session),
            chronicle.clock.told,
        ],
    )


def _summary(chronicle: Timeline, session: Session, status: Status) -> str:
    now, expires_at = chronicle.clock.now, session.expires_at
    if status is Status.CLOSED:
        assert session.closed_at is not None
        return f"The session was closed on {written(session.closed_at)}, by its owner or an admin, while it was live."
    doubt = ""
    if abs(now - expires_at) <= chronicle.clock.error_bound:
        doubt = " That is closer than the clock is known, so another controller may see it the other way for a moment."
    if status is Status.ACTIVE:
        return f"The session is live, for {span(expires_at - now)} more, until {written(expires_at)}.{doubt}"
    return f"The session expired {span(now - expires_at)} ago, on {written(expires_at)}.{doubt}"


def _making(chronicle: Timeline, session: Session) -> Iterator[Evidence]:
    made_at = session.created_at
    yield Evidence(
        "made",
        f"It was made on {written(made_at)}, by the database's clock as the controller kept it.",
        Source.ID,
        made_at,
    )
    yield Evidence("owner", f"It belongs to {session.ref.owner} and runs {session.language_title}.", Source.SESSION)
    if chronicle.taken is not None:
        name = chronicle.taken.name
        yield Evidence("made", f"The call that made it had the Idempotency-Key {name!r}.", Source.KEYS)
    yield _script(chronicle, session)


def _script(chronicle: Timeline, session: Session) -> Evidence:
    if session.function_version is None:
        return Evidence("script", "Its script came with it.", Source.SESSION)
    pinned, function = f"It is pinned to version {session.function_version} of the function", chronicle.function
    if function is None:
        return Evidence("script", f"{pinned}, of which nothing is left.", Source.FUNCTION)
    if function.deactivated_at is not None:
        return Evidence(
            "script",
            f"{pinned}, which was deactivated on {written(function.deactivated_at)}; the session goes on with it.",
            Source.FUNCTION,
            function.deactivated_at,
        )
    newer = "" if function.version == session.function_version else f"; the current one is {function.version}"
    return Evidence("script", f"{pinned}{newer}.", Source.FUNCTION)


def _executions(chronicle: Timeline, keeping: RetentionTimes, session: Session) -> Iterator[Evidence]:
    count, last_at, history = session.execution_count, session.last_executed_at, chronicle.history
    if last_at is None:
        yield Evidence("executed", "No execution of it has reached a worker and ended.", Source.SESSION)
    else:
        text = f"{counted(count, 'execution')} reached a worker and ended, the latest on {written(last_at)}."
        yield Evidence("executed", text, Source.SESSION, last_at)
    if history.total:
        yield Evidence("history", history.told, Source.HISTORY, history.last_at)
    if count > history.total:
        yield Evidence("history", _missing(chronicle, keeping, count - history.total), Source.RETENTION)


def _missing(chronicle: Timeline, keeping: RetentionTimes, number: int) -> str:
    made_on = chronicle.made_at.date()
    emptied = [f"{each.day}" for each in chronicle.shortened if each.day >= made_on]
    for_size = f" STORAGE_MAX_GB has cost these days: {', '.join(emptied)}." if emptied else ""
    return f"{number} of them are in the history no more, which is kept for {keeping.history_days} days.{for_size}"


def _under_way(chronicle: Timeline) -> Iterator[Evidence]:
    now = chronicle.clock.now
    for each in chronicle.open:
        begun = f"Execution {each.execution_id} was admitted on {written(each.started_at)}"
        state = (
            f"and may end until {written(each.deadline_at)}."
            if now < each.deadline_at
            else f"and nobody recorded its end by {written(each.deadline_at)}: its outcome is unknown."
        )
        yield Evidence("open", f"{begun} {state}", Source.OPEN, each.started_at)


def _keys(chronicle: Timeline) -> Iterator[Evidence]:
    if not chronicle.keys:
        return
    answered = sum(key.is_answered for key in chronicle.keys)
    yield Evidence(
        "keys",
        f"{counted(len(chronicle.keys), 'execution')} had an Idempotency-Key that is remembered; "
        f"{counted(answered, 'answer')} of theirs can be told again.",
        Source.KEYS,
    )


def _prolongation(session: Session) -> Iterator[Evidence]:
    """Yield what the expiry proves: it is the making, or the latest renewal, and a length."""
    length = timedelta(seconds=session.ttl_seconds)
    first_until = min(session.created_at + length, session.expires_max_at)
    if session.expires_at <= first_until + _INSTANT:
        text = f"It was never prolonged: its life of {span(session.expires_at - session.created_at)} is its length."
        yield Evidence("renewed", f"{text} {_RENEWALS[session.renewal]}", Source.SESSION)
    elif session.expires_at == session.expires_max_at:
        text = f"It was prolonged up to the most that it may live, until {written(session.expires_max_at)}."
        yield Evidence("renewed", text, Source.SESSION)
    elif _was_patched(session):
        text = (
            f"It ends {span(session.expires_at - session.created_at)} after its making, and its length is now "
            f"{session.ttl_seconds} s. It was changed, so its row does not tell whether that or an execution has "
            "prolonged it, or when."
        )
        yield Evidence("renewed", text, Source.SESSION)
    else:
        renewed_at = session.expires_at - length
        text = (
            f"It was prolonged: it ends {span(session.expires_at - first_until)} later than {session.ttl_seconds} s, its "
            f"length, after its making. The latest time was on {written(renewed_at)}, by an execution that was admitted "
            "then; that is its expiry less its length."
        )
        yield Evidence("renewed", text, Source.SESSION, renewed_at)


def _was_patched(session: Session) -> bool:
    """Tell whether the session was changed in another way than by its deletion."""
    return session.version - (session.script_hash is None) > 1


def _changes(session: Session) -> Iterator[Evidence]:
    if session.version > 1:
        yield Evidence(
            "changed",
            f"Its version is {session.version}, so it was changed or closed {counted(session.version - 1, 'time')}.",
            Source.SESSION,
        )


def _end(session: Session, status: Status) -> Iterator[Evidence]:
    if session.closed_at is not None:
        yield Evidence(
            "closed",
            f"It was closed on {written(session.closed_at)}, by the database's clock as the controller kept it.",
            Source.SESSION,
            session.closed_at,
        )
    if status is not Status.ACTIVE and session.script_hash is None:
        yield Evidence("emptied", "Its script, context and metadata were removed when it was deleted.", Source.SESSION)
    ends = "expires" if status is Status.ACTIVE else "expired" if status is Status.EXPIRED else "would have expired"
    yield Evidence("expires", f"It {ends} on {written(session.expires_at)}.", Source.SESSION, session.expires_at)


def _removal(chronicle: Timeline, keeping: RetentionTimes, session: Session) -> Evidence:
    removed_at = session.expires_at + keeping.sessions
    text = (
        f"Its row is kept until {written(removed_at)}; until then it can be told from one that was never here."
        if chronicle.clock.now < removed_at
        else f"It could have been removed since {written(removed_at)}; the next sweep of a running service does it."
    )
    return Evidence("removal", text, Source.RETENTION, removed_at)
