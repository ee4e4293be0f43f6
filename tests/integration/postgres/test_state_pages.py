"""A list of executions examines a bounded number of entries, however many wait, and shows each execution once."""

from datetime import timedelta
from uuid import UUID

import psycopg
import pytest
from attrs import evolve

from adapters.postgres.batching.call_queue import BatchKeys
from adapters.postgres.connections.connection import GatewayConnection
from adapters.postgres.gateway_options import GatewayOptions
from adapters.postgres.repositories.queue import PostgresExecutionQueue
from adapters.postgres.retention.entry_ender import QueueLimits
from domain.queue.ports import StateFilter
from domain.scripts.report import ExecutionStatus
from tests.contracts.execution_queue import FAILED, LONG, QueueOfOne
from tests.contracts.storage import ALICE, BOB

MANY = """
INSERT INTO meta.queued_executions (execution_id, request_id, ready_at, not_before, expires_at, kept_until, slot,
    in_order, owner, language, title, params)
SELECT gen_random_uuid(), gen_random_uuid(), now(), now(), '2100-01-01', '2100-01-01', 1, FALSE, owner, 'python', 't', '{}'
FROM unnest(ARRAY['alice', 'bob']) AS owner CROSS JOIN generate_series(1, 5000)
"""
ROWS_READ = """
SELECT sum(pg_stat_get_xact_tuples_returned(c.oid) + pg_stat_get_xact_tuples_fetched(c.oid))
FROM pg_class AS c WHERE c.relname ^@ 'queued_executions'
"""


@pytest.fixture
def process(gateway, statements, storage):
    limits = QueueLimits(page_rows_max=3, page_entries_max=4)
    queue = PostgresExecutionQueue(gateway, statements, storage.executions, BatchKeys(), limits)
    return QueueOfOne(evolve(storage, queue=queue))


async def listed(process: QueueOfOne, size: int, **wanted) -> list[UUID]:
    found, after = [], None
    for _ in range(100):
        page = await process.queue.page(ALICE, after, size, process.storage.clock.now(), StateFilter(**wanted))
        assert len(page.items) <= size
        found += [each.execution_id for each in page.items]
        after = page.next_after
        if after is None:
            return found
    raise AssertionError("it never ends")


@pytest.mark.parametrize("size", [1, 2, 10])
async def test_pages_of_an_owner_with_many_entries_show_each_execution_once(process, size):
    ours, theirs = await process.storage.add(ALICE, **LONG), await process.storage.add(BOB, **LONG)
    ended = [(await process.add(ours)).execution_id for _ in range(3)]
    for _ in ended:
        await process.finish((await process.claim(1))[0], FAILED)
    running = (await process.add(ours)).execution_id
    await process.claim(1)
    waiting = []
    for number in range(15):
        process.storage.clock.advance(timedelta(seconds=1))
        entry = await process.add(ours if number % 3 == 0 else theirs)
        waiting += [entry.execution_id] if entry.ref == ours.ref else []
    for _ in range(6):
        await process.add(theirs)
    assert await listed(process, size) == sorted([*ended, running, *waiting], reverse=True)
    assert await listed(process, size, status=ExecutionStatus.QUEUED) == waiting[::-1]


async def test_a_page_reads_few_entries_of_many(database_url, statements):
    conninfo = GatewayOptions(database_url).conninfo
    with psycopg.connect(database_url, autocommit=True) as filling:
        filling.execute(MANY)
        filling.execute("ANALYZE meta.queued_executions")
    page = {"owner": "alice", "languages": "{python,nodejs}", "after": None, "since": None, "request_id": None}
    page |= {"status": None, "now": "2026-01-01", "entries_max": 100, "rows_max": 50, "size": 20}
    connection = await GatewayConnection.connect(conninfo, autocommit=True, prepare_threshold=0, address_timeout_s=10)
    async with connection, connection.transaction():
        found = await connection.run(statements.queue_states.select_state_page, page)
        assert len(found) == 20
        cursor = await connection.execute(ROWS_READ)
        assert (await cursor.fetchall())[0][0] <= 1000
