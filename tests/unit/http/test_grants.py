"""What bodies ask for a script to use, and what responses show of it."""

import pytest

from domain.scripts.syntax import Syntax
from tests.unit.http.world import SCRIPT, TITLE, initialized, problems_of

EXCLUSIVE = {"mode": "exclusive", "save_on": "success", "repl": False}
FUNCTION = "/api/v1/functions/python-adder"
NODE = {"Language-Title": "nodejs-adder"}
NODE_FUNCTION = "/api/v1/functions/nodejs-adder"
MODULE = "export default 1"
TYPED_ONLY = {"syntax": "typescript"}
TYPED = {"script_content": "const a: number = 1; return a"} | TYPED_ONLY


async def refused(client, **body):
    return problems_of(await client.post("/api/v1/initialize", headers=TITLE, json={"script_content": SCRIPT} | body))


async def test_every_response_about_a_session_shows_its_grants(client):
    body = {"script_content": SCRIPT, "state": {"mode": "exclusive"}}
    made = (await client.post("/api/v1/initialize", headers=TITLE, json=body)).json()
    assert made["grants"] == {"state": EXCLUSIVE}
    url = f"/api/v1/sessions/{made['request_id']}"
    assert (await client.get(url)).json()["grants"] == {"state": EXCLUSIVE}
    assert (await client.get(f"{url}?fields=grants,status")).json() == {
        "grants": {"state": EXCLUSIVE},
        "status": "active",
    }
    assert (await client.patch(url, json={"ttl_seconds": 5000})).json()["grants"] == {"state": EXCLUSIVE}
    (listed,) = (await client.get("/api/v1/sessions")).json()["sessions"]
    assert listed["grants"] == {"state": EXCLUSIVE}


async def test_each_session_of_a_batch_has_its_own_grants(client):
    items = [{"language_title": "python-x", "script_content": SCRIPT} for _ in range(2)]
    items[1]["state"] = {"mode": "shared"}
    lines = (await client.post("/api/v1/initialize/batch", json={"items": items})).text.splitlines()
    assert len(lines) == 2
    shown = [line for line in lines if "grants" in line]
    assert len(shown) == 1
    assert '"grants":{"state":{"mode":"shared"' in shown[0]


@pytest.mark.parametrize("asked", [{}, {"state": None}, {"state": {}}])
async def test_a_session_without_grants_has_no_such_member(client, asked):
    session_id = await initialized(client, **asked)
    url = f"/api/v1/sessions/{session_id}"
    assert "grants" not in (await client.get(url)).json()
    assert (await client.get(f"{url}?fields=grants,status")).json() == {"status": "active"}
    (listed,) = (await client.get("/api/v1/sessions")).json()["sessions"]
    assert "grants" not in listed


@pytest.mark.parametrize(
    ("state", "problems"),
    [
        ({"repl": True}, {"/state/mode": "is required: exclusive or shared; it is never guessed"}),
        ({"mode": "mine"}, {"/state/mode": "must be one of: exclusive, shared"}),
        ({"mode": "exclusive", "save_on": 1, "repl": 1}, {"/state/save_on", "/state/repl"}),
        ({"mode": "exclusive", "size": 1}, {"/state/size"}),
        ("exclusive", {"/state"}),
        (
            {"mode": "shared", "repl": True},
            {"/state/repl": "must be false in the mode shared, in which no execution writes the state"},
        ),
    ],
)
async def test_a_state_that_cannot_be_granted_is_refused_with_the_place(client, state, problems):
    found = await refused(client, state=state)
    assert found == problems if isinstance(problems, dict) else set(found) == problems
    assert (await client.get("/api/v1/sessions")).json()["sessions"] == []


@pytest.mark.parametrize("member", ["environment", "secrets", "packages", "grants"])
async def test_a_member_that_nothing_implements_is_unknown(client, member):
    assert list(await refused(client, **{member: {}})) == [f"/{member}"]


async def test_names_of_a_script_are_its_state_and_those_that_are_not_kept_are_shown(client):
    script = {"script_content": "n = globals().get('n', 0) + 1\npair = (1, 2)\nresult = n"}
    session_id = await initialized(client, **script, state={"mode": "exclusive", "repl": True})
    first, second = [(await client.post(f"/api/v1/execute/{session_id}")).json() for _ in range(2)]
    assert [(each["result"], each["state_version"]) for each in (first, second)] == [(1, 1), (2, 2)]
    assert first["dropped"] == [{"name": "pair", "type": "tuple"}]
    assert (await client.get(f"/api/v1/sessions/{session_id}/state")).json()["state"] == {"n": 2}


async def test_typescript_is_granted_for_nodejs_and_shown(client, world):
    made = await client.post("/api/v1/initialize", headers=NODE, json=TYPED)
    assert (made.status_code, made.json()["grants"]) == (200, {"syntax": "typescript"})
    await client.post(f"/api/v1/execute/{made.json()['request_id']}", json={"params": {}})
    assert world.runner.syntaxes == [Syntax.TYPESCRIPT]


async def test_a_module_is_found_by_the_check_and_shown(client, world):
    made = await client.post("/api/v1/initialize", headers=NODE, json={"script_content": MODULE})
    assert made.json()["grants"] == {"syntax": "module"}
    session = f"/api/v1/sessions/{made.json()['request_id']}"
    assert (await client.get(session)).json()["grants"] == {"syntax": "module"}
    typed = await client.post("/api/v1/initialize", headers=NODE, json={"script_content": MODULE} | TYPED_ONLY)
    assert typed.json()["grants"] == {"syntax": "typescript-module"}
    for each in (made, typed):
        await client.post(f"/api/v1/execute/{each.json()['request_id']}", json={"params": {}})
    assert world.runner.syntaxes == [Syntax.MODULE, Syntax.TYPESCRIPT_MODULE]


@pytest.mark.parametrize(
    ("syntax", "found"),
    [
        ("module", {"/syntax": "must be one of: typescript"}),
        ({}, {"/syntax"}),
        ("typescript", {"/syntax": "must be absent: scripts in python have one syntax"}),
    ],
)
async def test_no_other_syntax_is_granted(client, syntax, found):
    problems = await refused(client, syntax=syntax)
    assert problems == found if isinstance(found, dict) else set(problems) == found


async def test_a_function_in_typescript_gives_the_syntax_to_its_sessions(client, world):
    put = await client.put(NODE_FUNCTION, json=TYPED | {"examples": [{"params": {}, "result": 1}]})
    assert (put.status_code, put.json()["grants"]) == (201, {"syntax": "typescript"})
    await client.post(f"{NODE_FUNCTION}/check")
    assert world.runner.syntaxes == [Syntax.TYPESCRIPT]
    for body in ({}, TYPED_ONLY):
        made = await client.post("/api/v1/initialize", headers=NODE, json=body)
        assert made.json()["grants"] == {"syntax": "typescript"}


async def test_versions_of_a_function_keep_that_they_are_modules(client):
    puts = [await client.put(NODE_FUNCTION, json={"script_content": each}) for each in (MODULE, MODULE, "return 1")]
    assert [each.json()["version"] for each in puts] == [1, 1, 2]
    assert [each.json().get("grants") for each in puts] == [{"syntax": "module"}, {"syntax": "module"}, None]
    back = await client.post(f"{NODE_FUNCTION}/rollback", json={"version": 1})
    assert (back.json()["version"], back.json()["grants"]) == (3, {"syntax": "module"})
    made = await client.post("/api/v1/initialize", headers=NODE, json={})
    assert made.json()["grants"] == {"syntax": "module"}
    typed = await client.post("/api/v1/initialize", headers=NODE, json=TYPED_ONLY)
    assert problems_of(typed) == {"/syntax": "must be absent: the script of the function is not written in it"}


async def test_a_patch_changes_no_grants(client):
    session_id = await initialized(client, state={"mode": "exclusive"})
    response = await client.patch(f"/api/v1/sessions/{session_id}", json={"state": {"mode": "shared"}})
    assert problems_of(response) == {"/state": "never changes: initialize a new session for another value"}


async def test_a_script_of_the_origin_has_no_grants(client):
    found = await refused(client, convention="origin", state={"mode": "exclusive"})
    assert found == {"/state": "must be absent under the calling convention origin, which has no grants"}


async def test_a_function_gives_its_grants_to_its_sessions(client):
    function = {"script_content": SCRIPT, "state": {"mode": "exclusive", "save_on": "always"}}
    put = await client.put(FUNCTION, json=function)
    granted = {"state": EXCLUSIVE | {"save_on": "always"}}
    assert (put.status_code, put.json()["grants"]) == (201, granted)
    assert (await client.get(FUNCTION)).json()["grants"] == granted
    for body in ({}, {"state": {"mode": "exclusive", "save_on": "always"}}):
        made = (await client.post("/api/v1/initialize", headers=TITLE, json=body)).json()
        assert made["grants"] == granted
    more = await client.post("/api/v1/initialize", headers=TITLE, json={"state": {"mode": "shared"}})
    assert set(problems_of(more)) == {"/state/mode", "/state/save_on"}


async def test_other_grants_make_another_version_with_another_etag(client):
    function = {"script_content": SCRIPT}
    asked = [{}, {"state": {}}, {"state": {"mode": "shared"}}, {"state": {"mode": "shared", "repl": False}}]
    first, again, granted, same = [await client.put(FUNCTION, json=function | each) for each in asked]
    assert [each.json()["version"] for each in (first, again, granted, same)] == [1, 1, 2, 2]
    assert first.headers["etag"] == again.headers["etag"] != granted.headers["etag"] == same.headers["etag"]
    assert "grants" not in again.json()


async def test_a_state_without_a_mode_is_refused_for_a_function_too(client):
    response = await client.put(FUNCTION, json={"script_content": SCRIPT, "state": {"save_on": "always"}})
    assert set(problems_of(response)) == {"/state/mode"}


async def test_a_network_beyond_what_the_operator_allows_is_refused(client):
    body = {"script_content": SCRIPT, "network": {"allow": ["api.example.com:443"]}}
    response = await client.post("/api/v1/initialize", headers=TITLE, json=body)
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (403, "EGRESS_NOT_ALLOWED")
    assert error["details"] == {"rule": "api.example.com:443", "owner": "anonymous"}
    assert "EGRESS_RULES" in error["message"]


@pytest.mark.parametrize(
    ("network", "pointers"),
    [
        ({"allow": ["example.com", "Example.com:443", "a.test:443"]}, {"/network/allow/0", "/network/allow/1"}),
        ({"allow": ["*.example.com:5432/tcp"]}, {"/network/allow/0"}),
        ({"allow": ["a.test:443", "a.test:443"]}, {"/network/allow/1"}),
        ({"allow": [f"a{number}.test:443" for number in range(17)]}, {"/network/allow"}),
        ({"allow": "a.test:443"}, {"/network/allow"}),
        ({"allowed": []}, {"/network/allowed"}),
    ],
)
async def test_a_network_that_cannot_be_granted_is_refused_with_the_place(client, network, pointers):
    assert set(await refused(client, network=network)) == pointers


@pytest.mark.parametrize("network", [None, {}, {"allow": []}])
async def test_an_empty_network_grants_nothing(client, network):
    session_id = await initialized(client, network=network)
    assert "grants" not in (await client.get(f"/api/v1/sessions/{session_id}")).json()


async def test_a_function_keeps_its_network_which_is_judged_with_its_sessions(client):
    put = await client.put(FUNCTION, json={"script_content": SCRIPT, "network": {"allow": ["api.example.com:443"]}})
    assert (put.status_code, put.json()["grants"]) == (201, {"network": {"allow": ["api.example.com:443"]}})
    made = await client.post("/api/v1/initialize", headers=TITLE, json={})
    assert made.json()["error"]["code"] == "EGRESS_NOT_ALLOWED"
