"""Entries bring their params along wherever they move: one statement moves a bounded number of bytes, or one entry."""

import pytest
from attrs import evolve

from adapters.postgres.batching.call_queue import BatchKeys
from adapters.postgres.repositories.queue import PostgresExecutionQueue
from adapters.postgres.retention.entry_ender import EntryEnder, QueueLimits
from domain.scripts.report import ExecutionStatus
from tests.contracts.execution_queue import QueueOfOne

ONE = QueueLimits(bytes_max=1)


@pytest.fixture
def process(gateway, statements, storage):
    queue = PostgresExecutionQueue(gateway, statements, storage.executions, BatchKeys(), ONE)
    return QueueOfOne(evolve(storage, queue=queue))


async def test_a_claim_takes_no_more_bytes_than_its_limit_or_one_entry(process):
    session = await process.storage.add()
    entries = [(await process.add(session)).execution_id for _ in range(3)]
    assert [await process.claimed_ids() for _ in range(4)] == [*([each] for each in entries), []]


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
