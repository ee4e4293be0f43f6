"""Several processes at once, locks held by others, lost responses."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from uuid import uuid4

import psycopg
import pytest
from attrs import evolve

from adapters.postgres.batching.call_queue import BatchKeys
from adapters.postgres.batching.locking_writes import KeyedLock
from adapters.postgres.connections.errors import StatementRefused
from adapters.postgres.gateway import Gateway, GatewayOptions
from adapters.postgres.repositories.executions import (
    BeginExecutions,
    ExecutionRepositoryOptions,
    PostgresExecutionRepository,
)
from adapters.postgres.repositories.history import HistoryOptions
from domain.errors import Overloaded, ShuttingDown, StorageUnavailable
from domain.executions.execution import ExecutionLost
from domain.executions.ports import ExecutionFilter
from domain.identity import EVERY_OWNER
from domain.json_text import JsonText
from domain.schedules.plan import SessionTarget
from domain.scripts.report import ExecutionStatus
from domain.sessions.ports import SessionFilter
from domain.sessions.session import (
    Renewal,
    Session,
    SessionClosed,
    SessionCondition,
    SessionNotFound,
    SessionPatch,
    UpdateConflict,
)
from tests.contracts.execution_repository import keeps_no_payloads
from tests.contracts.schedule_repository import Planner
from tests.contracts.storage import SCRIPT, Storage, report_of
from tests.integration.postgres.conftest import storage_on
from tests.integration.postgres.gateways import (
    SteeredGateway,
    fail_to_read,
    lose_response,
    lose_statement,
    see_nothing,
    skip,
    time_out,
)
from tests.support.acts import act
from tests.support.waiting import until


@pytest.fixture
async def other_storage(database_url, statements) -> AsyncIterator[Storage]:
    """The repositories of another process."""
    gateway = Gateway(GatewayOptions(database_url, request_timeout_s=10))
    await gateway.open()
    yield storage_on(gateway, statements, races_max=100)
    await gateway.close()


@pytest.fixture
def steered(gateway) -> SteeredGateway:
    return SteeredGateway(gateway)


@pytest.fixture
def storage(steered, statements) -> Storage:
    return storage_on(steered, statements, races_max=100)


@contextmanager
def locked(database_url: str, session: Session) -> Iterator[None]:
    """Hold the session's row as somebody outside of the service might."""
    with psycopg.connect(database_url) as connection:
        connection.execute("SELECT FROM meta.sessions WHERE request_id = %s FOR UPDATE", [session.ref.session_id])
        yield


class TestSeveralProcesses:
    async def test_twenty_executions_count_exactly_twenty(self, storage, other_storage):
        session = await storage.add(renewal=Renewal.SLIDING)
        other_storage.ids = storage.ids
        storage.clock.advance(timedelta(seconds=50))
        counts = await asyncio.gather(
            *(one.execute(session.ref) for one in (storage, other_storage) for _ in range(10))
        )
        assert sorted(counts) == list(range(1, 21))
        assert (await storage.sessions.get(session.ref)).execution_count == 20

    async def test_every_update_survives(self, storage, other_storage):
        session = await storage.add()
        now = storage.clock.now()

        def change(stored: Session) -> Session:
            return stored.patch(SessionPatch(), now)

        await asyncio.gather(
            *(one.sessions.update(session.ref, change) for one in (storage, other_storage) for _ in range(10))
        )
        assert (await storage.sessions.get(session.ref)).version == 21

    async def test_updates_keep_executions_and_renewals_that_happen_meanwhile(self, storage, other_storage, steered):
        session = await storage.add(renewal=Renewal.SLIDING)
        other_storage.ids = storage.ids
        other_storage.clock.advance(timedelta(seconds=50))

        async def execute_meanwhile(run):
            await other_storage.execute(session.ref)
            return await run()

        steered.steps["update_sessions"] = [execute_meanwhile]
        patch = SessionPatch(metadata=JsonText('{"m": 1}'))
        changed = await storage.sessions.update(session.ref, lambda s: s.patch(patch, storage.clock.now()))
        assert changed.execution_count == 1
        assert changed.last_executed_at == other_storage.clock.now()
        assert changed.expires_at == session.expires_at + timedelta(seconds=50)
        assert await storage.sessions.get(session.ref) == changed

    async def test_a_begin_does_not_wait_for_a_finish_of_the_same_session(self, storage, steered):
        session = await storage.add()
        execution, begun = (await storage.begin(session.ref)), []

        async def begin_meanwhile(run):
            begun.append(await asyncio.wait_for(storage.begin(session.ref), 5))
            return await run()

        steered.steps["finish_executions"] = [begin_meanwhile]
        assert await storage.executions.finish(storage.finished(execution)) == 1
        assert begun

    async def test_a_withdrawal_waits_for_a_begin_of_its_session(self, storage, steered):
        session, withdrawals = await storage.add(), []

        async def withdraw_meanwhile(run):
            withdrawals.append(asyncio.create_task(storage.executions.withdraw(uuid4(), session.ref)))
            await asyncio.sleep(0.05)
            assert "delete_open_executions" not in steered.statements
            return await run()

        steered.steps["begin_executions"] = [withdraw_meanwhile]
        await storage.begin(session.ref)
        await asyncio.gather(*withdrawals)
        assert steered.statements[-1] == "delete_open_executions"

    async def test_an_update_that_loses_every_race_is_a_conflict(self, steered, statements, other_storage):
        storage = storage_on(steered, statements, races_max=3)
        session = await storage.add()
        now = storage.clock.now()

        async def be_faster(run):
            await other_storage.sessions.update(session.ref, lambda s: s.patch(SessionPatch(), now))
            return await run()

        steered.steps["update_sessions"] = [be_faster] * 3
        with pytest.raises(UpdateConflict):
            await storage.sessions.update(session.ref, lambda s: s.close(now))
        assert (await storage.sessions.get(session.ref)).version == 4

    async def test_an_update_of_a_removed_session_finds_none(self, storage, steered, database_url):
        session = await storage.add()

        async def remove(run):
            with psycopg.connect(database_url) as connection:
                connection.execute("DELETE FROM meta.sessions")
            return await run()

        steered.steps["update_sessions"] = [remove]
        with pytest.raises(SessionNotFound):
            await storage.close(session)


class TestLocksOfOthers:
    """A lock held from outside delays the callers of its row, and no others."""

    @pytest.fixture
    async def sessions(self, storage) -> list[Session]:
        return [await storage.add(renewal=Renewal.SLIDING) for _ in range(3)]

    async def test_a_begin_that_renewswaits_for_a_lock_alone(self, storage, sessions, database_url):
        storage.clock.advance(timedelta(seconds=50))
        with locked(database_url, sessions[1]):
            tasks = [asyncio.create_task(storage.begin(session.ref)) for session in sessions]
            await asyncio.wait_for(asyncio.gather(tasks[0], tasks[2]), 5)
            assert not tasks[1].done()
        admission = await tasks[1]
        assert admission.session == sessions[1].admit(storage.clock.now())

    async def test_a_begin_without_renewal_does_not_wait(self, storage, sessions, database_url):
        with locked(database_url, sessions[1]):
            assert (await storage.begin(sessions[1].ref)).session == sessions[1]

    async def test_a_finishwaits_for_a_lock_alone(self, storage, sessions, database_url):
        executions = [(await storage.begin(session.ref)) for session in sessions]
        with locked(database_url, sessions[1]):
            tasks = [asyncio.create_task(storage.executions.finish(storage.finished(one))) for one in executions]
            assert await asyncio.wait_for(asyncio.gather(tasks[0], tasks[2]), 5) == [1, 1]
            assert not tasks[1].done()
        assert await tasks[1] == 1

    async def test_an_updatewaits_for_a_lock_alone(self, storage, sessions, database_url):
        with locked(database_url, sessions[1]):
            tasks = [asyncio.create_task(storage.close(session)) for session in sessions]
            await asyncio.wait_for(asyncio.gather(tasks[0], tasks[2]), 5)
            assert not tasks[1].done()
        assert (await tasks[1]).closed_at == storage.clock.now()

    async def test_a_session_that_is_closed_during_the_wait_is_closed(self, storage, sessions, steered, database_url):
        storage.clock.advance(timedelta(seconds=50))
        with psycopg.connect(database_url) as connection:
            connection.execute("UPDATE meta.sessions SET closed_at = %s", [storage.clock.now()])
            begin = asyncio.create_task(storage.begin(sessions[0].ref))
            await until(lambda: steered.statements.count("begin_executions") == 2)
            await until(lambda: waits_for_a_lock(database_url))
        error = (await asyncio.gather(begin, return_exceptions=True))[0]
        assert error.code == "SESSION_CLOSED"
        stored = await storage.sessions.get(sessions[0].ref)
        assert stored.expires_at == sessions[0].expires_at

    async def test_no_schedule_is_stored_for_a_session_that_is_closed_meanwhile(self, storage, sessions, database_url):
        planner, ref = Planner(storage, storage.schedules), sessions[0].ref
        other = await planner.add(sessions[1])
        to_closed = partial(evolve, plan=evolve(other.plan, target=SessionTarget(ref.session_id)))
        with psycopg.connect(database_url) as connection:
            connection.execute("UPDATE meta.sessions SET closed_at = %s", [storage.clock.now()])
            changing = storage.schedules.update(other.owner, other.schedule_id, to_closed, act())
            waiting = [asyncio.create_task(each) for each in (planner.add(sessions[0]), changing)]
            await until(lambda: waits_for_a_lock(database_url, 2))
        errors = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(each) for each in errors] == [SessionClosed, SessionClosed]
        assert (await storage.schedules.page(EVERY_OWNER, None, 9)).items == [other]

    async def test_an_execution_whose_begin_is_under_way_at_the_close_is_cancelled(
        self, storage, sessions, steered, statements, database_url
    ):
        ref, request = sessions[0].ref, storage.request(sessions[0].ref)
        with psycopg.connect(database_url) as late:
            begin = BeginExecutions(statements.executions.begin_executions)
            late.execute(statements.executions.begin_executions.sql, begin.parameters([request], "normal"))
            await storage.close(sessions[0])
            cancelling = asyncio.create_task(storage.queue.cancel_running(ref, storage.clock.now()))
            await until(lambda: "select_writers" in steered.statements)
            assert not cancelling.done(), "it waits for what began before"
            late.commit()
        assert await cancelling == {request.execution_id}
        assert await storage.queue.to_stop([(ref.session_id, request.execution_id)]) == {request.execution_id}

    async def test_an_update_that_loses_during_the_wait_is_applied_to_the_winner(
        self, storage, sessions, steered, database_url
    ):
        with psycopg.connect(database_url) as connection:
            connection.execute("UPDATE meta.sessions SET version = version + 1, metadata = '{\"won\": 1}'")
            update = asyncio.create_task(storage.close(sessions[0]))
            await until(lambda: steered.statements.count("update_sessions") == 2)
            await until(lambda: waits_for_a_lock(database_url))
        assert (await update).version == 3


class TestBadValues:
    async def test_a_value_that_the_database_refuses_fails_only_its_own_caller(self, storage):
        good = [storage.new_session() for _ in range(5)]
        bad = storage.new_session(metadata=JsonText("[]"))
        responses = await asyncio.gather(
            *(storage.sessions.add(session, SCRIPT) for session in (*good[:3], bad, *good[3:])), return_exceptions=True
        )
        assert isinstance(responses[3], StatementRefused)
        assert responses[:3] + responses[4:] == [None] * 5
        assert [await storage.sessions.get(session.ref) for session in good] == good


class TestLostResponses:
    async def test_an_update_whose_response_was_lost_is_found_stored(self, storage, steered):
        session = await storage.add()
        steered.steps["update_sessions"] = [lose_response]
        closed = await storage.close(session)
        assert (closed.version, closed.script_hash) == (2, None)
        assert await storage.sessions.get(session.ref) == closed

    async def test_a_lost_update_is_repeated(self, storage, steered):
        session = await storage.add()
        steered.steps["update_sessions"] = [lose_statement]
        closed = await storage.close(session)
        assert closed.version == 2
        assert await storage.sessions.get(session.ref) == closed

    async def test_an_update_whose_read_fails_is_not_stored(self, storage, steered):
        session = await storage.add()
        steered.steps["select_sessions"] = [fail_to_read]
        with pytest.raises(StorageUnavailable) as caught:
            await storage.close(session)
        assert caught.value.stored == "no"

    async def test_an_update_whose_owner_cannot_be_read_is_not_stored(self, storage, steered):
        session = await storage.add()
        steered.steps["select_session_owner"] = [fail_to_read]
        with pytest.raises(StorageUnavailable) as caught:
            await storage.sessions.update(evolve(session.ref, owner=EVERY_OWNER), lambda stored: stored)
        assert caught.value.stored == "no"

    async def test_an_update_whose_first_write_may_cause_its_refusal_is_unknown(self, storage, steered):
        session = await storage.add()
        steered.steps["update_sessions"] = [lose_response]

        def change(stored: Session) -> Session:
            SessionCondition(frozenset({"1"})).require(stored)
            return stored.patch(SessionPatch(), storage.clock.now())

        with pytest.raises(StorageUnavailable) as caught:
            await storage.sessions.update(session.ref, change)
        assert caught.value.stored == "unknown"

    async def test_an_update_that_is_lost_twice_is_unknown(self, storage, steered):
        session = await storage.add()
        steered.steps["update_sessions"] = [lose_statement] * 2
        with pytest.raises(StorageUnavailable) as caught:
            await storage.close(session)
        assert caught.value.stored == "unknown"

    async def test_an_update_that_was_not_stored_says_so(self, storage, steered):
        session = await storage.add()
        steered.steps["update_sessions"] = [time_out]
        with pytest.raises(StorageUnavailable) as caught:
            await storage.close(session)
        assert caught.value.stored == "no"

    async def test_a_count_that_a_first_read_misses_is_found_by_a_second(self, storage, steered):
        session = await storage.add()
        finished = storage.finished(await storage.begin(session.ref))
        await storage.executions.finish(finished)
        steered.steps["select_execution_counts"] = [see_nothing]
        assert await storage.executions.finish(finished) == 1

    async def test_a_count_that_two_reads_miss_is_lost(self, storage, steered):
        session = await storage.add()
        finished = storage.finished(await storage.begin(session.ref))
        await storage.executions.finish(finished)
        steered.steps["select_execution_counts"] = [see_nothing] * 2
        with pytest.raises(ExecutionLost):
            await storage.executions.finish(finished)

    async def test_a_finish_whose_count_cannot_be_read_is_unknown(self, storage, steered):
        session = await storage.add()
        finished = storage.finished(await storage.begin(session.ref))
        await storage.executions.finish(finished)
        steered.steps["select_execution_counts"] = [time_out]
        with pytest.raises(StorageUnavailable) as caught:
            await storage.executions.finish(finished)
        assert caught.value.stored == "unknown"


class TestBounds:
    async def test_a_call_that_the_lock_wait_skips_is_not_stored(self, storage, steered):
        session = await storage.add()
        finished = storage.finished(await storage.begin(session.ref))
        steered.steps["finish_executions"] = [skip, skip]
        with pytest.raises(StorageUnavailable) as caught:
            await storage.executions.finish(finished)
        assert caught.value.stored == "no"
        assert await storage.executions.finish(finished) == 1

    async def test_closed_repositories_refuse_calls(self, storage):
        session = await storage.add()
        execution = await storage.begin(session.ref)
        coalescers = (*storage.sessions.coalescers, *storage.executions.coalescers)
        assert len({coalescer.name for coalescer in coalescers}) == len(coalescers)
        await asyncio.gather(*(coalescer.close() for coalescer in coalescers))
        for call in (
            storage.add(),
            storage.sessions.get(session.ref),
            storage.sessions.script(session.ref),
            storage.close(session),
            storage.begin(session.ref),
            storage.executions.withdraw(execution.execution_id, session.ref),
            storage.executions.finish(storage.finished(execution)),
        ):
            with pytest.raises(ShuttingDown):
                await call

    async def test_keyed_locks_are_bounded_and_forgotten(self):
        turns = KeyedLock(2)
        async with turns.hold("a"), turns.hold("b"):
            with pytest.raises(Overloaded):
                async with turns.hold("c"):
                    pass
            assert len(turns) == 2
        assert len(turns) == 0

    async def test_large_contexts_make_a_page_end_early(self, gateway, statements):
        storage = storage_on(gateway, statements, page_bytes_max=2500)
        context = JsonText(f'{{"a": "{"x" * 1000}"}}')
        sessions = [await storage.add(context=context) for _ in range(5)]
        page = await storage.sessions.page(sessions[0].ref.owner, SessionFilter(storage.clock.now()), None, 5)
        assert page.items == sessions[:2:-1]
        assert await storage.listed(size=5) == sessions[::-1]

    async def test_large_payloads_make_a_page_of_the_history_end_early(self, storage, gateway, statements):
        session = await storage.add()
        for _ in range(5):
            execution = await storage.begin(session.ref)
            await storage.executions.finish(storage.finished(execution, report_of(stdout="x" * 1000)))
        options = ExecutionRepositoryOptions(history=HistoryOptions(page_bytes_max=2500))
        narrow = PostgresExecutionRepository(gateway, statements.executions, storage.clock, BatchKeys(), options)
        found, after = [], None
        for size in (2, 2, 1):
            page = await narrow.page(session.ref, after, 5)
            assert len(page.items) == size
            found += page.items
            after = page.next_after
        assert [row.execution_count for row in found] == [5, 4, 3, 2, 1]
        assert after is None

    async def test_a_page_of_one_outcome_examines_a_bounded_number_of_rows(self, storage, gateway, statements):
        session = await storage.add()
        for _ in range(7):
            await storage.execute(session.ref)
        options = ExecutionRepositoryOptions(history=HistoryOptions(examined_max=3))
        narrow = PostgresExecutionRepository(gateway, statements.executions, storage.clock, BatchKeys(), options)
        pages, after = 0, None
        while pages == 0 or after is not None:
            page = await narrow.page(session.ref, after, 2, ExecutionFilter(ExecutionStatus.FAILED))
            assert page.items == []
            pages, after = pages + 1, page.next_after
        assert pages == 3

    async def test_a_history_without_payloads_stores_none(self, storage, gateway, statements):
        options = ExecutionRepositoryOptions(history=HistoryOptions(full=False))
        storage.executions = PostgresExecutionRepository(
            gateway, statements.executions, storage.clock, BatchKeys(), options
        )
        await keeps_no_payloads(storage)

    async def test_a_page_holds_one_session_however_large(self, gateway, statements):
        storage = storage_on(gateway, statements, page_bytes_max=1)
        sessions = [await storage.add() for _ in range(3)]
        assert await storage.listed(size=5) == sessions[::-1]


def waits_for_a_lock(database_url: str, waiting_min: int = 1) -> bool:
    with psycopg.connect(database_url) as connection:
        waiting = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        return len(connection.execute(waiting).fetchall()) >= waiting_min
