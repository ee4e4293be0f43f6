"""Sessions and functions are checked and called by the calling convention of their request."""

import pytest

from tests.integration.application.conftest import BOTH_LANGUAGES

NODE = "let module = event.params.n; return { n: module, seen: new Map() };"
"""It parses under the convention of the origin only, and so does its result become JSON."""


@BOTH_LANGUAGES
async def test_a_session_is_checked_and_called_by_its_convention(api):
    session_id = await api.initialize("nodejs-x", NODE, convention="origin")
    assert (await api.execute(session_id, n=7)).json()["result"] == {"n": 7, "seen": {}}
    headers = {"Language-Title": "nodejs-x"}
    for convention in ({}, {"convention": "own"}, {"convention": "event-first"}):
        refused = await api.client.post(
            "/api/v1/initialize", headers=headers, json={"script_content": NODE} | convention
        )
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, "SCRIPT_SYNTAX_ERROR")


@pytest.mark.parametrize("key", [{}, {"Idempotency-Key": "k"}], ids=["plain", "keyed"])
@BOTH_LANGUAGES
async def test_a_session_of_a_function_is_called_by_the_convention_of_its_version(api, key):
    url = "/api/v1/functions/nodejs-x"
    example = {"params": {"n": 1}, "result": {"n": 1, "seen": {}}}
    function = {"script_content": NODE, "convention": "origin", "examples": [example]}
    made = await api.client.put(f"{url}?check=true", json=function)
    assert (made.status_code, made.json()["convention"]) == (201, "origin")
    headers = {"Language-Title": "nodejs-x", **key}
    session = (await api.client.post("/api/v1/initialize", headers=headers)).json()["request_id"]
    assert (await api.session(session)).json()["convention"] == "origin"
    assert (await api.execute(session, n=7)).json()["result"]["n"] == 7
    called = await api.client.post(f"{url}/execute", json={"params": {"n": 8}}, headers=key)
    assert called.json()["result"] == {"n": 8, "seen": {}}
