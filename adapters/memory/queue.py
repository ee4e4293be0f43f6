"""The queue of executions in memory."""

import json
from collections.abc import Collection
from datetime import datetime, timedelta
from itertools import islice
from typing import Any
from uuid import UUID

from attrs import define, evolve, field
from typing_extensions import override

from adapters.memory.announcer import MemoryAnnouncer
from adapters.memory.audit import MemoryAudit
from adapters.memory.queue_reader import MemoryQueueReader
from adapters.memory.sequential_ids import SequentialIds
from adapters.memory.store import AcceptedEntry
from domain.audit import Act
from domain.clock import IdGenerator
from domain.executions.execution import Executed, Execution, FinishedExecution, OpenExecution
from domain.executions.ports import ExecutionRepository
from domain.idempotency import KeptCall, KeyInterrupted
from domain.identity import EVERY_OWNER, Owner, SessionRef
from domain.json_text import JsonText
from domain.paging import Page
from domain.queue.entry import Claimed, Entry, RetryCause
from domain.queue.ports import EVERY_STATE, ClaimRequest, Claims, StateFilter
from domain.queue.state import CANCELLED, Accepted, CancelResult, ExecutionState
from domain.scripts.report import ExecutionStatus, ScriptReport
from domain.sessions.session import Session
from domain.sessions.session import Status as SessionStatus


@define
class MemoryExecutionQueue(MemoryQueueReader):
    """Stores entries in the store of the executions' repository."""

    _executions: ExecutionRepository
    _ids: IdGenerator = field(factory=SequentialIds)
    _ended_max: int = 500
    _announcer: MemoryAnnouncer = field(factory=MemoryAnnouncer)
    audit: MemoryAudit = field(factory=MemoryAudit)

    @override
    async def accept(self, entry: Entry, allowance: timedelta, retention: timedelta) -> Accepted:
        self._store.require_available()
        kept = self._store.kept(_key_of(entry), entry.accepted_at)
        if kept is not None:
            return await self._replayed(entry, kept)
        session = self._store.session(entry.ref).admit(entry.accepted_at)
        window = entry.window.within(session.expires_at)
        self._store.put(session)
        return self._enqueue(evolve(entry, window=window), session, allowance, retention)

    @override
    async def replayed(self, entry: Entry) -> Accepted | None:
        self._store.require_available()
        kept = self._store.kept(_key_of(entry), entry.accepted_at)
        return None if kept is None else await self._replayed(entry, kept)

    @override
    async def claim(self, claim: ClaimRequest) -> Claims:
        self._store.require_available()
        due = list(islice(self._rows.due(claim), claim.entries_max))
        part = min(claim.owner_max, -(-claim.entries_max // max(1, len(due))))
        picked = [list(islice(self._rows.runnable(turn, claim.now), part)) for turn in due]
        picked_in_turn = [row[nth] for nth in range(part) for row in picked if nth < len(row)]
        chosen = [each for each in picked_in_turn if self._rows.rank(each, picked) < claim.owner_max]
        claimed = [self._begin(each, claim) for each in chosen[: claim.entries_max]]
        return Claims(claimed, claimed[-1].turn if claimed else None)

    @override
    async def put_back(self, claimed: Claimed, not_before: datetime) -> None:
        self._store.require_available()
        if self._return(claimed.entry.execution_id, claimed.claim_id, not_before):
            accepted = self._store.accepted[claimed.entry.execution_id]
            accepted.entry = accepted.entry.expired(claimed.entry.window.expires_at)

    @override
    async def unclaim(self, claim_id: UUID, not_before: datetime) -> int:
        self._store.require_available()
        opened = [each for each in self._store.open_executions if self._rows.claim_of(each) == claim_id]
        for execution_id in opened:
            self._return(execution_id, claim_id, not_before)
        return len(opened)

    @override
    async def finish(self, finished: FinishedExecution, entry: Entry, following: Entry | None = None) -> int:
        execution_id = finished.execution.execution_id
        was_open = execution_id in self._store.open_executions
        execution_count = await self._executions.finish(finished)
        accepted = self._rows.kept(execution_id, finished.finished_at)
        if was_open and accepted is not None:
            self._answer(accepted, finished.report, execution_count)
            is_wanted = execution_id not in self._store.cancels
            if not self._follow(accepted, following if is_wanted else None, finished.finished_at):
                self._announce(accepted, finished.report.status, finished.finished_at)
        return execution_count

    @override
    async def cancel(self, owner: Owner, execution_id: UUID, now: datetime) -> tuple[CancelResult, ExecutionState]:
        state = await self.state(owner, execution_id, now)
        if state.status.is_final:
            return CancelResult.ENDED, state
        if state.status is ExecutionStatus.QUEUED:
            self._end(execution_id, CANCELLED, now)
            return CancelResult.CANCELLED, await self.state(owner, execution_id, now)
        self._store.cancels.add(execution_id)
        return CancelResult.CANCELLING, evolve(state, cancel_requested=True)

    @override
    async def cancel_running(self, ref: SessionRef, now: datetime) -> Collection[UUID]:
        self._store.require_available()
        running = {
            name
            for name, each in self._store.open_executions.items()
            if each.ref.session_id == ref.session_id and ref.owner in (each.ref.owner, EVERY_OWNER)
        }
        self._store.cancels |= running
        return running

    @override
    async def erase(self, owner: Owner, execution_id: UUID, session_id: UUID, act: Act) -> None:
        self._store.require_available()
        row, accepted = self._store.history.get(execution_id), self._store.accepted.get(execution_id)
        if row is not None and owner in (row.ref.owner, EVERY_OWNER):
            erased = evolve(row, params=None, result=None, error=None, stdout=None, stderr=None)
            self._store.history[execution_id] = evolve(erased, uses=_without_files(erased.uses))
            self._store.on_erased(execution_id)
            self.audit.record(act, row.ref.owner, str(execution_id), {"request_id": str(session_id)})
            self._announcer.forget(execution_id)
        for key, call in self._store.keys.items():
            if call.winner == execution_id and owner in (key[0], EVERY_OWNER):
                self._store.keys[key] = evolve(call, response=None, is_erased=True)
                if accepted is not None:
                    accepted.erased_status, accepted.report = self._rows.status(accepted), None

    @override
    async def state(self, owner: Owner, execution_id: UUID, now: datetime) -> ExecutionState:
        self._store.require_available()
        accepted = self._rows.kept(execution_id, now)
        self._end_if_overdue(execution_id, now)
        if accepted is None or owner not in (accepted.key[0], EVERY_OWNER):
            return self._rows.synchronous(owner, execution_id)
        if execution_id in self._store.queued and not self._rows.can_run(accepted, now):
            self._end(execution_id, self._rows.ending(accepted), now)
        return self._rows.asynchronous(owner, accepted)

    @override
    async def page(
        self, owner: Owner, after: UUID | None, size: int, now: datetime, wanted: StateFilter = EVERY_STATE
    ) -> Page[ExecutionState]:
        page = await super().page(owner, after, size, now, wanted)
        queued = [each.execution_id for each in page.items if each.status is ExecutionStatus.QUEUED]
        ending = [each for each in map(self._store.accepted.__getitem__, queued) if not self._rows.can_run(each, now)]
        for each in ending:
            self._end(each.entry.execution_id, self._rows.ending(each), now)
        return await super().page(owner, after, size, now, wanted) if ending else page

    @override
    async def end_entries(self, now: datetime, ref: SessionRef | None = None) -> int:
        self._store.require_available()
        entries = [self._store.accepted[each] for each in sorted(self._store.queued)]
        of_session = [each for each in entries if ref is None or each.entry.ref.session_id == ref.session_id]
        ended = [each for each in of_session if not self._rows.can_run(each, now)][: self._ended_max]
        for each in ended:
            self._end(each.entry.execution_id, self._rows.ending(each), now)
        return len(ended)

    def end_overdue(self, now: datetime) -> None:
        """Do what the cleanup of a database does: end open executions past their deadline as unknown."""
        for execution_id in list(self._store.open_executions):
            self._end_if_overdue(execution_id, now)

    def _end_if_overdue(self, execution_id: UUID, now: datetime) -> None:
        execution = self._store.open_executions.get(execution_id)
        if execution is None or now < execution.deadline_at:
            return
        del self._store.open_executions[execution_id]
        self._store.history[execution_id] = Execution(execution.ref, execution_id, ExecutionStatus.UNKNOWN)
        self._repeat(execution_id, now)

    def _repeat(self, execution_id: UUID, now: datetime) -> None:
        """Accept the next attempt of an execution that ended as unknown, if it was accepted for that."""
        accepted = self._rows.kept(execution_id, now)
        if accepted is None:
            return
        entry, next_id = accepted.entry, self._ids.new(now)
        following = None
        pause = entry.options.retry.pause_after(entry.attempt, RetryCause.UNKNOWN, lambda shortest_s, _: shortest_s)
        if pause is not None and now < entry.window.expires_at and execution_id not in self._store.cancels:
            following = entry.next_attempt(next_id, pause)
        if not self._follow(accepted, following, now):
            self._announce(accepted, ExecutionStatus.UNKNOWN, now)

    def _enqueue(self, entry: Entry, session: Session, allowance: timedelta, retention: timedelta) -> Entry:
        deadline_at = entry.window.expires_at + timedelta(milliseconds=session.limits.timeout_ms) + allowance
        key, kept_until = _key_of(entry), deadline_at + retention
        payload_hash = "" if entry.idempotency_key is None else entry.idempotency_key.payload_hash
        self._store.keys[key] = KeptCall(
            entry.ref.session_id, payload_hash, entry.execution_id, deadline_at, kept_until, ready_at=entry.ready_at
        )
        self._store.accepted[entry.execution_id] = AcceptedEntry(
            entry, key, entry.window.not_before, kept_until, allowance, retention
        )
        self._store.queued.add(entry.execution_id)
        return entry

    async def _replayed(self, entry: Entry, kept: KeptCall[Any]) -> Accepted:
        accepted = self._rows.kept(kept.winner, entry.accepted_at)
        if accepted is not None and kept.winner == entry.execution_id:
            return accepted.entry
        assert entry.idempotency_key is not None
        if (
            accepted is None
            or accepted.report is not None
            or kept.is_erased
            or kept.payload_hash != entry.idempotency_key.payload_hash
        ):
            executed: Executed = kept.replay(entry.idempotency_key, entry.accepted_at)
            return evolve(executed, replayed=True)
        state = await self.state(entry.ref.owner, kept.winner, entry.accepted_at)
        if state.status is ExecutionStatus.UNKNOWN:
            raise KeyInterrupted(entry.idempotency_key.value, entry.ref.session_id, kept.winner)
        return state.executed or state

    def _begin(self, accepted: AcceptedEntry, claim: ClaimRequest) -> Claimed:
        execution_id, session = accepted.entry.execution_id, self._rows.session(accepted)
        assert session is not None
        deadline_at = claim.now + timedelta(milliseconds=session.limits.timeout_ms) + claim.allowance
        execution = OpenExecution(execution_id, session, deadline_at)
        self._store.queued.remove(execution_id)
        self._store.open_executions[execution_id] = execution
        accepted.claim_id = claim.claim_id
        return Claimed(accepted.entry, execution, claim.claim_id)

    def _return(self, execution_id: UUID, claim_id: UUID, not_before: datetime) -> bool:
        if execution_id not in self._store.open_executions or self._rows.claim_of(execution_id) != claim_id:
            return False
        del self._store.open_executions[execution_id]
        self._store.accepted[execution_id].not_before = not_before
        self._store.queued.add(execution_id)
        if execution_id in self._store.cancels:
            self._end(execution_id, CANCELLED, not_before)
        return True

    def _end(self, execution_id: UUID, report: ScriptReport, now: datetime) -> None:
        self._store.queued.remove(execution_id)
        accepted = self._store.accepted[execution_id]
        call = self._store.keys.get(accepted.key)
        if call is not None and call.winner == execution_id:
            self._answer(accepted, report, None)
            ref = SessionRef(accepted.key[0], accepted.entry.ref.session_id)
            self._store.history[execution_id] = Execution(ref, execution_id, report.status)
            self._announce(accepted, report.status, now)

    def _announce(self, accepted: AcceptedEntry, end: ExecutionStatus, at: datetime) -> None:
        session = self._rows.session(accepted)
        assert session is not None
        self._announcer.announce(accepted, session.language_title, end, at)

    def _answer(self, accepted: AcceptedEntry, report: ScriptReport, execution_count: int | None) -> None:
        accepted.report, accepted.execution_count = report, execution_count
        executed = self._rows.asynchronous(accepted.key[0], accepted).executed
        self._store.keys[accepted.key] = evolve(self._store.keys[accepted.key], response=executed)

    def _follow(self, accepted: AcceptedEntry, following: Entry | None, finished_at: datetime) -> bool:
        session = self._rows.session(accepted)
        if following is None or session is None or session.status(finished_at) is not SessionStatus.ACTIVE:
            return False
        if following.window.not_before >= session.expires_at:
            return False
        entry = evolve(following, window=following.window.within(session.expires_at))
        self._enqueue(entry, session, accepted.allowance, accepted.retention)
        accepted.next_attempt = entry.execution_id
        return True


def _without_files(uses: JsonText | None) -> JsonText | None:
    """Return what an erased execution has used: its files had names of the script."""
    kept = {name: each for name, each in json.loads(uses or "{}").items() if name != "files"}
    return None if uses is None else JsonText(json.dumps(kept))


def _key_of(entry: Entry) -> tuple[Owner, UUID, str]:
    """Return the key of the call, or one that no caller can send."""
    key = entry.idempotency_key
    return entry.ref.owner, entry.ref.session_id, f" {entry.execution_id}" if key is None else key.value
