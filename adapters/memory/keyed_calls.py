"""Calls under idempotency keys, in memory."""

from datetime import datetime
from typing import Any
from uuid import UUID

from attrs import define, evolve
from typing_extensions import override

from adapters.memory.store import KeyName, MemoryStore
from domain.executions.executed import Executed
from domain.executions.ports import (
    Admission,
    ExecutionRepository,
    ExecutionRequest,
    FinishedExecution,
    KeyedExecutionRepository,
)
from domain.idempotency import KEPT_FOR, NO_SESSION, IdempotencyKey, KeptCall
from domain.identity import Owner, SessionRef
from domain.scripts.script import Script
from domain.sessions.initialized import Initialized
from domain.sessions.ports import KeyedSessionRepository, SessionRepository
from domain.sessions.session import Session


@define
class MemoryKeyedCallRepository(KeyedExecutionRepository, KeyedSessionRepository):
    """Keeps keys in a store that it shares with the repositories that do the rest."""

    _store: MemoryStore
    _sessions: SessionRepository
    _executions: ExecutionRepository

    @override
    async def begin(self, request: ExecutionRequest, idempotency_key: IdempotencyKey) -> Admission | Executed:
        self._store.require_available()
        name = (request.ref.owner, request.ref.session_id, idempotency_key.value)
        kept = self._kept(name, request.started_at)
        if kept is not None and (kept.winner != request.execution_id or kept.answer is not None):
            executed: Executed = kept.replay(idempotency_key, request.started_at)
            return evolve(executed, replayed=True)
        admission = await self._executions.begin(request)
        if kept is None:
            deadline_at, expires_at = admission.execution.deadline_at, request.started_at + KEPT_FOR
            self._store.keys[name] = KeptCall(
                idempotency_key.payload_hash, request.execution_id, deadline_at, expires_at
            )
        return admission

    @override
    async def withdraw(self, execution_id: UUID, ref: SessionRef, name: str) -> None:
        await self._executions.withdraw(execution_id, ref)
        kept = self._won(execution_id, ref, name)
        if kept is not None and kept.answer is None:
            del self._store.keys[ref.owner, ref.session_id, name]

    @override
    async def finish(self, finished: FinishedExecution, name: str) -> int:
        count = await self._executions.finish(finished)
        key, execution_id = finished.execution.ref, finished.execution.execution_id
        kept = self._won(execution_id, key, name)
        if kept is not None and kept.answer is None:
            title = self._store.session(key).language_title
            told = Executed(key, execution_id, title, finished.report, count)
            self._store.keys[key.owner, key.session_id, name] = evolve(kept, answer=told)
        return count

    @override
    async def initialize(
        self, made: Initialized, session: Session, script: Script, idempotency_key: IdempotencyKey
    ) -> Initialized:
        told = await self.initialized(session.ref.owner, idempotency_key, session.created_at)
        if told is not None:
            return told
        await self._sessions.add(session, script)
        now = session.created_at
        name = (session.ref.owner, NO_SESSION, idempotency_key.value)
        self._store.keys[name] = KeptCall(
            idempotency_key.payload_hash, session.ref.session_id, now, now + KEPT_FOR, made
        )
        return made

    @override
    async def initialized(self, owner: Owner, idempotency_key: IdempotencyKey, now: datetime) -> Initialized | None:
        self._store.require_available()
        kept = self._kept((owner, NO_SESSION, idempotency_key.value), now)
        if kept is None:
            return None
        made: Initialized = kept.replay(idempotency_key, now)
        return evolve(made, replayed=True)

    def _kept(self, name: KeyName, now: datetime) -> KeptCall[Any] | None:
        kept = self._store.keys.get(name)
        return None if kept is None or kept.is_over(now) else kept

    def _won(self, execution_id: UUID, ref: SessionRef, name: str) -> KeptCall[Any] | None:
        kept = self._store.keys.get((ref.owner, ref.session_id, name))
        return kept if kept is not None and kept.winner == execution_id else None
