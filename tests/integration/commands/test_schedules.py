"""Schedules over HTTP and from the command line, on a real database: one journey."""

import json
from collections.abc import AsyncIterator

import pytest
from msgspec.structs import replace

from entrypoints.composition.controller import create_controller
from entrypoints.settings.settings import Settings
from tests.integration.application.conftest import Api, serving
from tests.integration.commands.conftest import Run

UNKNOWN = "019a6c1e-3f4b-7c2d-8e9f-0a1b2c3d4e5f"


@pytest.fixture
async def api(python_settings: Settings) -> AsyncIterator[Api]:
    """A controller that accepts executions and runs none."""
    async with serving(create_controller(replace(python_settings, max_async_executions=0))) as api:
        yield api


async def test_schedules_are_listed_shown_paused_resumed_and_run(api: Api, run: Run) -> None:
    session_id = await api.initialize("python-adder", "result = params['a'] + 1")
    body = {"name": "nightly\u001b[2J", "request_id": session_id, "params": {"a": 1}, "cron": "30 2 * * *"}
    made = await api.client.post("/api/v1/schedules", json=body | {"time_zone": "Europe/Berlin"})
    assert made.status_code == 201, made.text
    schedule_id = made.json()["schedule_id"]

    listed = run("schedules", "list", "--output", "json")
    assert listed.returncode == 0, listed.stderr
    (facts,) = json.loads(listed.stdout)
    assert (facts["schedule_id"], facts["timing"], facts["state"]) == (
        schedule_id,
        "30 2 * * * Europe/Berlin",
        "active",
    )
    assert facts["target"] == session_id
    assert r"nightly\x1b[2J" in run("schedules", "list").stdout
    assert "No schedules" in run("schedules", "list", "--owner", "alice").stdout

    assert "It is paused" in run("schedules", "pause", schedule_id).stdout
    assert "paused" in run("schedules", "show", schedule_id).stdout
    assert "Next due: " in run("schedules", "resume", schedule_id).stdout
    execution_id = run("schedules", "run", schedule_id).stdout.strip()
    state = (await api.client.get(f"/api/v1/executions/{execution_id}")).json()
    assert (state["status"], state["request_id"]) == ("queued", session_id)
    shown = json.loads(run("schedules", "show", schedule_id, "--output", "json").stdout)
    assert [each["execution_id"] for each in shown["firings"]] == [execution_id]

    acts = json.loads(run("audit", "--output", "json").stdout)
    done = [(each["act"], each["subject"]) for each in acts if each["act"].startswith("schedules.")]
    assert done == [(f"schedules.{act}", schedule_id) for act in ("run", "resume", "pause", "create")]

    unknown = run("schedules", "show", UNKNOWN)
    assert (unknown.returncode, "no schedule" in unknown.stderr) == (1, True)
