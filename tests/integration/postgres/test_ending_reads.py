"""A read never shows an execution as queued once it can no longer run, also while another transaction is ending it."""

from datetime import timedelta
from functools import partial

import psycopg
import pytest
from attrs import evolve

from adapters.postgres.batching.call_queue import BatchKeys
from adapters.postgres.repositories.queue import PostgresExecutionQueue
from domain.errors import StorageUnavailable
from domain.scripts.report import ExecutionStatus
from domain.sessions.session import Session
from tests.contracts.execution_queue import LONG, QueueOfOne
from tests.integration.postgres.gateways import SteeredGateway

LOCK = "SELECT FROM meta.queued_executions WHERE execution_id = %s FOR UPDATE"


@pytest.fixture
def steered(gateway):
    return SteeredGateway(gateway)


@pytest.fixture
def process(steered, statements, storage):
    queue = PostgresExecutionQueue(steered, statements, storage.executions, BatchKeys())
    return QueueOfOne(evolve(storage, queue=queue))


@pytest.fixture
async def entry(process):
    """Return an entry of a session that was closed, as its close leaves it before it ends its entries."""
    session = await process.storage.add()
    entry = await process.add(session)
    await process.storage.close(session)
    return entry


@pytest.fixture
async def other(database_url):
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        yield connection


async def test_a_read_waits_for_the_transaction_that_has_locked_the_entry(process, steered, entry, other):
    await other.execute(LOCK, [entry.execution_id])

    async def look_in_vain(run):
        assert await run() == [(0,)]
        return [(0,)]

    async def release_first(run):
        await other.rollback()
        return await run()

    steered.steps["end_entries"] = [look_in_vain, look_in_vain, release_first]
    assert await process.status(entry.execution_id) is ExecutionStatus.CANCELLED
    assert steered.steps["end_entries"] == []


async def test_a_read_that_waits_in_vain_says_so_rather_than_queued(process, entry, other):
    await other.execute(LOCK, [entry.execution_id])
    with pytest.raises(StorageUnavailable):
        await process.status(entry.execution_id)


async def test_an_entry_has_expired_that_was_due_to_before_the_close_by_a_clock_ahead(process):
    storage = process.storage
    session = await storage.add(**LONG)
    entry = await process.add(session)
    closing = partial(Session.close, now=entry.window.expires_at + timedelta(seconds=1))
    await storage.sessions.update(session.ref, closing)
    assert await process.status(entry.execution_id) is ExecutionStatus.EXPIRED
