"""Live events, end to end: of scripts in real sandboxes, over real connections, at the controller that runs them or not."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
import pytest_asyncio

from adapters.sandbox.options import SandboxOptions
from adapters.sandbox.runner import SandboxScriptRunner
from entrypoints.composition.controller import create_controller
from entrypoints.http.app import Application
from entrypoints.runtime_host.application import HostApi
from entrypoints.runtime_host.options import RuntimeHostOptions
from tests.contracts.served_hosts import served
from tests.integration.application.conftest import ON_SHARED, Api, settings_for
from tests.integration.application.test_asynchronous import read
from tests.support.ports import unix_socket

pytestmark = [pytest.mark.timeout(120), ON_SHARED]

LINES = {"Accept": "application/x-ndjson"}
STEPS = """
import sys, time
for number in range(params["steps"]):
    print(f"step {number} é", flush=True)
    print("err", number, file=sys.stderr, flush=True)
    progress(number / params["steps"], f"step {number}")
    time.sleep(params["pause"])
result = params["steps"]
"""
LONG = {"timeout_ms": 60_000}


@asynccontextmanager
async def connected(application: Application) -> AsyncIterator[Api]:
    """Serve an application over connections, which carry each event as it is sent."""
    listening = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    async with (
        application.running(),
        served(application, listening),
        httpx2.AsyncClient(base_url=url, timeout=60) as client,
    ):
        yield Api(client)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(shared_database_url: str, data_dir: Path) -> AsyncIterator[Api]:
    async with connected(create_controller(settings_for(shared_database_url, data_dir))) as api:
        yield api


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def accepting(shared_database_url: str, data_dir: Path) -> AsyncIterator[Api]:
    """A controller that accepts executions, and runs none of them."""
    settings = settings_for(shared_database_url, data_dir, MAX_ASYNC_EXECUTIONS="0")
    async with connected(create_controller(settings)) as api:
        yield api


@asynccontextmanager
async def stream(
    api: Api, method: str, path: str, headers: Mapping[str, str] | None = None, **body: Any
) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
    async with api.client.stream(method, path, headers={**LINES, **(headers or {})}, **body) as response:
        assert response.status_code == 200, (await response.aread()).decode()
        yield (json.loads(line) async for line in response.aiter_lines() if "keep-alive" not in line)


def text_of(events: list[dict[str, Any]], name: str = "stdout") -> str:
    return "".join(each["data"]["text"] for each in events if each["event"] == name)


async def require_live(api: Api) -> None:
    """Stream an execution, and find output and progress of it while it runs."""
    session_id = await api.initialize("python-steps", STEPS, limits=LONG)
    body = {"params": {"steps": 3, "pause": 0.5}}
    async with stream(api, "POST", f"/api/v1/execute/{session_id}", json=body) as events:
        found = [await anext(events), await anext(events)]
        while not text_of(found):
            found.append(await anext(events))
        assert (await read(api, found[0]["data"]["execution_id"]))["status"] == "running"
        found += [event async for event in events]
    assert text_of(found) == "".join(f"step {n} é\n" for n in range(3))
    assert text_of(found, "stderr") == "err 0\nerr 1\nerr 2\n"
    assert {each["data"]["message"] for each in found if each["event"] == "progress"} >= {"step 0", "step 2"}
    assert (found[-1]["event"], found[-1]["data"]["result"]) == ("end", 3)
    assert [each["event"] for each in found].count("end") == 1


async def test_output_and_progress_arrive_while_the_script_runs(running: Api) -> None:
    await require_live(running)


async def test_a_reader_that_is_cut_off_again_and_again_gets_each_byte_once(running: Api, accepting: Api) -> None:
    session_id = await running.initialize("python-steps", STEPS, limits=LONG)
    body = {"params": {"steps": 12, "pause": 0.2}}
    found: list[dict[str, Any]] = []
    async with stream(running, "POST", f"/api/v1/execute/{session_id}", json=body) as events:
        found += [await anext(events) for _ in range(2)]
    execution_id, reads = found[0]["data"]["execution_id"], 0
    while found[-1]["event"] != "end":
        where = (running, accepting)[reads % 2]
        reads += 1
        last = {"Last-Event-ID": found[-1]["id"]}
        async with (
            asyncio.timeout(60),
            stream(where, "GET", f"/api/v1/executions/{execution_id}/events", last) as events,
        ):
            found += [await anext(events) for _ in range(2)]
    whole = await read(running, execution_id)
    assert reads > 2
    assert text_of(found) == whole["stdout"] == "".join(f"step {n} é\n" for n in range(12))
    assert text_of(found, "stderr") == whole["stderr"]


async def test_a_controller_that_only_accepts_streams_what_another_one_runs(running: Api, accepting: Api) -> None:
    session_id = await running.initialize("python-steps", "print('one')\nprogress(1)\nresult = params + 1")
    async with stream(accepting, "POST", f"/api/v1/execute/{session_id}", json={"params": 1}) as events:
        found = [event async for event in events]
    assert text_of(found) == "one\n"
    assert found[-1]["data"]["result"] == 2


async def test_hanging_up_cancels_if_the_caller_prefers_that(running: Api) -> None:
    session_id = await running.initialize("python-steps", STEPS, limits=LONG)
    path, body = f"/api/v1/execute/{session_id}", {"params": {"steps": 1, "pause": 50}}
    states = []
    for headers in ({"Prefer": "cancel-on-disconnect"}, {}):
        async with stream(running, "POST", path, headers, json=body) as events:
            first, _ = [await anext(events) for _ in range(2)]
        execution_id = first["data"]["execution_id"]
        states.append((await read(running, execution_id, wait_s=30 if headers else 1))["status"])
    assert states == ["cancelled", "running"]
    await running.client.post(f"/api/v1/executions/{execution_id}/cancel")


async def test_output_of_a_runtime_host_arrives_while_the_script_runs(
    database_url: str, data_dir: Path, tmp_path: Path
) -> None:
    sandbox = SandboxScriptRunner(SandboxOptions(runtimes_dir=data_dir / "runtimes", queue_timeout_s=10.0))
    await sandbox.open()
    path = tmp_path / "host.sock"
    host = HostApi(sandbox, RuntimeHostOptions(bind=f"unix:{path}")).app()
    urls = dict.fromkeys(("NODEJS_RUNTIME_URL", "PYTHON_RUNTIME_URL"), f"unix:{path}")
    application = create_controller(settings_for(database_url, data_dir, **urls))
    async with served(host, unix_socket(path)), connected(application) as api:
        await require_live(api)
    await sandbox.close(5)
