"""Keyed calls and the history end to end: real scripts, a real database, restarts."""

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from entrypoints.composition.controller import create_controller
from tests.integration.application.conftest import Api, serving, settings_for

pytestmark = pytest.mark.timeout(120)

KEY = {"Idempotency-Key": "order 4711"}
SCRIPT = "import random\nprint('drawn')\nresult = [random.random(), params]"


async def execute(api: Api, session_id: str, key: dict[str, str] = KEY, **params):
    return await api.client.post(f"/api/v1/execute/{session_id}", json={"params": params}, headers=key)


async def test_one_of_many_calls_with_one_key_runs_and_all_get_its_response(api: Api) -> None:
    session_id = await api.initialize("python-draw", SCRIPT)
    responses = await asyncio.gather(*(execute(api, session_id, n=1) for _ in range(20)))
    assert Counter(response.status_code for response in responses)[200] >= 1
    assert {response.status_code for response in responses} <= {200, 409}
    (first,) = {response.content for response in responses if response.status_code == 200}
    again = await execute(api, session_id, n=1)
    assert (again.content, again.headers["idempotent-replayed"]) == (first, "true")
    assert (await api.session(session_id)).json()["execution_count"] == 1


async def test_a_failure_survives_a_restart_and_is_reported_by_another_controller(
    database_url: str, data_dir: Path
) -> None:
    settings = settings_for(database_url, data_dir)
    async with serving(create_controller(settings)) as api:
        session_id = await api.initialize("python-bad", "print('so far'); raise TypeError('bad')")
        first = await execute(api, session_id)
        await api.client.delete(f"/api/v1/sessions/{session_id}")
    async with serving(create_controller(settings)) as api:
        again = await execute(api, session_id)
    assert (first.status_code, first.json()["error"]["details"]["name"]) == (422, "TypeError")
    assert (again.status_code, again.content) == (422, first.content)
    assert again.headers["idempotent-replayed"] == "true"


async def test_a_run_of_a_function_s_schedule_keeps_its_key_when_the_function_has_another_version(api: Api) -> None:
    await api.client.put("/api/v1/functions/python-draw", json={"script_content": SCRIPT})
    timed = {"name": "x", "function": "python-draw", "interval_seconds": 3600}
    run = (await api.client.post("/api/v1/schedules", json=timed)).headers["location"] + "/run"
    first = await api.client.post(run, headers=KEY)
    await api.client.put("/api/v1/functions/python-draw", json={"script_content": "result = 1"})
    again, other = await api.client.post(run, headers=KEY), await api.client.post(run)
    ids = [response.json()["execution_id"] for response in (first, again, other)]
    assert ids[0] == ids[1] != ids[2]


async def test_neither_payloads_nor_responses_are_kept_where_that_is_wanted(database_url: str, data_dir: Path) -> None:
    settings = settings_for(database_url, data_dir, HISTORY="summary", IDEMPOTENCY="off")
    async with serving(create_controller(settings)) as api:
        session_id = await api.initialize("python-secret", "print('secret')\nresult = params")
        assert (await execute(api, session_id)).status_code == 400
        await api.execute(session_id, secret=True)
        timed = {"name": "x", "request_id": session_id, "interval_seconds": 60}
        refused = await api.client.post("/api/v1/schedules", json=timed)
        assert (refused.status_code, "IDEMPOTENCY=off" in refused.text) == (409, True)
        (row,) = (await api.client.get(f"/api/v1/sessions/{session_id}/executions")).json()["executions"]
    assert (row["outcome"], row["execution_count"]) == ("succeeded", 1)
    assert row["execution_time_ms"] > 0
    assert [row[name] for name in ("params", "result", "error", "stdout", "stderr")] == [None] * 5
