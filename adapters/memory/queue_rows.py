"""What the rows of the fake store say about the queue of executions."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from uuid import UUID

from attrs import define

from adapters.memory.store import AcceptedEntry, MemoryStore
from domain.executions.execution import ExecutionNotFound
from domain.identity import EVERY_OWNER, Owner, SessionRef
from domain.queue.entry import StartWindow, Turn
from domain.queue.ports import ClaimRequest, QueueFacts
from domain.queue.state import CANCELLED, EXPIRED, POSITION_MAX, ExecutionState
from domain.scripts.language import Language
from domain.scripts.report import ExecutionStatus, ScriptReport
from domain.sessions.session import Session
from domain.sessions.session import Status as SessionStatus


@define
class MemoryQueueRows:
    """Reads the store; a turn of a claim examines `rows_max` entries."""

    _store: MemoryStore
    _rows_max: int = 1000

    def due(self, claim: ClaimRequest) -> Iterator[Turn]:
        """Yield the turns that have an entry which is ready, in order behind the cursor."""
        turns = sorted({self.turn(each) for each in self._store.queued})
        behind = [turn for turn in turns if claim.after is None or turn > claim.after]
        for turn in [*behind, *(turn for turn in turns if turn not in behind)]:
            is_ready = any(each.entry.ready_at <= claim.now for each in self._of_turn(turn))
            if turn.language in claim.languages and turn.owner not in claim.blocked and is_ready:
                yield turn

    def runnable(self, turn: Turn, now: datetime) -> Iterator[AcceptedEntry]:
        """Yield the entries of a turn that can begin now, in their order."""
        ready = [each for each in self._of_turn(turn) if each.entry.ready_at <= now][: self._rows_max]
        for each in ready:
            if each.not_before <= now and self.can_run(each, now) and self._is_first(each, now):
                yield each

    def _is_first(self, accepted: AcceptedEntry, now: datetime) -> bool:
        """Return whether no earlier entry in order of the session is queued, and none is open."""
        entry = accepted.entry
        if not entry.options.in_order:
            return True
        others = [
            each.entry
            for each in self._store.accepted.values()
            if each.entry.ref.session_id == entry.ref.session_id and each.entry.options.in_order
        ]
        earlier = (each for each in others if each.execution_id < entry.execution_id and each.window.expires_at > now)
        waits = any(each.execution_id in self._store.queued for each in earlier)
        return not waits and not any(each.execution_id in self._store.open_executions for each in others)

    def rank(self, accepted: AcceptedEntry, picked: Sequence[Sequence[AcceptedEntry]]) -> int:
        """Return how many of the picked entries of the same owner are before this one."""
        of_owner = [each for row in picked for each in row if each.key[0] == accepted.key[0]]
        return sorted(of_owner, key=_order).index(accepted)

    def claim_of(self, execution_id: UUID) -> UUID | None:
        """Return the claim that has taken an execution out of the queue."""
        accepted = self._store.accepted.get(execution_id)
        return None if accepted is None else accepted.claim_id

    def kept(self, execution_id: UUID, now: datetime) -> AcceptedEntry | None:
        """Return what was accepted, while its key is kept."""
        accepted = self._store.accepted.get(execution_id)
        call = None if accepted is None else self._store.kept(accepted.key, now)
        return accepted if call is not None and call.winner == execution_id else None

    def can_run(self, accepted: AcceptedEntry, now: datetime) -> bool:
        """Return whether the session is live and the entry has not expired."""
        session = self.session(accepted)
        is_live = session is not None and session.status(now) is SessionStatus.ACTIVE
        return is_live and now < accepted.entry.window.expires_at

    def ending(self, accepted: AcceptedEntry) -> ScriptReport:
        """Return the report of an entry that can no longer run."""
        session = self.session(accepted)
        closed_at = None if session is None else session.closed_at
        return CANCELLED if closed_at is not None and closed_at < accepted.entry.window.expires_at else EXPIRED

    def asynchronous(self, owner: Owner, accepted: AcceptedEntry) -> ExecutionState:
        """Return the state of an execution that was accepted."""
        entry, session = accepted.entry, self.session(accepted)
        assert session is not None
        status, is_queued = self.status(accepted), entry.execution_id in self._store.queued
        return ExecutionState(
            SessionRef(owner, entry.ref.session_id),
            entry.execution_id,
            status,
            session.language_title,
            asynchronous=True,
            attempt=entry.attempt,
            retry_of=entry.retry_of,
            next_attempt=accepted.next_attempt,
            window=StartWindow(entry.window.not_before, entry.window.expires_at),
            position=self._position(accepted) if is_queued else None,
            cancel_requested=entry.execution_id in self._store.open_executions
            and entry.execution_id in self._store.cancels,
            report=accepted.report,
            execution_count=accepted.execution_count,
            kept_until=None if accepted.erased_status else accepted.kept_until,
        )

    def status(self, accepted: AcceptedEntry) -> ExecutionStatus:
        """Return what became of an entry."""
        if accepted.erased_status is not None:
            return accepted.erased_status
        if accepted.report is not None:
            return accepted.report.status
        if accepted.entry.execution_id in self._store.queued:
            return ExecutionStatus.QUEUED
        is_running = accepted.entry.execution_id in self._store.open_executions
        return ExecutionStatus.RUNNING if is_running else ExecutionStatus.UNKNOWN

    def synchronous(self, owner: Owner, execution_id: UUID) -> ExecutionState:
        """Return the state of any other execution; raises ExecutionNotFound."""
        ended, opened = self._store.history.get(execution_id), self._store.open_executions.get(execution_id)
        found = ended or opened
        if found is None or owner not in (found.ref.owner, EVERY_OWNER):
            raise ExecutionNotFound
        ref = SessionRef(owner, found.ref.session_id)
        if ended is not None:
            return ExecutionState(ref, execution_id, ended.status, execution_count=ended.execution_count)
        is_cancelled = execution_id in self._store.cancels
        return ExecutionState(ref, execution_id, ExecutionStatus.RUNNING, cancel_requested=is_cancelled)

    def _position(self, accepted: AcceptedEntry) -> int:
        before = self._of_turn(self.turn(accepted.entry.execution_id)).index(accepted)
        return min(before, POSITION_MAX)

    def facts(self, owner: Owner, language: Language, now: datetime, counted_max: int) -> QueueFacts:
        """Return the queue of an owner in one language."""
        queued = [self._store.accepted[each] for each in sorted(self._store.queued) if self.is_of(owner, each)]
        counted = [each for each in queued if self.turn(each.entry.execution_id).language is language][:counted_max]
        due = (each.not_before for each in counted if each.not_before <= now < each.entry.window.expires_at)
        running = sum(
            1
            for each in self._store.open_executions
            if each in self._store.accepted and self.is_of(owner, each) and self.turn(each).language is language
        )
        return QueueFacts(language, len(counted), min(due, default=None), running)

    def is_of(self, owner: Owner, execution_id: UUID) -> bool:
        """Return whether an execution belongs to the owner."""
        return owner in (self._store.accepted[execution_id].key[0], EVERY_OWNER)

    def turn(self, execution_id: UUID) -> Turn:
        """Return the turn of an execution."""
        accepted = self._store.accepted[execution_id]
        session = self.session(accepted)
        assert session is not None
        return Turn(session.language_title.language, accepted.key[0])

    def _of_turn(self, turn: Turn) -> list[AcceptedEntry]:
        """Return the queued entries of a turn, in the order of the queue."""
        return sorted(
            (self._store.accepted[each] for each in self._store.queued if self.turn(each) == turn), key=_order
        )

    def session(self, accepted: AcceptedEntry) -> Session | None:
        """Return the session."""
        return self._store.sessions.get(accepted.entry.ref.session_id)


def _order(accepted: AcceptedEntry) -> tuple[datetime, UUID]:
    return accepted.entry.ready_at, accepted.entry.execution_id
