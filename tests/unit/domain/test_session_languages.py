"""The language of a session is read once."""

import asyncio
from typing import Any

import pytest

from adapters.memory.executions import MemoryExecutionRepository
from adapters.memory.manual_clock import ManualClock
from adapters.memory.sessions import MemorySessionRepository
from adapters.memory.store import MemoryStore
from domain.errors import StorageUnavailable
from domain.identity import SessionRef
from domain.sessions.service import SessionLanguages
from domain.sessions.session import SessionNotFound
from tests.contracts.storage import ALICE, BOB, Storage


def memory() -> tuple[MemoryStore, Storage]:
    store, clock = MemoryStore(), ManualClock()
    return store, Storage(MemorySessionRepository(store), MemoryExecutionRepository(store, clock), clock)


async def test_a_language_is_read_once_and_remembered() -> None:
    store, storage = memory()
    session = await storage.add(ALICE)
    languages = SessionLanguages(storage.sessions)
    assert await languages.of(session.ref) is session.language_title.language
    store.failure = StorageUnavailable()
    assert await languages.of(session.ref) is session.language_title.language


async def test_a_remembered_language_is_returned_to_its_owner_alone() -> None:
    _, storage = memory()
    session = await storage.add(ALICE)
    languages = SessionLanguages(storage.sessions)
    await languages.of(session.ref)
    with pytest.raises(SessionNotFound):
        await languages.of(SessionRef(BOB, session.ref.session_id))
    with pytest.raises(SessionNotFound):
        await languages.of(storage.new_session(ALICE).ref)


async def test_the_oldest_languages_are_forgotten() -> None:
    store, storage = memory()
    sessions = [await storage.add(ALICE) for _ in range(3)]
    languages = SessionLanguages(storage.sessions, remembered_max=2)
    for session in sessions:
        await languages.of(session.ref)
    store.failure = StorageUnavailable()
    assert [await languages.of(session.ref) for session in sessions[1:]]
    with pytest.raises(StorageUnavailable):
        await languages.of(sessions[0].ref)


async def test_a_silent_read_ends_in_time() -> None:
    class Hanging(MemorySessionRepository):
        async def get(self, ref: SessionRef) -> Any:
            await asyncio.Event().wait()

    _, storage = memory()
    with pytest.raises(StorageUnavailable):
        await SessionLanguages(Hanging(MemoryStore()), 0.01).of(storage.new_session(ALICE).ref)
