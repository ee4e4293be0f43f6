"""The contract of SessionPurger."""

from abc import ABC, abstractmethod
from datetime import timedelta
from uuid import UUID

import pytest

from domain.audit import ActName, AuditReader
from domain.executions.execution import Executed, ExecutionLost, ExecutionNotFound
from domain.identity import EVERY_OWNER, SessionRef
from domain.schedules.schedule import ScheduleNotFound
from domain.sessions.ports import Initialized, SessionPurger
from domain.sessions.session import Session, SessionNotFound
from tests.contracts.keyed_call_repository import KEY
from tests.contracts.schedule_repository import Planner
from tests.contracts.storage import ALICE, BOB, SCRIPT, Storage
from tests.foreign_ids import TAKEN
from tests.support.acts import OPERATOR, act, recorded

PURGE = ActName.SESSIONS_PURGE


class SessionPurgerContract(ABC):
    """Subclasses have the fixtures `storage`, `purger` and `audit`; a step of the purger erases few rows."""

    @pytest.fixture
    @abstractmethod
    def storage(self) -> Storage: ...

    async def executed(self, storage: Storage, session: Session, times: int = 5) -> list[object]:
        """Execute a session, the last time under a key, and close it; return the ids of its executions."""
        ids = []
        for _ in range(times):
            execution = await storage.begin(session.ref)
            await storage.executions.finish(storage.finished(execution))
            ids.append(execution.execution_id)
        execution_id, ref, allowance = storage.request(session.ref)
        keyed = await storage.keyed_executions.begin(execution_id, ref, allowance, KEY)
        assert not isinstance(keyed, Executed)
        await storage.keyed_executions.finish(storage.finished(keyed), KEY)
        return [*ids, execution_id]

    async def test_executions_and_responses_are_erased(
        self, storage: Storage, purger: SessionPurger, audit: AuditReader
    ) -> None:
        session = await storage.add(ALICE)
        ids = await self.executed(storage, session)
        closed = await storage.close(session)
        await purger.purge(session.ref, act(PURGE))
        for execution_id in ids:
            with pytest.raises(ExecutionNotFound):
                await storage.executions.get(ALICE, execution_id)
        with pytest.raises(Exception, match="closed"):
            await storage.keyed_executions.begin(*storage.request(session.ref), KEY)
        assert (await storage.sessions.get(session.ref)).version == closed.version
        (entry,) = await recorded(audit)
        assert (entry.act, entry.actor, entry.owner) == ("sessions.purge", OPERATOR, ALICE)
        assert entry.subject == str(session.ref.session_id)
        assert entry.details == {
            "executions": 6,
            "open_executions": 0,
            "queued_executions": 0,
            "idempotency_keys": 1,
            "deliveries": 0,
            "schedules": 0,
        }

    async def test_schedules_of_the_session_are_erased_and_others_stay(
        self, storage: Storage, purger: SessionPurger, audit: AuditReader
    ) -> None:
        assert storage.schedules is not None
        session, planner = await storage.add(ALICE), Planner(storage, storage.schedules)
        erased, kept = await planner.add(session), await planner.add()
        storage.clock.advance(timedelta(seconds=10))
        await planner.fire(erased, session)
        await storage.close(session)
        await purger.purge(session.ref, act(PURGE))
        with pytest.raises(ScheduleNotFound):
            await planner.read(erased)
        assert await planner.history(erased) == []
        assert await planner.read(kept) == kept
        assert [each.details["schedules"] for each in await recorded(audit) if each.act == "sessions.purge"] == [1]

    @pytest.mark.parametrize("session_id", TAKEN, ids=str)
    async def test_executions_are_erased_whatever_the_id_of_the_session(
        self, storage: Storage, purger: SessionPurger, session_id: UUID
    ) -> None:
        session = await storage.add_foreign(session_id, ALICE)
        ids = await self.executed(storage, session, 1)
        await storage.close(session)
        storage.clock.advance(timedelta(days=1))
        await purger.purge(session.ref, act(PURGE))
        for execution_id in ids:
            with pytest.raises(ExecutionNotFound):
                await storage.executions.get(ALICE, execution_id)

    async def test_the_key_of_its_initialize_is_free_again(self, storage: Storage, purger: SessionPurger) -> None:
        session = storage.new_session(ALICE)
        made = Initialized(session.ref, session.language_title, session.expires_at, SCRIPT.hash, syntax_checked=True)
        await storage.keyed_sessions.initialize(made, session, SCRIPT, KEY)
        await storage.close(session)
        await purger.purge(session.ref, act(PURGE))
        assert await storage.keyed_sessions.initialized(ALICE, KEY, storage.clock.now()) is None

    async def test_an_execution_that_still_runs_is_not_recorded(
        self, storage: Storage, purger: SessionPurger, audit: AuditReader
    ) -> None:
        session = await storage.add(ALICE)
        running = await storage.begin(session.ref)
        await storage.close(session)
        await purger.purge(session.ref, act(PURGE))
        with pytest.raises(ExecutionLost):
            await storage.executions.finish(storage.finished(running))
        with pytest.raises(ExecutionNotFound):
            await storage.executions.get(ALICE, running.execution_id)
        (entry,) = await recorded(audit)
        assert entry.details["open_executions"] == 1

    async def test_another_owner_purges_nothing_and_leaves_no_record(
        self, storage: Storage, purger: SessionPurger, audit: AuditReader
    ) -> None:
        session = await storage.add(ALICE)
        ids = await self.executed(storage, session)
        with pytest.raises(SessionNotFound):
            await purger.purge(SessionRef(BOB, session.ref.session_id), act(PURGE))
        for execution_id in ids:
            assert (await storage.executions.get(ALICE, execution_id)).execution_id == execution_id
        assert await recorded(audit) == []

    async def test_an_unknown_session_is_not_found(self, storage: Storage, purger: SessionPurger) -> None:
        with pytest.raises(SessionNotFound):
            await purger.purge(storage.new_session(ALICE).ref, act(PURGE))

    async def test_other_sessions_of_the_owner_stay(self, storage: Storage, purger: SessionPurger) -> None:
        session, other = await storage.add(ALICE), await storage.add(ALICE)
        kept = await self.executed(storage, other)
        await storage.close(session)
        await purger.purge(session.ref, act(PURGE))
        for execution_id in kept:
            await storage.executions.get(ALICE, execution_id)

    async def test_every_owner_purges_for_its_owner(
        self, storage: Storage, purger: SessionPurger, audit: AuditReader
    ) -> None:
        session = await storage.add(BOB)
        ids = await self.executed(storage, session)
        await storage.close(session)
        await purger.purge(SessionRef(EVERY_OWNER, session.ref.session_id), act(PURGE))
        with pytest.raises(ExecutionNotFound):
            await storage.executions.get(BOB, ids[0])
        assert [entry.owner for entry in await recorded(audit)] == [BOB]

    async def test_purging_again_is_recorded_with_nothing_erased(
        self, storage: Storage, purger: SessionPurger, audit: AuditReader
    ) -> None:
        session = await storage.add(ALICE)
        await self.executed(storage, session, 1)
        await storage.close(session)
        storage.clock.advance(timedelta(days=2))
        await purger.purge(session.ref, act(PURGE))
        await purger.purge(session.ref, act(PURGE))
        newest, first = await recorded(audit)
        assert first.details["executions"] == 2
        assert set(newest.details.values()) == {0}
