"""The real application: real PostgreSQL, real sandbox, driven over ASGI."""

import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlencode

import httpx2
import pytest
import pytest_asyncio
import structlog
from attrs import define
from psycopg.conninfo import conninfo_to_dict

from entrypoints.composition.controller import create_controller
from entrypoints.http.app import Application
from entrypoints.settings.loading import load_settings
from entrypoints.settings.settings import Settings
from tests.integration.conftest import NewDatabase
from tests.support.folders import shared_folder

NODEJS_HERE = {"NODEJS_RUNTIME_URL": ""}
"""Settings of a controller that starts Node.js too."""

BOTH_LANGUAGES = pytest.mark.parametrize("api", [NODEJS_HERE], indirect=True, ids=["both"])
"""For tests whose `api` runs Node.js too."""

ON_SHARED = pytest.mark.asyncio(loop_scope="module")
"""For tests on the `shared` controller of their module, whose event loop they need."""


@define
class Api:
    """A caller of the HTTP API."""

    client: httpx2.AsyncClient

    async def initialize(self, title: str, script: str, **fields) -> str:
        response = await self.client.post(
            "/api/v1/initialize", headers={"Language-Title": title}, json={"script_content": script, **fields}
        )
        assert response.status_code == 200, response.text
        return response.json()["request_id"]

    async def execute(self, session_id: str, **params) -> httpx2.Response:
        return await self.client.post(f"/api/v1/execute/{session_id}", json={"params": params})

    async def run(self, title: str, script: str, context: dict | None = None, **params):
        session_id = await self.initialize(title, script, context=context or {})
        response = await self.execute(session_id, **params)
        assert response.status_code == 200, response.text
        return json.loads(response.text)["result"]

    async def session(self, session_id: str) -> httpx2.Response:
        return await self.client.get(f"/api/v1/sessions/{session_id}")


def bearer(credential: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {credential}"}


def settings_for(database_url: str, data_dir: Path, **variables: str) -> Settings:
    """Settings of a controller that does not start Node.js, unless they say so: that takes longer than most tests."""
    nodejs = {"NODEJS_RUNTIME_URL": "http://127.0.0.1:9"}
    # Patient, because the suite shares its machine with other suites.
    patient = {"REQUEST_TIMEOUT_MS": "10000", "QUEUE_TIMEOUT_MS": "10000", "MAX_WARM_WORKERS": "4"}
    facts = {name: str(value) for name, value in conninfo_to_dict(database_url).items()}
    url = f"postgresql:///?{urlencode(facts)}"
    return load_settings({"DATABASE_URL": url, "DATA_DIR": str(data_dir), **patient, **nodejs, **variables})


@contextlib.asynccontextmanager
async def serving(application: Application) -> AsyncIterator[Api]:
    """Run the application's lifespan around a client."""
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(application.running())
        transport = httpx2.ASGITransport(app=application)
        client = httpx2.AsyncClient(transport=transport, base_url="http://localhost", timeout=60)
        yield Api(await stack.enter_async_context(client))


@pytest.fixture(autouse=True)
def default_logs() -> Iterator[None]:
    """Log as a new process does, whatever commands have run in this one."""
    kept = structlog.get_config()
    structlog.reset_defaults()
    yield
    structlog.configure(**kept)


@pytest.fixture(scope="session")
def data_dir() -> Iterator[Path]:
    """A folder that workers of another user can reach, kept for the whole run: copies of interpreters are made once."""
    with shared_folder() as folder:
        yield folder


@pytest.fixture
async def api(request: pytest.FixtureRequest, database_url: str, data_dir: Path) -> AsyncIterator[Api]:
    """A caller of a controller that runs Python alone."""
    variables = getattr(request, "param", {})
    async with serving(create_controller(settings_for(database_url, data_dir, **variables))) as api:
        yield api


@pytest.fixture(scope="module")
def shared_database_url(new_database: NewDatabase, template: str) -> Iterator[str]:
    """The address of the database of `shared`."""
    with new_database(template) as url:
        yield url


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(request: pytest.FixtureRequest, shared_database_url: str, data_dir: Path) -> AsyncIterator[Api]:
    """A caller of one controller for tests of a module that bear with each other's sessions: a start takes longest.

    They are marked with ON_SHARED. SETTINGS of the module are settings of the controller.
    """
    variables = getattr(request.module, "SETTINGS", {})
    async with serving(create_controller(settings_for(shared_database_url, data_dir, **variables))) as api:
        yield api
