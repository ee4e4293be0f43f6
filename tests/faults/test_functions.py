"""A controller that is killed while it changes a function: the change is stored as a whole, or not at all."""

import httpx2
import pytest

from tests.faults.mortal import STEPS_OF_UPDATE

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
