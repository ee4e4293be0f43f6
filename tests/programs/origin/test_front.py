"""The service in front of the origin: the same answers before, and one owner of each session at every step."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import httpx2
import psycopg
import pytest
from attrs import evolve

from adapters.postgres.gateway import Gateway
from adapters.postgres.repositories.takeover import PostgresTakeoverStore
from adapters.postgres.statements.catalogue import Statements
from domain.identity import ANONYMOUS, SessionRef
from domain.scripts.script import Script
from domain.takeover.stages import Stage
from tests.contracts.takeover_store import inbound, receive
from tests.integration.postgres.conftest import storage_on
from tests.origin.process import Origin, running_origin
from tests.programs.origin.fronting import Fronting, fronting_of, store_stage
from tests.support.folders import shared_folder
from tests.support.ports import free_port
from tests.support.waiting import until

JSON = b"content-type: application/json\r\n"
ABSENT = b"7c9e6679-7425-40de-944b-e07fc1f90ae7"
LARGE = b'{"params": "%b"}' % (b"x" * (2 << 20))


def request(method: bytes, path: bytes, body: bytes | None = None, headers: bytes = JSON) -> bytes:
    length = b"" if body is None else b"content-length: %d\r\n" % len(body)
    return b"%b %b HTTP/1.1\r\nhost: old:8080\r\n%b%b\r\n%b" % (method, path, headers, length, body or b"")


CALLS = {
    "test": request(b"GET", b"/test"),
    "the other test": request(b"GET", b"/test-function-manager"),
    "unknown path": request(b"GET", b"/nope?x=%20"),
    "encoded path": request(b"GET", b"/api/v1/sess%69ons/" + ABSENT),
    "double slash": request(b"GET", b"//api/v1/sessions/" + ABSENT),
    "unknown method": request(b"PATCH", b"/api/v1/sessions/" + ABSENT, b"{}"),
    "head": request(b"HEAD", b"/test"),
    "options": request(b"OPTIONS", b"/api/v1/initialize"),
    "absent session": request(b"GET", b"/api/v1/sessions/" + ABSENT),
    "no UUID": request(b"GET", b"/api/v1/sessions/1"),
    "execute of an absent session": request(b"POST", b"/api/v1/execute/" + ABSENT, b'{"params": {}}'),
    "execute without params": request(b"POST", b"/api/v1/execute/" + ABSENT, b"{}"),
    "no JSON": request(b"POST", b"/api/v1/execute/" + ABSENT, b"\xff{"),
    "another type": request(b"POST", b"/api/v1/execute/" + ABSENT, b"a", b"content-type: text/plain\r\n"),
    "a large body": request(b"POST", b"/api/v1/execute/" + ABSENT, LARGE),
    "no title": request(b"POST", b"/api/v1/initialize", b'{"context": {}}'),
    "a title that is not visible": request(b"POST", b"/api/v1/initialize", b"{}", JSON + b"language-title: \xe9\r\n"),
    "functions": request(b"GET", b"/api/v1/functions?per_page=2&page=1"),
    "a page that is no number": request(b"GET", b"/api/v1/functions?page=a"),
    "an unknown function": request(b"GET", b"/api/v1/functions/nodejs-nothing"),
    "a function": request(b"GET", b"/api/v1/functions/nodejs-calculator"),
    "compressed": request(b"GET", b"/api/v1/functions", headers=b"accept-encoding: gzip\r\n"),
    "from a page": request(b"GET", b"/test", headers=b"origin: https://a.example\r\n"),
    "HTTP/1.0": b"GET /test HTTP/1.0\r\n\r\n",
}


async def reply(port: int, sent: bytes) -> bytes:
    """Return everything that is sent back, without `Date` and `Connection`."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent.replace(b"host: old:8080\r\n", b"host: old:8080\r\nconnection: close\r\n"))
    async with asyncio.timeout(30):
        received = await reader.read()
    writer.close()
    head, _, body = received.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    return b"\r\n".join(
        [each for each in lines if not each.lower().startswith((b"date:", b"connection:"))] + [b"", body]
    )


@pytest.fixture(scope="session")
def data_dir() -> Iterator[Path]:
    """A folder that workers of another user can reach."""
    with shared_folder() as folder:
        yield folder


@pytest.fixture
def fronting(database_url: str, data_dir: Path, origin: Origin) -> Fronting:
    return fronting_of(database_url, data_dir, origin.url)


async def test_every_answer_of_the_origin_is_the_same_through_the_front(fronting: Fronting, origin: Origin):
    async with fronting() as port:
        for name, sent in CALLS.items():
            assert await reply(port, sent) == await reply(origin.port, sent), name


def calling(port: int) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}/api/v1", timeout=30)


async def initialized(client: httpx2.AsyncClient) -> UUID:
    body = {"context": {}, "script_content": "return event.params.a + 1"}
    response = await client.post("/initialize", json=body, headers={"Language-Title": "nodejs-adder"})
    assert response.status_code == 200, response.text
    return UUID(response.json()["request_id"])


async def result(client: httpx2.AsyncClient, session_id: UUID) -> object:
    response = await client.post(f"/execute/{session_id}", json={"params": {"a": 1}})
    assert response.status_code == 200, response.text
    return response.json()["result"]


async def test_a_session_has_one_owner_at_every_step_of_a_takeover(
    fronting: Fronting, database_url: str, gateway: Gateway, statements: Statements, origin_url: str
):
    store, storage = PostgresTakeoverStore(gateway, statements.takeover), storage_on(gateway, statements)
    ends_at = datetime.now(UTC) + timedelta(hours=1)
    async with fronting() as port, calling(port) as client:
        old = await initialized(client)
        assert (old.version, await result(client, old)) == (4, 2)

        store_stage(database_url, Stage.OPEN)
        made: list[UUID] = []

        async def is_open() -> bool:
            made.append(await initialized(client))
            return made[-1].version == 7

        await until(is_open)
        assert (await result(client, made[-1]), await result(client, old)) == (2, 2)

        store_stage(database_url, Stage.ADOPT)
        script = Script.of("return event.params.a + 2", 100)
        facts = {"script_hash": script.hash, "expires_at": ends_at, "expires_max_at": ends_at}
        copy = evolve(inbound(storage, ref=SessionRef(ANONYMOUS, old), **facts), script=script)
        await receive(store, copy)
        await store.take([old], storage.clock.now())
        waiting = asyncio.create_task(result(client, old))
        with psycopg.connect(origin_url) as connection:
            connection.execute("UPDATE meta.sessions SET expires_at = '1970-01-01' WHERE request_id = %s", (str(old),))
        await store.own([copy], storage.clock.now(), storage.clock.now())
        # The copy has a script of its own, which shows who served the call.
        assert await waiting == 3
        assert await result(client, old) == 3


async def test_an_origin_that_is_away_is_told_and_nothing_ran(fronting: Fronting):
    async with fronting(ORIGIN_URL=f"http://127.0.0.1:{free_port()}") as port, calling(port) as client:
        response = await client.post(f"/execute/{uuid4()}", json={"params": {}})
        assert (response.status_code, response.json()["executed"]) == (503, "no")
        assert response.headers["x-error-code"] == "ORIGIN_UNAVAILABLE"
        assert response.headers["retry-after"] == "1"
        assert response.json()["error"].startswith("Failed to execute function: The origin cannot be reached (")


async def test_callers_are_known_before_a_call_is_passed_on(fronting: Fronting):
    async with fronting(AUTH="required") as port:
        for sent in {name: sent for name, sent in CALLS.items() if name != "a large body"}.values():
            assert (await reply(port, sent)).split(b"\r\n")[0] == b"HTTP/1.1 401 Unauthorized"


async def test_no_call_runs_twice_and_none_is_lost_if_the_origin_is_killed(
    database_url: str, data_dir: Path, origin_url: str
):
    with running_origin(origin_url) as mortal:
        async with fronting_of(database_url, data_dir, mortal.url)() as port, calling(port) as client:
            sessions = [await initialized(client) for _ in range(8)]
            outcomes: dict[UUID, Counter[str]] = {each: Counter() for each in sessions}
            is_back = asyncio.Event()

            async def call(session_id: UUID) -> None:
                calls_after = 0
                while calls_after < 3:
                    calls_after += is_back.is_set()
                    response = await client.post(f"/execute/{session_id}", json={"params": {"a": 1}})
                    outcomes[session_id][outcome(response)] += 1

            callers = [asyncio.create_task(call(each)) for each in sessions]
            await until(lambda: all(found["done"] > 2 for found in outcomes.values()), 20)
            mortal.kill()
            await until(lambda: all(found["no"] for found in outcomes.values()), 20)
            await asyncio.to_thread(mortal.start)
            is_back.set()
            await asyncio.gather(*callers)
        with psycopg.connect(origin_url) as connection:
            rows = connection.execute("SELECT request_id, execution_count FROM meta.sessions").fetchall()
        counted = {UUID(request_id): count for request_id, count in rows}
        for session_id, found in outcomes.items():
            assert set(found) <= {"done", "no", "unknown"}
            assert found["done"] <= counted[session_id] <= found["done"] + found["unknown"]


def outcome(response: httpx2.Response) -> str:
    """Return what the caller knows about its execution."""
    if response.status_code == 200:
        return "done"
    assert response.status_code == 503, response.text
    executed: str = response.json()["executed"]
    return executed
