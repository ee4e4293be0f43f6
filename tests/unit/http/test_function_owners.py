"""Functions of several owners over HTTP: whose function a call means, who may read and change it, and its versions."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from domain.access.principal import Scope
from domain.identity import SHARED, Owner
from entrypoints.http.instrumentation import owner_hash
from tests.unit.http.test_authentication import Guarded
from tests.unit.http.world import TITLE, error_of, problems_of

URL = "/api/v1/functions/python-adder"
READ = {Scope.READ_FUNCTIONS}
WRITE = {Scope.WRITE_FUNCTIONS}
PUBLISH = {Scope.WRITE_SHARED_FUNCTIONS}
RUN = {Scope.EXECUTE_ALL}


@pytest.fixture
async def guarded(log_lines: Any) -> AsyncIterator[Guarded]:
    guarded = Guarded()
    async with guarded.client:
        yield guarded


async def put(guarded: Guarded, source: str, query: str = "", scopes: Any = WRITE, owner: str = "alice") -> Any:
    body = {"script_content": f"result = {source!r}"}
    return await guarded.ask("PUT", URL + query, scopes, owner, json=body)


async def publish(guarded: Guarded, source: str = "shared") -> Any:
    return await put(guarded, source, "?owner=shared", PUBLISH, "root")


async def source_of(guarded: Guarded, query: str = "", owner: str = "alice", scopes: Any = READ) -> str:
    response = await guarded.ask("GET", URL + query, scopes, owner)
    assert response.status_code == 200, response.text
    return response.json()["script_content"]


async def result_for(guarded: Guarded, owner: str, title: str = "python-adder") -> str:
    made = await guarded.ask("POST", "/api/v1/initialize", RUN, owner, headers={"Language-Title": title})
    assert made.status_code == 200, made.text
    return (await guarded.ask("POST", f"/api/v1/execute/{made.json()['request_id']}", RUN, owner)).json()["result"]


async def test_each_owner_has_a_function_of_the_same_name(guarded: Guarded) -> None:
    await publish(guarded)
    for owner in ("alice", "bob"):
        made = await put(guarded, owner, owner=owner)
        assert (made.status_code, made.json()["owner"], made.json()["author"]) == (201, owner, owner)
    for owner, wanted in (("alice", "alice"), ("bob", "bob"), ("carol", "shared")):
        assert await source_of(guarded, owner=owner) == f"result = {wanted!r}"
        assert await result_for(guarded, owner) == wanted


async def test_the_shared_function_is_read_and_used_by_everybody_and_written_with_its_scope(guarded: Guarded) -> None:
    created = await publish(guarded)
    assert (created.json()["owner"], created.json()["author"]) == ("shared", "root")
    refused = await put(guarded, "x", "?owner=shared", WRITE)
    assert error_of(refused, 403)["details"] == {"needed_scopes": ["write:shared-functions"]}
    assert error_of(await put(guarded, "x", scopes=PUBLISH), 403)["details"] == {"needed_scopes": ["write:functions"]}
    assert await source_of(guarded, "?owner=shared") == "result = 'shared'"
    deleted = await guarded.ask("DELETE", f"{URL}?owner=shared", WRITE)
    assert deleted.status_code == 403
    assert (await guarded.ask("DELETE", f"{URL}?owner=shared", PUBLISH)).status_code == 204


async def test_a_call_without_an_owner_changes_no_shared_function(guarded: Guarded) -> None:
    await publish(guarded)
    assert error_of(await guarded.ask("DELETE", URL, WRITE), 404)["details"]["owner"] == "alice"
    back = await guarded.ask("POST", f"{URL}/rollback", WRITE, json={"version": 1})
    assert error_of(back, 404)["code"] == "FUNCTION_NOT_FOUND"
    assert await source_of(guarded) == "result = 'shared'"


@pytest.mark.parametrize("method", ["PUT", "DELETE", "POST"])
async def test_nobody_changes_functions_of_another_owner(guarded: Guarded, method: str) -> None:
    await put(guarded, "alice")
    path = f"{URL}/rollback" if method == "POST" else URL
    for owner, scopes in (("bob", WRITE), ("root", set(Scope))):
        response = await guarded.ask(method, f"{path}?owner=alice", scopes, owner, json={"version": 1})
        error = error_of(response, 403)
        assert (error["code"], error["details"]) == ("FORBIDDEN", {"owner": "alice"})
    assert await source_of(guarded) == "result = 'alice'"


async def test_functions_of_another_owner_are_404_or_403_if_the_owner_is_named(guarded: Guarded) -> None:
    await put(guarded, "alice")
    for path in (URL, f"{URL}/versions"):
        assert error_of(await guarded.ask("GET", path, READ, "bob"), 404)["code"] == "FUNCTION_NOT_FOUND"
        for name in ("python-adder", "python-none"):
            named = path.replace("python-adder", name) + "?owner=alice"
            error = error_of(await guarded.ask("GET", named, READ, "bob"), 403)
            assert error["details"] == {"needed_scopes": ["admin"]}
    assert (await guarded.ask("POST", f"{URL}/check?owner=alice", WRITE, "bob")).status_code == 403
    made = await guarded.ask("POST", "/api/v1/initialize", RUN, "bob", headers=TITLE)
    assert error_of(made, 404)["code"] == "FUNCTION_NOT_FOUND"


async def test_an_admin_reads_and_lists_functions_of_every_owner(guarded: Guarded) -> None:
    await put(guarded, "alice")
    await publish(guarded)
    admin = READ | {Scope.ADMIN}
    assert await source_of(guarded, "?owner=alice", "root", admin) == "result = 'alice'"

    async def owners(query: str, scopes: Any = admin, owner: str = "root") -> list[str]:
        listed = await guarded.ask("GET", f"/api/v1/functions{query}", scopes, owner)
        assert listed.status_code == 200, listed.text
        return [each["owner"] for each in listed.json()["functions"]]

    assert await owners("?owner=*") == ["alice", "shared"]
    assert await owners("?owner=alice") == ["alice"]
    assert await owners("") == ["shared"]
    assert await owners("", READ, "alice") == ["alice", "shared"]
    for query in ("?owner=*", "?owner=alice"):
        assert (await guarded.ask("GET", f"/api/v1/functions{query}", READ, "bob")).status_code == 403


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_an_owner_that_cannot_be_is_a_problem_of_the_query(guarded: Guarded, method: str) -> None:
    response = await guarded.ask(method, f"{URL}?owner=", set(Scope), json={})
    assert set(problems_of(response)) == {"/query/owner"}


async def test_the_script_of_a_pinned_session_needs_the_scope_of_functions(guarded: Guarded) -> None:
    await publish(guarded)
    made = await guarded.ask("POST", "/api/v1/initialize", RUN, headers=TITLE)
    path = f"/api/v1/sessions/{made.json()['request_id']}"
    refused = await guarded.ask("GET", f"{path}?fields=status,script_content", RUN)
    error = error_of(refused, 403)
    assert error["details"]["needed_scopes"][0] == "read:functions"
    assert "result" not in refused.text
    assert "script_content" not in (await guarded.ask("GET", path, RUN)).json()
    assert (await guarded.ask("GET", f"{path}?fields=script_content", {Scope.ADMIN}, "root")).status_code == 403
    for scopes in (READ, WRITE, PUBLISH):
        shown = await guarded.ask("GET", f"{path}?fields=script_content", scopes)
        assert shown.json() == {"script_content": "result = 'shared'"}


async def test_the_script_of_its_own_session_needs_no_scope(guarded: Guarded) -> None:
    body = {"script_content": "result = 1"}
    made = await guarded.ask("POST", "/api/v1/initialize", RUN, headers=TITLE, json=body)
    path = f"/api/v1/sessions/{made.json()['request_id']}"
    assert (await guarded.ask("GET", f"{path}?fields=script_content", ())).json() == body


async def test_versions_are_listed_read_pinned_and_rolled_back(guarded: Guarded) -> None:
    for source in ("one", "two"):
        await put(guarded, source)
    listed = (await guarded.ask("GET", f"{URL}/versions", READ)).json()
    assert (listed["owner"], listed["language_title"], listed["version"]) == ("alice", "python-adder", 2)
    assert [(each["version"], each["author"]) for each in listed["versions"]] == [(2, "alice"), (1, "alice")]
    assert await source_of(guarded, "?version=1") == "result = 'one'"
    assert await result_for(guarded, "alice", "python-adder@1") == "one"
    back = await guarded.ask("POST", f"{URL}/rollback", WRITE, json={"version": 1}, headers={"If-Match": '"2"'})
    assert (back.status_code, back.headers["etag"][:3], back.json()["version"]) == (200, '"3.', 3)
    assert await result_for(guarded, "alice") == "one"


async def test_a_version_that_is_not_kept_is_404_with_those_that_are(guarded: Guarded) -> None:
    await put(guarded, "one")
    responses = [
        await guarded.ask("GET", f"{URL}?version=7", READ),
        await guarded.ask("POST", f"{URL}/rollback", WRITE, json={"version": 7}),
        await guarded.ask("POST", "/api/v1/initialize", RUN, headers={"Language-Title": "python-adder@7"}),
    ]
    for response in responses:
        error = error_of(response, 404)
        assert error["code"] == "FUNCTION_VERSION_NOT_FOUND"
        assert (error["details"]["version"], error["details"]["kept_versions"]) == (7, [1])


async def test_a_rollback_has_conditions_and_needs_a_version(guarded: Guarded) -> None:
    await put(guarded, "one")
    late = await guarded.ask("POST", f"{URL}/rollback", WRITE, json={"version": 1}, headers={"If-Match": '"2"'})
    assert error_of(late, 412)["details"]["version"] == 1
    for body in ({}, {"version": 0}, {"version": "1"}, {"version": 1, "more": 1}):
        assert problems_of(await guarded.ask("POST", f"{URL}/rollback", WRITE, json=body))


@pytest.mark.parametrize("version", ["0", "-1", "x", "1" * 19])
async def test_a_version_in_the_query_is_a_number_from_1(guarded: Guarded, version: str) -> None:
    assert set(problems_of(await guarded.ask("GET", f"{URL}?version={version}", READ))) == {"/query/version"}


async def test_a_title_with_a_version_is_for_initialize_only(guarded: Guarded) -> None:
    await put(guarded, "one")
    for method in ("GET", "PUT", "DELETE"):
        response = await guarded.ask(method, f"{URL}@1", READ | WRITE, json={"script_content": ""})
        assert error_of(response, 400)["code"] == "INVALID_LANGUAGE_TITLE"


async def test_the_etag_of_a_shared_function_is_no_etag_of_ones_own(guarded: Guarded) -> None:
    await publish(guarded)
    tag = (await guarded.ask("GET", URL, READ)).headers["etag"]
    assert (tag[:3], tag[-8:]) == ('"1.', '.shared"')
    known = await guarded.ask("GET", URL, READ, headers={"If-None-Match": tag, "If-Match": tag})
    assert known.status_code == 304
    assert (await guarded.ask("GET", URL, READ, headers={"If-Match": '"1"'})).status_code == 412
    own_tag = tag.replace(".shared", "")
    assert (await guarded.ask("GET", f"{URL}?owner=shared", READ)).headers["etag"] == own_tag
    body = {"script_content": "result = 'mine'"}
    assert (await guarded.ask("PUT", URL, WRITE, json=body, headers={"If-Match": tag})).status_code == 412
    await put(guarded, "mine")
    again = await guarded.ask("GET", URL, READ, headers={"If-None-Match": f"{tag}, {own_tag}"})
    assert (again.status_code, again.headers["etag"][:3]) == (200, '"1.')


async def test_the_access_line_of_a_change_names_the_version_its_owner_and_its_author(
    guarded: Guarded, log_lines: Any
) -> None:
    await publish(guarded)
    await put(guarded, "one")
    await guarded.ask("POST", f"{URL}/rollback", WRITE, json={"version": 1})
    await guarded.ask("DELETE", URL, WRITE)
    await guarded.ask("GET", URL, READ)
    changes = [line for line in log_lines if "function" in line]
    by_alice = ("python-adder@1", owner_hash(Owner("alice")), owner_hash(Owner("alice")))
    assert [(line["function"], line["function_owner_hash"], line["owner_hash"]) for line in changes] == [
        ("python-adder@1", owner_hash(SHARED), owner_hash(Owner("root"))),
        *[by_alice] * 3,
    ]
