"""Limits of owners in the real application, of one controller and of two."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import psycopg
import pytest
from attrs import frozen

from domain.access.principal import Scope
from domain.identity import Owner
from entrypoints.composition.commands import Commands
from entrypoints.composition.controller import create_controller
from entrypoints.settings.settings import Settings
from tests.integration.application.conftest import Api, serving, settings_for
from tests.support.waiting import until

SECRET = "a secret of thirty-two bytes, or more"
DEADLINE_S = 30.0


@frozen
class Served:
    """An application, and its callers."""

    api: Api
    settings: Settings

    def headers(self, owner: str, scope: Scope = Scope.EXECUTE_ALL) -> dict[str, str]:
        signed = Commands(settings=self.settings).token(Owner(owner), frozenset({scope}), timedelta(hours=1))
        return {"Authorization": f"Bearer {signed}"}

    async def initialize(self, owner: str, script: str = "result = 1", **fields: Any) -> httpx2.Response:
        headers = self.headers(owner) | {"Language-Title": "python-x"}
        return await self.api.client.post(
            "/api/v1/initialize", headers=headers, json={"script_content": script} | fields
        )

    async def list(self, owner: str) -> httpx2.Response:
        return await self.api.client.get("/api/v1/sessions", headers=self.headers(owner))

    async def execute(self, owner: str, session_id: str) -> httpx2.Response:
        path = f"/api/v1/execute/{session_id}"
        return await self.api.client.post(path, headers=self.headers(owner), json={})


Serve = Callable[..., Any]


@pytest.fixture
async def serve(database_url: str, data_dir: Path) -> AsyncIterator[Serve]:
    async with AsyncExitStack() as stack:

        async def begin(**variables: str) -> Served:
            settings = settings_for(database_url, data_dir, JWT_SECRET=SECRET, **variables)
            return Served(await stack.enter_async_context(serving(create_controller(settings))), settings)

        yield begin


async def opened(database_url: str) -> bool:
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        found = await connection.execute("SELECT FROM meta.open_executions")
        return await found.fetchone() is not None


async def test_a_limit_of_one_owner_does_not_limit_another(serve):
    served = await serve(RATE_LIMITS="sessions=3/3600,execute=100/60")
    responses = [await served.list("alice") for _ in range(4)]
    assert [response.status_code for response in responses] == [200, 200, 200, 429]
    assert responses[2].headers["ratelimit"].startswith('"sessions";r=0;t=')
    assert responses[3].headers["ratelimit-policy"] == '"sessions";q=3;w=3600'
    assert 0 < int(responses[3].headers["retry-after"]) <= 1200
    assert responses[3].json()["error"]["code"] == "RATE_LIMITED"
    assert (await served.list("bob")).status_code == 200
    metrics = (await served.api.client.get("/metrics", headers=served.headers("root", Scope.ADMIN))).text
    assert re.search(
        r'^pglambda_rate_limit_rejections_total\{[^}]*policy="sessions"[^}]*\} 1.0$', metrics, re.MULTILINE
    ), metrics


async def test_unknown_callers_use_up_no_limit(serve):
    served = await serve(RATE_LIMITS="sessions=1/3600")
    for _ in range(3):
        response = await served.api.client.get("/api/v1/sessions")
        assert response.status_code == 401
        assert "ratelimit" not in response.headers
    assert (await served.list("alice")).status_code == 200


async def test_what_one_controller_admits_counts_at_the_other(serve):
    one, other = [await serve(RATE_LIMITS="sessions=10/3600") for _ in range(2)]
    assert [(await one.list("alice")).status_code for _ in range(10)] == [200] * 10
    admitted = 0

    async def refused() -> bool:
        nonlocal admitted
        refusal = (await other.list("alice")).status_code == 429
        admitted += not refusal
        return refusal

    await until(refused, DEADLINE_S)
    assert admitted <= 10
    assert (await one.list("alice")).status_code == 429


async def test_sessions_that_the_other_controller_makes_are_seen_soon(serve):
    one, other = [await serve(MAX_SESSIONS_PER_OWNER="3") for _ in range(2)]
    assert (await one.initialize("alice")).status_code == 200
    for _ in range(2):
        assert (await other.initialize("alice")).status_code == 200

    async def refused() -> bool:
        return (await one.initialize("alice")).status_code == 429

    await until(refused, DEADLINE_S)


async def test_stored_bytes_are_limited(serve):
    served = await serve(MAX_STORED_MB_PER_OWNER="1")
    large = "x = 1 #" + "x" * 600_000
    made = [await served.initialize("alice", large) for _ in range(2)]
    assert [response.status_code for response in made] == [200, 429]
    details = made[1].json()["error"]["details"]
    assert (details["limit"], details["allowed"]) == ("stored_bytes", 1024 * 1024)
    assert 600_000 < details["observed"] < 700_000
    assert (await served.initialize("alice")).status_code == 200


async def test_functions_and_their_versions_are_limited(serve):
    served = await serve(
        MAX_FUNCTIONS_PER_OWNER="2",
        MAX_FUNCTIONS_MB_PER_OWNER="1",
        FUNCTION_VERSIONS_KEPT="1",
        MAX_SCRIPT_SIZE="2000000",
    )

    async def put(owner: str, title: str, length: int = 10) -> dict[str, Any]:
        headers, body = served.headers(owner, Scope.WRITE_FUNCTIONS), {"script_content": f"result = '{'x' * length}'"}
        response = await served.api.client.put(f"/api/v1/functions/python-{title}", headers=headers, json=body)
        return response.json().get("error", {}).get("details") or {"version": response.json()["version"]}

    assert [await put("alice", title) for title in ("a", "b")] == [{"version": 1}] * 2
    assert await put("alice", "c") == {"limit": "functions", "allowed": 2, "observed": 2}
    assert await put("bob", "c") == {"version": 1}
    assert await put("alice", "a", 600_000) == {"version": 2}
    refused = await put("alice", "a", 600_001)
    assert (refused["limit"], refused["allowed"]) == ("function_bytes", 1024 * 1024)
    assert 600_000 < refused["observed"] < 601_000
    kept = await served.api.client.get(
        "/api/v1/functions/python-a?version=1", headers=served.headers("alice", Scope.READ_FUNCTIONS)
    )
    assert (kept.status_code, kept.json()["error"]["details"]["kept_versions"]) == (404, [2])


async def test_executions_of_an_owner_are_limited_over_all_controllers(serve, database_url):
    one, other = [await serve(MAX_CONCURRENT_PER_OWNER="1") for _ in range(2)]
    script = "import time\ntime.sleep(params.get('s', 0))"
    made = await one.initialize("alice", script, limits={"timeout_ms": 60_000})
    session_id = made.json()["request_id"]
    path = f"/api/v1/execute/{session_id}"
    running = asyncio.create_task(
        one.api.client.post(path, headers=one.headers("alice"), json={"params": {"s": 4}}, timeout=60)
    )
    try:
        await until(lambda: opened(database_url), DEADLINE_S)
        refused = await one.execute("alice", session_id)
        assert refused.json()["error"]["details"] == {
            "limit": "concurrent_calls",
            "allowed": 1,
            "observed": 1,
            "retry_after_ms": 1000,
        }
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")

        async def refused_there() -> bool:
            return (await other.execute("alice", session_id)).status_code == 429

        await until(refused_there, DEADLINE_S)
    finally:
        assert (await running).status_code == 200

    async def executed() -> bool:
        return (await other.execute("alice", session_id)).status_code == 200

    await until(executed, DEADLINE_S)
