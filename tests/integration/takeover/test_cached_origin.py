"""Sessions of the origin's first generation are hidden in its table and its Redis, and given back."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import httpx2
import psycopg
import pytest
import redis
from attrs import evolve

from adapters.origin.cache import RedisOriginCache
from adapters.origin.database import OriginDatabase, OriginDatabaseOptions
from adapters.origin.repairs import PostgresOriginRepairs
from adapters.origin.sessions import OriginConnections
from domain.takeover.cached import ExecutionCount
from domain.takeover.cached_origin import CachedOriginSessions, MissingRows
from domain.takeover.fence import HIDDEN_BEFORE
from domain.takeover.source import SourceAddress, SourceUnavailable
from tests.contracts.origin_repairs import OriginRepairsContract
from tests.integration.takeover.test_move_commands import live_here, rows_of, takeover
from tests.integration.takeover.test_origin_sessions import FENCE, STATEMENTS, converted, opened
from tests.origin.databases import origin_database
from tests.origin.process import Origin, Redis, running_origin, running_redis
from tests.support.waiting import until
from tests.unit.takeover.builders import ID, NOW, row

TITLE = {"Language-Title": "python-x"}


@pytest.fixture(scope="module")
def server() -> Iterator[Redis]:
    with running_redis() as server:
        yield server


@pytest.fixture(scope="module")
def shared_url(server_url: str) -> Iterator[str]:
    with origin_database(server_url) as url:
        yield url


@pytest.fixture
def origin_url(shared_url: str) -> str:
    """The address of a database of the origin without sessions."""
    with psycopg.connect(shared_url, autocommit=True) as admin:
        admin.execute("DELETE FROM meta.sessions")
    return shared_url


@pytest.fixture(scope="module")
def shared_origin(shared_url: str, server: Redis) -> Iterator[Origin]:
    with running_origin(shared_url, generation="g1", redis_url=server.url) as origin:
        yield origin


@pytest.fixture
def origin(shared_origin: Origin, server: Redis) -> Origin:
    """An origin of the first generation without keys."""
    with redis.Redis.from_url(server.url) as client:
        client.flushall()
    return shared_origin


@asynccontextmanager
async def repairing(url: str) -> AsyncIterator[PostgresOriginRepairs]:
    connections = OriginConnections([OriginDatabase(OriginDatabaseOptions(SourceAddress(url)), STATEMENTS.connection)])
    yield PostgresOriginRepairs(connections, "meta", STATEMENTS.moves)
    await connections.close()


@asynccontextmanager
async def both(url: str, server: Redis) -> AsyncIterator[CachedOriginSessions]:
    redis_of = RedisOriginCache.connected(server.url)
    async with opened(url) as rows, repairing(url) as repairs, redis_of as cache:
        missing = MissingRows(repairs, cache, lambda row, now: converted(row, now) is not None)
        yield CachedOriginSessions(rows, repairs, cache, missing, FENCE)


class TestPostgresOriginRepairs(OriginRepairsContract):
    @pytest.fixture
    async def repairs(self, origin_url: str) -> AsyncIterator[PostgresOriginRepairs]:
        async with repairing(origin_url) as repairs:
            yield repairs


@pytest.mark.parametrize("variant", ["b", "c"])
async def test_where_a_trigger_counts_twice_rows_are_corrected_exactly(server_url, variant):
    with origin_database(server_url, variant) as url:
        async with repairing(url) as repairs:
            assert await repairs.runs_ahead() is True
            assert await repairs.add([row()]) == [ID]
            for executed in (ExecutionCount(9, NOW), ExecutionCount(4, NOW)):
                await repairs.correct({ID: executed})
                assert await repairs.executions([ID]) == {ID: executed}


def made(origin: Origin, script: str = "result = params['n'] + context['a']") -> UUID:
    body = {"context": {"a": 1}, "script_content": script}
    answer = httpx2.post(f"{origin.url}/api/v1/initialize", json=body, headers=TITLE, timeout=30)
    return UUID(answer.json()["request_id"])


def called(origin: Origin, session_id: UUID, params: object = None) -> object:
    body = {"params": params or {"n": 1}}
    answer = httpx2.post(f"{origin.url}/api/v1/execute/{session_id}", json=body, timeout=30)
    return answer.json()["result"] if answer.status_code == 200 else answer.status_code


async def test_the_origin_finds_a_fenced_session_neither_in_its_table_nor_in_its_redis(origin, origin_url, server):
    session_id, other_id = made(origin), made(origin)
    assert [called(origin, session_id), called(origin, session_id)] == [2, 2]
    async with both(origin_url, server) as sessions:
        (fenced,) = await sessions.fence([session_id])
        assert (fenced.execution_count, fenced.inbound.session.execution_count) == (2, 2)
        assert called(origin, session_id) == 404
        assert called(origin, other_id) == 2
        assert await sessions.live(None, 10) == [other_id]
        back = evolve(fenced.inbound, session=evolve(fenced.inbound.session, execution_count=9))
        assert await sessions.restore([back]) == [session_id]
        assert called(origin, session_id) == 2
        (seen,) = await sessions.look([session_id])
    assert (seen.execution_count, seen.is_live) == (10, True)


async def test_a_fence_that_was_killed_before_the_key_is_completed_by_the_next_one(origin, origin_url, server):
    session_id = made(origin)
    async with opened(origin_url) as rows:
        await rows.fence([session_id])
    assert called(origin, session_id) == 2, "the key alone is enough for the origin"
    async with both(origin_url, server) as sessions:
        (seen,) = await sessions.look([session_id])
        assert (seen.is_live, seen.execution_count) == (True, 1)
        (fenced,) = await sessions.fence([session_id])
        assert (fenced.is_live, fenced.execution_count) == (False, 1)
        assert called(origin, session_id) == 404


async def test_a_session_whose_row_was_lost_is_stored_hidden_and_given_back(origin, origin_url, server):
    session_id = made(origin)
    assert called(origin, session_id) == 2
    with redis.Redis.from_url(server.url) as client:
        members = json.loads(client.get(f"session:{session_id}"))
        made_at = datetime.fromisoformat(members["created_at"]) - timedelta(minutes=2)
        members["created_at"] = made_at.isoformat().replace("+00:00", "Z")
        client.set(f"session:{session_id}", json.dumps(members), ex=3600)
    with psycopg.connect(origin_url, autocommit=True) as admin:
        admin.execute("DELETE FROM meta.sessions")
    async with both(origin_url, server) as sessions:
        assert await sessions.prepare() == 1
        assert await sessions.live(None, 10) == [session_id]
        (fenced,) = await sessions.fence([session_id])
        assert (fenced.stored_at < HIDDEN_BEFORE, fenced.execution_count) == (True, 1)
        assert called(origin, session_id) == 404
        assert await sessions.restore([fenced.inbound]) == [session_id]
        assert called(origin, session_id) == 2


WAITING = """
import os, time
open(params["began"], "w").close()
while not os.path.exists(params["go"]):
    time.sleep(0.01)
result = 1
"""


async def test_a_late_execution_that_writes_the_key_again_is_hidden_again_with_its_count(
    origin, origin_url, server, tmp_path
):
    session_id = made(origin, WAITING)
    began, go = tmp_path / "began", tmp_path / "go"
    params = {"began": str(began), "go": str(go)}
    late = asyncio.ensure_future(asyncio.to_thread(called, origin, session_id, params))
    async with both(origin_url, server) as sessions:
        await until(began.exists, timeout_s=30)
        (fenced,) = await sessions.fence([session_id])
        assert fenced.execution_count == 0
        go.touch()
        assert await late == 1
        assert called(origin, session_id, params) == 1, "the key alone is enough for the origin"
        assert [each.is_live for each in await sessions.look([session_id])] == [True]
        assert [each.execution_count for each in await sessions.fence([session_id])] == [2]
        assert called(origin, session_id, params) == 404


async def test_a_count_that_only_redis_has_is_written_to_the_row(origin, origin_url, server):
    session_id = made(origin)
    assert [called(origin, session_id), called(origin, session_id)] == [2, 2]
    with psycopg.connect(origin_url, autocommit=True) as admin:
        admin.execute("UPDATE meta.sessions SET execution_count = 1, last_executed_at = now() - interval '1 min'")
    async with both(origin_url, server) as sessions:
        (fenced,) = await sessions.fence([session_id])
        assert (fenced.execution_count, await sessions.counts([session_id])) == (2, {session_id: 2})


@pytest.fixture
def killed(server: Redis, origin: Origin) -> Iterator[Redis]:
    """A Redis that is killed in the test, and started again behind it."""
    yield server
    server.kill()
    server.start()
    called_with_new_redis(origin, uuid4())


async def test_a_redis_that_is_killed_before_a_fence_leaves_sessions_to_the_origin(origin, origin_url, killed):
    session_id = made(origin)
    async with both(origin_url, killed) as sessions:
        killed.kill()
        with pytest.raises(SourceUnavailable, match="The Redis of the origin did not serve") as caught:
            await sessions.fence([session_id])
        assert caught.value.sent is False
        with pytest.raises(SourceUnavailable):
            await sessions.prepare()
        assert await sessions.live(None, 10) == [session_id]
        killed.start()  # it has lost all keys, as one without persistence does
        assert [each.session_id for each in await sessions.fence([session_id])] == [session_id]
        assert called_with_new_redis(origin, session_id) == 404


async def test_a_redis_that_is_killed_within_a_fence_is_asked_again_by_the_next_look(origin, origin_url, killed):
    session_id = made(origin)
    async with both(origin_url, killed) as sessions, opened(origin_url) as rows:
        await rows.fence([session_id])
        killed.kill()
        with pytest.raises(SourceUnavailable):
            await sessions.look([session_id])
        killed.start()
        (seen,) = await sessions.look([session_id])
        assert (seen.is_live, seen.would_live) == (False, True)


async def test_a_redis_that_is_killed_while_sessions_return_gets_their_keys_from_the_next_run(
    origin, origin_url, killed
):
    session_id = made(origin)
    async with both(origin_url, killed) as sessions:
        (fenced,) = await sessions.fence([session_id])
        killed.kill()
        with pytest.raises(SourceUnavailable):
            await sessions.restore([fenced.inbound])
        killed.start()
        assert await sessions.restore([fenced.inbound]) == [session_id]
    with redis.Redis.from_url(killed.url) as client:
        assert 3000 < client.ttl(f"session:{session_id}") <= 3600
    assert called_with_new_redis(origin, session_id) == 2


def called_with_new_redis(origin: Origin, session_id: UUID) -> object:
    """Call a session after Redis was started again: the origin notices at its first call that its connection is lost."""
    first = called(origin, session_id)
    return called(origin, session_id) if first == 500 else first


def test_the_commands_move_sessions_of_the_first_generation_here_and_back(origin, origin_url, database_url, server):
    session_id, keyless_id = made(origin), made(origin)
    assert [called(origin, session_id), called(origin, keyless_id)] == [2, 2]
    with redis.Redis.from_url(server.url) as client:
        members = json.loads(client.get(f"session:{keyless_id}"))
        made_at = datetime.fromisoformat(members["created_at"]) - timedelta(minutes=2)
        members["created_at"] = made_at.isoformat().replace("+00:00", "Z")
        client.set(f"session:{keyless_id}", json.dumps(members), ex=3600)
    with psycopg.connect(origin_url, autocommit=True) as admin:
        admin.execute("DELETE FROM meta.sessions WHERE request_id = %s", [str(keyless_id)])
    where = "--redis", server.url
    takeover(database_url, origin_url, "open", *where)
    adopted = takeover(database_url, origin_url, "adopt", "--settle-seconds", "0", *where)
    assert (adopted["owned"], adopted["added_rows"], adopted["left"]) == (2, 1, 0)
    verified = takeover(database_url, origin_url, "verify", *where)
    assert verified["verdicts"] == {**dict.fromkeys(verified["verdicts"], 0), "same": 2}
    assert (verified["redis"]["keys"], verified["redis"]["hidden"]) == (0, 0)
    assert [called(origin, session_id), called(origin, keyless_id)] == [404, 404]
    assert {row["execution_count"] for row in live_here(database_url).values()} == {1}
    assert takeover(database_url, origin_url, "back", *where)["returned"] == 2
    assert [called(origin, session_id), called(origin, keyless_id)] == [2, 2]
    assert {row["execution_count"] for row in rows_of(origin_url).values()} == {2}
