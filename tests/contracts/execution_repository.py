"""The contract of ExecutionRepository."""

import asyncio
import json
from abc import ABC, abstractmethod
from datetime import timedelta

import pytest
from attrs import evolve

from domain.executions.execution import Execution, ExecutionLost, ExecutionNotFound, Payload
from domain.executions.history import PAYLOAD_LENGTH_MAX
from domain.executions.ports import EVERY_EXECUTION, ExecutionFilter
from domain.identity import EVERY_OWNER, SessionRef, uuid7_time
from domain.json_text import JsonText
from domain.scripts.report import ExecutionStatus, Failure, FailureCode
from domain.sessions.session import Renewal, Session, SessionClosed, SessionExpired, SessionNotFound
from tests.contracts.storage import ALICE, ALLOWANCE, BOB, Storage, report_of
from tests.foreign_ids import TAKEN

MOMENT = timedelta(microseconds=1)
UNKNOWN = ExecutionStatus.UNKNOWN


async def keeps_no_payloads(storage: Storage) -> None:
    """Check the history of a storage that keeps a summary only."""
    session = await storage.add()
    failure = Failure(FailureCode.SCRIPT_ERROR, "secret")
    for report in (report_of(stdout="secret"), report_of(result=None, failure=failure, stderr="secret")):
        await storage.executions.finish(storage.finished((await storage.begin(session.ref)), report))
    failed, succeeded = (await storage.executions.page(session.ref, None, 5)).items
    assert (failed.status, failed.execution_count) == (ExecutionStatus.FAILED, 2)
    assert (succeeded.status, succeeded.execution_count, succeeded.execution_time_ms) == (
        ExecutionStatus.SUCCEEDED,
        1,
        1.25,
    )
    for row in (failed, succeeded):
        assert {row.params, row.result, row.error, row.stdout, row.stderr} == {None}


class ExecutionRepositoryContract(ABC):
    @pytest.fixture
    @abstractmethod
    def storage(self) -> Storage: ...

    @pytest.fixture
    async def session(self, storage) -> Session:
        return await storage.add(function_version=3)

    async def test_begin_returns_the_session_as_it_was_admitted(self, storage, session):
        request = storage.request(session.ref)
        admission = await storage.executions.begin(*request)
        assert admission.session == session
        assert admission.ref == session.ref
        assert admission.execution_id == request.execution_id

    async def test_the_deadline_is_the_time_limit_and_the_allowance_from_admission(self, storage, session):
        admission = await storage.begin(session.ref)
        limit = timedelta(milliseconds=session.limits.timeout_ms)
        assert admission.deadline_at == storage.clock.now() + limit + ALLOWANCE

    async def test_a_session_is_live_until_just_before_its_end(self, storage, session):
        storage.clock.advance(session.expires_at - storage.clock.now() - MOMENT)
        assert (await storage.begin(session.ref)).session == session

    async def test_a_session_is_expired_from_its_end_on(self, storage, session):
        storage.clock.advance(session.expires_at - storage.clock.now())
        with pytest.raises(SessionExpired) as caught:
            await storage.begin(session.ref)
        assert (caught.value.expired_at, caught.value.now) == (session.expires_at, storage.clock.now())

    async def test_a_closed_session_is_closed(self, storage, session):
        closed = await storage.close(session)
        storage.clock.advance(timedelta(days=1))
        with pytest.raises(SessionClosed) as caught:
            await storage.begin(session.ref)
        assert caught.value.closed_at == closed.closed_at

    async def test_an_unknown_session_is_not_found(self, storage):
        with pytest.raises(SessionNotFound):
            await storage.begin(storage.new_session().ref)

    async def test_a_session_of_another_owner_is_not_found(self, storage):
        session = await storage.add(ALICE)
        foreign = SessionRef(BOB, session.ref.session_id)
        with pytest.raises(SessionNotFound):
            await storage.begin(foreign)
        admission = await storage.begin(session.ref)
        stolen = evolve(admission, session=evolve(admission.session, ref=foreign))
        with pytest.raises(ExecutionLost):
            await storage.executions.finish(storage.finished(stolen))
        await storage.executions.withdraw(stolen.execution_id, foreign)
        assert await storage.executions.finish(storage.finished(admission)) == 1
        with pytest.raises(ExecutionLost):
            await storage.executions.finish(storage.finished(stolen))
        assert (await storage.executions.page(foreign, None, 5)).items == []

    async def test_a_refused_begin_leaves_no_record(self, storage, session):
        storage.clock.advance(session.expires_at - storage.clock.now())
        request = storage.request(session.ref)
        with pytest.raises(SessionExpired):
            await storage.executions.begin(*request)
        storage.clock.advance(timedelta(days=1))
        assert (await storage.executions.page(session.ref, None, 5)).items == []

    async def test_an_execution_renews_a_sliding_session_when_due(self, storage):
        session = await storage.add(renewal=Renewal.SLIDING, function_version=3)
        storage.clock.advance(timedelta(seconds=50))
        admission = await storage.begin(session.ref)
        assert admission.session == session.admit(storage.clock.now())
        assert admission.session.expires_at == session.expires_at + timedelta(seconds=50)
        assert await storage.sessions.get(session.ref) == admission.session

    async def test_a_session_is_not_renewed_before_it_is_due(self, storage):
        session = await storage.add(renewal=Renewal.SLIDING)
        storage.clock.advance(timedelta(seconds=10))
        assert (await storage.begin(session.ref)).session == session
        assert await storage.sessions.get(session.ref) == session

    async def test_a_renewal_never_passes_the_maximum(self, storage):
        session = await storage.add(renewal=Renewal.SLIDING, ttl_seconds=100, lifetime_seconds_max=150)
        storage.clock.advance(timedelta(seconds=60))
        assert (await storage.begin(session.ref)).session.expires_at == session.expires_max_at
        storage.clock.advance(timedelta(seconds=30))
        assert (await storage.begin(session.ref)).session.expires_at == session.expires_max_at

    async def test_executions_that_begin_together_renew_by_the_latest(self, storage):
        session = await storage.add(renewal=Renewal.SLIDING)
        requests = []
        for _ in range(5):
            storage.clock.advance(timedelta(seconds=15))
            requests.append(storage.request(session.ref))
        await asyncio.gather(*(storage.executions.begin(*request) for request in requests))
        stored = await storage.sessions.get(session.ref)
        assert stored.expires_at == requests[-1].started_at + timedelta(seconds=100)

    @pytest.mark.parametrize("renewal", list(Renewal))
    async def test_executions_that_begin_together_are_judged_by_their_own_instants(self, storage, renewal):
        session = await storage.add(renewal=renewal)
        storage.clock.advance(session.expires_at - storage.clock.now() - MOMENT)
        in_time = storage.request(session.ref)
        storage.clock.advance(MOMENT)
        late = storage.request(session.ref)
        unknown = storage.request(storage.new_session().ref)
        responses = await asyncio.gather(
            *(storage.executions.begin(*request) for request in (late, in_time, unknown)), return_exceptions=True
        )
        assert isinstance(responses[0], SessionExpired)
        assert responses[1].session == session.admit(in_time.started_at)
        assert isinstance(responses[2], SessionNotFound)

    async def test_beginning_again_changes_nothing_more(self, storage):
        session = await storage.add(renewal=Renewal.SLIDING)
        storage.clock.advance(timedelta(seconds=50))
        request = storage.request(session.ref)
        first = await storage.executions.begin(*request)
        again = await storage.executions.begin(*request)
        assert again == first
        assert await storage.executions.finish(storage.finished(first)) == 1
        assert await storage.executions.finish(storage.finished(first)) == 1
        assert (await storage.sessions.get(session.ref)).execution_count == 1

    async def test_a_begin_that_is_repeated_after_the_end_leaves_one_row(self, storage, session):
        request = storage.request(session.ref)
        execution = await storage.executions.begin(*request)
        await storage.executions.finish(storage.finished(execution))
        await storage.executions.begin(*request)
        storage.clock.advance(execution.deadline_at - storage.clock.now())
        for wanted in (EVERY_EXECUTION, ExecutionFilter(ExecutionStatus.SUCCEEDED)):
            page = await storage.executions.page(session.ref, None, 5, wanted)
            assert [row.execution_count for row in page.items] == [1]
        assert (await storage.executions.page(session.ref, None, 5, ExecutionFilter(UNKNOWN))).items == []

    async def test_a_withdrawn_execution_leaves_nothing(self, storage, session):
        admission = await storage.begin(session.ref)
        await storage.executions.withdraw(admission.execution_id, session.ref)
        with pytest.raises(ExecutionLost):
            await storage.executions.finish(storage.finished(admission))
        storage.clock.advance(timedelta(days=1))
        assert (await storage.executions.page(session.ref, None, 5)).items == []
        assert await storage.sessions.get(session.ref) == session

    async def test_withdrawing_an_absent_execution_is_no_error(self, storage, session):
        await storage.executions.withdraw(storage.ids.new(storage.clock.now()), session.ref)
        await storage.executions.withdraw(storage.ids.new(storage.clock.now()), storage.new_session().ref)

    async def test_finishing_counts(self, storage, session):
        assert [await storage.execute(session.ref) for _ in range(3)] == [1, 2, 3]
        stored = await storage.sessions.get(session.ref)
        assert stored == evolve(session, execution_count=3, last_executed_at=storage.clock.now())

    async def test_the_last_execution_is_the_one_that_ended_last(self, storage, session):
        late = await storage.begin(session.ref)
        early = storage.finished(await storage.begin(session.ref))
        storage.clock.advance(timedelta(seconds=3))
        await storage.executions.finish(storage.finished(late))
        await storage.executions.finish(early)
        assert (await storage.sessions.get(session.ref)).last_executed_at == storage.clock.now()

    async def test_finishing_again_returns_the_first_count(self, storage, session):
        finished = storage.finished(await storage.begin(session.ref))
        assert await storage.executions.finish(finished) == 1
        assert await storage.execute(session.ref) == 2
        assert await storage.executions.finish(finished) == 1
        assert (await storage.sessions.get(session.ref)).execution_count == 2

    async def test_finishing_twice_at_once_counts_once(self, storage, session):
        finished = storage.finished(await storage.begin(session.ref))
        assert await asyncio.gather(*(storage.executions.finish(finished) for _ in range(5))) == [1] * 5
        assert (await storage.sessions.get(session.ref)).execution_count == 1

    async def test_executions_that_finish_together_get_distinct_counts(self, storage):
        sessions = [await storage.add(owner) for owner in (ALICE, BOB)]
        open_ones = [(await storage.begin(s.ref)) for s in sessions for _ in range(10)]
        counts = await asyncio.gather(*(storage.executions.finish(storage.finished(one)) for one in open_ones))
        assert sorted(counts[:10]) == list(range(1, 11))
        assert sorted(counts[10:]) == list(range(1, 11))

    async def test_twenty_concurrent_executions_count_exactly_twenty(self, storage, session):
        counts = await asyncio.gather(*(storage.execute(session.ref) for _ in range(20)))
        assert sorted(counts) == list(range(1, 21))
        assert (await storage.sessions.get(session.ref)).execution_count == 20

    async def test_an_execution_also_counts_after_its_session_has_ended(self, storage, session):
        first = storage.finished(await storage.begin(session.ref))
        second = storage.finished(await storage.begin(session.ref))
        await storage.close(session)
        assert await storage.executions.finish(first) == 1
        storage.clock.advance(timedelta(days=1))
        assert await storage.executions.finish(second) == 2

    async def test_an_execution_without_any_record_is_lost(self, storage, session):
        admission = await storage.begin(session.ref)
        never_begun = evolve(admission, execution_id=storage.ids.new(storage.clock.now()))
        with pytest.raises(ExecutionLost):
            await storage.executions.finish(storage.finished(never_begun))
        with pytest.raises(ExecutionLost):
            await storage.executions.finish(storage.finished(evolve(never_begun, session=storage.new_session())))

    async def test_the_history_shows_how_an_execution_ended(self, storage, session):
        execution = await storage.begin(session.ref)
        report = report_of(
            stdout="ä\\\n", stderr="warned", memory_usage_bytes=1 << 33, cpu_time_ms=0.5, cold_start=True
        )
        await storage.executions.finish(storage.finished(execution, report))
        page = await storage.executions.page(session.ref, None, 5)
        assert page.items == [
            Execution(
                ref=session.ref,
                execution_id=execution.execution_id,
                status=ExecutionStatus.SUCCEEDED,
                execution_count=1,
                execution_time_ms=1.25,
                cpu_time_ms=0.5,
                memory_usage_bytes=1 << 33,
                cold_start=True,
                params=Payload('{"a": 5}', 8),
                result=Payload("8", 1),
                stdout=Payload("ä\\\n", 3),
                stderr=Payload("warned", 6),
            )
        ]
        assert page.next_after is None

    async def test_the_history_shows_why_an_execution_failed(self, storage, session):
        execution = await storage.begin(session.ref)
        failure = Failure(FailureCode.SCRIPT_ERROR, 'bad "x"\0\ud800', "TypeError", line=3)
        await storage.executions.finish(storage.finished(execution, report_of(result=None, failure=failure)))
        (row,) = (await storage.executions.page(session.ref, None, 5)).items
        assert row.status is ExecutionStatus.FAILED
        assert row.result is None
        assert json.loads(row.error.text) == {
            "code": "SCRIPT_ERROR",
            "message": 'bad "x"\N{REPLACEMENT CHARACTER}?',
            "name": "TypeError",
            "line": 3,
        }

    async def test_the_history_stores_the_beginning_of_long_payloads(self, storage, session):
        execution = await storage.begin(session.ref)
        long = "ä" * (PAYLOAD_LENGTH_MAX + 1)
        await storage.executions.finish(
            storage.finished(execution, report_of(result=JsonText(f'"{long}"'), stdout=long))
        )
        (row,) = (await storage.executions.page(session.ref, None, 5)).items
        assert row.result == Payload(f'"{long}'[:PAYLOAD_LENGTH_MAX], PAYLOAD_LENGTH_MAX + 3)
        assert row.stdout == Payload(long[:-1], PAYLOAD_LENGTH_MAX + 1)

    async def test_the_history_accepts_any_output(self, storage, session):
        execution = await storage.begin(session.ref)
        await storage.executions.finish(storage.finished(execution, report_of(stdout="a\0b", stderr="\udfff")))
        (row,) = (await storage.executions.page(session.ref, None, 5)).items
        assert row.stdout == Payload("a\N{REPLACEMENT CHARACTER}b", 3)
        assert row.stderr == Payload("?", 1)

    async def test_pages_hold_the_history_newest_first(self, storage, session):
        other = await storage.add()
        executions = []
        for _ in range(7):
            executions.append(await storage.begin(session.ref))
            await storage.executions.finish(storage.finished(executions[-1]))
            await storage.execute(other.ref)
            storage.clock.advance(timedelta(seconds=10))
        first = await storage.executions.page(session.ref, None, 4)
        rest = await storage.executions.page(session.ref, first.next_after, 3)
        found = [row.execution_id for row in (*first.items, *rest.items)]
        assert found == [execution.execution_id for execution in reversed(executions)]
        assert [row.execution_count for row in first.items] == [7, 6, 5, 4]
        assert first.next_after == executions[3].execution_id
        assert rest.next_after is None

    async def test_a_history_of_several_days_is_read_as_one(self, storage):
        session = await storage.add(ttl_seconds=10**6, lifetime_seconds_max=10**6)
        for _ in range(4):
            await storage.execute(session.ref)
            storage.clock.advance(timedelta(days=1))
        first = await storage.executions.page(session.ref, None, 3)
        rest = await storage.executions.page(session.ref, first.next_after, 3)
        assert [row.execution_count for row in (*first.items, *rest.items)] == [4, 3, 2, 1]

    @pytest.mark.parametrize("session_id", TAKEN, ids=str)
    async def test_the_history_of_a_session_is_found_whatever_its_id(self, storage, session_id):
        session = await storage.add_foreign(session_id, ttl_seconds=10**6, lifetime_seconds_max=10**6)
        own = await storage.add()
        await storage.execute(own.ref)
        for _ in range(3):
            await storage.execute(session.ref)
            storage.clock.advance(timedelta(days=1))
        page = await storage.executions.page(session.ref, None, 5)
        assert [row.execution_count for row in page.items] == [3, 2, 1]
        both = await storage.executions.page_of(session.ref.owner, [session_id, own.ref.session_id], None, 5)
        assert len(both.items) == 4
        since = ExecutionFilter(since=storage.clock.now() - timedelta(days=2))
        assert len((await storage.executions.page(session.ref, None, 5, since)).items) == 2

    async def test_a_page_of_one_outcome_shows_no_other(self, storage, session):
        failure = Failure(FailureCode.SCRIPT_ERROR, "bad")
        overdue = await storage.begin(session.ref)
        for n in range(6):
            execution = await storage.begin(session.ref)
            report = report_of(result=None, failure=failure) if n % 2 else report_of()
            await storage.executions.finish(storage.finished(execution, report))
        storage.clock.advance(overdue.deadline_at - storage.clock.now())
        counts = {"succeeded": [5, 3, 1], "failed": [6, 4, 2], "unknown": [None]}
        for outcome, expected in counts.items():
            wanted = ExecutionFilter(status=ExecutionStatus(outcome))
            page = await storage.executions.page(session.ref, None, 5, wanted)
            assert [row.execution_count for row in page.items] == expected
            assert page.next_after is None
        wanted = ExecutionFilter(status=ExecutionStatus.FAILED)
        first = await storage.executions.page(session.ref, None, 2, wanted)
        rest = await storage.executions.page(session.ref, first.next_after, 2, wanted)
        assert [row.execution_count for row in (*first.items, *rest.items)] == [6, 4, 2]

    async def test_a_page_since_an_instant_shows_executions_from_it_on(self, storage):
        session = await storage.add(ttl_seconds=10**6, lifetime_seconds_max=10**6)
        began_at = []
        for span in (timedelta(days=1), MOMENT, MOMENT, timedelta(days=2)):
            began_at.append(storage.clock.now())
            await storage.execute(session.ref)
            storage.clock.advance(span)
        for n, since in enumerate(began_at):
            page = await storage.executions.page(session.ref, None, 5, ExecutionFilter(since=since))
            assert [row.started_at for row in page.items] == began_at[n:][::-1]
        later = ExecutionFilter(since=storage.clock.now() + timedelta(days=1000))
        assert (await storage.executions.page(session.ref, None, 5, later)).items == []
        both = ExecutionFilter(ExecutionStatus.SUCCEEDED, began_at[1])
        first = await storage.executions.page(session.ref, None, 2, both)
        rest = await storage.executions.page(session.ref, first.next_after, 2, both)
        assert [row.execution_count for row in (*first.items, *rest.items)] == [4, 3, 2]

    async def test_an_execution_is_found_by_its_id(self, storage):
        session = await storage.add(ALICE)
        execution = await storage.begin(session.ref)
        with pytest.raises(ExecutionNotFound):
            await storage.executions.get(ALICE, execution.execution_id)
        await storage.executions.finish(storage.finished(execution))
        (row,) = (await storage.executions.page(session.ref, None, 5)).items
        assert await storage.executions.get(ALICE, execution.execution_id) == row
        anyones = evolve(row, ref=SessionRef(EVERY_OWNER, session.ref.session_id))
        assert await storage.executions.get(EVERY_OWNER, execution.execution_id) == anyones
        for owner, execution_id in ((BOB, execution.execution_id), (ALICE, storage.ids.new(storage.clock.now()))):
            with pytest.raises(ExecutionNotFound):
                await storage.executions.get(owner, execution_id)

    async def test_an_open_execution_is_found_from_its_deadline_on(self, storage, session):
        execution = await storage.begin(session.ref)
        storage.clock.advance(execution.deadline_at - storage.clock.now() - MOMENT)
        with pytest.raises(ExecutionNotFound):
            await storage.executions.get(session.ref.owner, execution.execution_id)
        storage.clock.advance(MOMENT)
        row = await storage.executions.get(session.ref.owner, execution.execution_id)
        assert row == Execution(session.ref, execution.execution_id, UNKNOWN)

    async def test_an_open_execution_reads_as_unknown_from_its_deadline_on(self, storage, session):
        execution = await storage.begin(session.ref)
        await storage.execute(session.ref)
        storage.clock.advance(execution.deadline_at - storage.clock.now() - MOMENT)
        outcomes = [row.status for row in (await storage.executions.page(session.ref, None, 5)).items]
        assert outcomes == [ExecutionStatus.SUCCEEDED]
        storage.clock.advance(MOMENT)
        rows = (await storage.executions.page(session.ref, None, 5)).items
        assert rows[1] == Execution(session.ref, execution.execution_id, UNKNOWN)
        assert (await storage.executions.page(session.ref, execution.execution_id, 5)).items == []

    async def test_an_overdue_execution_belongs_to_its_owner_and_its_day(self, storage):
        session = await storage.add(ALICE)
        execution = await storage.begin(session.ref)
        storage.clock.advance(execution.deadline_at - storage.clock.now())
        foreign = SessionRef(BOB, session.ref.session_id)
        assert (await storage.executions.page(foreign, None, 5)).items == []
        with pytest.raises(ExecutionNotFound):
            await storage.executions.get(BOB, execution.execution_id)
        began_at = uuid7_time(execution.execution_id)
        for since, count in ((began_at, 1), (began_at + MOMENT, 0)):
            page = await storage.executions.page(session.ref, None, 5, ExecutionFilter(since=since))
            assert len(page.items) == count

    async def test_an_unknown_session_has_no_history(self, storage):
        page = await storage.executions.page(storage.new_session().ref, None, 5)
        assert page.items == []
        assert page.next_after is None
