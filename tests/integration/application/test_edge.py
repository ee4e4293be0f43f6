"""The edge of the real application, over real sockets."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest
import uvicorn
from uvicorn.server import ServerState

from entrypoints.composition.controller import create_controller
from entrypoints.server.connection import BoundedConnection
from tests.integration.application.conftest import settings_for

ORIGIN = "https://app.example.com"


@asynccontextmanager
async def served(database_url: str, data_dir: Path, **variables: str) -> AsyncIterator[httpx2.AsyncClient]:
    application = create_controller(settings_for(database_url, data_dir, **variables))
    config = uvicorn.Config(application, log_config=None, access_log=False)
    state, loop = ServerState(), asyncio.get_running_loop()
    async with application.running():
        server = await loop.create_server(
            lambda: BoundedConnection(config=config, server_state=state, app_state={}), "127.0.0.1"
        )
        host, port = server.sockets[0].getsockname()
        async with httpx2.AsyncClient(base_url=f"http://{host}:{port}", timeout=30) as client:
            yield client
        server.close()
        await server.wait_closed()


@pytest.mark.parametrize("path", ["/api/v1/sessions", "/livez", "/api/v1/sessions/nobody"])
async def test_a_name_that_somebody_made_up_is_not_answered_to(database_url, data_dir, path):
    async with served(database_url, data_dir) as client:
        refused = await client.get(path, headers={"Host": "rebound.evil.test"})
        assert refused.status_code in (400, 404)
        assert "sessions" not in refused.json()
        if refused.status_code == 400:
            assert "ALLOWED_HOSTS" in refused.json()["error"]["message"]
        assert (await client.get("/livez", headers={"Host": "localhost"})).status_code == 200
        assert (await client.get("/livez")).status_code == 200


async def test_a_name_of_its_own_can_be_given(database_url, data_dir):
    async with served(database_url, data_dir, ALLOWED_HOSTS="api.example.com") as client:
        assert (await client.get("/livez", headers={"Host": "api.example.com"})).status_code == 200
        assert (await client.get("/livez")).status_code == 400


async def test_pages_of_an_origin_may_do_what_the_api_can(database_url, data_dir):
    async with served(database_url, data_dir, CORS_ORIGINS=ORIGIN, RATE_LIMITS="execute=1/60") as client:
        asked = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST"}
        preflight = await client.options(
            "/api/v1/initialize", headers=asked | {"Access-Control-Request-Headers": "language-title,content-type"}
        )
        assert (preflight.status_code, preflight.headers["access-control-allow-origin"]) == (204, ORIGIN)
        page = {"Origin": ORIGIN}
        made = await client.post(
            "/api/v1/initialize",
            headers=page | {"Language-Title": "python-x"},
            json={"script_content": "result = 1"},
        )
        path = f"/api/v1/execute/{made.json()['request_id']}"
        answers = [await client.post(path, headers=page, json={}) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [200, 429]
        for answer in (made, *answers):
            assert answer.headers["access-control-allow-origin"] == ORIGIN
            assert "RateLimit" in answer.headers["access-control-expose-headers"]
            assert answer.headers["vary"] == "Origin"
        assert "retry-after" in answers[1].headers


async def test_answers_are_for_their_caller_alone(database_url, data_dir):
    async with served(database_url, data_dir) as client:
        for path in ("/api/v1/sessions", "/api/v1/sessions/nobody", "/livez"):
            answer = await client.get(path)
            assert answer.headers["cache-control"] == "no-store"
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert "access-control-allow-origin" not in answer.headers
            assert "server" not in answer.headers
