"""Sessions in several buckets."""

from collections.abc import Callable, Coroutine, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from attrs import evolve, frozen
from typing_extensions import override

from adapters.buckets.directory import Directory, Storage, of_each
from domain.buckets.bucket_map import in_bucket
from domain.buckets.pages import merged
from domain.idempotency import KEPT_FOR, IdempotencyKey
from domain.identity import Owner, SessionRef
from domain.paging import Page
from domain.scripts.language import LanguageTitle
from domain.scripts.script import Script
from domain.sessions.ports import (
    HiddenSessionRepository,
    Initialized,
    KeyedSessionRepository,
    SessionFilter,
    SessionRepository,
)
from domain.sessions.session import Session


@frozen
class BucketSessions(SessionRepository):
    """A session is in the bucket of its id; a page is made of a page of each bucket."""

    _directory: Directory

    @override
    async def add(self, session: Session, script: Script) -> None:
        await self._directory.of(session.ref.session_id).sessions.add(session, script)

    @override
    async def get(self, ref: SessionRef) -> Session:
        return await self._directory.of(ref.session_id).sessions.get(ref)

    @override
    async def script(self, ref: SessionRef) -> Script | None:
        return await self._directory.of(ref.session_id).sessions.script(ref)

    @override
    async def update(self, ref: SessionRef, change: Callable[[Session], Session]) -> Session:
        return await self._directory.of(ref.session_id).sessions.update(ref, change)

    @override
    async def page(
        self, owner: Owner, wanted: SessionFilter, after: UUID | None, size: int, *, contexts: bool = True
    ) -> Page[Session]:
        def read(storage: Storage) -> Coroutine[Any, Any, Page[Session]]:
            return storage.sessions.page(owner, wanted, after, size, contexts=contexts)

        return merged(await of_each(self._directory.all, read), size, _id_of)


@frozen
class BucketKeyedSessions(KeyedSessionRepository):
    """A key of initialize is in the bucket that its hash gives, and the session is made beside it.

    After a raise of the number of buckets, the bucket of before may have the key for as long as keys are kept.
    """

    _directory: Directory

    @override
    async def initialize(
        self, initialized: Initialized, session: Session, script: Script, idempotency_key: IdempotencyKey
    ) -> Initialized:
        buckets, now = self._directory.hashing(), session.created_at
        storage = self._directory.of(session.ref.session_id)
        earlier = [n for n in buckets.candidates(idempotency_key.value, now, KEPT_FOR) if n != storage.number]
        first = await self._first(earlier, session.ref.owner, idempotency_key, now)
        if first is not None:
            return first
        buckets.require_settled(idempotency_key.value, now, self._directory.pause)
        return await storage.keyed_sessions.initialize(initialized, session, script, idempotency_key)

    @override
    async def initialized(self, owner: Owner, idempotency_key: IdempotencyKey, now: datetime) -> Initialized | None:
        candidates = self._directory.hashing().candidates(idempotency_key.value, now, KEPT_FOR)
        return await self._first(candidates, owner, idempotency_key, now)

    async def _first(
        self, numbers: Sequence[int], owner: Owner, idempotency_key: IdempotencyKey, now: datetime
    ) -> Initialized | None:
        for number in numbers:
            found = await self._directory.at(number).keyed_sessions.initialized(owner, idempotency_key, now)
            if found is not None:
                return found
        return None


@frozen
class BucketHiddenSessions(HiddenSessionRepository):
    """Hidden sessions are in the bucket that the hash of their function's title gives, or beside a schedule.

    One that was opened before a raise of the number of buckets stays where it is, and is used.
    """

    _directory: Directory

    @override
    async def open(self, session: Session, script: Script) -> SessionRef:
        buckets, storage = self._directory.hashing(), self._directory.of(session.ref.session_id)
        title, now = session.language_title, session.created_at
        present, *earlier = buckets.candidates(str(title), now)
        if storage.number == present:
            assert session.function_id is not None, "a hidden session has a function"
            for number in earlier:
                hidden = self._directory.at(number).hidden_sessions
                found = await hidden.refs(session.ref.owner, title, session.function_id, session.function_version)
                if found:
                    there = SessionRef(session.ref.owner, in_bucket(session.ref.session_id, number))
                    return await hidden.open(evolve(session, ref=there), script)
            buckets.require_settled(str(title), now, self._directory.pause)
        return await storage.hidden_sessions.open(session, script)

    @override
    async def refs(
        self, owner: Owner, title: LanguageTitle, function_id: UUID, version: int | None = None
    ) -> Sequence[SessionRef]:
        candidates = self._directory.hashing().candidates(str(title), self._directory.clock.now())
        found = await of_each(
            [self._directory.at(number) for number in candidates],
            lambda storage: storage.hidden_sessions.refs(owner, title, function_id, version),
        )
        return [ref for each in found for ref in each]

    @override
    async def key_holder(
        self, owner: Owner, title: LanguageTitle, function_id: UUID, idempotency_key: IdempotencyKey, now: datetime
    ) -> SessionRef | None:
        buckets = self._directory.hashing()
        for number in buckets.candidates(str(title), now):
            hidden = self._directory.at(number).hidden_sessions
            holder = await hidden.key_holder(owner, title, function_id, idempotency_key, now)
            if holder is not None:
                return holder
        return None


def _id_of(session: Session) -> UUID:
    return session.ref.session_id
