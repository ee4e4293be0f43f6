"""A message to a webhook arrives at least once, whatever dies between the writes of its delivery."""

import asyncio

import httpx2
import pytest

from tests.faults.mortal import STEPS_OF_DELIVERY
from tests.faults.receiver import CLAIMS_END, Receiver
from tests.faults.server import execute
from tests.faults.test_asynchronous import accepted
from tests.faults.test_idempotency import SCRIPT, TITLE

pytestmark = pytest.mark.timeout(120)

SETTLED_S = 30.0
TIMES = {"in send": {2}, "before record": {2}, "in record": {1, 2}}
"""How often the receiver gets the message; once if the process dies at another step."""


async def delivered(client, webhook_id):
    """Return the only delivery of a webhook once it is delivered."""
    async with asyncio.timeout(SETTLED_S):
        while True:
            (delivery,) = (await client.get(f"/api/v1/webhooks/{webhook_id}/deliveries")).json()["deliveries"]
            if delivery["state"] == "delivered":
                return delivery
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("step", [*STEPS_OF_DELIVERY, "in send"])
async def test_a_controller_that_is_killed_at_a_step_of_a_delivery(mortals, server, database, url, step):
    async def choose(_):
        if step == "in send":
            mortal.kill()
        return "accept"

    async with Receiver(choose).running() as receiver:
        mortal = mortals(url, step, **receiver.settings)
        await mortal.ready()
        async with httpx2.AsyncClient(base_url=mortal.url, timeout=10) as client:
            webhook = await receiver.register(client, "/", ["execution.succeeded"])
            session_id = (await client.post("/api/v1/initialize", headers=TITLE, json=SCRIPT)).json()["request_id"]
            response = await accepted(client, session_id, 1)
        assert await mortal.has_died()
        execute(server, database, CLAIMS_END)
        survivor = mortals(url, **receiver.settings)
        await survivor.ready()
        async with httpx2.AsyncClient(base_url=survivor.url, timeout=10) as client:
            delivery = await delivered(client, webhook["webhook_id"])
    assert len(receiver.messages) in TIMES.get(step, {1})
    assert response is None or delivery["execution_id"] == response.json()["execution_id"]
    assert {message.webhook_id for message in receiver.messages} == {delivery["delivery_id"]}
    assert all(message.verify(webhook["secret"])["type"] == "execution.succeeded" for message in receiver.messages)
