"""The state of a session over HTTP."""

import asyncio
import json
from typing import Any

import httpx2
import pytest

from tests.support.waiting import until
from tests.unit.http.world import World, error_of, initialized, problems_of

COUNT = "def handler(state):\n    state['n'] = state.get('n', 0) + 1\n    return state['n']"
EXCLUSIVE = {"mode": "exclusive"}


async def a_session(client: httpx2.AsyncClient, **fields: Any) -> str:
    return await initialized(client, **{"script_content": COUNT, "state": EXCLUSIVE} | fields)


def path(session_id: str, key: str | None = None) -> str:
    return f"/api/v1/sessions/{session_id}/state" + ("" if key is None else f"/{key}")


async def test_executions_change_the_state_and_say_its_version(client: httpx2.AsyncClient) -> None:
    session_id = await a_session(client)
    for version in (1, 2):
        response = await client.post(f"/api/v1/execute/{session_id}", json={})
        assert (response.json()["result"], response.json()["state_version"]) == (version, version)
    response = await client.get(path(session_id))
    assert (response.status_code, response.headers["etag"]) == (200, '"2"')
    assert response.json() == {"state": {"n": 2}, "version": 2}
    known = await client.get(path(session_id), headers={"If-None-Match": '"2"'})
    assert (known.status_code, known.content) == (304, b"")


async def test_a_response_of_a_session_without_a_state_has_no_version(client: httpx2.AsyncClient) -> None:
    session_id = await initialized(client)
    response = await client.post(f"/api/v1/execute/{session_id}", json={"params": 1})
    assert "state_version" not in response.json()
    for method in ("GET", "DELETE"):
        error = error_of(await client.request(method, path(session_id)), 404)
        assert error["code"] == "STATE_NOT_FOUND"


async def test_a_state_is_replaced_changed_and_emptied(client: httpx2.AsyncClient) -> None:
    session_id = await a_session(client)
    response = await client.put(path(session_id), json={"state": {"a": 1, "b": {"c": 2}}})
    assert (response.json(), response.headers["etag"]) == ({"state": {"a": 1, "b": {"c": 2}}, "version": 1}, '"1"')
    patch = json.dumps({"state": {"a": None, "b": {"d": "é"}}})
    for media_type in ("application/merge-patch+json", "application/json"):
        response = await client.patch(path(session_id), content=patch, headers={"Content-Type": media_type})
        assert response.json()["state"] == {"b": {"c": 2, "d": "é"}}
    assert (await client.delete(path(session_id))).json() == {"state": {}, "version": 4}


async def test_a_key_is_read_replaced_and_removed(client: httpx2.AsyncClient) -> None:
    session_id = await a_session(client)
    response = await client.put(path(session_id, "a%20%C3%A9"), json={"value": [1, None]})
    assert response.json() == {"value": [1, None], "version": 1}
    assert (await client.get(path(session_id, "a é"))).json() == {"value": [1, None], "version": 1}
    assert (await client.get(path(session_id))).json()["state"] == {"a é": [1, None]}
    error = error_of(await client.get(path(session_id, "b")), 404)
    assert (error["code"], "has no key 'b'" in error["message"]) == ("STATE_NOT_FOUND", True)
    assert (await client.delete(path(session_id, "a é"))).json() == {"state": {}, "version": 2}


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("PUT", {"If-Match": '"7"'}),
        ("PUT", {"If-None-Match": "*"}),
        ("PATCH", {"If-Match": '"0"'}),
        ("DELETE", {"If-None-Match": '"1"'}),
        ("GET", {"If-Match": '"2"'}),
    ],
)
async def test_a_condition_that_does_not_hold_stores_nothing(
    client: httpx2.AsyncClient, method: str, headers: dict[str, str]
) -> None:
    session_id = await a_session(client)
    await client.put(path(session_id), json={"state": {"a": 1}})
    body = {"json": {"state": {"a": 2}}} if method in ("PUT", "PATCH") else {}
    error = error_of(await client.request(method, path(session_id), headers=headers, **body), 412)
    assert (error["code"], error["details"]["version"]) == ("PRECONDITION_FAILED", 1)
    assert (await client.get(path(session_id))).json() == {"state": {"a": 1}, "version": 1}


async def test_a_first_write_may_require_that_there_is_none(client: httpx2.AsyncClient) -> None:
    session_id = await a_session(client)
    for status in (200, 412):
        response = await client.put(path(session_id), json={"state": {}}, headers={"If-None-Match": "*"})
        assert response.status_code == status


async def test_a_call_that_waits_in_vain_names_the_execution_and_did_nothing(world: World) -> None:
    world.controller(state_wait_s=0.0)
    async with world.client() as client:
        session_id = await a_session(client)
        world.runner.hold()
        running = asyncio.ensure_future(client.post(f"/api/v1/execute/{session_id}", json={}))
        await until(lambda: world.runner.running == 1)
        writing = asyncio.ensure_future(client.put(path(session_id), json={"state": {}}))
        error = error_of(await writing, 409)
        world.runner.let_go()
        executed = (await running).json()
    assert error["code"] == "CONFLICT"
    assert error["details"] == {
        "running": executed["execution_id"],
        "stored": "no",
        "executed": "no",
        "retry_after_ms": 1000,
    }


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"state": {"a": "x" * 65_536}}, 413, "STATE_TOO_LARGE"),
        ({"state": {str(n): 1 for n in range(1001)}}, 413, "STATE_TOO_LARGE"),
        ({"state": {"k" * 129: 1}}, 413, "STATE_TOO_LARGE"),
        ({"state": {"a": "x" * 300_000}}, 413, "PAYLOAD_TOO_LARGE"),
        ({"state": [1]}, 400, "INVALID_REQUEST"),
        ({"state": "text"}, 400, "INVALID_REQUEST"),
        ({}, 400, "INVALID_REQUEST"),
        ({"state": {}, "more": 1}, 400, "INVALID_REQUEST"),
        ({"state": {"a": "\0"}}, 400, "INVALID_REQUEST"),
    ],
    ids=str,
)
async def test_a_body_that_cannot_be_a_state_is_refused(
    client: httpx2.AsyncClient, body: Any, status: int, code: str
) -> None:
    session_id = await a_session(client)
    response = await client.put(path(session_id), json=body)
    assert error_of(response, status)["code"] == code
    assert (await client.get(path(session_id))).json()["version"] == 0


@pytest.mark.parametrize("key", ["%00", "a%00", "%ff", "%fe", "%ED%A0%80"])
async def test_a_key_in_a_path_that_no_body_could_have_is_refused(client: httpx2.AsyncClient, key: str) -> None:
    session_id = await a_session(client)
    assert set(problems_of(await client.put(path(session_id, key), json={"value": 1}))) == {"/path/state_key"}
    assert (await client.get(path(session_id))).json() == {"state": {}, "version": 0}
    is_text = "%00" in key
    for method in ("GET", "DELETE"):  # a script may have left NUL
        error_of(await client.request(method, path(session_id, key)), 404 if is_text else 400)


async def test_a_state_of_a_closed_session_is_gone(client: httpx2.AsyncClient) -> None:
    session_id = await a_session(client)
    await client.put(path(session_id), json={"state": {"a": 1}})
    await client.delete(f"/api/v1/sessions/{session_id}")
    assert error_of(await client.get(path(session_id)), 410)["code"] == "SESSION_CLOSED"


async def test_a_session_that_does_not_exist_has_no_state(client: httpx2.AsyncClient) -> None:
    for session_id in ("01a2101f-9ff2-79ec-8000-00000000ffff", "x"):
        assert error_of(await client.get(path(session_id)), 404)["code"] == "SESSION_NOT_FOUND"
