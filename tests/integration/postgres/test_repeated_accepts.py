"""Accepts that are sent again: whatever copy runs when, the execution is stored once and begins once."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import psycopg
import pytest
from attrs import frozen
from psycopg.errors import LockNotAvailable

from adapters.postgres.connections.connection import GatewayConnection
from adapters.postgres.gateway_options import GatewayOptions
from adapters.postgres.repositories.queue_statements import AcceptCall, AcceptExecutions, AcceptPlainExecutions
from adapters.postgres.statements.catalogue import Statements
from domain.queue.entry import Entry
from domain.sessions.session import Session
from tests.contracts.execution_queue import KEY, RETENTION, QueueOfOne
from tests.contracts.storage import ALLOWANCE, Storage
from tests.support.waiting import until

_WAITING = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"


@frozen
class Copies:
    """Sends the first copy of an accept, plain if that is possible, and the second one, on a connection each."""

    accepts: Sequence[AcceptPlainExecutions | AcceptExecutions]
    connections: Sequence[GatewayConnection]

    async def first(self, entry: Entry) -> Sequence[Any]:
        accept = self.accepts[entry.idempotency_key is not None]
        return await self.connections[0].run(accept.sql, _parameters(accept, entry, 1))

    async def second(self, entry: Entry) -> Sequence[Any]:
        accept = self.accepts[-1]
        return await self.connections[1].run(accept.sql, _parameters(accept, entry, 2), accept.fence)


def _parameters(accept: AcceptPlainExecutions | AcceptExecutions, entry: Entry, copy: int) -> Mapping[str, object]:
    return {"copy": copy, **accept.parameters([AcceptCall(entry, ALLOWANCE, RETENTION)], "normal")}


@pytest.fixture(params=[AcceptPlainExecutions, AcceptExecutions])
async def copies(database_url: str, statements: Statements, request: pytest.FixtureRequest) -> AsyncIterator[Copies]:
    accepts = [request.param(statements.queue), AcceptExecutions(statements.queue)]
    conninfo = GatewayOptions(database_url).conninfo
    async with (
        await GatewayConnection.connect(conninfo, autocommit=True, address_timeout_s=2) as one,
        await GatewayConnection.connect(conninfo, autocommit=True, address_timeout_s=2) as other,
    ):
        yield Copies(accepts, [one, other])


@pytest.fixture
def process(storage: Storage) -> QueueOfOne:
    return QueueOfOne(storage)


@pytest.fixture
async def session(storage: Storage) -> Session:
    return await storage.add()


async def test_a_second_copy_waits_for_the_first_one(process, session, copies):
    entry = process.entry(session.ref)
    async with copies.connections[0].transaction():
        await copies.first(entry)
        for _ in range(2):
            with pytest.raises(LockNotAvailable):
                await copies.second(entry)
    assert await process.claimed_ids() == [entry.execution_id]
    (row,) = await copies.second(entry)
    assert row[:3] == (1, "accepted", min(entry.window.expires_at, session.expires_at))
    assert await process.claim() == []


@pytest.mark.parametrize("has_ended", [False, True])
async def test_a_second_copy_finds_what_the_first_one_has_stored(process, session, copies, has_ended):
    entry = await process.add(session)
    claimed = await process.claim_one()
    if has_ended:
        await process.finish(claimed)
    (row,) = await copies.second(entry)
    assert row[1] == "accepted"
    assert await process.claim() == []


@pytest.mark.parametrize("key", [None, KEY])
async def test_a_first_copy_that_begins_after_the_second_one_stores_nothing(process, session, copies, key):
    entry = process.entry(session.ref, key)
    (row,) = await copies.second(entry)
    assert row[1] == "accepted"
    await process.finish(await process.claim_one())
    assert await copies.first(entry) == []
    assert await process.queue.queued(session.ref.owner, 2) == 0


async def test_a_first_copy_that_waits_for_the_lock_of_the_second_one_stores_nothing(
    process, session, copies, database_url
):
    await copies.first(process.entry(session.ref))  # prepares the statement
    entry = process.entry(session.ref)
    with psycopg.connect(database_url) as third:
        third.execute("LOCK TABLE meta.repeated_accepts IN EXCLUSIVE MODE")
        late = asyncio.ensure_future(copies.first(entry))
        await until(lambda: third.execute(_WAITING).fetchall())
        announced = session.ref.session_id, entry.execution_id
        third.execute("INSERT INTO meta.repeated_accepts VALUES (%s, %s, 2)", announced)
    assert await late == []
    await copies.second(entry)
    assert await process.queue.queued(session.ref.owner, 3) == 2


async def test_a_copy_that_was_announced_twice_is_stored_once(process, session, copies):
    entry = process.entry(session.ref)
    for _ in range(2):
        (row,) = await copies.second(entry)
        assert row[1] == "accepted"
        assert await process.queue.queued(session.ref.owner, 2) == 1


async def test_neither_a_backup_nor_a_vacuum_delays_copies(process, session, copies, database_url):
    with psycopg.connect(database_url) as third:
        third.execute("LOCK TABLE meta.repeated_accepts, meta.queued_executions IN ACCESS SHARE MODE")
        third.execute("LOCK TABLE meta.queued_executions IN SHARE UPDATE EXCLUSIVE MODE")
        (row,) = await copies.second(process.entry(session.ref))
    assert row[1] == "accepted"


async def test_an_accept_whose_connection_breaks_is_announced_and_sent_again(process, session, database_url):
    entry = process.entry(session.ref)
    with psycopg.connect(database_url) as holder, psycopg.connect(database_url, autocommit=True) as killer:
        holder.execute("LOCK TABLE meta.queued_executions IN EXCLUSIVE MODE")
        accepting = asyncio.ensure_future(process.queue.accept(entry, ALLOWANCE, RETENTION))
        await until(lambda: killer.execute(_WAITING).fetchall())
        killer.execute(f"SELECT pg_terminate_backend(pid) FROM ({_WAITING}) AS it")
        announced = "SELECT r.execution_id FROM meta.repeated_accepts AS r"
        await until(lambda: killer.execute(announced).fetchall())
        assert killer.execute(announced).fetchall() == [(entry.execution_id,)]
    assert (await accepting).execution_id == entry.execution_id
    assert await process.claimed_ids() == [entry.execution_id]
