"""Entries bring their params along wherever they move: one statement moves a bounded number of bytes, or one entry."""

import asyncio
import random
from functools import partial

import psycopg
import pytest
from attrs import evolve

from adapters.postgres.batching.call_queue import BatchKeys
from adapters.postgres.repositories.owner_mover import OwnerMoverOptions, PostgresOwnerMover
from adapters.postgres.repositories.purges import PostgresOwnerPurger, PostgresSessionPurger
from adapters.postgres.repositories.queue import PostgresExecutionQueue
from adapters.postgres.retention.entry_ender import EntryEnder, QueueLimits
from domain.audit import ActName
from domain.files.asked import AskedFile, AskedFiles
from domain.idempotency import KEPT_FOR
from domain.identity import ANONYMOUS
from domain.scripts.report import ExecutionStatus
from tests.contracts.execution_queue import FAILED, QueueOfOne
from tests.integration.postgres.gateways import SteeredGateway
from tests.support.acts import act
from tests.support.waiting import until

ONE = QueueLimits(bytes_max=1)
INLINE = AskedFiles((AskedFile("a", content=random.Random(1).randbytes(3000)),))


@pytest.fixture
def process(gateway, statements, storage):
    queue = PostgresExecutionQueue(gateway, statements, storage.executions, BatchKeys(), ONE)
    return QueueOfOne(evolve(storage, queue=queue))


async def test_a_claim_takes_no_more_bytes_than_its_limit_or_one_entry(process):
    session = await process.storage.add()
    entries = [(await process.add(session)).execution_id for _ in range(3)]
    assert [await process.claimed_ids() for _ in range(4)] == [*([each] for each in entries), []]


async def test_files_in_the_request_count_as_params_do(gateway, statements, storage):
    queue = PostgresExecutionQueue(gateway, statements, storage.executions, BatchKeys(), QueueLimits(bytes_max=2000))
    process, session = QueueOfOne(evolve(storage, queue=queue)), await storage.add()
    entries = [(await process.add(session, files=INLINE)).execution_id for _ in range(2)]
    assert [await process.claimed_ids() for _ in range(3)] == [*([each] for each in entries), []]


async def test_an_erased_execution_keeps_no_file_of_its_request(process, database_url):
    session = await process.storage.add()
    entry = await process.add(session, priority_s=7, files=INLINE)
    await process.finish(await process.claim_one())
    with psycopg.connect(database_url) as connection:
        read = partial(connection.execute, "SELECT options FROM meta.idempotency_keys")
        assert read().fetchone()[0]["files"]
        erased = entry.execution_id, session.ref.session_id, act(ActName.EXECUTIONS_ERASE)
        await process.queue.erase(ANONYMOUS, *erased)
        (options,) = read().fetchone()
    assert "files" not in options
    assert options["priority_s"] == 7


async def test_all_entries_end_however_large_they_are(process, gateway, statements):
    session = await process.storage.add()
    entries = [(await process.add(session)).execution_id for _ in range(3)]
    live = await process.add(await process.storage.add())
    await process.storage.close(session)
    now, ender = process.storage.clock.now(), EntryEnder(gateway, statements.queue_sweeps, ONE)
    assert await ender.end([(live.ref.session_id, live.execution_id)], now) == 0
    assert await ender.end_of(session.ref.session_id, now) == 3
    assert [await process.status(each) for each in entries] == [ExecutionStatus.CANCELLED] * 3
    assert await process.claimed_ids() == [live.execution_id]


@pytest.fixture
def steered(gateway):
    return SteeredGateway(gateway)


@pytest.fixture
def purgers(steered, statements, storage):
    """Return the purgers of a session and of its owner, for a limit on bytes."""
    mover = PostgresOwnerMover(steered, statements, storage.clock)
    named = steered, statements.purges, storage.clock

    def of_limit(bytes_max):
        of_session = PostgresSessionPurger(*named, KEPT_FOR, bytes_max=bytes_max)
        of_owner = PostgresOwnerPurger(*named, mover, OwnerMoverOptions(bytes_max=bytes_max))
        return of_session, of_owner

    return of_limit


async def test_a_purge_of_a_session_erases_no_more_bytes_in_one_statement_than_its_limit_or_one_row(
    process, purgers, steered, database_url
):
    session = await process.storage.add()
    for _ in range(3):
        await process.add(session)
        await process.finish((await process.claim(1))[0], FAILED)
    for _ in range(4):
        await process.add(session)
    await process.storage.close(session)
    of_session, _ = purgers(1)
    await of_session.purge(session.ref, act(ActName.SESSIONS_PURGE))
    assert steered.statements.count("purge_session") == 5  # the last one finds nothing
    with psycopg.connect(database_url) as connection:
        for table in ("queued_executions", "idempotency_keys", "executions"):
            assert connection.execute(f"SELECT count(*) FROM meta.{table}").fetchone() == (0,)


async def test_a_purge_of_an_owner_erases_no_more_bytes_in_one_statement_than_its_limit_or_one_row(
    process, purgers, steered, database_url
):
    session = await process.storage.add()
    for _ in range(2):
        await process.add(session)
        await process.finish((await process.claim(1))[0], FAILED)
    for _ in range(3):
        await process.add(session)
    _, of_owner = purgers(1)
    await drained(of_owner.purge(ANONYMOUS, act(ActName.OWNERS_PURGE)))
    languages, passes = 2, 2
    assert steered.statements.count("purge_queue") == 3 + languages * passes
    assert steered.statements.count("purge_keys") == 2 + 1
    with psycopg.connect(database_url) as connection:
        for table in ("queued_executions", "idempotency_keys", "executions"):
            assert connection.execute(f"SELECT count(*) FROM meta.{table}").fetchone() == (0,)


WAITING = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"


@pytest.mark.parametrize("table", ["queued_executions", "open_executions"])
@pytest.mark.parametrize("whole", [False, True], ids=["session", "owner"])
async def test_purges_lock_rows_in_the_order_of_their_ids(process, purgers, database_url, table, whole):
    session, (of_session, of_owner) = await process.storage.add(), purgers(2**20)
    entries = [await process.add(session) for _ in range(3)]
    if table == "open_executions":
        while await process.claim(1):
            pass
    first, *others = sorted(each.execution_id for each in entries)
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as other:
        await stored_backwards(other, table)
        async with other.transaction():
            await other.execute(f"SELECT FROM meta.{table} WHERE execution_id = %s FOR UPDATE", [first])
            purging = asyncio.create_task(
                drained(of_owner.purge(ANONYMOUS, act(ActName.OWNERS_PURGE)))
                if whole
                else of_session.purge(session.ref, act(ActName.SESSIONS_PURGE))
            )
            await until(partial(is_waiting, database_url), 30)
            locked = await other.execute(
                f"SELECT execution_id FROM meta.{table} WHERE execution_id = any(%s) FOR UPDATE SKIP LOCKED", [others]
            )
            assert {each for (each,) in await locked.fetchall()} == set(others)
    await purging


async def drained(steps):
    async for _ in steps:
        pass


async def is_waiting(database_url):
    async with await psycopg.AsyncConnection.connect(database_url) as watcher:
        return await (await watcher.execute(WAITING)).fetchone() is not None


async def stored_backwards(connection, table):
    """Store the rows again, the newest first, so that a scan of the table meets them in this order."""
    await connection.execute(f"CREATE TEMPORARY TABLE moved AS SELECT * FROM meta.{table}")
    await connection.execute(f"DELETE FROM meta.{table}")
    await connection.execute(f"INSERT INTO meta.{table} SELECT * FROM moved ORDER BY execution_id DESC")
