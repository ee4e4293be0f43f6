"""Idempotency keys among several processes, rows that are not seen yet, locks of others, lost responses."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import psycopg
import pytest

from adapters.postgres import codec
from adapters.postgres.batching.call_queue import BatchKeys
from adapters.postgres.gateway import Gateway, GatewayOptions
from adapters.postgres.repositories.executions import ExecutionRepositoryOptions, PostgresExecutionRepository
from adapters.postgres.repositories.history import HistoryOptions
from adapters.postgres.repositories.keyed_executions import PostgresKeyedExecutionRepository, report_text
from domain.errors import ShuttingDown, StorageUnavailable
from domain.executions.execution import Executed, OpenExecution
from domain.idempotency import KEPT_FOR, NO_SESSION, IdempotencyKey, KeyInFlight
from domain.json_text import JsonText
from domain.sessions.session import Renewal
from tests.contracts.keyed_call_repository import KEY, SAME_NAME, made_of
from tests.contracts.storage import SCRIPT, Storage, report_of
from tests.integration.postgres.conftest import storage_on
from tests.integration.postgres.gateways import SteeredGateway, lose_response, skip
from tests.integration.postgres.test_concurrency import locked, waits_for_a_lock
from tests.support.waiting import until

INSERT = (
    "INSERT INTO meta.idempotency_keys VALUES "
    "(%s, %s, %s, decode(%s, 'hex'), gen_random_uuid(), 'python-x', %s, %s, NULL, %s, NULL)"
)
END = "UPDATE meta.idempotency_keys SET execution_count = 1, answer = %s, result = '8'"


@pytest.fixture
def steered(gateway) -> SteeredGateway:
    return SteeredGateway(gateway)


@pytest.fixture
def storage(steered, statements) -> Storage:
    return storage_on(steered, statements)


@pytest.fixture
async def other_storage(database_url, statements, storage) -> AsyncIterator[Storage]:
    """The repositories of another process."""
    gateway = Gateway(GatewayOptions(database_url, request_timeout_s=10))
    await gateway.open()
    other = storage_on(gateway, statements)
    other.ids = storage.ids
    yield other
    await gateway.close()


def somebody_elses(connection, storage: Storage, session_id: UUID, response: str | None = None) -> None:
    """Let somebody else have the key."""
    now = storage.clock.now()
    values = [session_id, "anonymous", KEY.value, KEY.payload_hash, now + timedelta(hours=1), now + KEPT_FOR, response]
    connection.execute(INSERT, values)


async def test_one_call_of_two_processes_with_one_key_runs(storage, other_storage):
    sessions = [await storage.add() for _ in range(5)]
    requests = [(one, one.request(session.ref)) for session in sessions for one in (storage, other_storage) * 10]
    responses = await asyncio.gather(
        *(one.keyed_executions.begin(*request, KEY) for one, request in requests), return_exceptions=True
    )
    begun = [response for response in responses if isinstance(response, OpenExecution)]
    assert {admission.session.ref for admission in begun} == {session.ref for session in sessions}
    assert len(begun) == len(sessions)
    assert {type(response) for response in responses} == {OpenExecution, KeyInFlight}
    returned = await asyncio.gather(
        *(storage.keyed_executions.finish(storage.finished(admission), KEY) for admission in begun)
    )
    assert returned == [1] * 5
    for session in sessions:
        assert isinstance(
            await other_storage.keyed_executions.begin(*other_storage.request(session.ref), KEY), Executed
        )


async def test_one_initialize_of_two_processes_with_one_key_makes_a_session(storage, other_storage):
    pairs = [(one, storage.new_session()) for one in (storage, other_storage) * 10]
    returned = await asyncio.gather(
        *(one.keyed_sessions.initialize(made_of(new), new, SCRIPT, KEY) for one, new in pairs)
    )
    assert len({each.ref for each in returned}) == 1
    assert len(await storage.listed(size=50)) == 1


async def test_keys_in_any_order_do_not_block_each_other(storage, other_storage):
    sessions = [await storage.add() for _ in range(20)]
    keys = [IdempotencyKey(f"key {n}", "0" * 64) for n in range(5)]
    calls = [(session, key) for session in sessions for key in keys]
    responses = await asyncio.gather(
        *(storage.keyed_executions.begin(*storage.request(session.ref), key) for session, key in calls),
        *(other_storage.keyed_executions.begin(*storage.request(session.ref), key) for session, key in reversed(calls)),
        return_exceptions=True,
    )
    assert {type(response) for response in responses} == {OpenExecution, KeyInFlight}
    assert sum(isinstance(response, OpenExecution) for response in responses) == len(calls)


async def test_a_call_that_waits_for_an_invisible_row_is_repeated(storage, steered, database_url):
    session = await storage.add(renewal=Renewal.SLIDING)
    storage.clock.advance(timedelta(seconds=50))
    with psycopg.connect(database_url) as connection:
        somebody_elses(connection, storage, session.ref.session_id)
        begin = asyncio.create_task(storage.keyed_executions.begin(*storage.request(session.ref), KEY))
        await until(lambda: waits_for_a_lock(database_url))
    with pytest.raises(KeyInFlight):
        await begin
    assert steered.statements.count("begin_keyed_executions") == 2
    assert await storage.sessions.get(session.ref) == session, "who does not have the key renews nothing"


async def test_a_call_that_waits_for_a_row_that_is_rolled_back_takes_the_key(storage, database_url):
    session = await storage.add()
    with psycopg.connect(database_url) as connection:
        somebody_elses(connection, storage, session.ref.session_id)
        begin = asyncio.create_task(storage.keyed_executions.begin(*storage.request(session.ref), KEY))
        await until(lambda: waits_for_a_lock(database_url))
        connection.rollback()
    assert isinstance(await begin, OpenExecution)


async def test_a_begin_that_is_repeated_while_its_execution_ends_keeps_the_response(storage, steered, database_url):
    session = await storage.add()
    request = storage.request(session.ref)
    await storage.keyed_executions.begin(*request, KEY)
    with psycopg.connect(database_url) as connection:
        connection.execute(END, [report_text(report_of())])
        again = asyncio.create_task(storage.keyed_executions.begin(*request, KEY))
        await until(lambda: waits_for_a_lock(database_url))
    returned = await again
    assert (returned.replayed, returned.execution_count, returned.report) == (True, 1, report_of())
    assert steered.statements.count("begin_keyed_executions") == 3
    assert await storage.keyed_executions.begin(*storage.request(session.ref), KEY) == returned


async def test_an_initialize_that_waits_for_an_invisible_row_is_repeated(storage, steered, database_url):
    session = storage.new_session()
    response = '{"expires_at": "2026-01-01T00:00:00Z", "script_hash": "a", "syntax_checked": true, "later": 1}'
    with psycopg.connect(database_url) as connection:
        somebody_elses(connection, storage, NO_SESSION, response)
        making = asyncio.create_task(storage.keyed_sessions.initialize(made_of(session), session, SCRIPT, KEY))
        await until(lambda: waits_for_a_lock(database_url))
    returned = await making
    assert (returned.replayed, returned.script_hash) == (True, "a")
    assert steered.statements.count("insert_keyed_sessions") == 2
    assert await storage.listed() == []


async def test_a_call_that_loses_every_race_is_in_flight(storage, steered):
    session = await storage.add()

    async def miss(_):
        return [(1, "missed", None)]

    steered.steps["begin_keyed_executions"] = [miss] * 3
    with pytest.raises(KeyInFlight):
        await storage.keyed_executions.begin(*storage.request(session.ref), KEY)
    assert isinstance(await storage.keyed_executions.begin(*storage.request(session.ref), KEY), OpenExecution)


async def test_a_begin_whose_response_was_lost_is_repeated_for_the_same_execution(storage, steered):
    session = await storage.add()
    steered.steps["begin_keyed_executions"] = [lose_response]
    request = storage.request(session.ref)
    with pytest.raises(StorageUnavailable):
        await storage.keyed_executions.begin(*request, KEY)
    with pytest.raises(KeyInFlight):
        await storage.keyed_executions.begin(*storage.request(session.ref), KEY)
    assert (await storage.keyed_executions.begin(*request, KEY)).execution_id == request.execution_id


async def test_an_initialize_whose_response_was_lost_is_repeated_for_the_same_session(storage, steered):
    session, other = storage.new_session(), storage.new_session()
    steered.steps["insert_keyed_sessions"] = [lose_response]
    with pytest.raises(StorageUnavailable):
        await storage.keyed_sessions.initialize(made_of(session), session, SCRIPT, KEY)
    assert await storage.keyed_sessions.initialize(made_of(session), session, SCRIPT, KEY) == made_of(session)
    assert (await storage.keyed_sessions.initialize(made_of(other), other, SCRIPT, KEY)).ref == session.ref
    assert len(await storage.listed()) == 1


async def test_an_end_whose_response_was_lost_is_replayed(storage, steered):
    session = await storage.add()
    execution = await storage.keyed_executions.begin(*storage.request(session.ref), KEY)
    steered.steps["finish_keyed_executions"] = [lose_response]
    finished = storage.finished(execution)
    with pytest.raises(StorageUnavailable):
        await storage.keyed_executions.finish(finished, KEY)
    assert (await storage.keyed_executions.begin(*storage.request(session.ref), KEY)).execution_count == 1
    assert await storage.keyed_executions.finish(finished, KEY) == 1
    assert (await storage.sessions.get(session.ref)).execution_count == 1


async def test_a_begin_that_renewswaits_for_a_lock_alone(storage, database_url):
    sessions = [await storage.add(renewal=Renewal.SLIDING) for _ in range(3)]
    storage.clock.advance(timedelta(seconds=50))
    with locked(database_url, sessions[1]):
        tasks = [
            asyncio.create_task(storage.keyed_executions.begin(*storage.request(each.ref), KEY)) for each in sessions
        ]
        await asyncio.wait_for(asyncio.gather(tasks[0], tasks[2]), 5)
        assert not tasks[1].done()
    admission = await tasks[1]
    assert admission.session == sessions[1].admit(storage.clock.now())


async def test_a_replay_does_not_wait_for_locks(storage, database_url):
    session = await storage.add(renewal=Renewal.SLIDING)
    execution = await storage.keyed_executions.begin(*storage.request(session.ref), KEY)
    await storage.keyed_executions.finish(storage.finished(execution), KEY)
    storage.clock.advance(timedelta(seconds=50))
    with locked(database_url, session):
        assert isinstance(await storage.keyed_executions.begin(*storage.request(session.ref), KEY), Executed)


async def test_a_finishwaits_for_a_lock_alone(storage, database_url):
    sessions = [await storage.add() for _ in range(3)]
    begun = [await storage.keyed_executions.begin(*storage.request(session.ref), KEY) for session in sessions]
    with locked(database_url, sessions[1]):
        tasks = [
            asyncio.create_task(storage.keyed_executions.finish(storage.finished(admission), KEY))
            for admission in begun
        ]
        assert await asyncio.wait_for(asyncio.gather(tasks[0], tasks[2]), 5) == [1, 1]
        assert not tasks[1].done()
    assert await tasks[1] == 1


async def test_a_finish_that_the_lock_wait_skips_is_not_stored(storage, steered):
    session = await storage.add()
    execution = await storage.keyed_executions.begin(*storage.request(session.ref), KEY)
    steered.steps["finish_keyed_executions"] = [skip, skip]
    with pytest.raises(StorageUnavailable) as caught:
        await storage.keyed_executions.finish(storage.finished(execution), KEY)
    assert caught.value.stored == "no"
    assert await storage.keyed_executions.finish(storage.finished(execution), KEY) == 1


async def test_calls_without_keys_run_no_statement_about_keys(storage, steered):
    session = await storage.add()
    await storage.execute(session.ref)
    assert steered.statements == ["insert_sessions", "begin_executions", "finish_executions"]


async def test_a_response_is_replayed_whole_without_payloads_in_the_history(storage, gateway, statements):
    options, writing = ExecutionRepositoryOptions(history=HistoryOptions(full=False)), BatchKeys()
    executions = PostgresExecutionRepository(gateway, statements.executions, storage.clock, writing, options)
    keyed = PostgresKeyedExecutionRepository(gateway, statements.keyed_calls, executions, writing)
    session, report = await storage.add(), report_of(result=JsonText(f'"{"x" * 70_000}"'), stdout="y" * 70_000)
    execution = await keyed.begin(*storage.request(session.ref), KEY)
    await keyed.finish(storage.finished(execution, report), KEY)
    assert (await keyed.begin(*storage.request(session.ref), KEY)).report == report
    (row,) = (await executions.page(session.ref, None, 5)).items
    assert {row.params, row.result, row.error, row.stdout, row.stderr} == {None}


async def test_a_closed_repository_refuses_calls(storage):
    session = await storage.add()
    execution = await storage.keyed_executions.begin(*storage.request(session.ref), KEY)
    coalescers = (*storage.sessions.coalescers, *storage.executions.coalescers)
    coalescers += (*storage.keyed_sessions.coalescers, *storage.keyed_executions.coalescers)
    assert len({coalescer.name for coalescer in coalescers}) == len(coalescers)
    await asyncio.gather(*(coalescer.close() for coalescer in coalescers))
    new = storage.new_session()
    for call in (
        storage.keyed_executions.begin(*storage.request(session.ref), SAME_NAME),
        storage.keyed_executions.withdraw(execution.execution_id, session.ref, KEY),
        storage.keyed_executions.finish(storage.finished(execution), KEY),
        storage.keyed_sessions.initialize(made_of(new), new, SCRIPT, KEY),
        storage.keyed_sessions.initialized(new.ref.owner, KEY, storage.clock.now()),
    ):
        with pytest.raises(ShuttingDown):
            await call


async def test_statements_by_key_use_an_index_whatever_the_size(storage, database_url, statements):
    session = await storage.add()
    ids = {"request_ids": codec.uuids([session.ref.session_id]), "owners": codec.texts(["anonymous"])}
    keys = {**ids, "keys": codec.texts([KEY.value]), "execution_ids": ids["request_ids"]}
    begin = {"payload_hashes": "{00}", "partitions": "{1}", "started_ats": "{2026-01-01}", "allowances": "{1 s}"}
    look = {"owners": ids["owners"], "keys": keys["keys"], "nows": "{2026-01-01}", "no_session": NO_SESSION}
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO meta.idempotency_keys SELECT gen_random_uuid(), 'anonymous', n::text, sha256(n::text::bytea), "
            "gen_random_uuid(), 'python-x', '2026-01-01', '2026-01-02' FROM generate_series(1, 5000) AS n"
        )
        connection.execute("ANALYZE meta.idempotency_keys")
        for statement, parameters in (
            (statements.keyed_calls.begin_keyed_executions, {**keys, **begin, "kept_for": KEPT_FOR, "waits": False}),
            (statements.keyed_calls.withdraw_keyed_executions, keys),
            (statements.keyed_calls.select_keyed_sessions, look),
        ):
            rows = connection.execute(f"EXPLAIN {statement.sql}", parameters).fetchall()
            plan = "\n".join(row[0] for row in rows)
            assert "Seq Scan on idempotency_keys" not in plan
