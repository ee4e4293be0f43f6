"""The rows that the fake repositories share."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

from attrs import define, field

from domain.egress.traffic import ExecutionTraffic
from domain.executions.execution import Execution, FinishedExecution, OpenExecution, StateLost
from domain.functions.function import Function
from domain.idempotency import KeptCall
from domain.identity import SHARED, Owner, SessionRef
from domain.paging import Page
from domain.queue.entry import Entry
from domain.schedules.firing import Firing
from domain.schedules.schedule import Schedule
from domain.scripts.language import LanguageTitle
from domain.scripts.report import ExecutionStatus, ScriptReport
from domain.scripts.script import Script
from domain.sessions.session import Session, SessionNotFound
from domain.states.state import SessionState
from domain.takeover.judgement import Judgement
from domain.takeover.moving import InboundSession, TakenSession
from domain.takeover.recording import RecordedCall, Recording

Item = TypeVar("Item")
StoredKey = tuple[Owner, UUID, str]
"""Owner, session (NO_SESSION for initialize) and the value of an idempotency key."""


@define
class AcceptedEntry:
    """An entry that was accepted, under which key, and what became of it; `not_before` is moved when it is put back."""

    entry: Entry
    key: StoredKey
    not_before: datetime
    kept_until: datetime
    allowance: timedelta
    retention: timedelta
    claim_id: UUID | None = None
    report: ScriptReport | None = None
    execution_count: int | None = None
    next_attempt: UUID | None = None
    erased_status: ExecutionStatus | None = None


def _ignore(_: object) -> None:
    return


@define
class MemoryStore:
    """What is stored; while `failure` is set, every call of a repository raises it."""

    sessions: dict[UUID, Session] = field(factory=dict)
    on_counted: Callable[[FinishedExecution], None] = _ignore
    """Called with each execution that counts."""
    on_erased: Callable[[UUID], None] = _ignore
    """Called with each execution that is erased."""

    scripts: dict[UUID, Script] = field(factory=dict)
    open_executions: dict[UUID, OpenExecution] = field(factory=dict)
    history: dict[UUID, Execution] = field(factory=dict)
    traffic: dict[UUID, ExecutionTraffic] = field(factory=dict)
    """Of executions that have ended with a network."""
    functions: Mapping[tuple[Owner, LanguageTitle], Function] = field(factory=dict)
    keys: dict[StoredKey, KeptCall[Any]] = field(factory=dict)
    accepted: dict[UUID, AcceptedEntry] = field(factory=dict)
    queued: set[UUID] = field(factory=set)
    cancels: set[UUID] = field(factory=set)
    schedules: dict[UUID, Schedule] = field(factory=dict)
    firings: dict[UUID, list[Firing]] = field(factory=dict)
    inbound: dict[UUID, InboundSession] = field(factory=dict)
    taken: dict[UUID, TakenSession] = field(factory=dict)
    recorded: dict[UUID, RecordedCall] = field(factory=dict)
    judgements: dict[UUID, Judgement] = field(factory=dict)
    recording: Recording | None = None
    states: dict[UUID, SessionState] = field(factory=dict)
    failure: Exception | None = None

    def require_available(self) -> None:
        """Raise `failure` if it is set."""
        if self.failure is not None:
            raise self.failure

    def session(self, ref: SessionRef) -> Session:
        """Return the session; raises SessionNotFound, also if it belongs to another owner."""
        self.require_available()
        session = self.sessions.get(ref.session_id)
        if session is None or session.ref != ref:
            raise SessionNotFound
        return session

    def kept(self, key: StoredKey, now: datetime) -> KeptCall[Any] | None:
        """Return the call that holds the key at `now`, if any."""
        call = self.keys.get(key)
        return None if call is None or call.is_over(now) else call

    def is_current(self, session: Session) -> bool:
        """Return whether calls by name run the version of this hidden session."""
        found = [self.functions.get((owner, session.language_title)) for owner in (session.ref.owner, SHARED)]
        registered = [each for each in found if each is not None and each.deactivated_at is None]
        return session.hidden and bool(registered) and registered[0].pinned == session.pinned

    def forget_recordings(self) -> int:
        """Remove everything about recorded calls; return how many there were."""
        removed = len(self.recorded)
        self.recorded.clear()
        self.judgements.clear()
        self.recording = None
        return removed

    def holder(self, session_id: UUID, now: datetime) -> OpenExecution | None:
        """Return the execution that holds the slot of a session at `now`, if any."""
        state = self.states.get(session_id)
        holder = None if state is None or state.writer is None else self.open_executions.get(state.writer)
        return None if holder is None or holder.deadline_at <= now else holder

    def save_state(self, finished: FinishedExecution) -> None:
        """Save the state of an execution that counts, if it has one, and complete its files; raises StateLost."""
        execution = finished.execution
        stored = self.states.get(execution.ref.session_id)
        if finished.state is not None and stored is not None:
            if stored.writer != execution.execution_id:
                raise StateLost
            self.states[execution.ref.session_id] = SessionState(stored.version + 1, finished.state)
        self.on_counted(finished)

    def put(self, session: Session) -> None:
        """Replace or add a session."""
        self.sessions[session.ref.session_id] = session


def newest_first(rows: Iterable[tuple[UUID, Item]], after: UUID | None) -> list[tuple[UUID, Item]]:
    """Return the rows older than `after`, newest first."""
    older = [row for row in rows if after is None or row[0] < after]
    return sorted(older, key=lambda row: row[0], reverse=True)


def page_of(rows: list[tuple[UUID, Item]], size: int, beyond: UUID | None = None) -> Page[Item]:
    """Return a page of the first `size` rows; if there are no more, it continues at `beyond`."""
    shown = rows[:size]
    return Page([item for _, item in shown], shown[-1][0] if len(rows) > size else beyond)
