"""States of sessions whose controllers are killed: saved if and only if the execution is counted."""

import asyncio
import os
import random
from collections import Counter

import httpx2
import pytest

from tests.faults.conftest import QUICK
from tests.faults.mortal import STEPS_OF_STATE, Mortal, runs_in
from tests.faults.report import NOTES
from tests.faults.server import SERVICE_ROLE
from tests.faults.test_idempotency import TITLE, dies

pytestmark = pytest.mark.timeout(180)

COUNT = {
    "script_content": "state['n'] = state.get('n', 0) + 1\nresult = state['n']",
    "limits": {"timeout_ms": 300},
    "state": {"mode": "exclusive"},
}
CALLERS, SESSIONS = 64, 16
LASTING_S = 30.0 if os.environ.get("DRILL") == "long" else 6.0
STORED = """
SELECT s.execution_count, coalesce(t.version, 0), coalesce(t.state::jsonb ->> 'n', '0')::int
FROM meta.sessions AS s LEFT JOIN meta.session_states AS t USING (request_id)
"""


async def initialized(client):
    made = await client.post("/api/v1/initialize", headers=TITLE, json=COUNT)
    return made.json()["request_id"]


async def executed(client, session_id, timeout_s=10.0):
    """Execute until the slot is free: that of a killed execution is at its deadline."""
    async with asyncio.timeout(timeout_s):
        while True:
            response = await client.post(f"/api/v1/execute/{session_id}", json={})
            if response.status_code == 200:
                return response.json()
            assert response.json()["error"]["details"]["executed"] == "no"
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("step", STEPS_OF_STATE)
async def test_a_controller_that_is_killed_at_a_step_saves_the_state_only_with_its_count(
    mortals, survivor, url, runs, step
):
    session_id = await initialized(survivor)
    await dies(mortals(url, step), f"/api/v1/execute/{session_id}", json={})
    counted = (await survivor.get(f"/api/v1/sessions/{session_id}")).json()["execution_count"]
    state = (await survivor.get(f"/api/v1/sessions/{session_id}/state")).json()
    assert state == {"state": {"n": 1} if counted else {}, "version": counted}
    assert counted <= len(runs_in(runs))
    following = await executed(survivor, session_id)
    assert (following["result"], following["state_version"]) == (counted + 1, counted + 1)


@pytest.fixture
def controllers(server, database, data_dir, tmp_path):
    variables = {"DATABASE_URL": server.dsn(database, SERVICE_ROLE), "DATA_DIR": str(data_dir)} | QUICK
    controllers = [Mortal(variables | {"QUEUE_TIMEOUT_MS": "1000"}, tmp_path / "runs") for _ in range(2)]
    yield controllers
    for controller in controllers:
        controller.kill()


def _end_of(response):
    """Return what became of a call: it was counted, nothing ran, or nobody knows."""
    if response.status_code == 200:
        return "counted"
    return {"no": "nothing"}.get(response.json()["error"]["details"].get("executed"), "unknown")


async def test_increments_of_64_callers_over_two_controllers_with_kills_are_exact(  # fixtures, by name
    server, database, controllers, tmp_path
):
    chance, ends, stopped = random.Random("states"), Counter(), asyncio.Event()
    for controller in controllers:
        await controller.ready()
    async with httpx2.AsyncClient(base_url=controllers[0].url, timeout=20) as client:
        sessions = [await initialized(client) for _ in range(SESSIONS)]

    async def call_on(number):
        limits = httpx2.Limits(max_keepalive_connections=0)
        base = controllers[number % 2].url
        async with httpx2.AsyncClient(base_url=base, timeout=20, limits=limits) as client:
            while not stopped.is_set():
                try:
                    response = await client.post(f"/api/v1/execute/{chance.choice(sessions)}", json={})
                except httpx2.ConnectError:
                    ends["nothing"] += 1
                except httpx2.TransportError:
                    ends["unknown"] += 1
                else:
                    ends[_end_of(response)] += 1
                    if response.status_code == 200:
                        continue
                await asyncio.sleep(0.05)

    tasks = [asyncio.ensure_future(call_on(number)) for number in range(CALLERS)]
    kills, loop = 0, asyncio.get_running_loop()
    until_s = loop.time() + LASTING_S
    while loop.time() < until_s:
        await asyncio.sleep(chance.uniform(0.5, 1.5))
        controller = controllers[kills % 2]
        controller.kill()
        controller.start()
        kills += 1
        await controller.ready()
    stopped.set()
    await asyncio.gather(*tasks)
    with server.admin(database) as admin:
        rows = admin.execute(STORED).fetchall()
    assert [(version, n) for _, version, n in rows] == [(count, count) for count, _, _ in rows]
    total = sum(count for count, _, _ in rows)
    assert ends["counted"] <= total <= ends["counted"] + ends["unknown"], ends
    assert total <= len(runs_in(tmp_path / "runs"))
    assert ends["counted"] > CALLERS
    NOTES.append(
        f"states: {total:,} increments by {CALLERS} callers over two controllers with {kills} kills in "
        f"{LASTING_S:.0f} s, {ends['counted']:,} acknowledged, {ends['unknown']} unknown, none lost"
    )
