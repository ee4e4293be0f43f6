"""Bursts of new scripts are checked whole, by this host's sandbox and by a runtime host's."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest
import pytest_asyncio

from adapters.sandbox.options import SandboxOptions
from adapters.sandbox.runner import SandboxScriptRunner
from entrypoints.composition.controller import create_controller
from entrypoints.runtime_host.application import HostApi
from entrypoints.runtime_host.options import RuntimeHostOptions
from tests.contracts.served_hosts import served
from tests.integration.application.conftest import NODEJS_HERE, ON_SHARED, Api, serving, settings_for
from tests.integration.conftest import NewDatabase
from tests.support.ports import unix_socket

pytestmark = [pytest.mark.timeout(120), ON_SHARED]


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["sandbox", "runtime host"])
async def checked_at(
    request: pytest.FixtureRequest, new_database: NewDatabase, template: str, data_dir: Path
) -> AsyncIterator[Api]:
    """An application whose scripts are checked here, or by a host on a Unix socket."""
    with new_database(template) as database_url:
        if request.param == "sandbox":
            async with serving(create_controller(settings_for(database_url, data_dir, **NODEJS_HERE))) as api:
                yield api
            return
        sandbox = SandboxScriptRunner(SandboxOptions(runtimes_dir=data_dir / "runtimes", queue_timeout_s=10.0))
        await sandbox.open()
        path = data_dir / f"{uuid4().hex}.sock"
        host = HostApi(sandbox, RuntimeHostOptions(bind=f"unix:{path}")).app()
        urls = dict.fromkeys(("NODEJS_RUNTIME_URL", "PYTHON_RUNTIME_URL"), f"unix:{path}")
        application = create_controller(settings_for(database_url, data_dir, QUEUE_TIMEOUT_MS="20000", **urls))
        async with served(host, unix_socket(path)), serving(application) as api:
            yield api
        await sandbox.close(5)


async def test_200_new_scripts_at_once_are_all_taken(checked_at: Api) -> None:
    async def initialize(language: str, n: int) -> int:
        body = {"script_content": f"a = '{secrets.token_hex(8)}'"}
        headers = {"Language-Title": f"{language}-x{n}"}
        return (await checked_at.client.post("/api/v1/initialize", headers=headers, json=body)).status_code

    calls = [initialize(language, n) for language in ("nodejs", "python") for n in range(100)]
    assert set(await asyncio.gather(*calls)) == {200}


async def test_200_functions_at_once_are_all_registered(checked_at: Api) -> None:
    async def register(n: int) -> int:
        body = {"script_content": f"result = '{secrets.token_hex(8)}'"}
        return (await checked_at.client.put(f"/api/v1/functions/python-burst-{n}", json=body)).status_code

    assert set(await asyncio.gather(*map(register, range(200)))) == {201}
