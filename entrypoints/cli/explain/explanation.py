"""Which facts explain an id, as far as the stored rows prove them."""

from collections.abc import Iterator, Sequence
from datetime import timedelta

from attrs import evolve

from domain.audit import ActName
from domain.buckets.bucket_map import HOME
from domain.identity import INSTANT_MAX, is_own_id, uuid7_time
from domain.scripts.convention import Convention
from domain.sessions.session import Renewal, Session, Status
from domain.takeover.moving import TakenState
from domain.timeline import RetentionTimes, Timeline
from entrypoints.cli.explain.environment import environment
from entrypoints.cli.explain.executions import explain_execution
from entrypoints.cli.explain.files import explain_file
from entrypoints.cli.explain.messages import explain_delivery, explain_webhook
from entrypoints.cli.explain.schedules import explain_schedule
from entrypoints.cli.explain.sentences import Evidence, Explanation, clock_read, counted, fact, known, summary

_UUID7 = 7
_INSTANT = timedelta(milliseconds=1)
_EXPIRES = {Status.ACTIVE: "expires", Status.EXPIRED: "expired", Status.CLOSED: "would have expired"}
_RENEWALS = {
    Renewal.FIXED: "It is fixed: executions do not renew it.",
    Renewal.SLIDING: "It is sliding: an execution renews it once a tenth of its time to live has passed.",
}
_DOUBT = " The clock is not known more precisely than that, so another controller may judge differently for a moment."


def explain(timeline: Timeline, retention: RetentionTimes) -> Explanation:
    """Return the explanation of an id, of whatever version."""
    found = _explained(timeline, retention)
    if timeline.bucket is None:
        return found
    return evolve(found, statements=[*found.statements, _bucket(timeline.bucket)])


def _bucket(number: int) -> Evidence:
    return fact("home") if number == HOME else fact("bucket", number=number)


def _explained(timeline: Timeline, retention: RetentionTimes) -> Explanation:
    if timeline.execution is not None:
        return explain_execution(timeline, retention, timeline.execution)
    if timeline.session is not None:
        return _explain_session(timeline, retention, timeline.session)
    return _explained_other(timeline) or _explain_absence(timeline, retention)


def _explained_other(timeline: Timeline) -> Explanation | None:
    """Return the explanation of what is neither a session nor an execution; None if nothing is stored."""
    if timeline.delivery is not None:
        return explain_delivery(timeline.delivery)
    if timeline.schedule is not None:
        return explain_schedule(timeline.schedule)
    if timeline.webhook is not None:
        return explain_webhook(timeline.webhook)
    return None if timeline.file is None else explain_file(timeline.file, timeline.clock)


def _later(number: int) -> str:
    return "1 execution that runs later" if number == 1 else f"{number} executions that run later"


def _explain_session(timeline: Timeline, retention: RetentionTimes, session: Session) -> Explanation:
    clock, status = timeline.clock, session.status(timeline.clock.now)
    keys = [key for key in timeline.keys if key.is_given]
    later = len(timeline.keys) - len(keys)
    removed_at = session.expires_at + retention.sessions
    responses = counted(sum(key.is_answered for key in keys), "response")
    statements = known(
        fact("created" if session.foreign_created_at is None else "created_elsewhere", session.created_at),
        fact("owner", owner=session.ref.owner, title=session.language_title),
        fact("hidden") if session.hidden else None,
        fact("created_with_key", key=timeline.taken.name) if timeline.taken else None,
        *_moves(timeline),
        *_script(timeline, session),
        None if session.convention is Convention.OWN else fact("convention", convention=session.convention),
        None if session.grants is None else fact("grants", grants=session.grants.text()),
        environment(timeline),
        *_state(timeline),
        *_executions(timeline, retention, session),
        *_open_executions(timeline),
        fact("queued_of", executions=counted(timeline.queued, "execution")) if timeline.queued else None,
        fact("schedules_of", schedules=counted(timeline.schedules, "schedule")) if timeline.schedules else None,
        fact("accepted_of", executions=_later(later)) if later else None,
        fact("keys", executions=counted(len(keys), "execution"), responses=responses) if keys else None,
        _renewal(session),
        *_changes(session, status),
        _purged(timeline),
        fact("expires", session.expires_at, expires=_EXPIRES[status]),
        fact("row_kept" if clock.now < removed_at else "row_due", removed_at),
        clock_read(clock),
    )
    left = session.expires_at - clock.now
    doubt = _DOUBT if abs(left) <= clock.error_bound else ""
    at = session.closed_at or session.expires_at
    moved = _moved_summary(timeline)
    return Explanation(*(moved or summary(str(status), at=at, left=left, doubt=doubt)), statements)


def _state(timeline: Timeline) -> Iterator[Evidence]:
    """Yield what is stored of the state of the session, and which execution holds its slot."""
    state = timeline.state
    if state is None:
        return
    yield fact("state", state.saved_at, version=state.version, bytes=state.size)
    for each in timeline.open:
        if each.execution_id == state.writer and timeline.clock.now < each.deadline_at:
            yield fact("state_held", each.deadline_at, execution=each.execution_id)


def _moves(timeline: Timeline) -> Iterator[Evidence]:
    """Yield what a takeover has stored about the session."""
    if timeline.recorded_calls:
        yield fact("recorded", calls=counted(timeline.recorded_calls, "call"))
    move = timeline.move
    if move is None:
        return
    match move.state:
        case None:
            yield fact("copied", title=move.spelled_title)
        case TakenState.FENCING:
            yield fact("moving_here", title=move.spelled_title)
        case TakenState.OWNED:
            executions = counted(move.count_at_fence or 0, "execution")
            yield fact("moved_here", move.owned_at, title=move.spelled_title, executions=executions)
            if move.late_count is None:
                yield fact("moved_unsettled")
            elif move.late_count:
                yield fact("moved_late", executions=counted(move.late_count, "execution"))
        case TakenState.RETURNING:
            yield fact("moving_back")
        case TakenState.RETURNED:
            yield fact("moved_back", move.returned_at)


def _moved_summary(timeline: Timeline) -> tuple[str, str] | None:
    """Return the summary of a session that this service does not own; None if it owns it, or knows of no takeover."""
    if timeline.move is None or timeline.move.state is TakenState.OWNED:
        return None
    between = timeline.move.state in {TakenState.FENCING, TakenState.RETURNING}
    return summary("between" if between else "at_origin")


def _script(timeline: Timeline, session: Session) -> Iterator[Evidence]:
    function, version = timeline.function, session.function_version
    if function is None:
        yield fact("own_script") if version is None else fact("function_gone", version=version)
        return
    if function.deactivated_at is not None:
        yield fact("function_deactivated", function.deactivated_at, version=version, owner=function.owner)
    else:
        name = "function_current" if function.version == version else "function_replaced"
        yield fact(name, version=version, owner=function.owner, current=function.version)
    if function.registered_at is not None:
        author = function.author or "an unrecorded author"
        yield fact("function_registered", function.registered_at, version=version, author=author)


def _executions(timeline: Timeline, retention: RetentionTimes, session: Session) -> Iterator[Evidence]:
    count, history = session.execution_count, timeline.history
    name = "not_executed" if session.last_executed_at is None else "executed"
    yield fact(name, session.last_executed_at, executions=counted(count, "execution"))
    if history.first is not None:
        outcomes = ", ".join(f"{number} {outcome}" for outcome, number in history.counts.items())
        first_at = uuid7_time(history.first)
        yield fact("history", history.last_at, total=history.total, first=first_at, outcomes=outcomes)
    lost = count - history.total - _counted_elsewhere(timeline)
    if lost > 0 and timeline.purge is None:
        yield fact("history_lost", number=lost, days=retention.history_days)
        days = [str(each.day) for each in timeline.shortened if each.day >= session.created_at.date()]
        if days:
            yield fact("history_shortened", days=", ".join(days))


def _counted_elsewhere(timeline: Timeline) -> int:
    """Return how many executions the origin has counted, which the history never had."""
    move = timeline.move
    return 0 if move is None else (move.count_at_fence or 0) + (move.late_count or 0)


def _open_executions(timeline: Timeline) -> Sequence[Evidence]:
    now = timeline.clock.now
    return [
        fact(
            "running" if now < each.deadline_at else "overdue",
            each.started_at,
            id=each.execution_id,
            by=each.deadline_at,
        )
        for each in timeline.open
    ]


def _renewal(session: Session) -> Evidence:
    """Return what the expiry proves: it is the creation, or the last renewal, plus the time to live."""
    ttl, life = timedelta(seconds=session.ttl_seconds), session.expires_at - session.created_at
    first_until = min(session.created_at + ttl, session.expires_max_at)
    was_patched = session.version - (session.script_hash is None) > 1  # a deletion raises the version too
    if session.expires_at <= first_until + _INSTANT:
        return fact("never_renewed", life=life, rule=_RENEWALS[session.renewal])
    if session.expires_at == session.expires_max_at:
        return fact("renewed_to_max", until=session.expires_at)
    if was_patched:
        return fact("renewed_or_changed", life=life, ttl=session.ttl_seconds)
    return fact("renewed", session.expires_at - ttl, gain=session.expires_at - first_until, ttl=session.ttl_seconds)


def _changes(session: Session, status: Status) -> Iterator[Evidence]:
    if session.version > 1:
        yield fact("changed", version=session.version, times=counted(session.version - 1, "time"))
    if session.closed_at is not None:
        yield fact("closed", session.closed_at)
    if status is not Status.ACTIVE and session.script_hash is None:
        yield fact("emptied")


def _purged(timeline: Timeline) -> Evidence | None:
    entry = timeline.purge
    if entry is None:
        return None
    numbers = [(name.replace("_", " ").removesuffix("s"), number) for name, number in sorted(entry.details.items())]
    erased = ", ".join(counted(number, noun) for noun, number in numbers if isinstance(number, int))
    name = "purged" if entry.act == ActName.SESSIONS_PURGE else "owner_purged"
    return fact(name, entry.at, actor=entry.actor.name, erased=erased)


def _explain_absence(timeline: Timeline, retention: RetentionTimes) -> Explanation:
    history, keys, taken = timeline.history, timeline.keys, timeline.taken
    executions = counted(history.total, "execution")
    statements = known(
        *_id(timeline),
        *_moves(timeline),
        fact("no_session"),
        fact("executions_of" if history.total else "no_executions_of", executions=executions, owner=history.owner),
        fact("created_with_key", key=taken.name) if taken else None,
        fact("keys_of", executions=counted(len(keys), "execution")) if keys else None,
        fact("open_of", number=len(timeline.open)) if timeline.open else None,
        _purged(timeline),
        _absent_execution(timeline, retention) if is_own_id(timeline.identifier) else None,
        clock_read(timeline.clock),
    )
    return Explanation(*_absence(timeline, retention), statements)


def _id(timeline: Timeline) -> Iterator[Evidence]:
    """Yield what the id itself says."""
    version = timeline.identifier.version
    if is_own_id(timeline.identifier):
        yield fact("id_time", timeline.made_at)
    elif version == _UUID7:
        yield fact("id_beyond", year=INSTANT_MAX.year)
    else:
        yield fact("id_version", version=version or "none")


def _absence(timeline: Timeline, retention: RetentionTimes) -> tuple[str, str]:
    clock, made_at = timeline.clock, timeline.made_at
    moved = _moved_summary(timeline)
    if moved is not None:
        return moved
    if timeline.history.total or timeline.taken or timeline.keys or timeline.open or timeline.purge:
        return summary("removed", retention=retention.sessions)
    if not is_own_id(timeline.identifier):
        return summary("foreign", id=timeline.identifier)
    if made_at > clock.now + clock.error_bound:
        return summary("ahead", ahead=made_at - clock.now)
    if clock.now < made_at + retention.sessions:
        return summary("never")
    longest_at = made_at + retention.lifetime_max + retention.sessions
    name = "either" if clock.now < longest_at else "either_long_ago"
    return summary(name, retention=retention.sessions, at=longest_at)


def _absent_execution(timeline: Timeline, retention: RetentionTimes) -> Evidence:
    """Return why there is no execution with this id: the operator may mean one."""
    if timeline.made_at.date() in {each.day for each in timeline.shortened}:
        return fact("day_removed")
    is_kept = timeline.clock.now < timeline.made_at + timedelta(days=retention.history_days)
    return fact("no_execution" if is_kept else "execution_too_old", days=retention.history_days)
