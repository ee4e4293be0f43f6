"""Sessions move at their first call, and a call completes what a killed command has left."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import httpx2
import psycopg
import pytest
import redis

from adapters.postgres.gateway import Gateway
from adapters.postgres.repositories.session_returns import PostgresReturnStore
from adapters.postgres.repositories.takeover import PostgresTakeoverStore
from adapters.postgres.statements.catalogue import Statements
from domain.takeover.fence import Fence
from domain.takeover.mover_ports import LateCount
from domain.takeover.moving import Progress, TakenState, Takeover
from domain.takeover.stages import Stage
from tests.integration.takeover.test_origin_sessions import opened
from tests.integration.takeover.test_plan_command import as_url
from tests.origin.process import Origin, Redis, running_origin
from tests.programs.origin.fronting import fronting_of, store_stage
from tests.programs.origin.test_front import calling, result
from tests.support.folders import shared_folder
from tests.unit.takeover.test_start import OPTIONS

TAKEOVER_ID = UUID("019ac000-0000-7000-8000-0000deadbe00")


@pytest.fixture
def data_dir() -> Iterator[Path]:
    with shared_folder() as folder:
        yield folder


@pytest.fixture
async def front(
    store: PostgresTakeoverStore, database_url: str, data_dir: Path, origin: Origin, origin_url: str
) -> AsyncIterator[int]:
    """The port of a service in front of the origin, which can move sessions, and knows the stage from its start."""
    async with fronting_of(database_url, data_dir, origin.url)(TAKEOVER_SOURCE_URL=as_url(origin_url)) as port:
        yield port


@pytest.fixture
async def store(gateway: Gateway, statements: Statements) -> PostgresTakeoverStore:
    store = PostgresTakeoverStore(gateway, statements.takeover)
    await store.begin(Takeover(TAKEOVER_ID, {}, OPTIONS.stored(), Stage.ADOPT, datetime.now(UTC)))
    return store


@pytest.fixture
def returns(gateway: Gateway, statements: Statements) -> PostgresReturnStore:
    return PostgresReturnStore(gateway, statements.session_returns)


def stored(url: str, session_id: UUID) -> tuple[bool, int]:
    """Return whether a session lives in a database of either side, and its count."""
    with psycopg.connect(url) as admin:
        query = "SELECT s.expires_at > now(), s.execution_count FROM meta.sessions AS s WHERE s.request_id::text = %s"
        return admin.execute(query, [str(session_id)]).fetchone()


async def copied(store: PostgresTakeoverStore, origin_url: str, session_id: UUID) -> None:
    async with opened(origin_url, Fence.of(TAKEOVER_ID)) as origin:
        await store.receive([each.inbound for each in await origin.look([session_id])], "copy", Progress())


async def test_a_copied_session_moves_here_at_its_first_call(front, store, database_url, origin_url):
    async with calling(front) as client:
        old = made_at_origin(origin_url)
        await copied(store, origin_url, old)
        assert await asyncio.gather(*(result(client, old) for _ in range(8))) == [2] * 8
        assert stored(origin_url, old) == (False, 0)
        assert stored(database_url, old) == (True, 8)
        assert [each.count_at_fence for each in await store.taken([old])] == [0]


async def test_a_call_completes_what_a_killed_adopt_has_left(front, store, database_url, origin_url):
    async with calling(front) as client:
        old = made_at_origin(origin_url)
        await copied(store, origin_url, old)
        await store.take([old], datetime.now(UTC))
        async with opened(origin_url, Fence.of(TAKEOVER_ID)) as origin:
            await origin.fence([old])
        assert await result(client, old) == 2
        assert (stored(origin_url, old), stored(database_url, old)) == ((False, 0), (True, 1))


async def test_a_call_completes_what_a_killed_back_has_left(front, store, returns, database_url, origin_url):
    async with calling(front) as client:
        old = made_at_origin(origin_url)
        await copied(store, origin_url, old)
        assert await result(client, old) == 2
        await returns.add_late([LateCount(old, 0, None)])
        store_stage(database_url, Stage.BACK)
        await returns.close([old], datetime.now(UTC))
        assert await result(client, old) == 2
        assert stored(origin_url, old) == (True, 2)
        assert [each.state for each in await store.taken([old])] == [TakenState.RETURNED]


async def test_a_session_of_the_first_generation_leaves_redis_at_its_first_call(
    store, database_url, data_dir, origin_url, redis_server
):
    with running_origin(origin_url, generation="g1", redis_url=redis_server.url) as first:
        where = {"TAKEOVER_SOURCE_URL": as_url(origin_url), "TAKEOVER_REDIS_URL": redis_server.url}
        async with fronting_of(database_url, data_dir, first.url)(**where) as port, calling(port) as client:
            old = made_at_origin(origin_url)
            await copied(store, origin_url, old)
            async with httpx2.AsyncClient(base_url=first.url) as direct:
                assert (await direct.get(f"/api/v1/sessions/{old}")).status_code == 200
                assert keys_of(redis_server) == [f"session:{old}".encode()]
                assert await result(client, old) == 2
                assert (await direct.get(f"/api/v1/sessions/{old}")).status_code == 404
            assert (keys_of(redis_server), stored(database_url, old)) == ([], (True, 1))


def keys_of(server: Redis) -> list[bytes]:
    with redis.Redis.from_url(server.url) as client:
        return client.keys("session:*")


async def test_a_source_that_is_away_leaves_the_session_with_the_origin(
    store, database_url, data_dir, origin, origin_url
):
    serve = fronting_of(database_url, data_dir, origin.url)
    async with serve(TAKEOVER_SOURCE_URL="postgresql://nobody@127.0.0.1:1/x") as port, calling(port) as client:
        old = made_at_origin(origin_url)
        await copied(store, origin_url, old)
        assert await result(client, old) == 2
        assert stored(origin_url, old) == (True, 1)


def made_at_origin(origin_url: str) -> UUID:
    """Insert a session as the origin makes it; returns its id."""
    with psycopg.connect(origin_url, autocommit=True) as admin:
        (found,) = admin.execute(
            "INSERT INTO meta.sessions (request_id, language_title, created_at, expires_at, context, script_content) "
            "SELECT gen_random_uuid()::text, 'nodejs-adder', t.at, t.at + interval '1 h', '{}', 'return event.params.a + 1' "
            "FROM (SELECT now() AS at) AS t RETURNING request_id"
        ).fetchone()
    return UUID(found)
