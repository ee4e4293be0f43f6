"""Executions that were accepted are never lost, and run at most once, whatever dies between."""

import asyncio
import contextlib
import random
from collections import Counter

import httpx2
import pytest
from attrs import define, field

from tests.faults.mortal import STEPS_OF_QUEUE, runs_in
from tests.faults.report import NOTES
from tests.faults.test_idempotency import NEVER, ONCE, SCRIPT, TITLE

pytestmark = pytest.mark.timeout(180)

CLIENTS = 64
SESSIONS = 8
LASTING_S = 8.0
SETTLED_S = 30.0
DONE, LOST = {"succeeded"}, {"unknown"}
ENDS = {
    "before accept": (DONE, ONCE),
    "in accept": (DONE, ONCE),
    "after accept": (DONE, ONCE),
    "before claim": (DONE, ONCE),
    "in claim": (DONE | LOST, ONCE | NEVER),
    "after claim": (LOST, NEVER),
    "before run": (LOST, NEVER),
    "in run": (LOST, ONCE),
    "after run": (LOST, ONCE),
    "before finish": (LOST, ONCE),
    "in finish": (DONE | LOST, ONCE),
    "after finish": (DONE, ONCE),
}
"""What each death may end in: the status of the execution, and how often its script ran."""


async def accepted(client, session_id, number):
    """Hand over an execution under a key; None if the controller died meanwhile."""
    headers = {"Prefer": "respond-async", "Idempotency-Key": f"order {number}"}
    with contextlib.suppress(httpx2.TransportError):
        return await client.post(f"/api/v1/execute/{session_id}", headers=headers, json={"params": {"n": number}})
    return None


async def ended(client, execution_id):
    """Return the state of an execution once it is final."""
    async with asyncio.timeout(SETTLED_S):
        while True:
            response = await client.get(f"/api/v1/executions/{execution_id}", headers={"Prefer": "wait=5"})
            assert response.status_code in {200, 503}, response.text
            if response.status_code == 200 and "retry-after" not in response.headers:
                return response.json()


@pytest.mark.parametrize("step", STEPS_OF_QUEUE)
async def test_a_controller_that_is_killed_at_a_step_of_an_execution_that_runs_later(mortals, url, runs, step):
    mortal = mortals(url, step)
    await mortal.ready()
    async with httpx2.AsyncClient(base_url=mortal.url, timeout=10) as client:
        session_id = (await client.post("/api/v1/initialize", headers=TITLE, json=SCRIPT)).json()["request_id"]
        first = await accepted(client, session_id, 1)
    assert await mortal.has_died()
    survivor = mortals(url)
    await survivor.ready()
    async with httpx2.AsyncClient(base_url=survivor.url, timeout=10) as client:
        again = await accepted(client, session_id, 1)
        (listed,) = (await client.get("/api/v1/executions")).json()["executions"]
        state = await ended(client, listed["execution_id"])
    for response in (first, again):
        if response is not None and response.status_code == 202:
            assert response.json()["execution_id"] == listed["execution_id"], "what was acknowledged is there"
    ran = runs_in(runs)
    statuses, times = ENDS[step]
    assert state["status"] in statuses
    assert len(ran) <= 1
    assert ("once" if ran else "never") in times


@define(eq=False)
class Handing:
    """Clients that hand over executions at two controllers, each until it is acknowledged."""

    clients: list[httpx2.AsyncClient]
    sessions: list[str]
    random: random.Random
    acknowledged: dict[int, str] = field(factory=dict)
    broken: int = 0
    _number: int = 0
    _stopping: bool = False

    def start(self):
        return [asyncio.ensure_future(self._live_on()) for _ in range(CLIENTS)]

    def stop(self):
        self._stopping = True

    async def _live_on(self):
        while not self._stopping:
            self._number += 1
            await self._hand_over(self._number)
            await asyncio.sleep(self.random.uniform(0, 0.3))

    async def _hand_over(self, number):
        session_id = self.sessions[number % SESSIONS]
        while True:
            response = await accepted(self.random.choice(self.clients), session_id, number)
            if response is not None and response.status_code in {200, 202}:
                self.acknowledged[number] = response.json()["execution_id"]
                return
            if response is not None and response.status_code == 409:
                assert response.json()["error"]["details"]["executed"] == "unknown", response.text
                return
            self.broken += response is None
            await asyncio.sleep(0.05)


async def test_no_acknowledged_execution_is_lost_or_runs_twice(mortals, url, runs):
    chance = random.Random("queue of two controllers")
    controllers = [mortals(url) for _ in range(2)]
    for each in controllers:
        await each.ready()
    async with contextlib.AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(httpx2.AsyncClient(base_url=each.url, timeout=10)) for each in controllers
        ]
        script = SCRIPT | {"limits": {"timeout_ms": 300}}
        sessions = [
            (await clients[0].post("/api/v1/initialize", headers=TITLE, json=script)).json()["request_id"]
            for _ in range(SESSIONS)
        ]
        handing = Handing(clients, sessions, chance)
        tasks = handing.start()
        until_s = asyncio.get_running_loop().time() + LASTING_S
        kills = 0
        while asyncio.get_running_loop().time() < until_s:
            await asyncio.sleep(chance.uniform(0.3, 0.9))
            killed = chance.choice(controllers)
            killed.kill()
            kills += 1
            await asyncio.sleep(0.1)
            killed.start()
        for each in controllers:
            await each.ready()
        handing.stop()
        await asyncio.gather(*tasks)
        states = {
            number: await ended(clients[0], execution_id) for number, execution_id in handing.acknowledged.items()
        }
    ran = Counter(params["n"] for _, params in runs_in(runs))
    assert max(ran.values()) == 1, "none runs twice"
    statuses = Counter(state["status"] for state in states.values())
    assert set(statuses) <= DONE | LOST, statuses
    assert all(ran[number] == 1 for number, state in states.items() if state["status"] == "succeeded")
    NOTES.append(
        f"queue, two controllers, {kills} kills, {CLIENTS} clients: {len(states)} executions were acknowledged, "
        f"{dict(statuses)}; none was lost, none ran twice; {handing.broken} calls broke off"
    )
    assert statuses["succeeded"] > CLIENTS
    assert handing.broken
