"""Accepted executions are never lost and run at most once, and each end is reported, whatever is killed meanwhile."""

import asyncio
import contextlib
import os
import random
from collections import Counter

import httpx2
import pytest
from attrs import define, field

from domain.webhooks.delivery import ATTEMPTS_MAX
from domain.webhooks.webhook import ENDS as ENDS_TOLD
from tests.faults.disturbance import disturb
from tests.faults.mortal import STEPS_OF_QUEUE, runs_in
from tests.faults.receiver import CLAIMS_END, WEIGHTS, RandomFaults, Receiver
from tests.faults.report import NOTES
from tests.faults.server import SERVICE_ROLE, execute
from tests.faults.test_idempotency import NEVER, ONCE, SCRIPT, TITLE

pytestmark = pytest.mark.timeout(480)

CLIENTS = 64
SESSIONS = 8
LASTING_S = 25.0 if os.environ.get("DRILL") == "long" else 8.0
SETTLED_S = 30.0
DELIVERED_S = 240.0
CALLBACK_EVERY = 50
PROBLEMS_SHOWN = 20
PAUSES_END = """
UPDATE meta.deliveries SET next_at = next_at - interval '1 day' WHERE state = 'pending' AND next_at > now()
"""
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


async def accepted(client, session_id, number, **more):
    """Hand over an execution under a key; None if the controller died meanwhile."""
    headers, body = {"Prefer": "respond-async", "Idempotency-Key": f"order {number}"}, {"params": {"n": number}}
    with contextlib.suppress(httpx2.TransportError):
        return await client.post(f"/api/v1/execute/{session_id}", headers=headers, json=body | more)
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
    """Clients that hand over executions at two controllers, each until it is acknowledged.

    Every CALLBACK_EVERYth names a webhook whose receiver is dead.
    """

    clients: list[httpx2.AsyncClient]
    sessions: list[str]
    random: random.Random
    callback: str
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
            await asyncio.sleep(self.random.uniform(0, 0.6))

    async def _hand_over(self, number):
        session_id = self.sessions[number % SESSIONS]
        callback = {"async": {"callback": self.callback}} if number % CALLBACK_EVERY == 0 else {}
        while True:
            response = await accepted(self.random.choice(self.clients), session_id, number, **callback)
            if response is not None and response.status_code in {200, 202}:
                self.acknowledged[number] = response.json()["execution_id"]
                return
            if response is not None and response.status_code == 409:
                assert response.json()["error"]["details"]["executed"] == "unknown", response.text
                return
            self.broken += response is None
            await asyncio.sleep(0.05)


@pytest.fixture
async def receiver():
    async with Receiver(RandomFaults(random.Random("receivers"))).running() as receiver:
        yield receiver


@pytest.fixture
def controllers(mortals, server, database, proxies, receiver):
    return [mortals(server.dsn(database, SERVICE_ROLE, proxy.port), **receiver.settings) for proxy in proxies]


async def delivered(client, server, database, webhooks):
    """Let time pass until no message waits; return what each webhook lists, by execution."""
    execute(server, database, CLAIMS_END)
    async with asyncio.timeout(DELIVERED_S):
        while any(await asyncio.gather(*(deliveries(client, each, "pending") for each in webhooks))):
            execute(server, database, PAUSES_END)
            await asyncio.sleep(0.5)
    return [{each["execution_id"]: each for each in await deliveries(client, webhook)} for webhook in webhooks]


async def deliveries(client, webhook, state=""):
    """Return all deliveries of a webhook, or those in one state."""
    found, query = [], {"limit": 200} | ({"state": state} if state else {})
    while True:
        response = await client.get(f"/api/v1/webhooks/{webhook['webhook_id']}/deliveries", params=query)
        page = response.json()
        found += page["deliveries"]
        if page["next_cursor"] is None:
            return found
        query["cursor"] = page["next_cursor"]


def unheard(states, listed, receiver):
    """Yield what a webhook should have heard, and has not, or has heard and should not."""
    accepted_times = receiver.accepted()
    for state in states:
        delivery = listed.get(state["execution_id"])
        if delivery is None:
            yield f"{state['execution_id']} has ended, and has no message"
        elif delivery["event"] != f"execution.{state['status']}":
            yield f"{delivery['event']} reports the end {state['status']}"
    for delivery in listed.values():
        if (delivery["state"] == "delivered") != (accepted_times[delivery["delivery_id"]] > 0):
            yield f"{delivery['delivery_id']} is {delivery['state']}, and was accepted {accepted_times} times"
        if delivery["state"] == "failed" and delivery["attempts"] != ATTEMPTS_MAX:
            yield f"{delivery['delivery_id']} failed after {delivery['attempts']} attempts"


async def test_no_acknowledged_execution_is_lost_or_runs_twice_and_each_end_is_told(  # noqa: PLR0917  # fixtures
    server, database, proxies, controllers, receiver, runs
):
    chance = random.Random("queue of two controllers")
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
        hears = await receiver.register(clients[0], "/", sorted(ENDS_TOLD))
        dead = await receiver.register(clients[0], "/dead", [])
        handing = Handing(clients, sessions, chance, dead["webhook_id"])
        tasks = handing.start()
        faults = await disturb(chance, server, proxies, controllers, LASTING_S)
        for each in controllers:
            await each.ready()
        handing.stop()
        await asyncio.gather(*tasks)
        states = {
            number: await ended(clients[0], execution_id) for number, execution_id in handing.acknowledged.items()
        }
        told, told_dead = await delivered(clients[1], server, database, [hears, dead])
        again = {number: await ended(clients[1], each) for number, each in handing.acknowledged.items()}
    ran = Counter(params["n"] for _, params in runs_in(runs))
    assert max(ran.values()) == 1, "none runs twice"
    statuses = Counter(state["status"] for state in states.values())
    assert set(statuses) <= DONE | LOST, statuses
    assert all(ran[number] == 1 for number, state in states.items() if state["status"] == "succeeded")
    assert {number: each["status"] for number, each in again.items()} == {
        number: each["status"] for number, each in states.items()
    }, "an end never changes"
    called = [state for number, state in states.items() if number % CALLBACK_EVERY == 0]
    found = [*unheard(states.values(), told, receiver), *unheard(called, told_dead, receiver)]
    assert not found, "\n".join([f"{len(found)} problems", *found[:PROBLEMS_SHOWN]])
    assert {each["state"] for each in told_dead.values()} == {"failed"}
    secrets = {"/": hears["secret"], "/dead": dead["secret"]}
    numbers = {execution_id: number for number, execution_id in handing.acknowledged.items()}
    for message in receiver.messages:  # none went where a redirect points to
        data = message.verify(secrets[message.path])["data"]
        number = numbers.get(data["execution_id"])  # none if its acknowledgement was lost
        assert data["status"] != "succeeded" or number in {None, data["result"]["n"]}
    ends = Counter(each["state"] for each in [*told.values(), *told_dead.values()])
    NOTES.append(
        f"queue, two controllers, {LASTING_S:g} s, {CLIENTS} clients, faults {dict(faults)}: {len(states)} executions were "
        f"acknowledged, {dict(statuses)}; none was lost, none ran twice, no end was invented; {handing.broken} calls broke "
        f"off; {len(receiver.messages)} messages arrived ({dict(receiver.choose.chosen)}), deliveries {dict(ends)}"
    )
    assert statuses["succeeded"] > CLIENTS
    assert handing.broken
    assert len(receiver.choose.chosen) == len(WEIGHTS)
