"""The contract of StateRepository, and of ends of executions that save a state."""

import asyncio
from abc import ABC, abstractmethod

import pytest
from attrs import evolve

from domain.executions.execution import ExecutionLost, FinishedExecution, OpenExecution, StateLost
from domain.identity import SessionRef
from domain.json_text import JsonText
from domain.sessions.session import SessionNotFound
from domain.states.state import SessionState, SlotClaim, StateTaken
from tests.contracts.execution_queue import QueueOfOne
from tests.contracts.keyed_call_repository import KEY
from tests.contracts.storage import ALICE, BOB, Storage

USES, OTHER_USES = JsonText('{"state":{"version":1}}'), JsonText('{"state":{"version":2,"ä":"\\"{},"}}')
ONE, TWO = JsonText('{"a": "ä \\"\\\\{},"}'), JsonText('{"a": 2}')


class StateRepositoryContract(ABC):
    """Subclasses have the fixture `storage`, with `states`."""

    @pytest.fixture
    @abstractmethod
    def storage(self) -> Storage: ...

    @pytest.fixture
    async def ref(self, storage: Storage) -> SessionRef:
        return (await storage.add(ALICE)).ref

    async def take(self, storage: Storage, execution: OpenExecution) -> SessionState:
        claim = SlotClaim(execution.ref, execution.execution_id, execution.deadline_at)
        return await storage.states.take(claim, storage.clock.now())

    async def read(self, storage: Storage, ref: SessionRef) -> SessionState:
        return await storage.states.read(ref, storage.clock.now())

    async def taken(self, storage: Storage, ref: SessionRef) -> OpenExecution:
        execution = await storage.begin(ref)
        await self.take(storage, execution)
        return execution

    def saving(self, storage: Storage, execution: OpenExecution, text: JsonText | None = ONE) -> FinishedExecution:
        return evolve(storage.finished(execution), state=text)

    async def save(self, storage: Storage, ref: SessionRef, text: JsonText = ONE) -> None:
        execution = await self.taken(storage, ref)
        await storage.executions.finish(self.saving(storage, execution, text))

    async def test_a_session_that_has_stored_none_has_an_empty_state(self, storage: Storage, ref: SessionRef) -> None:
        assert await self.read(storage, ref) == SessionState()
        execution = await storage.begin(ref)
        found = await self.take(storage, execution)
        assert (found.version, found.text, found.writer) == (0, "{}", execution.execution_id)

    async def test_an_end_saves_the_state_with_its_count(self, storage: Storage, ref: SessionRef) -> None:
        execution = await self.taken(storage, ref)
        assert await storage.executions.finish(self.saving(storage, execution)) == 1
        found = await self.read(storage, ref)
        assert (found.version, found.text, found.writer) == (1, ONE, None)
        again = await storage.begin(ref)
        assert (await self.take(storage, again)).text == ONE

    async def test_an_end_that_is_sent_again_saves_nothing(self, storage: Storage, ref: SessionRef) -> None:
        execution = await self.taken(storage, ref)
        await storage.executions.finish(self.saving(storage, execution))
        await self.save(storage, ref, TWO)
        assert await storage.executions.finish(self.saving(storage, execution)) == 1
        found = await self.read(storage, ref)
        assert (found.version, found.text) == (2, TWO)

    async def test_an_end_under_a_key_saves_the_state(self, storage: Storage, ref: SessionRef) -> None:
        assert storage.keyed_executions is not None
        execution = await storage.keyed_executions.begin(*storage.request(ref), KEY)
        assert isinstance(execution, OpenExecution)
        await self.take(storage, execution)
        assert await storage.keyed_executions.finish(self.saving(storage, execution), KEY) == 1
        assert (await self.read(storage, ref)).text == ONE

    async def test_an_end_of_an_accepted_execution_saves_the_state(self, storage: Storage, ref: SessionRef) -> None:
        queue = QueueOfOne(storage)
        await queue.add(await storage.sessions.get(ref))
        claimed = await queue.claim_one()
        await self.take(storage, claimed.execution)
        ended = self.saving(storage, claimed.execution)
        assert storage.queue is not None
        assert await storage.queue.finish(ended, claimed.entry) == 1
        assert (await self.read(storage, ref)).text == ONE

    async def test_uses_are_in_the_history_if_and_only_if_the_execution_counts(
        self, storage: Storage, ref: SessionRef
    ) -> None:
        assert storage.keyed_executions is not None
        plain, saving, withdrawn = await storage.begin(ref), await self.taken(storage, ref), await storage.begin(ref)
        keyed = await storage.keyed_executions.begin(*storage.request(ref), KEY)
        assert isinstance(keyed, OpenExecution)
        await storage.executions.withdraw(withdrawn.execution_id, ref)
        ends = [evolve(storage.finished(each), uses=USES) for each in (plain, withdrawn)]
        ends.append(evolve(self.saving(storage, saving), uses=OTHER_USES))
        found = await asyncio.gather(*map(storage.executions.finish, ends), return_exceptions=True)
        assert [isinstance(each, ExecutionLost) for each in found] == [False, True, False]
        for _ in range(2):
            await storage.keyed_executions.finish(evolve(storage.finished(keyed), uses=USES), KEY)
        await storage.execute(ref)
        wanted = {plain.execution_id: USES, saving.execution_id: OTHER_USES, keyed.execution_id: USES}
        rows = (await storage.executions.page(ref, None, 10)).items
        assert len(rows) == len(wanted) + 1
        for row in rows:
            assert row.uses == wanted.get(row.execution_id)
            assert (await storage.executions.get(ref.owner, row.execution_id)).uses == row.uses

    async def test_uses_of_an_accepted_execution_are_in_the_history(self, storage: Storage, ref: SessionRef) -> None:
        queue = QueueOfOne(storage)
        await queue.add(await storage.sessions.get(ref))
        claimed = await queue.claim_one()
        assert storage.queue is not None
        await storage.queue.finish(evolve(storage.finished(claimed.execution), uses=USES), claimed.entry)
        (row,) = (await storage.executions.page(ref, None, 10)).items
        assert row.uses == USES

    async def test_one_execution_holds_the_slot(self, storage: Storage, ref: SessionRef) -> None:
        holder, other = await storage.begin(ref), await storage.begin(ref)
        first = await self.take(storage, holder)
        assert await self.take(storage, holder) == first
        with pytest.raises(StateTaken) as caught:
            await self.take(storage, other)
        assert caught.value.running == holder.execution_id
        assert (await self.read(storage, ref)).writer == holder.execution_id

    async def test_of_executions_that_take_the_slot_together_one_gets_it(
        self, storage: Storage, ref: SessionRef
    ) -> None:
        executions = [await storage.begin(ref) for _ in range(4)]
        for _ in range(2):  # without a row at first, then with one
            found = await asyncio.gather(*(self.take(storage, each) for each in executions), return_exceptions=True)
            (state,) = [each for each in found if not isinstance(each, StateTaken)]
            assert isinstance(state, SessionState)
            assert {each.running for each in found if isinstance(each, StateTaken)} == {state.writer}

    @pytest.mark.parametrize("how", ["withdrawn", "ended", "overdue"])
    async def test_the_slot_is_free_once_its_holder_has_no_open_record_or_is_overdue(
        self, storage: Storage, ref: SessionRef, how: str
    ) -> None:
        holder = await self.taken(storage, ref)
        if how == "withdrawn":
            await storage.executions.withdraw(holder.execution_id, ref)
        elif how == "ended":
            await storage.executions.finish(storage.finished(holder))
        else:
            storage.clock.advance(holder.deadline_at - storage.clock.now())
        assert (await self.read(storage, ref)).writer is None
        other = await storage.begin(ref)
        found = await self.take(storage, other)
        assert (found.version, found.writer) == (0, other.execution_id)

    async def test_an_overdue_execution_that_has_lost_the_slot_neither_saves_nor_counts(
        self, storage: Storage, ref: SessionRef
    ) -> None:
        overdue = await self.taken(storage, ref)
        storage.clock.advance(overdue.deadline_at - storage.clock.now())
        await self.save(storage, ref, TWO)
        with pytest.raises(StateLost):
            await storage.executions.finish(self.saving(storage, overdue))
        assert (await self.read(storage, ref)).text == TWO
        assert (await storage.sessions.get(ref)).execution_count == 1

    async def test_an_execution_that_was_withdrawn_neither_saves_nor_counts(
        self, storage: Storage, ref: SessionRef
    ) -> None:
        execution = await self.taken(storage, ref)
        await storage.executions.withdraw(execution.execution_id, ref)
        with pytest.raises(ExecutionLost):
            await storage.executions.finish(self.saving(storage, execution))
        with pytest.raises(SessionNotFound):
            await self.take(storage, execution)
        assert (await self.read(storage, ref)).version == 0

    async def test_ends_of_several_sessions_save_together_and_one_that_lost_its_slot_stops_no_other(
        self, storage: Storage, ref: SessionRef
    ) -> None:
        overdue = await self.taken(storage, ref)
        storage.clock.advance(overdue.deadline_at - storage.clock.now())
        await self.save(storage, ref, TWO)
        others = [(await storage.add(ALICE)).ref for _ in range(4)]
        executions = [overdue, *[await self.taken(storage, each) for each in others]]
        ends = [storage.executions.finish(self.saving(storage, each)) for each in executions]
        lost, *counts = await asyncio.gather(*ends, return_exceptions=True)
        assert isinstance(lost, StateLost)
        assert counts == [1] * 4
        assert [(await self.read(storage, each)).text for each in others] == [ONE] * 4

    async def test_a_session_of_another_owner_has_no_state(self, storage: Storage, ref: SessionRef) -> None:
        with pytest.raises(SessionNotFound):
            await self.read(storage, SessionRef(BOB, ref.session_id))

    async def test_a_write_replaces_what_was_read(self, storage: Storage, ref: SessionRef) -> None:
        for version, text in ((1, ONE), (2, TWO)):
            read = await self.read(storage, ref)
            assert await storage.states.write(ref, read, text, storage.clock.now()) == version
            assert await storage.states.write(ref, read, ONE, storage.clock.now()) is None
            found = await self.read(storage, ref)
            assert (found.version, found.text) == (version, text)

    async def test_a_write_changes_nothing_of_what_was_saved_or_taken_since(
        self, storage: Storage, ref: SessionRef
    ) -> None:
        await self.save(storage, ref)
        read = await self.read(storage, ref)
        execution = await self.taken(storage, ref)
        assert await storage.states.write(ref, read, TWO, storage.clock.now()) is None
        await storage.executions.withdraw(execution.execution_id, ref)
        assert await storage.states.write(ref, read, TWO, storage.clock.now()) is None  # its writer was another one
        read = await self.read(storage, ref)
        assert await storage.states.write(ref, read, TWO, storage.clock.now()) == 2
        assert (await self.read(storage, ref)).text == TWO

    async def test_an_end_saves_nothing_over_a_write_that_found_its_execution_overdue(
        self, storage: Storage, ref: SessionRef
    ) -> None:
        overdue = await self.taken(storage, ref)
        storage.clock.advance(overdue.deadline_at - storage.clock.now())
        read = await self.read(storage, ref)
        assert await storage.states.write(ref, read, TWO, storage.clock.now()) == 1
        with pytest.raises(StateLost):
            await storage.executions.finish(self.saving(storage, overdue))
        assert (await self.read(storage, ref)).text == TWO

    async def test_closing_a_session_removes_its_state_and_it_gets_none_again(
        self, storage: Storage, ref: SessionRef
    ) -> None:
        execution = await self.taken(storage, ref)
        await storage.executions.finish(self.saving(storage, execution))
        running = await self.taken(storage, ref)
        await storage.close(await storage.sessions.get(ref))
        found = await self.read(storage, ref)
        assert found == SessionState()
        assert await storage.states.write(ref, found, ONE, storage.clock.now()) is None
        assert await storage.executions.finish(self.saving(storage, running)) == 2
        assert await self.read(storage, ref) == SessionState()
