"""The states of sessions in memory."""

from datetime import datetime

from attrs import define, evolve
from typing_extensions import override

from adapters.memory.store import MemoryStore
from domain.identity import SessionRef
from domain.json_text import JsonText
from domain.sessions.session import SessionNotFound
from domain.states.ports import StateRepository
from domain.states.state import SessionState, SlotClaim, StateTaken


@define
class MemoryStateRepository(StateRepository):
    """Stores states in the store of the sessions' repository."""

    _store: MemoryStore

    @override
    async def take(self, claim: SlotClaim, now: datetime) -> SessionState:
        self._store.require_available()
        if claim.execution_id not in self._store.open_executions:
            raise SessionNotFound
        session_id = claim.ref.session_id
        holder = self._store.holder(session_id, now)
        if holder is not None and holder.execution_id != claim.execution_id:
            raise StateTaken(holder.execution_id, holder.deadline_at)
        stored = self._store.states.get(session_id, SessionState())
        self._store.states[session_id] = evolve(stored, writer=claim.execution_id)
        return self._store.states[session_id]

    @override
    async def read(self, ref: SessionRef, now: datetime) -> SessionState:
        self._store.session(ref)
        stored = self._store.states.get(ref.session_id, SessionState())
        holder = self._store.holder(ref.session_id, now)
        writer = None if holder is None else holder.execution_id
        return evolve(stored, writer=writer, stale_writer=None if writer else stored.writer)

    @override
    async def write(self, ref: SessionRef, read: SessionState, text: JsonText, now: datetime) -> int | None:
        session = self._store.session(ref)
        stored = self._store.states.get(ref.session_id, SessionState())
        if session.script_hash is None or (stored.version, stored.writer) != (read.version, read.stale_writer):
            return None
        self._store.states[ref.session_id] = SessionState(stored.version + 1, text)
        return stored.version + 1
