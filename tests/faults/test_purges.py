"""A controller that is killed while it purges a session: what is erased is recorded, and a repetition erases the rest."""

import httpx2
import pytest

from tests.faults.mortal import STEPS_OF_PURGE

pytestmark = pytest.mark.timeout(120)

TITLE = {"Language-Title": "python-echo"}
KEYED = {"headers": {"Idempotency-Key": "order-1"}, "json": {"params": {"name": "Ada"}}}
ENDS = {"before purge": {0}, "in purge": {0, 4}, "after purge": {4}}
"""The executions that the record of a killed purge may have."""


async def erased(survivor):
    """Return the numbers of executions in the record, the latest purge first."""
    acts = (await survivor.get("/api/v1/audit")).json()["acts"]
    return [each["details"]["executions"] for each in acts if each["act"] == "sessions.purge"]


@pytest.mark.parametrize("step", STEPS_OF_PURGE)
async def test_a_controller_that_is_killed_at_a_step_of_a_purge(mortals, survivor, url, step):
    made = await survivor.post("/api/v1/initialize", headers=TITLE, json={"script_content": "result = params"})
    session_id = made.json()["request_id"]
    ids = [
        (await survivor.post(f"/api/v1/execute/{session_id}", **({} if number else KEYED))).json()["execution_id"]
        for number in range(4)
    ]
    path = f"/api/v1/sessions/{session_id}?purge=true"
    mortal = mortals(url, step)
    await mortal.ready()
    async with httpx2.AsyncClient(base_url=mortal.url, timeout=10) as client:
        with pytest.raises(httpx2.TransportError):
            await client.delete(path)
    assert await mortal.has_died()

    found = [(await survivor.get(f"/api/v1/executions/{each}")).status_code for each in ids]
    recorded = sum(await erased(survivor))
    assert found.count(404) == recorded
    assert recorded in ENDS[step]
    assert (await survivor.delete(path)).status_code == 204
    assert {(await survivor.get(f"/api/v1/executions/{each}")).status_code for each in ids} == {404}
    assert sum(await erased(survivor)) == 4
    again = await survivor.post(f"/api/v1/execute/{session_id}", **KEYED)
    assert (again.status_code, again.json()["error"]["code"]) == (410, "SESSION_CLOSED")
