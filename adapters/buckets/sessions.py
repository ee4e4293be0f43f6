"""Sessions in several buckets."""

from collections.abc import Callable, Coroutine, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from attrs import evolve, frozen
from typing_extensions import override

from adapters.buckets.directory import Directory, Storage, of_each
from domain.buckets.bucket_map import in_bucket
from domain.buckets.pages import continued, merged, part_of
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
    """A session is in the bucket of its id; a page is made of a page of each bucket of the owner."""

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
        storages = self._directory.listing(owner)
        part = part_of(size, len(storages) - 1)  # HOME drains

        def first(storage: Storage) -> Coroutine[Any, Any, Page[Session]]:
            return storage.sessions.page(owner, wanted, after, part, contexts=contexts)

        pages = await of_each(storages, first)
        page = merged(pages, size, _id_of)
        if len(page.items) == size or page.next_after is None:
            return page

        async def whole(storage: Storage) -> Page[Session]:
            read = pages[storages.index(storage)]
            if len(read.items) < part or read.next_after is None:  # its end, or a bound other than its part
                return read
            sessions = storage.sessions
            return continued(read, await sessions.page(owner, wanted, read.next_after, size, contexts=contexts))

        return merged(await of_each(storages, whole), size, _id_of)


@frozen
class BucketKeyedSessions(KeyedSessionRepository):
    """A key of initialize is in the bucket of its owner that its hash gives, and the session is made beside it.

    After a raise of the number of buckets, the bucket of before may have the key for as long as keys are kept. After a
    move of an owner, that of the former owner may.
    """

    _directory: Directory

    @override
    async def initialize(
        self, initialized: Initialized, session: Session, script: Script, idempotency_key: IdempotencyKey
    ) -> Initialized:
        buckets, storage = self._directory.hashing(), self._directory.of(session.ref.session_id)
        key, owner, now = idempotency_key.value, session.ref.owner, session.created_at
        candidates = buckets.candidates(key, owner, now, KEPT_FOR)
        if any(number != storage.number for number in candidates):
            first = await self._first(candidates, owner, idempotency_key, now)
            if first is not None:
                return first
        buckets.require_settled(key, owner, now, self._directory.pause)
        return await storage.keyed_sessions.initialize(initialized, session, script, idempotency_key)

    @override
    async def initialized(self, owner: Owner, idempotency_key: IdempotencyKey, now: datetime) -> Initialized | None:
        candidates = self._directory.hashing().candidates(idempotency_key.value, owner, now, KEPT_FOR)
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
    """Hidden sessions are in the bucket of their owner that the hash of the function's title gives, or by a schedule.

    One that was opened before a raise of the number of buckets, or before a move of an owner, stays where it is, and
    is used.
    """

    _directory: Directory

    @override
    async def open(self, session: Session, script: Script) -> SessionRef:
        buckets, storage = self._directory.hashing(), self._directory.of(session.ref.session_id)
        owner, title, now = session.ref.owner, session.language_title, session.created_at
        candidates = buckets.candidates(str(title), owner, now)
        if storage.number == candidates[0]:
            there = await self._present(candidates, session) if len(candidates) > 1 else None
            if there is not None:
                ref = SessionRef(owner, in_bucket(session.ref.session_id, there.number))
                return await there.hidden_sessions.open(evolve(session, ref=ref), script)
            buckets.require_settled(str(title), owner, now, self._directory.pause)
        return await storage.hidden_sessions.open(session, script)

    async def _present(self, numbers: Sequence[int], session: Session) -> Storage | None:
        """Return the first of some buckets that has a hidden session of this version."""
        assert session.function_id is not None, "a hidden session has a function"
        version = session.function_id, session.function_version
        for number in numbers:
            storage = self._directory.at(number)
            if await storage.hidden_sessions.refs(session.ref.owner, session.language_title, *version):
                return storage
        return None

    @override
    async def refs(
        self, owner: Owner, title: LanguageTitle, function_id: UUID, version: int | None = None
    ) -> Sequence[SessionRef]:
        found = await of_each(
            [self._directory.at(number) for number in self._candidates(owner, title)],
            lambda storage: storage.hidden_sessions.refs(owner, title, function_id, version),
        )
        return [ref for each in found for ref in each]

    @override
    async def key_holder(
        self, owner: Owner, title: LanguageTitle, function_id: UUID, idempotency_key: IdempotencyKey, now: datetime
    ) -> SessionRef | None:
        for number in self._candidates(owner, title):
            hidden = self._directory.at(number).hidden_sessions
            holder = await hidden.key_holder(owner, title, function_id, idempotency_key, now)
            if holder is not None:
                return holder
        return None

    def _candidates(self, owner: Owner, title: LanguageTitle) -> Sequence[int]:
        return self._directory.hashing().candidates(str(title), owner, self._directory.clock.now())


def _id_of(session: Session) -> UUID:
    return session.ref.session_id
