"""Where each generation of the fake origin keeps a session, and which clock judges it."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime

import httpx2
import psycopg
import pytest
import redis

from tests.origin.databases import origin_database
from tests.origin.process import Origin, Redis, running_origin
from tests.programs.origin.calls import execute, initialized, session

SHIFT = "UPDATE meta.sessions SET expires_at = expires_at - interval '31536000000 seconds' WHERE request_id = %s"
ABSENT = {"error": "Session not found or expired"}
MEMBERS = """request_id language_title user_id created_at expires_at last_executed_at execution_count status context
    script_content script_hash compiled_artifact compile_options compile_status compile_error metadata"""


def client_of(origin: Origin) -> httpx2.Client:
    return httpx2.Client(base_url=origin.url, timeout=30)


@pytest.fixture(scope="module")
def cached_url(server_url: str) -> Iterator[str]:
    with origin_database(server_url) as url:
        yield url


@pytest.fixture(scope="module")
def first(cached_url: str, redis_server: Redis) -> Iterator[Origin]:
    with running_origin(cached_url, generation="g1", redis_url=redis_server.url) as origin:
        yield origin


@pytest.fixture(scope="module")
def second(cached_url: str) -> Iterator[Origin]:
    with running_origin(cached_url, generation="g2") as origin:
        yield origin


@pytest.fixture
def kept(redis_server: Redis) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_server.url) as connection:
        yield connection


def changed(url: str, statement: str, *values: object) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        assert connection.execute(statement, values).rowcount == 1


def count_in(url: str, request_id: str) -> int:
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT execution_count FROM meta.sessions WHERE request_id = %s", [request_id])
        count: int = found.fetchone()[0]
        return count


def test_health_tells_the_generation(origin, first):
    for each, version in ((origin, "0.2.0"), (first, "0.1.0")):
        with client_of(each) as client:
            assert client.get("/health").json()["version"] == version


def test_g3_finds_no_shifted_row_and_a_shift_is_undone(client, origin_url):
    request_id = initialized(client, "result = 1")
    changed(origin_url, SHIFT, request_id)
    assert execute(client, request_id).json() == ABSENT
    changed(origin_url, SHIFT.replace("expires_at - ", "expires_at + "), request_id)
    assert execute(client, request_id).json()["result"] == 1


def test_g3_serves_whatever_its_status_says(client, origin_url):
    request_id = initialized(client, "result = 1")
    changed(origin_url, "UPDATE meta.sessions SET status = 'expired' WHERE request_id = %s", request_id)
    assert session(client, request_id).json()["status"] == "expired"
    assert execute(client, request_id).status_code == 200


def test_a_late_execution_rewrites_what_it_has_read_but_not_the_expiry(client, origin_url, row):
    script = "import psycopg\nwith psycopg.connect(params['url'], autocommit=True) as c:\n    c.execute(params['sql'])"
    request_id = initialized(client, script)
    mark = f"UPDATE meta.sessions SET execution_count = 7, status = 'error', expires_at = now() WHERE request_id = '{request_id}'"
    assert execute(client, request_id, {"url": origin_url, "sql": mark}).status_code == 200
    late = row(request_id)
    assert (late["execution_count"], late["status"], late["metadata"]) == (1, "active", None)
    assert late["expires_at"] <= datetime.now(UTC)


def test_g1_keeps_16_members_in_redis_for_a_whole_life(first, kept):
    with client_of(first) as client:
        request_id = initialized(client, "result = 1", context={"b": 1, "a": 2})
    value = json.loads(kept.get(f"session:{request_id}"))
    assert list(value) == MEMBERS.split()
    assert (value["compile_status"], value["status"], len(value["script_hash"])) == ("pending", "active", 64)
    assert value["expires_at"].endswith("Z")
    assert 3590 < kept.ttl(f"session:{request_id}") <= 3600


def test_g1_answers_out_of_redis_whatever_the_row_says(first, cached_url):
    with client_of(first) as client:
        request_id = initialized(client, "result = 1")
        changed(cached_url, SHIFT, request_id)
        assert execute(client, request_id).json()["result"] == 1
    assert count_in(cached_url, request_id) == 1


def test_g1_reads_through_what_redis_has_lost(first, cached_url, kept):
    with client_of(first) as client:
        request_id = initialized(client, "result = 1")
        execute(client, request_id)
        kept.delete(f"session:{request_id}")
        assert session(client, request_id).json()["execution_count"] == 1
        assert kept.ttl(f"session:{request_id}") > 3590
        kept.delete(f"session:{request_id}")
        changed(cached_url, SHIFT, request_id)
        assert session(client, request_id).json() == ABSENT
    with psycopg.connect(cached_url) as connection:
        found = connection.execute("SELECT status FROM meta.sessions WHERE request_id = %s", [request_id])
        assert found.fetchone() == ("expired",)


def test_g1_serves_a_session_whose_row_is_gone(first, cached_url):
    with client_of(first) as client:
        request_id = initialized(client, "result = 1")
        changed(cached_url, "DELETE FROM meta.sessions WHERE request_id = %s", request_id)
        assert execute(client, request_id).status_code == 200
        assert session(client, request_id).json()["execution_count"] == 1


def test_g1_fails_without_redis(cached_url):
    with (
        running_origin(cached_url, generation="g1", redis_url="redis://127.0.0.1:9/0") as origin,
        client_of(origin) as client,
    ):
        response = session(client, "00000000-0000-4000-8000-000000000001")
    assert response.status_code == 500
    assert response.json()["error"].startswith("Failed to get session: ")


def test_g2_answers_out_of_its_own_map_until_it_is_restarted(second, cached_url):
    with client_of(second) as client:
        request_id = initialized(client, "result = 1")
        changed(cached_url, SHIFT, request_id)
        assert execute(client, request_id).json()["result"] == 1
        second.stop()
        second.start()
        assert execute(client, request_id).json() == ABSENT


def test_g2_reads_through_what_another_process_has_made(second, made_by_first):
    with client_of(second) as client:
        assert execute(client, made_by_first).json()["result"] == 1


@pytest.fixture
def made_by_first(first: Origin) -> str:
    with client_of(first) as client:
        return initialized(client, "result = 1")


def test_a_session_survives_a_kill_of_the_controller(client, origin):
    request_id = initialized(client, "result = 1")
    origin.kill()
    origin.start()
    assert execute(client, request_id).json()["result"] == 1
