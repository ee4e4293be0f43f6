"""Sessions in memory."""

from collections.abc import Callable
from uuid import UUID

from attrs import define, evolve
from typing_extensions import override

from adapters.memory.store import MemoryStore, newest_first, page_of
from domain.identity import EVERY_OWNER, Owner, SessionRef
from domain.paging import Page
from domain.scripts.script import Script
from domain.sessions.ports import SessionFilter, SessionRepository
from domain.sessions.session import Session


@define
class MemorySessionRepository(SessionRepository):
    """Stores sessions; a filtered page examines at most `examined_max` sessions."""

    _store: MemoryStore
    _examined_max: int = 1000

    @override
    async def add(self, session: Session, script: Script) -> None:
        self._store.require_available()
        if session.ref.session_id not in self._store.sessions:
            self._store.put(session)
            self._store.scripts[session.ref.session_id] = script

    @override
    async def get(self, ref: SessionRef) -> Session:
        return self._store.session(self._owned(ref))

    @override
    async def script(self, ref: SessionRef) -> Script | None:
        self._store.session(self._owned(ref))
        return self._store.scripts.get(ref.session_id)

    @override
    async def update(self, ref: SessionRef, change: Callable[[Session], Session]) -> Session:
        stored = self._store.session(self._owned(ref))
        changed = change(stored)
        if changed is stored:
            return stored
        written = evolve(
            changed,
            expires_at=max(stored.expires_at, changed.expires_at),
            last_executed_at=stored.last_executed_at,
            execution_count=stored.execution_count,
        )
        self._store.put(written)
        if written.script_hash is None:
            self._store.scripts.pop(ref.session_id, None)
        return written

    @override
    async def page(self, owner: Owner, wanted: SessionFilter, after: UUID | None, size: int) -> Page[Session]:
        self._store.require_available()
        own = ((s.ref.session_id, s) for s in self._store.sessions.values() if owner in (s.ref.owner, EVERY_OWNER))
        rows = newest_first(own, after)
        if wanted.status is None and wanted.language is None:
            return page_of(rows, size)
        examined = rows[: max(size, self._examined_max)]
        beyond = examined[-1][0] if len(rows) > len(examined) else None
        return page_of([row for row in examined if _is_wanted(row[1], wanted)], size, beyond)

    def _owned(self, ref: SessionRef) -> SessionRef:
        """Return the ref with the session's own owner in place of EVERY_OWNER."""
        session = self._store.sessions.get(ref.session_id)
        return ref if session is None or ref.owner != EVERY_OWNER else session.ref


def _is_wanted(session: Session, wanted: SessionFilter) -> bool:
    by_language = wanted.language in (None, session.language_title.language)
    return by_language and wanted.status in (None, session.status(wanted.judged_at))
