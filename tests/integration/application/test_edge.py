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


@pytest.mark.parametrize(
    ("variables", "own", "foreign"),
    [({}, "localhost", "rebound.evil.test"), ({"ALLOWED_HOSTS": "api.example.com"}, "api.example.com", "localhost")],
    ids=["by default", "by setting"],
)
async def test_only_requests_for_its_own_names_are_answered(database_url, data_dir, variables, own, foreign):
    async with served(database_url, data_dir, **variables) as client:
        assert (await client.get("/livez", headers={"Host": own})).status_code == 200
        assert (await client.get("/livez", headers={"Host": foreign})).status_code == 400


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
