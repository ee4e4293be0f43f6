"""Executions that run later, seen and changed from the command line."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from msgspec.structs import replace

from entrypoints.composition.controller import create_controller
from entrypoints.settings.settings import Settings
from tests.integration.application.conftest import Api, serving
from tests.integration.application.test_asynchronous import accepted, read
from tests.integration.commands.conftest import Run

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
async def api(python_settings: Settings) -> AsyncIterator[Api]:
    """A controller that accepts executions and runs none."""
    async with serving(create_controller(replace(python_settings, max_async_executions=0))) as api:
        yield api


@pytest.fixture
async def running(python_settings: Settings) -> AsyncIterator[Api]:
    async with serving(create_controller(python_settings)) as api:
        yield api


async def test_an_execution_is_followed_to_its_end(running: Api, run: Run) -> None:
    session_id = await running.initialize(
        "python-prints", "print('one')\nprogress(0.5, 'half')\nresult = params['n'] / 2"
    )
    for params, code, last in (({"n": 3}, 0, "succeeded: 1.5"), ({}, 1, "failed: SCRIPT_ERROR")):
        execution_id = (await accepted(running, session_id, params))["execution_id"]
        await read(running, execution_id, wait_s=30)
        followed = run("executions", "follow", execution_id)
        assert (followed.returncode, followed.stdout) == (code, "one\n")
        assert last in followed.stderr
    unknown = run("executions", "follow", "019a6c1e-3f4b-7c2d-8e9f-0a1b2c3d4e5f")
    assert (unknown.returncode, unknown.stdout) == (1, "")


async def test_output_is_shown_while_an_execution_runs(running: Api, run: Run) -> None:
    script = "import time\nprint('one', flush=True)\nprogress(0.5, 'half')\ntime.sleep(params['s'])\nprint('two')"
    session_id = await running.initialize("python-sleeps", script, limits={"timeout_ms": 60_000})
    execution_id = (await accepted(running, session_id, {"s": 5}))["execution_id"]
    # A program would import for longer than the script runs, on a busy machine.
    followed = await asyncio.to_thread(run, "executions", "follow", execution_id)
    assert (followed.returncode, followed.stdout) == (0, "one\ntwo\n")
    assert "progress: 50% half\n" in followed.stderr, "progress is no part of the record: it was read meanwhile"


async def test_executions_are_listed_shown_cancelled_and_repeated(api: Api, run: Run) -> None:
    session_id = await api.initialize("python-adder", "result = params['a'] + 1")
    first, second = [(await accepted(api, session_id, {"a": n}))["execution_id"] for n in range(2)]

    listed = run("executions", "list", "--output", "json")
    assert listed.returncode == 0, listed.stderr
    assert [each["execution_id"] for each in json.loads(listed.stdout)] == [second, first]

    shown = run("executions", "show", first)
    assert "queued" in shown.stdout
    running = run("executions", "retry", first)
    assert (running.returncode, "is queued" in running.stderr) == (1, True)

    assert "will not run" in run("executions", "cancel", first).stdout
    assert "cancelled" in run("executions", "cancel", first).stdout
    assert (await read(api, first))["status"] == "cancelled"
    only = run("executions", "list", "--status", "cancelled", "--session", session_id)
    assert (first in only.stdout, second in only.stdout) == (True, False)
    assert "EXECUTION_CANCELLED" in run("executions", "show", first).stdout

    again = run("executions", "retry", first).stdout.strip()
    state = await read(api, again)
    assert (state["status"], state["retry_of"]) == ("queued", first)
    assert "No executions" in run("executions", "list", "--owner", "alice").stdout
    acts = json.loads(run("audit", "--output", "json").stdout)
    found = [(each["act"], each["owner"], each["subject"], each["details"]) for each in acts]
    assert found[:2] == [
        ("executions.retry", "anonymous", first, {"execution_id": again}),
        ("executions.cancel", "anonymous", first, {"found": "cancelled"}),
    ], "the second cancel changed nothing"
    unknown = run("executions", "show", "019a6c1e-3f4b-7c2d-8e9f-0a1b2c3d4e5f")
    assert (unknown.returncode, unknown.stdout) == (1, "")
