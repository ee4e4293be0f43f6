"""The Redis of the origin's first generation, live and from a dump."""

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import httpx2
import pytest
import redis
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import NameOID

from adapters.origin.cache import RedisOriginCache
from adapters.origin.dump import loaded_dump
from domain.takeover.cached import read_cached
from domain.takeover.source import SourceRefused, SourceUnavailable
from tests.contracts.origin_cache import OriginCacheContract
from tests.origin.process import Redis, running_origin, running_redis

YEAR = timedelta(days=365)


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
    assert await cache.remove({"forever": "{}"}) == [], "the origin would serve it all the same"
    assert client.keys() == [b"wasm:0"]


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
            assert await cache.get(["a"]) == {"a": "{}"}
            assert await cache.remove({"a": "{}"}) == []
    with pytest.raises(SourceUnavailable):
        async with RedisOriginCache.connected(url) as cache:
            await cache.get(["a"])
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
    with pytest.raises(
        SourceUnavailable, match=r"The Redis of the origin did not serve: there is no answer from 127\.0\.0\.1:1 "
    ):
        async with RedisOriginCache.connected("redis://127.0.0.1:1") as cache:
            await cache.get(["a"])


async def test_an_address_that_is_none_is_refused_without_its_text():
    with pytest.raises(SourceRefused) as caught:
        async with RedisOriginCache.connected("secret@nowhere"):
            pass
    assert "secret" not in str(caught.value)


@pytest.fixture
def user(client: redis.Redis) -> Iterator[str]:
    """A user who may read, whose password is secret."""
    client.acl_setuser("reader", enabled=True, passwords=["+hush"], keys=["session:*"], categories=["+@read"])
    client.acl_setuser("reader", enabled=True, keys=["session:*"], commands=["+ping", "+hello", "+client"])
    yield "reader"
    client.acl_deluser("reader")


@pytest.mark.parametrize("password", ["wrong-hush", ""])
async def test_a_refused_login_is_told_without_the_password(server, user, password):
    with pytest.raises(SourceRefused, match="refuses the login") as caught:
        async with RedisOriginCache.connected(f"redis://{user}:{password}@127.0.0.1:{server.port}/0") as cache:
            await cache.get(["a"])
    assert "hush" not in str(caught.value)


async def test_a_right_that_is_missing_is_told_with_its_remedy(server, client, user):
    client.set("session:a", "1")
    async with RedisOriginCache.connected(f"redis://{user}:hush@127.0.0.1:{server.port}/0") as cache:
        assert await cache.get(["a"]) == {"a": "1"}
        with pytest.raises(SourceRefused, match=r"denies this user a right.* ACL SETUSER") as caught:
            await cache.require_writable()
    assert "hush" not in str(caught.value)
    assert client.get("session:a") == b"1"


async def test_the_rights_that_the_document_names_are_enough(server, client):
    document = (Path(__file__).parents[3] / "docs" / "takeover-redis.md").read_text()
    (rights,) = [line.split()[2:] for line in document.splitlines() if line.startswith("ACL SETUSER")]
    client.execute_command("ACL", "SETUSER", *rights)
    client.set("wasm:0", "x")
    try:
        async with RedisOriginCache.connected(f"redis://pglambda:password@127.0.0.1:{server.port}/0") as cache:
            await cache.require_writable()
            await cache.put({"a": "1"}, {"a": 60})
            assert ([page async for page in cache.ids()], await cache.count(10)) == ([["a"]], 1)
            assert await cache.get(["a"]) == {"a": "1"}
            assert await cache.remove({"a": "1"}) == []
    finally:
        client.acl_deluser("pglambda")


async def test_a_replica_is_read_and_not_written(server, client, cache):
    client.set("session:a", "1")
    client.replicaof("127.0.0.1", "1")
    try:
        assert await cache.get(["a"]) == {"a": "1"}
        with pytest.raises(SourceRefused, match="Name the primary"):
            await cache.require_writable()
    finally:
        client.replicaof("NO", "ONE")


async def test_a_redis_that_is_killed_is_told_and_its_successor_is_used(server, client, cache):
    server.kill()
    try:
        with pytest.raises(SourceUnavailable, match="The Redis of the origin did not serve"):
            await cache.get(["a"])
    finally:
        server.start()
    client.set("session:a", "1")
    assert await cache.get(["a"]) == {"a": "1"}


async def test_keys_that_are_no_text_are_left_alone(client, cache):
    client.rpush("session:list", "1")
    client.set("session:a", b"\xff{}")
    found = await cache.get(["list", "a"])
    assert list(found) == ["a"]
    assert read_cached(found["a"]) is None
    assert await cache.remove(found) == []
    assert client.keys() == [b"session:list"]


async def test_large_values_come_one_by_one_and_larger_ones_are_refused(client, cache):
    client.set("session:a", b"1" * 9_000_000)
    client.set("session:b", b"2" * 9_000_000)
    assert {each: len(value) for each, value in (await cache.get(["a", "b"])).items()} == {
        "a": 9_000_000,
        "b": 9_000_000,
    }
    client.setrange("session:b", 64 * 1024 * 1024, b"x")
    with pytest.raises(SourceRefused, match=r"session:b has 67,108,865 bytes.* Delete the key"):
        await cache.get(["a", "b"])


def test_without_a_file_there_is_no_dump(tmp_path):
    with pytest.raises(SourceRefused, match="There is no dump at"), loaded_dump(tmp_path / "missing.rdb", "sh"):
        pass


_HOLDER = """
import sys
from pathlib import Path
from adapters.origin.dump import loaded_dump
from entrypoints.server.process import launch
with loaded_dump(Path(sys.argv[1]), launch=launch) as url:
    print(url, flush=True)
    sys.stdin.read()
"""


def test_the_server_of_a_dump_ends_with_a_killed_command(server, client, tmp_path):
    client.save()
    place = client.config_get("dir", "dbfilename")
    dump = shutil.copy(Path(place["dir"]) / place["dbfilename"], tmp_path / "old.rdb")
    argv = [sys.executable, "-c", _HOLDER, str(dump)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        url = holder.stdout.readline().strip()
        holder.send_signal(signal.SIGKILL)
    ends_s = time.monotonic() + 10
    with redis.Redis.from_url(url) as loaded:
        while is_there(loaded):
            assert time.monotonic() < ends_s, "the server outlives the command"


def is_there(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False


def certificate(folder: Path) -> Path:
    """Write a key and a certificate for 127.0.0.1, signed by itself; returns the place of both."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "redis")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + YEAR)
    address = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    ca = x509.BasicConstraints(ca=True, path_length=None)
    signed = builder.add_extension(address, critical=False).add_extension(ca, critical=True).sign(key, SHA256())
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    written = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain) + signed.public_bytes(pem)
    path = folder / "redis.pem"
    path.write_bytes(written)
    return path


async def test_tls_is_used_and_the_certificate_is_verified(tmp_path):
    path = str(certificate(tmp_path))
    with running_redis(**{"tls-cert-file": path, "tls-key-file": path, "tls-auth-clients": "no"}) as server:
        url = f"rediss://127.0.0.1:{server.tls_port}/0"
        async with RedisOriginCache.connected(f"{url}?ssl_ca_certs={path}") as cache:
            await cache.put({"a": "1"}, {"a": 60})
            assert await cache.get(["a"]) == {"a": "1"}
        with pytest.raises(SourceUnavailable, match="certificate"):
            async with RedisOriginCache.connected(url) as cache:
                await cache.get(["a"])
