"""The Redis of the origin's first generation, live and from a dump."""

import shutil
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest
import redis

from adapters.origin.cache import RedisOriginCache
from adapters.origin.dump import loaded_dump
from domain.takeover.cached import read_cached
from domain.takeover.source import SourceRefused, SourceUnavailable
from tests.contracts.origin_cache import OriginCacheContract
from tests.origin.process import Redis, running_origin, running_redis


@pytest.fixture(scope="module")
def server() -> Iterator[Redis]:
    with running_redis() as server:
        yield server


@pytest.fixture
def client(server: Redis) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(server.url) as client:
        client.flushall()
        yield client


@pytest.fixture
async def cache(server: Redis, client: redis.Redis) -> AsyncIterator[RedisOriginCache]:
    async with RedisOriginCache.connected(server.url) as cache:
        yield cache


class TestRedisOriginCache(OriginCacheContract):
    @pytest.fixture(autouse=True)
    def _client(self, client: redis.Redis) -> None:
        self.client = client

    async def put(self, session_id: str, value: str) -> None:
        self.client.set(f"session:{session_id}", value, ex=3600)


async def test_keys_of_others_are_neither_listed_nor_counted(cache, client):
    client.set("wasm:0", "[]", ex=60)
    client.set("session:forever", "{}")
    assert [page async for page in cache.ids()] == [["forever"]]
    assert await cache.count(10) == 0
    assert await cache.take(["forever"]) == {"forever": "{}"}, "the origin would serve it all the same"


async def test_what_the_first_generation_wrote_is_read_as_its_row(origin_url, server, cache):
    with running_origin(origin_url, generation="g1", redis_url=server.url) as origin:
        body = {"context": {"a": [1.5, None]}, "script_content": "result = 1"}
        answer = httpx2.post(
            f"{origin.url}/api/v1/initialize", json=body, headers={"Language-Title": "python-x"}, timeout=30
        )
        request_id = answer.json()["request_id"]
        done = httpx2.post(f"{origin.url}/api/v1/execute/{request_id}", json={"params": {}}, timeout=30)
        assert done.json()["result"] == 1
        found = read_cached((await cache.get([request_id]))[request_id])
        assert found is not None
        assert (found.request_id, found.language_title, found.execution_count) == (request_id, "python-x", 1)
        assert (found.script_content, found.context) == ("result = 1", '{"a":[1.5,null]}')
        assert datetime.now(UTC) < found.expires_at < datetime.now(UTC) + timedelta(hours=2)


def content_of(path: Path) -> bytes:
    return path.read_bytes()


async def test_a_dump_is_read_by_a_server_that_is_gone_afterwards(server, client, tmp_path):
    client.set("session:a", "{}", ex=3600)
    client.save()
    place = client.config_get("dir", "dbfilename")
    dump = Path(shutil.copy(Path(place["dir"]) / place["dbfilename"], tmp_path / "old.rdb"))
    before = content_of(dump)
    with loaded_dump(dump) as url:
        async with RedisOriginCache.connected(url) as cache:
            assert await cache.take(["a"]) == {"a": "{}"}
    with pytest.raises(SourceUnavailable):
        async with RedisOriginCache.connected(url):
            pass
    assert content_of(dump) == before


@pytest.mark.skipif(shutil.which("redis-server") is None, reason="redis-server is not installed")
def test_a_file_that_is_no_dump_is_refused_with_the_words_of_the_server(tmp_path):
    dump = tmp_path / "dump.rdb"
    dump.write_bytes(b"no dump")
    with pytest.raises(SourceRefused, match=r"(?i)redis-server said at last: .*rdb"), loaded_dump(dump):
        pass


def test_without_the_program_a_dump_is_refused(tmp_path):
    with pytest.raises(SourceRefused, match="is not installed"), loaded_dump(tmp_path, "redis-of-nowhere"):
        pass


async def test_a_redis_that_is_away_is_told():
    with pytest.raises(SourceUnavailable, match="its Redis failed"):
        async with RedisOriginCache.connected("redis://127.0.0.1:1"):
            pass


async def test_an_address_that_is_none_is_refused_without_its_text():
    with pytest.raises(SourceRefused) as caught:
        async with RedisOriginCache.connected("secret@nowhere"):
            pass
    assert "secret" not in str(caught.value)
