"""Calls under idempotency keys, in memory."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from attrs import define, evolve
from typing_extensions import override

from adapters.memory.store import MemoryStore, StoredKey
from domain.executions.execution import Executed, FinishedExecution, OpenExecution
from domain.executions.ports import ExecutionRepository, KeyedExecutionRepository
from domain.idempotency import KEPT_FOR, NO_SESSION, IdempotencyKey, KeptCall
from domain.identity import Owner, SessionRef, uuid7_time
from domain.scripts.script import Script
from domain.sessions.ports import Initialized, KeyedSessionRepository, SessionRepository
from domain.sessions.session import Session


@define
class MemoryKeyedExecutionRepository(KeyedExecutionRepository):
    """Stores keys in the store of the executions' repository."""

    _store: MemoryStore
    _executions: ExecutionRepository

    @override
    async def begin(
        self, execution_id: UUID, ref: SessionRef, allowance: timedelta, idempotency_key: IdempotencyKey
    ) -> OpenExecution | Executed:
        self._store.require_available()
        started_at, stored_key = uuid7_time(execution_id), (ref.owner, ref.session_id, idempotency_key.value)
        kept = self._store.kept(stored_key, started_at)
        if kept is not None and (kept.winner != execution_id or kept.response is not None):
            executed: Executed = kept.replay(idempotency_key, started_at)
            return evolve(executed, replayed=True)
        execution = await self._executions.begin(execution_id, ref, allowance)
        if kept is None:
            payload_hash, expires_at = idempotency_key.payload_hash, started_at + KEPT_FOR
            self._store.keys[stored_key] = KeptCall(
                ref.session_id, payload_hash, execution_id, execution.deadline_at, expires_at
            )
        return execution

    @override
    async def withdraw(self, execution_id: UUID, ref: SessionRef, idempotency_key: IdempotencyKey) -> None:
        await self._executions.withdraw(execution_id, ref)
        stored_key = (ref.owner, ref.session_id, idempotency_key.value)
        if self._open_call(execution_id, stored_key) is not None:
            del self._store.keys[stored_key]

    @override
    async def finish(self, finished: FinishedExecution, idempotency_key: IdempotencyKey) -> int:
        count = await self._executions.finish(finished)
        ref, execution_id = finished.execution.ref, finished.execution.execution_id
        stored_key = (ref.owner, ref.session_id, idempotency_key.value)
        call = self._open_call(execution_id, stored_key)
        if call is not None:
            title = self._store.session(ref).language_title
            executed = Executed(ref, execution_id, title, finished.report, count)
            self._store.keys[stored_key] = evolve(call, response=executed)
        return count

    def _open_call(self, execution_id: UUID, stored_key: StoredKey) -> KeptCall[Any] | None:
        """Return the call that holds the key, if it is this execution and has no response yet."""
        call = self._store.keys.get(stored_key)
        return call if call is not None and call.winner == execution_id and call.response is None else None


@define
class MemoryKeyedSessionRepository(KeyedSessionRepository):
    """Stores keys in the store of the sessions' repository."""

    _store: MemoryStore
    _sessions: SessionRepository

    @override
    async def initialize(
        self, initialized: Initialized, session: Session, script: Script, idempotency_key: IdempotencyKey
    ) -> Initialized:
        now = session.created_at
        first = await self.initialized(session.ref.owner, idempotency_key, now)
        if first is not None:
            return first
        await self._sessions.add(session, script)
        session_id = session.ref.session_id
        call = KeptCall(session_id, idempotency_key.payload_hash, session_id, now, now + KEPT_FOR, initialized)
        self._store.keys[session.ref.owner, NO_SESSION, idempotency_key.value] = call
        return initialized

    @override
    async def initialized(self, owner: Owner, idempotency_key: IdempotencyKey, now: datetime) -> Initialized | None:
        self._store.require_available()
        kept = self._store.kept((owner, NO_SESSION, idempotency_key.value), now)
        if kept is None:
            return None
        first: Initialized = kept.replay(idempotency_key, now)
        return evolve(first, replayed=True)
