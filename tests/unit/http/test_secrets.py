"""Secrets over HTTP: what is stored and shown, and which sessions may name them."""

from datetime import timedelta

import pytest

from domain.access.principal import Scope
from tests.unit.http.test_authentication import Guarded, credential
from tests.unit.http.world import SCRIPT, TITLE, World, error_of, problems_of

PATH = "/api/v1/secrets"
VALUE = "s3cret-of-alice"
READER = "from pglambda import secrets\nresult = secrets['API_KEY'] == 's3cret-of-alice'"


@pytest.fixture
async def guarded(log_lines):
    guarded = Guarded()
    async with guarded.client:
        yield guarded


async def stored(client, name="API_KEY", **body):
    response = await client.put(f"{PATH}/{name}", json={"value": VALUE} | body)
    assert response.status_code == 200, response.text
    assert VALUE not in response.text
    return response.json()


async def initialize(client, source=SCRIPT, **body):
    return await client.post("/api/v1/initialize", headers=TITLE, json={"script_content": source} | body)


async def test_a_stored_secret_is_shown_without_its_value(client):
    first = await stored(client)
    assert {name: first[name] for name in ("name", "version", "functions", "uses", "last_used_at", "is_openable")} == {
        "name": "API_KEY", "version": 1, "functions": None, "uses": 0, "last_used_at": None, "is_openable": True,
    }  # fmt: skip
    assert (await client.get(f"{PATH}/API_KEY")).json() == first
    assert (await stored(client))["version"] == 2
    other = await stored(client, "A")
    names = [each["name"] for each in (await client.get(PATH)).json()["secrets"]]
    assert names == [other["name"], "API_KEY"]


async def test_a_removed_secret_is_gone(client):
    await stored(client)
    assert (await client.delete(f"{PATH}/API_KEY")).status_code == 204
    for call in (client.get, client.delete):
        error = error_of(await call(f"{PATH}/API_KEY"), 404)
        assert (error["code"], error["details"]) == ("SECRET_NOT_FOUND", {"secret": "API_KEY"})
    assert (await client.get(PATH)).json() == {"secrets": []}


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({}, {"/value"}),
        ({"value": "short"}, {"/value"}),
        ({"value": 1}, {"/value"}),
        ({"value": VALUE, "functions": ["python-adder"]}, {"/functions/0"}),
        ({"value": VALUE, "functions": ["alice/ruby-x", "alice/python-x@0", "/python-x"]}, {"/functions/0", "/functions/1", "/functions/2"}),
        ({"value": VALUE, "functions": ["a/python-x"] * 33}, {"/functions"}),
        ({"value": VALUE, "hosts": []}, {"/hosts"}),
    ],
)  # fmt: skip
async def test_a_body_that_is_not_valid_is_explained_without_its_value(client, body, pointers):
    response = await client.put(f"{PATH}/API_KEY", json=body)
    assert set(problems_of(response)) == pointers
    assert VALUE not in response.text


async def test_a_name_or_a_value_that_cannot_be_is_refused(client):
    assert set(problems_of(await client.put(f"{PATH}/lower", json={"value": VALUE}))) == {"/path/secret_name"}
    too_large = await client.put(f"{PATH}/API_KEY", json={"value": "x" * 65_537})
    assert error_of(too_large, 413)["details"] == {"pointer": "/value", "limit": 65_536, "observed": 65_537}


async def test_a_secret_is_limited_to_a_function_that_is_there(client):
    missing = await client.put(f"{PATH}/API_KEY", json={"value": VALUE, "functions": ["shared/python-adder"]})
    assert error_of(missing, 404)["code"] == "FUNCTION_NOT_FOUND"
    function = {"script_content": READER, "secrets": ["API_KEY"]}
    assert (await client.put("/api/v1/functions/python-adder", json=function)).status_code == 201
    assert (await stored(client, functions=["shared/python-adder@1"]))["functions"] == ["shared/python-adder@1"]
    error = error_of(await initialize(client, READER, secrets=["API_KEY"]), 403)
    assert (error["code"], error["details"]["secret"]) == ("SECRET_NOT_ALLOWED", "API_KEY")
    made = await client.post("/api/v1/initialize", headers={"Language-Title": "python-adder"}, json={})
    assert made.json()["grants"] == {"secrets": ["API_KEY"]}
    ran = await client.post(f"/api/v1/execute/{made.json()['request_id']}", json={})
    assert ran.json()["result"] is True
    assert (await client.post("/api/v1/functions/python-adder/execute", json={})).json()["result"] is True


async def test_functions_of_others_cannot_be_named(guarded):
    body = {"value": VALUE, "functions": ["bob/python-adder"]}
    response = await guarded.client.put(f"{PATH}/API_KEY", json=body, headers=credential([Scope.WRITE_SECRETS]))
    assert error_of(response, 403)["code"] == "FORBIDDEN"


async def test_a_session_names_secrets_that_are_there(client):
    error = error_of(await initialize(client, secrets=["API_KEY"]), 404)
    assert (error["code"], error["details"]) == ("SECRET_NOT_FOUND", {"secret": "API_KEY"})
    await stored(client)
    made = (await initialize(client, READER, secrets=["API_KEY"])).json()
    assert made["grants"] == {"secrets": ["API_KEY"]}
    ran = (await client.post(f"/api/v1/execute/{made['request_id']}", json={})).json()
    assert (ran["result"], "redacted" in ran) == (True, False)


@pytest.mark.parametrize("asked", [{}, {"secrets": None}, {"secrets": []}])
async def test_a_session_without_secrets_has_no_such_grant(client, asked):
    assert "grants" not in (await initialize(client, **asked)).json()


@pytest.mark.parametrize(
    ("names", "pointers"),
    [
        (["lower"], {"/secrets/0"}),
        (["A", "A"], {"/secrets/1"}),
        ([f"A{n}" for n in range(17)], {"/secrets"}),
        ("A", {"/secrets"}),
        ([1], {"/secrets/0"}),
    ],
)
async def test_names_that_are_not_valid_are_refused_with_their_place(client, names, pointers):
    assert set(problems_of(await initialize(client, secrets=names))) == pointers


async def test_what_a_script_writes_is_shown_with_the_names_of_secrets(client):
    await stored(client)
    source = "from pglambda import secrets\nprint(secrets['API_KEY'][::-1])\nresult = {secrets['API_KEY']: 1}"
    made = (await initialize(client, source, secrets=["API_KEY"])).json()
    ran = (await client.post(f"/api/v1/execute/{made['request_id']}", json={})).json()
    assert (ran["result"], ran["stdout"], ran["redacted"]) == ({"[secret API_KEY]": 1}, "[secret API_KEY]\n", 2)
    (kept,) = (await client.get(f"/api/v1/sessions/{made['request_id']}/executions")).json()["executions"]
    assert (kept["result"], kept["stdout"]) == (ran["result"], ran["stdout"])
    assert kept["uses"] == {"secrets": {"API_KEY": 1}}


async def test_an_error_of_a_script_is_shown_with_the_names_of_secrets(client):
    await stored(client)
    source = "from pglambda import secrets\nraise ValueError(secrets['API_KEY'])"
    made = (await initialize(client, source, secrets=["API_KEY"])).json()
    response = await client.post(f"/api/v1/execute/{made['request_id']}", json={})
    error = error_of(response, 422)
    assert error["message"] == "ValueError: [secret API_KEY]"
    assert error["details"]["redacted"] >= 2
    assert VALUE not in response.text


async def test_a_state_with_a_secret_is_not_saved(client):
    await stored(client)
    source = "from pglambda import secrets\nstate['kept'] = secrets['API_KEY']"
    made = (await initialize(client, source, secrets=["API_KEY"], state={"mode": "exclusive"})).json()
    assert set(made["grants"]) == {"secrets", "state"}
    response = await client.post(f"/api/v1/execute/{made['request_id']}", json={})
    assert error_of(response, 422)["code"] == "STATE_HOLDS_SECRET"
    assert (await client.get(f"/api/v1/sessions/{made['request_id']}/state")).json() == {"state": {}, "version": 0}


async def test_a_secret_that_was_removed_is_refused_before_the_script_runs(world, client):
    await stored(client)
    made = (await initialize(client, READER, secrets=["API_KEY"])).json()
    await client.delete(f"{PATH}/API_KEY")
    world.clock.advance(timedelta(seconds=5))
    error = error_of(await client.post(f"/api/v1/execute/{made['request_id']}", json={}), 404)
    assert error["code"] == "SECRET_NOT_FOUND"
    assert world.runner.ran == []
    assert not world.store.open_executions


async def test_secrets_of_another_owner_are_not_found(guarded):
    keep, use = [Scope.WRITE_SECRETS], [Scope.USE_SECRETS, Scope.EXECUTE_ALL]
    response = await guarded.client.put(f"{PATH}/API_KEY", json={"value": VALUE}, headers=credential(keep))
    assert response.json()["author"] == "alice"
    other = credential(use, "bob")
    assert (await guarded.client.get(PATH, headers=other)).json() == {"secrets": []}
    assert error_of(await guarded.client.get(f"{PATH}/API_KEY", headers=other), 404)["code"] == "SECRET_NOT_FOUND"
    body = {"script_content": SCRIPT, "secrets": ["API_KEY"]}
    found = await guarded.client.post("/api/v1/initialize", headers=TITLE | other, json=body)
    assert error_of(found, 404)["code"] == "SECRET_NOT_FOUND"


async def test_only_callers_with_the_scope_name_secrets_in_scripts_of_their_own(guarded):
    without = credential([Scope.EXECUTE_ALL, Scope.WRITE_FUNCTIONS])
    body = {"script_content": SCRIPT, "secrets": ["API_KEY"]}
    client, needed = guarded.client, {"needed_scopes": ["use:secrets"]}
    refused = [
        await client.post("/api/v1/initialize", headers=TITLE | without, json=body),
        await client.put("/api/v1/functions/python-adder", headers=without, json=body),
    ]
    assert [error_of(each, 403)["details"] for each in refused] == [needed, needed]
    items = {"items": [{"language_title": "python-x"} | body]}
    lines = await client.post("/api/v1/initialize/batch", headers=without, json=items)
    assert '"needed_scopes":["use:secrets"]' in lines.text


async def test_a_rollback_to_a_version_with_secrets_needs_the_scope_too(guarded):
    client, path = guarded.client, "/api/v1/functions/python-adder"
    without, body = credential([Scope.WRITE_FUNCTIONS]), {"script_content": SCRIPT}
    scopes = credential([Scope.WRITE_FUNCTIONS, Scope.USE_SECRETS])
    await client.put(path, headers=scopes, json=body | {"secrets": ["API_KEY"]})
    assert (await client.put(path, headers=without, json=body)).json()["version"] == 2
    refused = await client.post(f"{path}/rollback", headers=without, json={"version": 1})
    assert error_of(refused, 403)["details"] == {"needed_scopes": ["use:secrets"]}
    assert (await client.post(f"{path}/rollback", headers=scopes, json={"version": 1})).json()["version"] == 3
    assert (await client.post(f"{path}/rollback", headers=without, json={"version": 2})).json()["version"] == 4


async def test_an_installation_without_a_key_has_no_secrets():
    async with World.of(sealer=None).client() as client:
        response = await client.put(f"{PATH}/API_KEY", json={"value": VALUE})
        error = error_of(response, 503)
        assert (error["code"], "SECRETS_KEY" in error["message"]) == ("SECRETS_UNAVAILABLE", True)
        assert error_of(await initialize(client, secrets=["A"]), 503)["code"] == "SECRETS_UNAVAILABLE"


async def test_examples_of_a_function_find_the_names_of_secrets(client):
    source = "from pglambda import secrets\nresult = secrets['API_KEY']"
    body = {"script_content": source, "secrets": ["API_KEY"], "examples": [{"result": "[secret API_KEY]"}]}
    assert (await client.put("/api/v1/functions/python-adder", json=body)).status_code == 201


async def test_a_session_of_a_function_takes_none_of_its_secrets_and_hosts_by_empty_members(client):
    await stored(client)
    function = {"script_content": SCRIPT, "secrets": ["API_KEY"], "state": {"mode": "shared"}}
    assert (await client.put("/api/v1/functions/python-adder", json=function)).status_code == 201
    shown = {}
    for name, body in {"all": {}, "null": {"secrets": None}, "none": {"secrets": [], "network": {}}}.items():
        made = await client.post("/api/v1/initialize", headers={"Language-Title": "python-adder"}, json=body)
        shown[name] = set(made.json()["grants"])
    assert shown == {"all": {"secrets", "state"}, "null": {"secrets", "state"}, "none": {"state"}}


async def test_an_empty_list_needs_no_scope_and_grants_no_function_a_secret(guarded):
    without = credential([Scope.EXECUTE_ALL, Scope.WRITE_FUNCTIONS])
    body = {"script_content": SCRIPT, "secrets": [], "network": {"allow": []}}
    for call, path in ((guarded.client.post, "/api/v1/initialize"), (guarded.client.put, "/api/v1/functions/python-x")):
        response = await call(path, headers=TITLE | without, json=body)
        assert response.status_code in (200, 201), response.text
        assert "grants" not in response.json()
