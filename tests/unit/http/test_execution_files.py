"""Files in the bodies of execute, and in its responses."""

import base64
import json

import pytest

from entrypoints.http.options import HttpOptions
from tests.unit.http.test_asynchronous import dispatching
from tests.unit.http.world import OPTIONS, TITLE, World, error_of, problems_of

EXECUTE = "/api/v1/execute"
LEAVES = """
for path, content in (("plots/a.png", b"png"), ("log", b"")):
    with open(f"/files/out/{path}", "wb") as file:
        file.write(content)
result = [open(f"/files/in/{path}").read().decode() for path in params]
"""
ONE_OF_THREE = "must have exactly one of file_id, text and base64"


async def initialized(client, **body):
    response = await client.post("/api/v1/initialize", headers=TITLE, json={"script_content": "result = 1"} | body)
    assert response.status_code == 200, response.text
    return response.json()["request_id"]


async def execute(client, session_id, **body):
    return await client.post(f"{EXECUTE}/{session_id}", json=body)


async def test_the_default_size_is_that_of_the_server_and_shown(client):
    session_id = await initialized(client, files={})
    shown = (await client.get(f"/api/v1/sessions/{session_id}")).json()["grants"]
    assert shown == {"files": {"size_mb": 16}}
    for asked, pointer in (({"size_mb": 129}, "/files/size_mb"), ({"size_mb": 0}, "/files/size_mb"), (5, "/files")):
        body = {"script_content": "result = 1", "files": asked}
        assert [*problems_of(await client.post("/api/v1/initialize", headers=TITLE, json=body))] == [pointer]


async def test_a_function_grants_files_that_its_sessions_may_narrow(client):
    function = "/api/v1/functions/python-adder"
    for asked, granted in (({"size_mb": 8}, {"size_mb": 8}), ({}, {})):
        put = await client.put(function, json={"script_content": "result = 1", "files": asked})
        assert put.json()["grants"] == {"files": granted}, put.text
        made = await client.post("/api/v1/initialize", headers=TITLE, json={"context": {}})
        assert made.json()["grants"] == {"files": granted or {"size_mb": 16}}
    called = await client.post(f"{function}/execute", json={"collect": True})
    assert called.json()["files"] == []


async def test_inline_files_go_in_and_what_is_left_comes_out(client):
    session_id = await initialized(client, script_content=LEAVES, files={"size_mb": 1})
    inline = [
        {"path": "a", "text": "grüße"},
        {"path": "b/c", "base64": base64.b64encode(b"\0bytes").decode()},
        {"path": "d", "text": ""},
    ]
    executed = (await execute(client, session_id, params=["a", "b/c", "d"], files=inline, collect=True)).json()
    assert executed["result"] == ["grüße", "\0bytes", ""]
    assert [(each["path"], each["bytes"]) for each in executed["files"]] == [("plots/a.png", 3), ("log", 0)]
    content = await client.get(f"/api/v1/files/{executed['files'][0]['file_id']}/content")
    assert (content.content, content.headers["content-type"]) == (b"png", "image/png")
    stored = (await client.get(f"/api/v1/files/{executed['files'][0]['file_id']}")).json()
    assert (stored["request_id"], stored["execution_id"]) == (session_id, executed["execution_id"])
    (row,) = (await client.get(f"/api/v1/sessions/{session_id}/executions")).json()["executions"]
    assert row["uses"]["files"]["out"] == executed["files"]


@pytest.mark.parametrize(
    ("body", "problems"),
    [
        ({"files": [{"path": "a"}]}, {"/files/0": ONE_OF_THREE}),
        ({"files": [{"path": "a", "text": "", "base64": ""}]}, {"/files/0": ONE_OF_THREE}),
        ({"files": [{"path": "a", "base64": "AAA"}]}, {"/files/0/base64": "must be base64 with its padding"}),
        ({"files": [{"path": "../a", "text": ""}]}, "/files/0/path"),
        ({"files": [{"path": "a", "text": ""}] * 2}, "/files/0/path"),
        ({"files": [{"path": "a", "text": "", "mode": 1}]}, "/files/0/mode"),
        ({"files": [{"path": "a", "file_id": "7"}]}, "/files/0/file_id"),
        ({"files": {}}, "/files"),
        ({"collect": ["a", "../*"]}, "/collect/1"),
        ({"collect": "a"}, {"/collect": "must be a boolean or an array"}),
        ({"collect": ["a", 1]}, {"/collect/1": "must be a string"}),
        (
            {"collect": ["x" * 200 + "/" + "y" * 200] * 11},
            {"/collect": "must have at most 4096 characters together, not 4411"},
        ),
    ],
)
async def test_files_that_cannot_be_are_refused_with_the_place(client, body, problems):
    session_id = await initialized(client, files={"size_mb": 1})
    found = problems_of(await execute(client, session_id, **body))
    if isinstance(problems, str):
        assert problems in found
    else:
        assert found == problems


async def test_inline_files_have_a_limit_together(world):
    large = World.of(HttpOptions(OPTIONS.limits, params_size_max=1000, body_timeout_s=5))
    async with large.client() as client:
        session_id = await initialized(client, files={"size_mb": 1})
        half = base64.b64encode(bytes(131_072)).decode()
        files = [{"path": "a", "base64": half}, {"path": "b", "text": "x" * 131_072}]
        assert (await execute(client, session_id, files=files)).status_code == 200
        refused = error_of(await execute(client, session_id, files=[*files, {"path": "c", "text": "x"}]), 413)
    assert refused["details"] == {"pointer": "/files", "limit": 262_144, "observed": 262_145}


async def test_a_session_without_files_refuses_them(client):
    session_id = await initialized(client)
    assert [*problems_of(await execute(client, session_id, collect=True))] == ["/files"]
    assert (await execute(client, session_id, files=[], collect=False)).status_code == 200


async def test_a_repeated_call_gets_the_same_files_and_other_files_are_another_call(client):
    session_id = await initialized(client, script_content=LEAVES, files={"size_mb": 1})
    headers = {"Idempotency-Key": "k"}
    first, again = [
        await client.post(f"{EXECUTE}/{session_id}", json={"collect": True}, headers=headers) for _ in range(2)
    ]
    assert again.json()["files"] == first.json()["files"]
    assert again.headers["idempotent-replayed"] == "true"
    other = await client.post(f"{EXECUTE}/{session_id}", json={"collect": ["a"]}, headers=headers)
    assert error_of(other, 409)["code"] == "IDEMPOTENCY_CONFLICT"


async def test_params_that_look_like_a_call_with_files_are_another_call(client):
    session_id, headers = await initialized(client, files={"size_mb": 1}), {"Idempotency-Key": "k"}
    first = await client.post(f"{EXECUTE}/{session_id}", json={"params": 1, "collect": True}, headers=headers)
    assert first.status_code == 200, first.text
    other = await client.post(f"{EXECUTE}/{session_id}", json={"params": [1, None, True]}, headers=headers)
    assert error_of(other, 409)["code"] == "IDEMPOTENCY_CONFLICT"


async def test_each_item_of_a_batch_has_its_files(client):
    session_id = await initialized(client, script_content=LEAVES, files={"size_mb": 1})
    items = [{"params": ["a"], "files": [{"path": "a", "text": str(n)}], "collect": ["*"]} for n in range(2)]
    items.append({"params": []})
    lines = (await client.post(f"{EXECUTE}/{session_id}/batch", json={"items": items})).text.splitlines()
    assert [json.loads(line)["result"] for line in lines] == [["0"], ["1"], []]
    assert ['"path":"log"' in line for line in lines] == [True, True, False]


async def test_an_execution_that_runs_later_keeps_its_files(client, world):
    session_id = await initialized(client, script_content=LEAVES, files={"size_mb": 1})
    body = {"params": ["a"], "files": [{"path": "a", "text": "later"}], "collect": True}
    accepted = await client.post(f"{EXECUTE}/{session_id}", json=body, headers={"Prefer": "respond-async"})
    assert accepted.status_code == 202, accepted.text
    async with dispatching(world):
        url = f"/api/v1/executions/{accepted.json()['execution_id']}"
        ended = (await client.get(url, headers={"Prefer": "wait=5"})).json()
    assert (ended["status"], ended["result"]) == ("succeeded", ["later"])
    assert [each["path"] for each in ended["uses"]["files"]["out"]] == ["plots/a.png", "log"]
    plain = await initialized(client)
    refused = await client.post(f"{EXECUTE}/{plain}", json=body, headers={"Prefer": "respond-async"})
    assert [*problems_of(refused)] == ["/files"]
