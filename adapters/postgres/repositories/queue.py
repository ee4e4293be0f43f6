"""The queue of executions in PostgreSQL."""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from attrs import evolve
from typing_extensions import override

from adapters.postgres import codec
from adapters.postgres.batching.call_queue import BatchKeys
from adapters.postgres.batching.coalescer import Coalescer, CoalescerOptions
from adapters.postgres.batching.locking_writes import LockingWrites
from adapters.postgres.gateway import Gateway
from adapters.postgres.repositories.executions import PostgresExecutionRepository
from adapters.postgres.repositories.idempotency_keys import until_settled
from adapters.postgres.repositories.queue_reader import QueueReader, StateCall
from adapters.postgres.repositories.queue_rows import claims_of, kept_call
from adapters.postgres.repositories.queue_statements import (
    AcceptCall,
    AcceptExecutions,
    AcceptPlainExecutions,
    CancelExecutions,
    EndCall,
    FinishQueuedExecutions,
    PutBackCall,
    PutBackExecutions,
)
from adapters.postgres.repositories.saving_ends import SavingEnds, SavingEndStatement
from adapters.postgres.repositories.writers import writers_gone
from adapters.postgres.retention.entry_ender import QueueLimits
from adapters.postgres.statements.catalogue import Statements
from adapters.random_ids import RandomIds
from domain.audit import Act
from domain.clock import IdGenerator
from domain.executions.execution import Executed, ExecutionNotFound, FinishedExecution
from domain.idempotency import KeyInFlight, KeyInterrupted
from domain.identity import Owner, SessionRef
from domain.queue.entry import Claimed, Entry
from domain.queue.ports import ClaimRequest, Claims
from domain.queue.state import Accepted, CancelResult, ExecutionState
from domain.scripts.report import ExecutionStatus

_WRITERS_WAIT_S = 1.0
"""For begins that are under way when their session is closed; it is half of the budget of a call by default."""

_ENDS_OVERLAP_S = 0.001
"""Ends of executions that were claimed together come together, a few at a time."""

_TRIES = 5
"""Statements until the execution stays in one state while it is read: it has few states."""


class PostgresExecutionQueue(QueueReader):
    """Stores entries in `meta.queued_executions`, and what becomes of them in `meta.idempotency_keys`.

    Accepts have batch keys of their own, as begins have. All writers of sessions in this process share `writing`.
    """

    def __init__(  # noqa: PLR0913, PLR0917  # what it is made of
        self,
        gateway: Gateway,
        statements: Statements,
        executions: PostgresExecutionRepository,
        writing: BatchKeys,
        limits: QueueLimits | None = None,
        ids: IdGenerator | None = None,
    ) -> None:
        super().__init__(gateway, statements, executions, limits or QueueLimits(), ids or RandomIds())
        batches, full = executions.options.batches, executions.options.history.full
        coalescer: Callable[..., Coalescer[Any, Any]] = partial(Coalescer, gateway, options=batches)
        finish = FinishQueuedExecutions(statements.queue_ends.finish_queued_executions, full=full)
        # Callers of accepts wait for nothing else, so no accept waits for company.
        queue, accepts = statements.queue, CoalescerOptions()
        self._plain_accepts: Coalescer[AcceptCall, Entry | None]
        self._plain_accepts = Coalescer(gateway, AcceptPlainExecutions(queue), accepts)
        self._accepts = LockingWrites(gateway, AcceptExecutions(queue), accepts, exclusive=BatchKeys())
        self._put_backs = coalescer(statement=PutBackExecutions(statements.queue_claims.put_back_executions))
        ends = evolve(batches, overlap_s=_ENDS_OVERLAP_S)
        self._finishes = LockingWrites(gateway, finish, ends, exclusive=writing)
        saving = SavingEndStatement(finish, statements.executions, _finished, executions.clock)
        self._saving = SavingEnds(gateway, saving, batches, exclusive=writing)
        self._cancels = coalescer(
            statement=CancelExecutions(statements.queue_ends.cancel_executions), exclusive=BatchKeys()
        )

    @property
    def coalescers(self) -> Sequence[Coalescer[Any, Any]]:
        """All coalescers of this repository, for metrics and to be closed."""
        of_writes: list[Coalescer[Any, Any]] = [*self._accepts.coalescers, *self._finishes.coalescers]
        return [*of_writes, *self._saving.coalescers, self._plain_accepts, self._put_backs, self._cancels, self._states]

    @override
    async def accept(self, entry: Entry, allowance: timedelta, retention: timedelta) -> Accepted:
        call, key = AcceptCall(entry, allowance, retention), entry.idempotency_key
        accepted: Entry | Executed | UUID | None
        if key is None:
            accepted = await self._plain_accepts.submit(call) or await self._accepts.submit(call)
        else:
            accepted = await until_settled(key, lambda: self._accepts.submit(call))
        assert accepted is not None
        return await self._under_way(entry, accepted) if isinstance(accepted, UUID) else accepted

    @override
    async def replayed(self, entry: Entry) -> Accepted | None:
        if entry.idempotency_key is None:
            return None
        asked = {
            "request_id": entry.ref.session_id,
            "owner": entry.ref.owner,
            "key": entry.idempotency_key.value,
            "now": entry.accepted_at,
        }
        rows = await self._rows(self._statements.queue_states.select_kept_call, asked)
        if not rows:
            return None
        found = kept_call(entry, rows[0])
        if isinstance(found, Exception):
            raise found
        return await self._under_way(entry, found) if isinstance(found, UUID) else found

    @override
    async def claim(self, claim: ClaimRequest) -> Claims:
        found, is_cut = await self._walk(claim)
        for _ in range(self._limits.walks_max - 1):
            if found.entries or not is_cut:
                break
            found, is_cut = await self._walk(evolve(claim, after=found.last))
        return found

    @override
    async def put_back(self, claimed: Claimed, not_before: datetime) -> None:
        entry = claimed.entry
        await self._put_backs.submit(
            PutBackCall(entry.ref.session_id, entry.execution_id, claimed.claim_id, not_before, entry.window.expires_at)
        )

    @override
    async def unclaim(self, claim_id: UUID, not_before: datetime) -> int:
        found = await self._rows(self._statements.queue_claims.select_claimed, {"claim_id": claim_id})
        for session_id, execution_id in found:
            await self._put_backs.submit(PutBackCall(session_id, execution_id, claim_id, not_before))
        return len(found)

    @override
    async def finish(self, finished: FinishedExecution, entry: Entry, following: Entry | None = None) -> int:
        ends = self._saving if finished.saves_more else self._finishes
        count = await ends.submit(EndCall(finished, entry, following))
        return await self._history.stored_count(finished.execution) if count is None else count

    @override
    async def cancel(self, owner: Owner, execution_id: UUID, now: datetime) -> tuple[CancelResult, ExecutionState]:
        call: StateCall = owner, execution_id, now
        for _ in range(_TRIES):
            result = await self._cancels.submit(call)
            state = await self.state(*call)
            if result is None and not (state.asynchronous or state.status.is_final):
                result = await self._request_cancel(state, now)
            if result is not None:
                return result, state
            if state.status.is_final:
                return CancelResult.ENDED, state
        return CancelResult.CANCELLING, state

    @override
    async def cancel_running(self, ref: SessionRef, now: datetime) -> Collection[UUID]:
        marked = await self._mark_running(ref, now)
        await writers_gone(self._gateway, self._statements.purges.select_writers, _WRITERS_WAIT_S)
        return marked | await self._mark_running(ref, now)

    @override
    async def erase(self, owner: Owner, execution_id: UUID, session_id: UUID, act: Act) -> None:
        named = {"request_id": session_id, "execution_id": execution_id, "owner": owner}
        partition = {"partition": codec.partition_of(execution_id)}
        await self._rows(self._statements.queue_ends.erase_execution, named | partition | codec.act_columns(act))

    @override
    async def end_entries(self, now: datetime, ref: SessionRef | None = None) -> int:
        if ref is not None:
            return await self._ender.end_of(ref.session_id, now)
        ended = await self._ender.end_expired(now, self._limits.ended_max)
        return ended or await self._ender.end_blocking(now, self._limits.ended_max)

    async def _mark_running(self, ref: SessionRef, now: datetime) -> set[UUID]:
        of_session = {"request_id": ref.session_id, "owner": ref.owner, "now": now}
        rows = await self._rows(self._statements.queue_ends.request_cancels, of_session)
        return {execution_id for (execution_id,) in rows}

    async def _walk(self, claim: ClaimRequest) -> tuple[Claims, bool]:
        """Claim from the next turns, and return whether there may be turns behind them."""
        after = claim.after
        rows = await self._gateway.fetch(
            self._statements.queue_claims.claim_executions,
            {
                "claim_id": claim.claim_id,
                "languages": codec.texts(claim.languages),
                "after_language": "" if after is None else after.language,
                "after_owner": "" if after is None else after.owner,
                "blocked": codec.texts(claim.blocked),
                "entries_max": claim.entries_max,
                "owner_max": claim.owner_max,
                "turns_max": self._limits.turns_max,
                "rows_max": self._limits.rows_max,
                "bytes_max": self._limits.bytes_max,
                "now": claim.now,
                "allowance": claim.allowance,
            },
            repeatable=False,
        )
        return claims_of(claim.claim_id, rows)

    async def _under_way(self, entry: Entry, winner: UUID) -> Accepted:
        """Return the state or the response of the call that holds the key."""
        assert entry.idempotency_key is not None
        key, session_id = entry.idempotency_key.value, entry.ref.session_id
        try:
            state = await self.state(entry.ref.owner, winner, entry.accepted_at)
        except ExecutionNotFound:
            raise KeyInFlight(key, session_id) from None
        if state.status is ExecutionStatus.UNKNOWN:
            raise KeyInterrupted(key, session_id, winner)
        return state.executed or state

    async def _request_cancel(self, state: ExecutionState, now: datetime) -> CancelResult | None:
        """Mark the open record of an execution that was never in the queue; None if it has ended meanwhile."""
        named = {"request_id": state.ref.session_id, "execution_id": state.execution_id, "now": now}
        return CancelResult.CANCELLING if await self._rows(self._statements.queue_ends.request_cancel, named) else None


def _finished(call: EndCall) -> FinishedExecution:
    return call.finished
