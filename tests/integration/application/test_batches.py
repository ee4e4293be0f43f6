"""Batches end to end: real scripts, real counts, and a client that leaves in the middle."""

import asyncio
import contextlib
import json
import logging
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import uvicorn
from attrs import define, field
from uvicorn.server import ServerState

from entrypoints.composition.controller import create_controller
from entrypoints.http.app import Application
from entrypoints.server.connection import BoundedConnection
from tests.integration.application.conftest import BOTH_LANGUAGES, Api, serving, settings_for
from tests.integration.application.test_database_faults import DISK_FULL, NO_DISK_FULL
from tests.integration.application.test_observation import scraped

pytestmark = pytest.mark.timeout(120)

ADD = "return event.params.a + event.params.b;"
SLOW = """
import time
time.sleep(params)
result = params
"""


async def batch(api: Api, session_id: str, *params: Any, **more: Any) -> list[dict[str, Any]]:
    body = {"items": [{"params": each} for each in params], **more}
    response = await api.client.post(f"/api/v1/execute/{session_id}/batch", json=body)
    assert response.status_code == 200, response.text
    return [json.loads(line) for line in response.text.splitlines()]


async def history(api: Api, session_id: str) -> list[dict[str, Any]]:
    response = await api.client.get(f"/api/v1/sessions/{session_id}/executions?limit=200")
    found: list[dict[str, Any]] = response.json()["executions"]
    return found


@BOTH_LANGUAGES
async def test_a_hundred_items_run_in_order_on_one_warm_worker(api: Api) -> None:
    session_id = await api.initialize("nodejs-adder", ADD)
    lines = await batch(api, session_id, *({"a": n, "b": 1} for n in range(100)))
    assert [(line["index"], line["result"]) for line in lines] == [(n, n + 1) for n in range(100)]
    assert [line["execution_count"] for line in lines] == list(range(1, 101))
    assert sum(line["cold_start"] for line in lines) <= 1
    assert len(await history(api, session_id)) == 100


def tenants(number: int) -> list[dict[str, Any]]:
    """Return items with scripts of their own, so that each of them has to be checked."""
    return [{"script_content": f"result = {n}", "idempotency_key": f"tenant-{n}"} for n in range(number)]


async def initialize_all(api: Api, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the lines in the order of the items."""
    response = await api.client.post(
        "/api/v1/initialize/batch", json={"items": items}, headers={"Language-Title": "python-tenant"}
    )
    assert response.status_code == 200, response.text
    return sorted((json.loads(line) for line in response.text.splitlines()), key=lambda line: line["index"])


async def test_many_sessions_are_initialized_in_few_statements_and_once(api: Api) -> None:
    lines = await initialize_all(api, tenants(100))
    assert [(line["status"], line["replayed"]) for line in lines] == [(200, False)] * 100
    statements = (await scraped(api))["pglambda_db_statement_duration_seconds_count", "insert_keyed_sessions"]
    assert statements <= 50
    assert (await api.execute(lines[99]["request_id"])).json()["result"] == 99
    again = await initialize_all(api, tenants(101))
    assert [line["replayed"] for line in again] == [True] * 100 + [False]
    assert [line["request_id"] for line in again[:100]] == [line["request_id"] for line in lines]


async def test_after_a_fault_each_item_says_that_nothing_is_stored_and_can_be_repeated(
    api: Api, database_url: str
) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(DISK_FULL)
        lines = await initialize_all(api, tenants(3))
        assert [(line["status"], line["error"]["details"]["stored"]) for line in lines] == [(503, "no")] * 3
        connection.execute(NO_DISK_FULL)
    assert [(line["status"], line["replayed"]) for line in await initialize_all(api, tenants(3))] == [(200, False)] * 3


async def test_a_quota_of_sessions_holds_exactly_within_a_batch(database_url: str, data_dir: Path) -> None:
    settings = settings_for(database_url, data_dir, MAX_SESSIONS_PER_OWNER="40")
    async with serving(create_controller(settings)) as api:
        lines = await initialize_all(api, tenants(60))
        assert sorted({line["status"] for line in lines}) == [200, 429]
        assert sum(line["status"] == 200 for line in lines) == 40
        (report,) = (await api.client.get("/api/v1/usage")).json()["owners"]
        assert report["quotas"][0] == {"limit": "live_sessions", "observed": 40, "allowed": 40}


@define
class Service:
    """The application behind real sockets with small buffers."""

    application: Application
    api: Api
    port: int
    writers: list[asyncio.StreamWriter] = field(factory=list)

    def lose_patience(self) -> None:
        """Wait for clients that do not read for a moment only."""
        (route,) = [each for each in self.application.routes if each.name == "execute_batch"]
        route.endpoint.__self__.stall_s = 0.1  # type: ignore[attr-defined]  # the endpoint is a bound method

    async def post(self, session_id: str, *params: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Send a batch on a connection of its own, and return that when the head of the response is there."""
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.setblocking(False)
        await asyncio.get_running_loop().sock_connect(client, ("127.0.0.1", self.port))
        reader, writer = await asyncio.open_connection(sock=client, limit=4096)
        self.writers.append(writer)
        body = json.dumps({"items": [{"params": each} for each in params]}).encode()
        head = (
            f"POST /api/v1/execute/{session_id}/batch HTTP/1.1\r\nhost: localhost\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
        while (await reader.readline()).strip():
            pass
        return reader, writer

    async def close(self) -> None:
        """Close what clients have left open."""
        for writer in self.writers:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def settled(self) -> None:
        """Wait until no request is in flight."""
        async with asyncio.timeout(30):
            while self.application.limiter.in_flight:  # noqa: ASYNC110  # the limiter has no event for it
                await asyncio.sleep(0.01)


@pytest.fixture
async def service(database_url: str, data_dir: Path) -> AsyncIterator[Service]:
    application = create_controller(settings_for(database_url, data_dir))
    async with serving(application) as api:
        config = uvicorn.Config(application, log_config=None, access_log=False)
        listening = socket.create_server(("127.0.0.1", 0))
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        server = await asyncio.get_running_loop().create_server(
            lambda: BoundedConnection(config=config, server_state=ServerState(), app_state={}), sock=listening
        )
        service = Service(application, api, listening.getsockname()[1])
        yield service
        await service.close()
        server.close()


async def test_a_client_that_disconnects_ends_the_rest_and_what_has_started_is_recorded(service: Service) -> None:
    session_id = await service.api.initialize("python-slow", SLOW)
    reader, writer = await service.post(session_id, *[0.05] * 200)
    await reader.readuntil(b"\n")
    writer.transport.abort()
    await service.settled()
    rows = await history(service.api, session_id)
    assert 0 < len(rows) < 50


async def test_a_client_that_reads_nothing_is_disconnected_and_the_rest_is_not_begun(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    service.lose_patience()
    session_id = await service.api.initialize("python-loud", "print('x' * 100_000)\nresult = params")
    reader, _ = await service.post(session_id, *range(200))
    await service.settled()
    assert 0 < len(await history(service.api, session_id)) < 100
    assert not (await reader.read()).endswith(b"\r\n0\r\n\r\n")
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
