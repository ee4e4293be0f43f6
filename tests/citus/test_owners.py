"""What an owner has lies in four of five buckets, and is found there, also after a move to another owner."""

import asyncio
from collections.abc import AsyncIterator
from urllib.parse import urlencode

import psycopg
import pytest
from attrs import evolve
from psycopg.conninfo import conninfo_to_dict

from adapters.memory.manual_clock import ManualClock
from adapters.postgres.statements.catalogue import Statements
from domain.audit import ActName, new_act
from domain.idempotency import IdempotencyKey
from domain.identity import Owner, bucket_bits, uuid7_time
from entrypoints.composition.commands import Commands
from entrypoints.settings.loading import load_settings
from tests.citus.cluster import Cluster
from tests.citus.test_buckets import distribute
from tests.contracts.execution_queue import LONG
from tests.contracts.hidden_session_repository import FUNCTION, TITLE
from tests.contracts.keyed_call_repository import made_of
from tests.contracts.storage import ALICE, BOB, SCRIPT, Storage

pytestmark = pytest.mark.timeout(120)

KEY = IdempotencyKey("a key", "0" * 64)


@pytest.fixture(scope="module")
def database(cluster: Cluster, statements: Statements) -> str:
    name = cluster.database()
    asyncio.run(distribute(cluster.url(name), statements, 5))
    with psycopg.connect(cluster.url(name)) as connection:
        connection.execute("UPDATE meta.buckets SET from_at = '2026-01-01'")  # as if announced long ago
    return cluster.url(name)


@pytest.fixture
async def commands(database: str) -> AsyncIterator[Commands]:
    url = f"postgresql:///?{urlencode(conninfo_to_dict(database))}"
    commands = Commands(settings=load_settings({"DATABASE_URL": url, "DATABASE_NODES": "auto"}))
    async with commands.database_access().opened():
        yield commands


@pytest.fixture
def storage(commands: Commands) -> Storage:
    database = commands.database
    return Storage(
        database.sessions(),
        database.executions(),
        ManualClock(commands.clock().now()),
        commands.ids(),
        hidden=database.hidden_sessions(),
        keyed_sessions=database.keyed_sessions(),
    )


async def keyed(storage: Storage, owner: Owner) -> int:
    """Initialize under the key, and return the id of the session."""
    session = storage.new_session(owner, KEY.value, **LONG)
    assert storage.keyed_sessions is not None
    return (await storage.keyed_sessions.initialize(made_of(session), session, SCRIPT, KEY)).ref.session_id.int


async def opened(storage: Storage, owner: Owner) -> int:
    """Open the hidden session of a version, and return its id."""
    pinned = {"function_id": FUNCTION, "function_version": 1, "hidden": True, **LONG}
    assert storage.hidden is not None
    return (await storage.hidden.open(storage.new_session(owner, str(TITLE), **pinned), SCRIPT)).session_id.int


async def test_what_an_owner_has_lies_in_four_buckets_and_moves_to_another_owner(commands, storage, database):
    made = [await storage.add(ALICE, **LONG) for _ in range(20)]
    key, hidden = await keyed(storage, ALICE), await opened(storage, ALICE)
    ids = [each.ref.session_id.int for each in made] + [key]
    assert len({bucket_bits(each.ref.session_id) for each in made}) == 4
    assert [each.ref.session_id.int for each in await storage.listed(ALICE)] == sorted(ids, reverse=True)
    ((counted,),) = [await commands.database.usage().usage([ALICE], storage.clock.now())]
    assert counted.live_sessions == len(ids)
    waits = []

    async def wait(pause_s: float) -> None:
        waits.append(pause_s)

    mover = evolve(commands.owner_mover(), sleep=wait)
    act = new_act(commands.clock(), commands.ids(), commands.actor(), ActName.OWNERS_MOVE)
    async for _ in mover.move(ALICE, BOB, act):
        pass
    assert [60 - wait < 5 for wait in waits] == [True]
    assert [each.ref.session_id.int for each in await storage.listed(BOB)] == sorted(ids, reverse=True)
    assert await storage.listed(ALICE) == []
    oldest = await commands.owner_mover().oldest(BOB)
    assert oldest == min(uuid7_time(each.ref.session_id) for each in made)
    assert (await keyed(storage, BOB), await opened(storage, BOB)) == (key, hidden)
    assert (await keyed(storage, ALICE)) != key
    with psycopg.connect(database) as connection:
        assert connection.execute("SELECT owner_from, owner_to FROM meta.owner_moves").fetchall() == [(ALICE, BOB)]
