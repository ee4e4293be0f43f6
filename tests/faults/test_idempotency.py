"""Calls with an Idempotency-Key whose controller is killed: once, or unknown; never twice."""

import asyncio

import httpx2
import pytest

from tests.faults.mortal import STEPS, STEPS_OF_INITIALIZE, STEPS_OF_WITHDRAWAL, runs_in

pytestmark = pytest.mark.timeout(120)

SETTLED_S = 10.0
SCRIPT = {"script_content": "result = params", "limits": {"timeout_ms": 300}}
TITLE = {"Language-Title": "python-echo"}
KEY = {"Idempotency-Key": "order 4711"}
ONCE, NEVER, UNKNOWN = {"once"}, {"never"}, {"unknown"}
ENDS = {
    "before begin": ONCE,
    "in begin": ONCE | NEVER,
    "after begin": NEVER,
    "before run": NEVER,
    "in run": UNKNOWN,
    "after run": UNKNOWN,
    "before finish": UNKNOWN,
    "in finish": ONCE | UNKNOWN,
    "after finish": ONCE,
}
"""What each death may end in: the response says that the script ran once, did not run, or may have run."""


async def dies(mortal, path, **call):
    """Make a call that its controller does not survive."""
    await mortal.ready()
    async with httpx2.AsyncClient(base_url=mortal.url, timeout=10) as client:
        with pytest.raises(httpx2.TransportError):
            await client.post(path, headers=TITLE | KEY, **call)
    assert await mortal.has_died()


async def settled(client, path, **call):
    """Repeat the call for as long as it is advised, and return the last response."""
    async with asyncio.timeout(SETTLED_S):
        while True:
            response = await client.post(path, headers=TITLE | KEY, **call)
            if "retry-after" not in response.headers:
                return response
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("step", STEPS)
async def test_a_controller_that_is_killed_at_a_step_of_an_execution(mortals, survivor, url, runs, step):
    made = await survivor.post("/api/v1/initialize", headers=TITLE, json=SCRIPT)
    session_id = made.json()["request_id"]
    path, call = f"/api/v1/execute/{session_id}", {"json": {"params": {"n": 1}}}
    await dies(mortals(url, step), path, **call)
    response = await settled(survivor, path, **call)
    again = await settled(survivor, path, **call)
    ran = runs_in(runs)
    assert len(ran) <= 1
    assert _end(response, ran) in ENDS[step]
    assert (again.status_code, again.json()) == (response.status_code, response.json())
    await _tells_the_same(survivor, session_id, response)


def _end(response, ran):
    """Return what the call has come to; the response must say so."""
    if response.status_code == 200:
        assert response.json()["result"] == {"n": 1}
        assert [execution_id for execution_id, _ in ran] == [response.json()["execution_id"]]
        return "once"
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["details"]["executed"]) == (409, "CONFLICT", "unknown")
    return "unknown" if ran else "never"


async def _tells_the_same(client, session_id, response):
    """The count and the history agree with the response: nothing is missing, nothing is counted twice."""
    counted = response.status_code == 200
    session = (await client.get(f"/api/v1/sessions/{session_id}")).json()
    assert session["execution_count"] == int(counted)
    reported = response.json() if counted else response.json()["error"]["details"]
    outcome = "succeeded" if counted else "unknown"
    listed = (await client.get(f"/api/v1/sessions/{session_id}/executions?outcome={outcome}")).json()["executions"]
    assert [row["execution_id"] for row in listed] == [reported["execution_id"]]
    kept = (await client.get(f"/api/v1/executions/{reported['execution_id']}")).json()
    assert (kept["outcome"], kept["request_id"]) == (outcome, session_id)


@pytest.mark.parametrize("step", STEPS_OF_WITHDRAWAL)
async def test_a_controller_that_is_killed_at_a_step_of_a_refusal(mortals, survivor, url, runs, step):
    function, limits = {"Language-Title": "python-text_processor"}, {"limits": SCRIPT["limits"]}
    made = await survivor.post("/api/v1/initialize", headers=function, json=limits)
    path, call = f"/api/v1/execute/{made.json()['request_id']}", {"json": {"params": {"action": "shout"}}}
    await dies(mortals(url, step), path, **call)
    response = await settled(survivor, path, **call)
    error = response.json()["error"]
    freed = (response.status_code, error["code"]) == (400, "INVALID_PARAMS")
    assert freed or (response.status_code, error["details"]["executed"]) == (409, "unknown")
    assert freed == (step == "after withdraw") or step == "in withdraw"
    assert runs_in(runs) == []


@pytest.mark.parametrize("step", STEPS_OF_INITIALIZE)
async def test_a_controller_that_is_killed_at_a_step_of_an_initialize(mortals, survivor, url, step):
    await dies(mortals(url, step), "/api/v1/initialize", json=SCRIPT)
    response = await settled(survivor, "/api/v1/initialize", json=SCRIPT)
    again = await settled(survivor, "/api/v1/initialize", json=SCRIPT)
    listed = (await survivor.get("/api/v1/sessions")).json()["sessions"]
    assert [session["request_id"] for session in listed] == [response.json()["request_id"]]
    assert again.json() == response.json()
    assert again.headers["idempotent-replayed"] == "true"
    if step != "in initialize":
        assert ("idempotent-replayed" in response.headers) == (step == "after initialize")
