"""Sessions in memory."""

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from uuid import UUID

from attrs import define, evolve, field
from typing_extensions import override

from adapters.memory.audit import MemoryAudit
from adapters.memory.store import MemoryStore, newest_first, page_of
from adapters.memory.webhooks import MemoryWebhookStore
from domain.audit import Act
from domain.idempotency import IdempotencyKey
from domain.identity import EVERY_OWNER, Owner, SessionRef
from domain.json_equality import contains
from domain.json_text import EMPTY_OBJECT
from domain.paging import Page
from domain.schedules.plan import SessionTarget
from domain.schedules.schedule import Schedule
from domain.scripts.language import LanguageTitle
from domain.scripts.script import Script
from domain.sessions.ports import HiddenSessionRepository, SessionFilter, SessionPurger, SessionRepository
from domain.sessions.session import Session, SessionNotFound


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
            self._store.states.pop(ref.session_id, None)
        return written

    @override
    async def page(
        self, owner: Owner, wanted: SessionFilter, after: UUID | None, size: int, *, contexts: bool = True
    ) -> Page[Session]:
        self._store.require_available()
        listed = [s for s in self._store.sessions.values() if owner in (s.ref.owner, EVERY_OWNER) and not s.hidden]
        found = [s for s in listed if wanted.metadata is not None and contains(s.metadata, wanted.metadata)]
        by_metadata = wanted.metadata is not None and owner != EVERY_OWNER and len(found) <= self._examined_max
        rows = newest_first(((s.ref.session_id, s) for s in (found if by_metadata else listed)), after)
        examined = rows if wanted.shows_all else rows[: max(size, self._examined_max)]
        beyond = examined[-1][0] if len(rows) > len(examined) else None
        shown = [
            (key, s if contexts else evolve(s, context=EMPTY_OBJECT)) for key, s in examined if _is_wanted(s, wanted)
        ]
        return page_of(shown, size, beyond)

    def _owned(self, ref: SessionRef) -> SessionRef:
        """Return the ref with the session's own owner in place of EVERY_OWNER."""
        session = self._store.sessions.get(ref.session_id)
        return ref if session is None or ref.owner != EVERY_OWNER else session.ref


@define
class MemoryHiddenSessionRepository(HiddenSessionRepository):
    """Stores hidden sessions in the store of the sessions' repository; lists at most `listed_max`."""

    _store: MemoryStore
    _listed_max: int = 100

    @override
    async def open(self, session: Session, script: Script) -> SessionRef:
        self._store.require_available()
        stored = next(iter(self._open(session.ref.owner, session.function_id, session.function_version)), None)
        if stored is None:
            self._store.scripts[session.ref.session_id] = script
            stored = session
        elif stored.expires_at <= session.created_at:
            stored = evolve(stored, expires_at=session.expires_at, expires_max_at=session.expires_max_at)
        self._store.put(stored)
        return stored.ref

    @override
    async def refs(
        self, owner: Owner, title: LanguageTitle, function_id: UUID, version: int | None = None
    ) -> Sequence[SessionRef]:
        self._store.require_available()
        found = sorted(self._open(owner, function_id, version), key=lambda s: s.function_version or 0, reverse=True)
        return [session.ref for session in found[: self._listed_max]]

    @override
    async def key_holder(
        self, owner: Owner, title: LanguageTitle, function_id: UUID, idempotency_key: IdempotencyKey, now: datetime
    ) -> SessionRef | None:
        self._store.require_available()
        for session in self._open(owner, function_id, None):
            if self._store.kept((owner, session.ref.session_id, idempotency_key.value), now) is not None:
                return session.ref
        return None

    def _open(self, owner: Owner, function_id: UUID | None, version: int | None) -> Sequence[Session]:
        return [
            session
            for session in self._store.sessions.values()
            if (session.ref.owner, session.function_id, session.hidden) == (owner, function_id, True)
            and session.script_hash is not None
            and version in (None, session.function_version)
        ]


def _is_wanted(session: Session, wanted: SessionFilter) -> bool:
    by_language = wanted.language in (None, session.language_title.language)
    by_text = wanted.text is None or wanted.text.lower() in str(session.language_title).lower()
    by_metadata = wanted.metadata is None or contains(session.metadata, wanted.metadata)
    return by_language and by_text and by_metadata and wanted.status in (None, session.status(wanted.judged_at))


@define
class MemorySessionPurger(SessionPurger):
    """Erases from the store of the repositories."""

    _store: MemoryStore
    _audit: MemoryAudit
    _webhooks: MemoryWebhookStore = field(factory=MemoryWebhookStore)

    @override
    async def purge(self, ref: SessionRef, act: Act) -> None:
        self._store.require_available()
        store, is_of = self._store, partial(_is_of, ref)
        session = store.sessions.get(ref.session_id)
        ended = [each for each, row in store.history.items() if is_of(row.ref.owner, row.ref.session_id)]
        opened = [each for each, row in store.open_executions.items() if is_of(row.ref.owner, row.ref.session_id)]
        keys = [key for key, call in store.keys.items() if is_of(key[0], key[1]) or is_of(key[0], call.winner)]
        deliveries = [
            each
            for each in self._webhooks.deliveries.values()
            if each.request_id and is_of(each.owner, each.request_id)
        ]
        owners = [store.history[each].ref.owner for each in ended] + [key[0] for key in keys]
        owners += [each.owner for each in deliveries]
        if session is not None and is_of(session.ref.owner, session.ref.session_id):
            owners.insert(0, session.ref.owner)
        if not owners:
            raise SessionNotFound
        queued = [each for each in store.queued if is_of(*_owner_and_id(store.accepted[each].entry.ref))]
        schedules = [key for key, each in store.schedules.items() if _executes(each, ref)]
        for schedule_id in schedules:
            del store.schedules[schedule_id], store.firings[schedule_id]
        if session is not None:
            store.states.pop(ref.session_id, None)
        for execution_id in ended:
            del store.history[execution_id]
        for execution_id in queued:
            store.queued.remove(execution_id)
        for execution_id in opened:
            del store.open_executions[execution_id]
        for key in keys:
            del store.keys[key]
        for delivery in deliveries:
            del self._webhooks.deliveries[delivery.delivery_id]
        details = {
            "executions": len(ended),
            "open_executions": len(opened),
            "queued_executions": len(queued),
            "idempotency_keys": len(keys),
            "deliveries": len(deliveries),
            "schedules": len(schedules),
        }
        self._audit.record(act, owners[0], str(ref.session_id), details)


def _executes(schedule: Schedule, ref: SessionRef) -> bool:
    return schedule.plan.target == SessionTarget(ref.session_id) and ref.owner in {schedule.owner, EVERY_OWNER}


def _owner_and_id(ref: SessionRef) -> tuple[Owner, UUID]:
    return ref.owner, ref.session_id


def _is_of(ref: SessionRef, owner: Owner, session_id: UUID) -> bool:
    return session_id == ref.session_id and ref.owner in {owner, EVERY_OWNER}
