"""The contract of HiddenSessionRepository."""

import asyncio
from abc import ABC, abstractmethod
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from attrs import evolve

from domain.executions.execution import OpenExecution
from domain.functions.function import Definition, Function
from domain.grants.grants import Grants
from domain.grants.state import StateGrant, StateMode
from domain.idempotency import KEPT_FOR, IdempotencyKey
from domain.identity import EVERY_OWNER, SHARED, Owner, SessionRef
from domain.scripts.convention import Convention
from domain.scripts.script import Script
from domain.sessions.session import Renewal, Session, SessionExpired
from tests.contracts.storage import ALICE, BOB, SCRIPT, Storage
from tests.support.acts import act
from tests.unit.domain.builders import session_at

FUNCTION, OTHER = UUID(int=1), UUID(int=2)
TITLE = session_at().language_title
KEY = IdempotencyKey('k"1', "0" * 64)


class HiddenSessionRepositoryContract(ABC):
    @pytest.fixture
    @abstractmethod
    def storage(self) -> Storage:
        """Without any row."""

    def new(self, storage: Storage, owner: Owner = ALICE, version: int = 1, function_id: UUID = FUNCTION) -> Session:
        pinned: dict[str, Any] = {"function_id": function_id, "function_version": version}
        return storage.new_session(owner, str(TITLE), renewal=Renewal.SLIDING, hidden=True, **pinned)

    async def open(self, storage: Storage, owner: Owner = ALICE, version: int = 1) -> SessionRef:
        assert storage.hidden is not None
        return await storage.hidden.open(self.new(storage, owner, version), SCRIPT)

    async def test_it_is_stored_as_it_was_opened(self, storage):
        grants = Grants(StateGrant(StateMode.SHARED))
        session = evolve(self.new(storage), convention=Convention.EVENT_FIRST, grants=grants)
        assert await storage.hidden.open(session, SCRIPT) == session.ref
        assert await storage.sessions.get(session.ref) == session
        assert await storage.sessions.script(session.ref) == SCRIPT

    async def test_a_second_opening_returns_the_first_one_unchanged(self, storage):
        first = await self.open(storage)
        stored = await storage.sessions.get(first)
        storage.clock.advance(timedelta(seconds=1))
        assert await self.open(storage) == first
        assert await storage.sessions.get(first) == stored

    async def test_of_concurrent_openings_all_return_one_session(self, storage):
        refs = await asyncio.gather(*(self.open(storage) for _ in range(20)))
        assert len(set(refs)) == 1
        assert await storage.hidden.refs(ALICE, TITLE, FUNCTION) == [refs[0]]

    async def test_owners_and_versions_have_sessions_of_their_own(self, storage):
        calls = [(owner, version) for owner in (ALICE, BOB) for version in (1, 2)]
        refs = await asyncio.gather(*(self.open(storage, *call) for call in calls))
        assert [ref.owner for ref in refs] == [owner for owner, _ in calls]
        assert len({ref.session_id for ref in refs}) == len(calls)
        for owner, ours in ((ALICE, refs[:2]), (BOB, refs[2:])):
            assert await storage.hidden.refs(owner, TITLE, FUNCTION) == ours[::-1]
            assert await storage.hidden.refs(owner, TITLE, FUNCTION, 1) == [ours[0]]
        assert await storage.hidden.refs(ALICE, TITLE, OTHER) == []

    async def test_an_expired_one_lives_again_with_its_history(self, storage):
        session = self.new(storage)
        await storage.hidden.open(session, SCRIPT)
        await storage.execute(session.ref)
        storage.clock.advance(timedelta(days=365))
        with pytest.raises(SessionExpired):
            await storage.begin(session.ref)
        again = self.new(storage)
        assert await storage.hidden.open(again, SCRIPT) == session.ref
        living = await storage.sessions.get(session.ref)
        assert (living.expires_at, living.expires_max_at) == (again.expires_at, again.expires_max_at)
        assert await storage.execute(session.ref) == 2

    @pytest.mark.parametrize("age", [timedelta(0), timedelta(days=365)], ids=["live", "expired"])
    async def test_one_that_was_emptied_is_replaced(self, storage, age):
        closed = await self.open(storage)
        storage.clock.advance(age)
        await storage.close(await storage.sessions.get(closed))
        assert await storage.hidden.refs(ALICE, TITLE, FUNCTION) == []
        opened = await self.open(storage)
        assert opened != closed
        assert await storage.hidden.refs(ALICE, TITLE, FUNCTION) == [opened]

    async def test_an_ordinary_session_of_the_version_is_none(self, storage):
        await storage.hidden.open(self.new(storage, version=2), SCRIPT)
        listed = evolve(self.new(storage), hidden=False)
        await storage.sessions.add(listed, SCRIPT)
        opened = await self.open(storage)
        assert opened != listed.ref
        assert listed.ref not in await storage.hidden.refs(ALICE, TITLE, FUNCTION)

    async def test_no_list_shows_it(self, storage):
        await self.open(storage)
        listed = await storage.add(ALICE)
        for owner in (ALICE, EVERY_OWNER):
            assert await storage.listed(owner) == [listed]

    async def test_an_execution_is_in_a_session_that_is_known_to_be_hidden(self, storage):
        begun: OpenExecution = await storage.begin(await self.open(storage))
        assert begun.session.hidden
        keyed = await storage.keyed_executions.begin(*storage.request(begun.ref), KEY)
        assert keyed.session.hidden
        assert not (await storage.begin((await storage.add(ALICE)).ref)).session.hidden

    async def test_a_begin_knows_whether_calls_by_name_run_the_version_of_its_session(self, storage):
        title = self.new(storage).language_title
        now = storage.clock.now()

        async def register(owner: Owner, source: str) -> Function:
            made = Definition(Script.of(source, 1000))
            new = Function(storage.ids.new(now), owner, title, made, now, now)
            return await storage.functions.update(
                owner, title, lambda stored: stored.replace(made, owner, now) if stored else new, act()
            )

        async def opened(function: Function) -> SessionRef:
            session = self.new(storage, ALICE, function.version, function.function_id)
            return await storage.hidden.open(session, SCRIPT)

        async def current(*refs: SessionRef) -> list[bool]:
            return [(await storage.begin(ref)).is_current for ref in refs]

        shared = await opened(await register(SHARED, "1"))
        assert await current(shared) == [True]
        newer = await opened(await register(SHARED, "2"))
        assert await current(shared, newer) == [False, True]
        own = await opened(await register(ALICE, "3"))
        assert await current(newer, own, (await storage.add(ALICE)).ref) == [False, True, False]
        await storage.functions.update(ALICE, title, lambda stored: stored.deactivate(now), act())
        assert await current(newer, own) == [True, False]
        await storage.functions.update(SHARED, title, lambda stored: stored.deactivate(now), act())
        assert await current(newer, own) == [False, False]

    async def test_a_page_has_the_executions_of_several_sessions_newest_first(self, storage):
        refs = [await self.open(storage, version=version) for version in (1, 2)]
        other = await self.open(storage, BOB)
        ids = []
        for ref in (*refs, other, *refs):
            execution = await storage.begin(ref)
            await storage.executions.finish(storage.finished(execution))
            ids.append((ref.session_id, execution.execution_id))
            storage.clock.advance(timedelta(milliseconds=1))
        of_all = [ref.session_id for ref in (*refs, other)]
        expected = [ids[place] for place in (4, 3, 1, 0)]
        first = await storage.executions.page_of(ALICE, of_all, None, 3)
        rest = await storage.executions.page_of(ALICE, of_all, first.next_after, 3)
        shown = [(row.ref.session_id, row.execution_id) for row in (*first.items, *rest.items)]
        assert (shown, rest.next_after) == (expected, None)
        assert (await storage.executions.page_of(ALICE, [], None, 3)).items == []

    async def test_the_session_that_holds_a_key_is_found_until_the_key_expires(self, storage):
        ref, newer = await self.open(storage), await self.open(storage, version=2)
        hidden, now = storage.hidden, storage.clock.now()
        assert await hidden.key_holder(ALICE, TITLE, FUNCTION, KEY, now) is None
        await storage.keyed_executions.begin(*storage.request(ref), KEY)
        await storage.keyed_executions.begin(*storage.request(newer), IdempotencyKey("other", "0" * 64))
        assert await hidden.key_holder(ALICE, TITLE, FUNCTION, KEY, now) == ref
        assert await hidden.key_holder(BOB, TITLE, FUNCTION, KEY, now) is None
        assert await hidden.key_holder(ALICE, TITLE, OTHER, KEY, now) is None
        assert await hidden.key_holder(ALICE, TITLE, FUNCTION, KEY, now + KEPT_FOR + timedelta(seconds=1)) is None
