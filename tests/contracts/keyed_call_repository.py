"""The contracts of KeyedSessionRepository and KeyedExecutionRepository."""

import asyncio
from abc import ABC, abstractmethod
from datetime import timedelta

import pytest
from attrs import evolve

from domain.executions.execution import Executed, ExecutionLost, OpenExecution
from domain.grants.grants import Grants
from domain.grants.state import StateGrant, StateMode
from domain.idempotency import KEPT_FOR, IdempotencyConflict, IdempotencyKey, KeyInFlight, KeyInterrupted
from domain.identity import SessionRef
from domain.json_text import JsonText
from domain.scripts.convention import Convention
from domain.scripts.report import Failure, FailureCode
from domain.scripts.syntax_check import ScriptWarning
from domain.sessions.ports import Initialized
from domain.sessions.session import Renewal, Session, SessionClosed, SessionExpired, SessionNotFound
from tests.contracts.storage import ALICE, BOB, SCRIPT, Storage, report_of

MOMENT = timedelta(microseconds=1)
KEY = IdempotencyKey('order "4711", {\\ä}', "0" * 64)
SAME_NAME = IdempotencyKey(KEY.value, "f" * 64)
OTHER = IdempotencyKey("another", KEY.payload_hash)
GRANTS = Grants(StateGrant(StateMode.EXCLUSIVE))
LONG = {"ttl_seconds": 10**6, "lifetime_seconds_max": 10**6}


def made_of(session: Session) -> Initialized:
    return Initialized(session.ref, session.language_title, session.expires_at, SCRIPT.hash, True)


class KeyedCallRepositoryContract(ABC):
    @pytest.fixture
    @abstractmethod
    def storage(self) -> Storage: ...

    @pytest.fixture
    async def session(self, storage) -> Session:
        return await storage.add(convention=Convention.ORIGIN, foreign_created_at=storage.clock.now() - MOMENT)

    async def test_the_first_execution_under_a_key_is_admitted_like_any_other(self, storage, session):
        request = storage.request(session.ref)
        admission = await storage.keyed_executions.begin(*request, KEY)
        assert admission.session == session
        assert admission.execution_id == request.execution_id
        assert admission.deadline_at == (await storage.begin(session.ref)).deadline_at

    @pytest.mark.parametrize(
        "report",
        [
            report_of(),
            report_of(result=None),
            report_of(result=JsonText('{"ä": "\\u0000"}'), stdout="a\0b\ud800", stderr="é", memory_usage_bytes=1 << 40),
            report_of(
                result=JsonText('"' + "ä" * 70_000 + '"'), cpu_time_ms=0.001, queue_time_ms=3.25, cold_start=True
            ),
            report_of(result=None, failure=Failure(FailureCode.SCRIPT_ERROR, 'bad "x"\0\ud800', "TypeError", line=3)),
        ],
    )
    async def test_a_repeated_call_gets_exactly_the_first_response(self, storage, session, report):
        admission = await storage.keyed_executions.begin(*storage.request(session.ref), KEY)
        count = await storage.keyed_executions.finish(storage.finished(admission, report), KEY)
        storage.clock.advance(timedelta(seconds=1))
        returned = await storage.keyed_executions.begin(*storage.request(session.ref), KEY)
        execution_id = admission.execution_id
        assert returned == Executed(session.ref, execution_id, session.language_title, report, count, replayed=True)
        assert (await storage.sessions.get(session.ref)).execution_count == 1

    async def test_a_call_is_in_flight_until_its_deadline_and_interrupted_from_then_on(self, storage, session):
        execution = await storage.keyed_executions.begin(*storage.request(session.ref), KEY)
        with pytest.raises(KeyInFlight):
            await storage.keyed_executions.begin(*storage.request(session.ref), KEY)
        storage.clock.advance(execution.deadline_at - storage.clock.now() - MOMENT)
        with pytest.raises(KeyInFlight):
            await storage.keyed_executions.begin(*storage.request(session.ref), KEY)
        storage.clock.advance(MOMENT)
        with pytest.raises(KeyInterrupted) as caught:
            await storage.keyed_executions.begin(*storage.request(session.ref), KEY)
        assert caught.value.execution_id == execution.execution_id
        assert caught.value.session_id == session.ref.session_id

    async def test_a_late_end_becomes_the_response(self, storage, session):
        execution = await storage.keyed_executions.begin(*storage.request(session.ref), KEY)
        storage.clock.advance(execution.deadline_at - storage.clock.now())
        assert await storage.keyed_executions.finish(storage.finished(execution), KEY) == 1
        assert (await storage.keyed_executions.begin(*storage.request(session.ref), KEY)).execution_count == 1

    async def test_another_payload_is_a_conflict_in_every_state_of_the_first_call(self, storage, session):
        execution = await storage.keyed_executions.begin(*storage.request(session.ref), KEY)
        with pytest.raises(IdempotencyConflict):
            await storage.keyed_executions.begin(*storage.request(session.ref), SAME_NAME)
        await storage.keyed_executions.finish(storage.finished(execution), KEY)
        with pytest.raises(IdempotencyConflict):
            await storage.keyed_executions.begin(*storage.request(session.ref), SAME_NAME)
        storage.clock.advance(execution.deadline_at - storage.clock.now())
        with pytest.raises(IdempotencyConflict):
            await storage.keyed_executions.begin(*storage.request(session.ref), SAME_NAME)

    async def test_the_key_is_judged_before_the_session(self, storage):
        closed, expired, open_one = [await storage.add() for _ in range(3)]
        for session in (closed, expired):
            execution = await storage.keyed_executions.begin(*storage.request(session.ref), KEY)
            await storage.keyed_executions.finish(storage.finished(execution), KEY)
        await storage.keyed_executions.begin(*storage.request(open_one.ref), KEY)
        await storage.close(closed)
        await storage.close(open_one)
        assert (await storage.keyed_executions.begin(*storage.request(closed.ref), KEY)).execution_count == 1
        with pytest.raises(KeyInFlight):
            await storage.keyed_executions.begin(*storage.request(open_one.ref), KEY)
        storage.clock.advance(expired.expires_at - storage.clock.now())
        assert (await storage.keyed_executions.begin(*storage.request(expired.ref), KEY)).execution_count == 1
        with pytest.raises(IdempotencyConflict):
            await storage.keyed_executions.begin(*storage.request(expired.ref), SAME_NAME)

    async def test_a_refused_begin_takes_no_key(self, storage):
        closed, expired, unknown = await storage.add(), await storage.add(), storage.new_session()
        await storage.close(closed)
        storage.clock.advance(expired.expires_at - storage.clock.now())
        for key in (KEY, SAME_NAME):
            for session, refusal in ((closed, SessionClosed), (expired, SessionExpired), (unknown, SessionNotFound)):
                with pytest.raises(refusal):
                    await storage.keyed_executions.begin(*storage.request(session.ref), key)

    async def test_a_key_belongs_to_an_owner_and_a_session(self, storage):
        sessions = [await storage.add(owner) for owner in (ALICE, ALICE, BOB)]
        for session in sessions:
            assert isinstance(await storage.keyed_executions.begin(*storage.request(session.ref), KEY), OpenExecution)
        with pytest.raises(SessionNotFound):
            await storage.keyed_executions.begin(*storage.request(SessionRef(BOB, sessions[0].ref.session_id)), KEY)
        assert isinstance(await storage.keyed_executions.begin(*storage.request(sessions[0].ref), OTHER), OpenExecution)

    async def test_a_key_is_free_again_after_its_time(self, storage):
        session = await storage.add(**LONG)
        execution = await storage.keyed_executions.begin(*storage.request(session.ref), KEY)
        await storage.keyed_executions.finish(storage.finished(execution), KEY)
        storage.clock.advance(KEPT_FOR - MOMENT)
        assert isinstance(await storage.keyed_executions.begin(*storage.request(session.ref), KEY), Executed)
        storage.clock.advance(MOMENT)
        again = await storage.keyed_executions.begin(*storage.request(session.ref), SAME_NAME)
        assert isinstance(again, OpenExecution)
        with pytest.raises(KeyInFlight):
            await storage.keyed_executions.begin(*storage.request(session.ref), SAME_NAME)
        assert await storage.keyed_executions.finish(storage.finished(again), KEY) == 2
        assert (await storage.keyed_executions.begin(*storage.request(session.ref), SAME_NAME)).execution_count == 2

    async def test_an_end_is_not_stored_under_a_key_that_another_call_took_later(self, storage):
        session = await storage.add(**LONG)
        late = await storage.keyed_executions.begin(*storage.request(session.ref), KEY)
        storage.clock.advance(KEPT_FOR)
        await storage.keyed_executions.begin(*storage.request(session.ref), KEY)
        assert await storage.keyed_executions.finish(storage.finished(late), KEY) == 1
        with pytest.raises(KeyInFlight):
            await storage.keyed_executions.begin(*storage.request(session.ref), KEY)

    async def test_beginning_again_changes_nothing_more(self, storage, session):
        request = storage.request(session.ref)
        first = await storage.keyed_executions.begin(*request, KEY)
        assert await storage.keyed_executions.begin(*request, KEY) == first
        assert await storage.keyed_executions.finish(storage.finished(first), KEY) == 1
        assert await storage.keyed_executions.finish(storage.finished(first), KEY) == 1
        assert (await storage.keyed_executions.begin(*storage.request(session.ref), KEY)).execution_count == 1

    async def test_a_begin_that_is_repeated_after_the_end_changes_nothing(self, storage, session):
        request = storage.request(session.ref)
        execution = await storage.keyed_executions.begin(*request, KEY)
        await storage.keyed_executions.finish(storage.finished(execution), KEY)
        returned = await storage.keyed_executions.begin(*storage.request(session.ref), KEY)
        assert await storage.keyed_executions.begin(*request, KEY) == returned
        assert await storage.keyed_executions.begin(*storage.request(session.ref), KEY) == returned
        assert await storage.keyed_executions.finish(storage.finished(execution), KEY) == 1
        storage.clock.advance(execution.deadline_at - storage.clock.now())
        assert [row.execution_count for row in (await storage.executions.page(session.ref, None, 5)).items] == [1]

    async def test_one_of_several_concurrent_calls_with_one_key_is_admitted(self, storage, session):
        requests = [storage.request(session.ref) for _ in range(20)]
        responses = await asyncio.gather(
            *(storage.keyed_executions.begin(*request, KEY) for request in requests), return_exceptions=True
        )
        assert sorted(type(response).__name__ for response in responses) == ["KeyInFlight"] * 19 + ["OpenExecution"]
        storage.clock.advance(timedelta(days=1))
        assert len((await storage.executions.page(session.ref, None, 50)).items) == 1, "the others leave no record"

    async def test_one_of_two_concurrent_calls_with_different_payloads_is_admitted(self, storage, session):
        responses = await asyncio.gather(
            *(storage.keyed_executions.begin(*storage.request(session.ref), key) for key in (KEY, SAME_NAME)),
            return_exceptions=True,
        )
        assert sorted(type(response).__name__ for response in responses) == ["IdempotencyConflict", "OpenExecution"]

    async def test_concurrent_calls_of_a_session_that_is_not_live_get_the_same_error(self, storage):
        closed, unknown = await storage.add(), storage.new_session()
        await storage.close(closed)
        for session, refusal in ((closed, SessionClosed), (unknown, SessionNotFound)):
            responses = await asyncio.gather(
                *(storage.keyed_executions.begin(*storage.request(session.ref), KEY) for _ in range(10)),
                return_exceptions=True,
            )
            assert {type(response) for response in responses} == {refusal}

    async def test_calls_of_one_session_with_and_without_keys_count_together(self, storage, session):
        keys = [IdempotencyKey(f"key {n}", "0" * 64) for n in range(10)]

        async def execute(idempotency_key: IdempotencyKey) -> int:
            admission = await storage.keyed_executions.begin(*storage.request(session.ref), idempotency_key)
            return await storage.keyed_executions.finish(storage.finished(admission), idempotency_key)

        counts = await asyncio.gather(*map(execute, keys), *(storage.execute(session.ref) for _ in range(10)))
        assert sorted(counts) == list(range(1, 21))
        returned = [await storage.keyed_executions.begin(*storage.request(session.ref), key) for key in keys]
        assert [each.execution_count for each in returned] == counts[:10]

    async def test_a_withdrawn_execution_frees_its_key(self, storage, session):
        execution = await storage.keyed_executions.begin(*storage.request(session.ref), KEY)
        await storage.keyed_executions.withdraw(execution.execution_id, session.ref, KEY)
        with pytest.raises(ExecutionLost):
            await storage.keyed_executions.finish(storage.finished(execution), KEY)
        assert isinstance(await storage.keyed_executions.begin(*storage.request(session.ref), SAME_NAME), OpenExecution)

    async def test_withdrawing_does_not_free_the_key_of_another_execution(self, storage, session):
        await storage.keyed_executions.begin(*storage.request(session.ref), KEY)
        await storage.keyed_executions.withdraw(storage.ids.new(storage.clock.now()), session.ref, KEY)
        await storage.keyed_executions.withdraw(storage.ids.new(storage.clock.now()), session.ref, OTHER)
        with pytest.raises(KeyInFlight):
            await storage.keyed_executions.begin(*storage.request(session.ref), KEY)

    async def test_withdrawing_a_finished_execution_keeps_its_response(self, storage, session):
        execution = await storage.keyed_executions.begin(*storage.request(session.ref), KEY)
        await storage.keyed_executions.finish(storage.finished(execution), KEY)
        await storage.keyed_executions.withdraw(execution.execution_id, session.ref, KEY)
        assert isinstance(await storage.keyed_executions.begin(*storage.request(session.ref), KEY), Executed)

    async def test_an_execution_without_any_record_is_lost(self, storage, session):
        never_begun = await storage.begin(session.ref)
        await storage.executions.withdraw(never_begun.execution_id, session.ref)
        with pytest.raises(ExecutionLost):
            await storage.keyed_executions.finish(storage.finished(never_begun), KEY)
        assert isinstance(await storage.keyed_executions.begin(*storage.request(session.ref), KEY), OpenExecution)

    async def test_an_execution_renews_a_sliding_session_and_its_replay_does_not(self, storage):
        session = await storage.add(renewal=Renewal.SLIDING, grants=GRANTS)
        storage.clock.advance(timedelta(seconds=50))
        admission = await storage.keyed_executions.begin(*storage.request(session.ref), KEY)
        assert admission.session == session.admit(storage.clock.now())
        await storage.keyed_executions.finish(storage.finished(admission), KEY)
        renewed = await storage.sessions.get(session.ref)
        storage.clock.advance(timedelta(seconds=50))
        await storage.keyed_executions.begin(*storage.request(session.ref), KEY)
        assert await storage.sessions.get(session.ref) == renewed

    async def test_an_execution_under_a_key_is_in_the_history(self, storage, session):
        execution = await storage.keyed_executions.begin(*storage.request(session.ref), KEY)
        await storage.keyed_executions.finish(storage.finished(execution), KEY)
        (row,) = (await storage.executions.page(session.ref, None, 5)).items
        assert (row.execution_id, row.execution_count) == (execution.execution_id, 1)

    async def test_a_repeated_initialize_gets_the_first_response(self, storage):
        session, other = (
            storage.new_session(found_by=KEY.value, convention=Convention.EVENT_FIRST, grants=GRANTS),
            storage.new_session(found_by=KEY.value),
        )
        made = evolve(made_of(session), warnings=(ScriptWarning.EVENT_IN_CONTEXT,), grants=GRANTS)
        assert await storage.keyed_sessions.initialized(session.ref.owner, KEY, storage.clock.now()) is None
        assert await storage.keyed_sessions.initialize(made, session, SCRIPT, KEY) == made
        assert await storage.sessions.get(session.ref) == session
        assert await storage.sessions.script(session.ref) == SCRIPT
        await storage.close(session)
        again = evolve(made, replayed=True)
        assert await storage.keyed_sessions.initialized(session.ref.owner, KEY, storage.clock.now()) == again
        assert await storage.keyed_sessions.initialize(made_of(other), other, SCRIPT, KEY) == again
        with pytest.raises(SessionNotFound):
            await storage.sessions.get(other.ref)

    async def test_another_initialize_with_the_same_key_is_a_conflict(self, storage):
        session, other = storage.new_session(found_by=KEY.value), storage.new_session(found_by=KEY.value)
        await storage.keyed_sessions.initialize(made_of(session), session, SCRIPT, KEY)
        with pytest.raises(IdempotencyConflict) as caught:
            await storage.keyed_sessions.initialized(session.ref.owner, SAME_NAME, storage.clock.now())
        assert (caught.value.key, caught.value.session_id) == (KEY.value, session.ref.session_id)
        with pytest.raises(IdempotencyConflict):
            await storage.keyed_sessions.initialize(made_of(other), other, SCRIPT, SAME_NAME)
        with pytest.raises(SessionNotFound):
            await storage.sessions.get(other.ref)

    async def test_the_key_of_an_initialize_belongs_to_an_owner_and_expires(self, storage):
        alices, bobs = storage.new_session(ALICE, KEY.value), storage.new_session(BOB, KEY.value)
        for session in (alices, bobs):
            assert not (await storage.keyed_sessions.initialize(made_of(session), session, SCRIPT, KEY)).replayed
        storage.clock.advance(KEPT_FOR - MOMENT)
        assert await storage.keyed_sessions.initialized(ALICE, KEY, storage.clock.now())
        storage.clock.advance(MOMENT)
        assert await storage.keyed_sessions.initialized(ALICE, KEY, storage.clock.now()) is None
        later = storage.new_session(ALICE, KEY.value)
        assert await storage.keyed_sessions.initialize(made_of(later), later, SCRIPT, SAME_NAME) == made_of(later)

    async def test_keys_of_initialize_and_of_execute_are_independent(self, storage):
        session = storage.new_session(found_by=KEY.value)
        await storage.keyed_sessions.initialize(made_of(session), session, SCRIPT, KEY)
        assert isinstance(await storage.keyed_executions.begin(*storage.request(session.ref), SAME_NAME), OpenExecution)

    async def test_one_of_several_concurrent_initializes_with_one_key_makes_a_session(self, storage):
        sessions = [storage.new_session(found_by=KEY.value) for _ in range(10)]
        returned = await asyncio.gather(
            *(storage.keyed_sessions.initialize(made_of(session), session, SCRIPT, KEY) for session in sessions)
        )
        assert len({each.ref for each in returned}) == 1
        assert sorted(each.replayed for each in returned) == [False] + [True] * 9
        assert [session.ref for session in await storage.listed(size=20)] == [returned[0].ref]

    async def test_initializing_the_same_session_again_changes_nothing(self, storage):
        session = storage.new_session(found_by=KEY.value)
        for _ in range(2):
            assert (await storage.keyed_sessions.initialize(made_of(session), session, SCRIPT, KEY)).ref == session.ref
        assert len(await storage.listed(size=20)) == 1
