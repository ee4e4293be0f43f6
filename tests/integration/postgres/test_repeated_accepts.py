"""Accepts that are sent again: an entry that the first copy stores is never stored once more after it was claimed."""

import psycopg
import pytest
from psycopg.errors import LockNotAvailable

from adapters.postgres.connections.connection import GatewayConnection
from adapters.postgres.gateway_options import GatewayOptions
from adapters.postgres.repositories.queue_statements import AcceptCall, AcceptExecutions
from adapters.postgres.statements.catalogue import Statements
from tests.contracts.execution_queue import RETENTION, QueueOfOne
from tests.contracts.storage import ALLOWANCE, Storage


async def test_a_second_copy_begins_after_the_first_one_has_ended(
    database_url: str, statements: Statements, storage: Storage
) -> None:
    process, session = QueueOfOne(storage), await storage.add()
    accept, fence = statements.queue.accept_executions, statements.queue.fence_accepts
    entry = process.entry(session.ref)
    call = AcceptExecutions(accept, fence).parameters([AcceptCall(entry, ALLOWANCE, RETENTION)], "normal")
    conninfo = GatewayOptions(database_url).conninfo
    async with (
        await psycopg.AsyncConnection.connect(conninfo) as first,
        await GatewayConnection.connect(conninfo, autocommit=True, address_timeout_s=2) as second,
    ):
        await first.execute(accept.sql, call)
        for _ in range(2):
            with pytest.raises(LockNotAvailable):
                await second.run(accept, call, fence)
        await first.commit()
        assert await process.claimed_ids() == [entry.execution_id]
        (row,) = await second.run(accept, call, fence)
        assert row[:3] == (1, "accepted", min(entry.window.expires_at, session.expires_at))
    assert await process.queue.queued(session.ref.owner, 2) == 0
    assert await process.claim() == []
