"""A controller that is killed while it changes or executes a function: a change is stored as a whole, or not at all."""

import httpx2
import pytest

from tests.faults.mortal import STEPS, STEPS_OF_OPENING, STEPS_OF_UPDATE, runs_in
from tests.faults.test_idempotency import KEY, dies, settled

pytestmark = pytest.mark.timeout(120)

URL = "/api/v1/functions/python-echo"
OLD, NEW = {"script_content": "result = 'old'"}, {"script_content": "result = 'new'"}
ENDS = {"before update": {False}, "in update": {False, True}, "after update": {True}}
"""Whether the change may be stored after a death at a step."""
CHANGES = {
    "put": ("PUT", URL, {"script_content": "result = 'newer'"}, "result = 'newer'"),
    "rollback": ("POST", f"{URL}/rollback", {"version": 1}, OLD["script_content"]),
    "delete": ("DELETE", URL, {}, None),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("step", STEPS_OF_UPDATE)
async def test_a_controller_that_is_killed_at_a_step_of_a_change(mortals, survivor, url, step, change):
    for body in (OLD, NEW):
        assert (await survivor.put(URL, json=body)).is_success
    method, path, body, changed = CHANGES[change]
    mortal = mortals(url, step)
    await mortal.ready()
    async with httpx2.AsyncClient(base_url=mortal.url, timeout=10) as client:
        with pytest.raises(httpx2.TransportError):
            await client.request(method, path, json=body)
    assert await mortal.has_died()

    read, listed = await survivor.get(URL), await survivor.get(f"{URL}/versions")
    if changed is None:
        assert read.status_code == listed.status_code
        assert (read.status_code == 404) in ENDS[step]
        return
    is_stored = read.json()["version"] == 3
    assert is_stored in ENDS[step]
    assert read.json()["script_content"] == (changed if is_stored else NEW["script_content"])
    assert [each["version"] for each in listed.json()["versions"]] == [3, 2, 1][0 if is_stored else 1 :]
    again = await survivor.request(method, path, json=body)
    assert (again.status_code, again.json()["version"], again.json()["script_content"]) == (200, 3, changed)


@pytest.mark.parametrize("step", [*STEPS_OF_OPENING, *STEPS])
async def test_a_controller_that_is_killed_at_a_step_of_the_first_call_by_name(mortals, survivor, url, runs, step):
    execute, call = f"{URL}/execute", {"json": {"params": {"n": 1}}}
    body = {"script_content": "result = params['n']"}
    assert (await survivor.put(URL, json=body)).is_success
    await dies(mortals(url, step), execute, **call)
    repeated = await settled(survivor, execute, **call)
    ran = runs_in(runs)
    assert len(ran) <= 1
    if repeated.is_success:
        assert repeated.json()["result"] == 1
        assert repeated.json()["execution_id"] == ran[0][0]
    fresh = await survivor.post(execute, **call, headers=KEY | {"Idempotency-Key": "another"})
    assert fresh.json()["execution_count"] == 1 + repeated.is_success
    listed = (await survivor.get(f"{URL}/executions", params={"outcome": "succeeded"})).json()["executions"]
    assert len(listed) == 1 + repeated.is_success
    assert (await survivor.get("/api/v1/sessions")).json()["sessions"] == []
