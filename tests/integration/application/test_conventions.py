"""Sessions and functions are checked and called by the calling convention of their request."""

import pytest

from tests.integration.application.conftest import NODEJS_HERE, ON_SHARED

pytestmark = ON_SHARED

SETTINGS = NODEJS_HERE
NODE = "let module = event.params.n; return { n: module, seen: new Map() };"
"""It parses under the convention of the origin only, and so does its result become JSON."""


async def test_a_session_is_checked_and_called_by_its_convention(shared):
    session_id = await shared.initialize("nodejs-x", NODE, convention="origin")
    assert (await shared.execute(session_id, n=7)).json()["result"] == {"n": 7, "seen": {}}
    headers = {"Language-Title": "nodejs-x"}
    for convention in ({}, {"convention": "own"}, {"convention": "event-first"}):
        refused = await shared.client.post(
            "/api/v1/initialize", headers=headers, json={"script_content": NODE} | convention
        )
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, "SCRIPT_SYNTAX_ERROR")


@pytest.mark.parametrize(
    ("title", "key"), [("nodejs-plain", {}), ("nodejs-keyed", {"Idempotency-Key": "k"})], ids=["plain", "keyed"]
)
async def test_a_session_of_a_function_is_called_by_the_convention_of_its_version(shared, title, key):
    url = f"/api/v1/functions/{title}"
    example = {"params": {"n": 1}, "result": {"n": 1, "seen": {}}}
    function = {"script_content": NODE, "convention": "origin", "examples": [example]}
    made = await shared.client.put(f"{url}?check=true", json=function)
    assert (made.status_code, made.json()["convention"]) == (201, "origin")
    headers = {"Language-Title": title, **key}
    session = (await shared.client.post("/api/v1/initialize", headers=headers)).json()["request_id"]
    assert (await shared.session(session)).json()["convention"] == "origin"
    assert (await shared.execute(session, n=7)).json()["result"]["n"] == 7
    called = await shared.client.post(f"{url}/execute", json={"params": {"n": 8}}, headers=key)
    assert called.json()["result"] == {"n": 8, "seen": {}}
