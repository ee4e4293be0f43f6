"""Functions that are executed by name: which function and version runs, in whose session, and what is seen of it."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from domain.access.principal import Scope
from domain.errors import StorageUnavailable
from domain.identity import Owner
from domain.limits.usage_limiter import UsagePolicy
from tests.unit.http.test_authentication import Guarded
from tests.unit.http.world import World, error_of, problems_of

URL = "/api/v1/functions/python-adder"
EXECUTE, HISTORY = f"{URL}/execute", f"{URL}/executions"
KEY = {"Idempotency-Key": "order-1"}
RUN = {Scope.EXECUTE_ALL}
WRITE = {Scope.WRITE_FUNCTIONS}


@pytest.fixture
async def guarded(log_lines: Any) -> AsyncIterator[Guarded]:
    guarded = Guarded()
    async with guarded.client:
        yield guarded


async def put(client: Any, source: str, **body: Any) -> int:
    response = await client.put(URL, json={"script_content": source} | body)
    assert response.is_success, response.text
    version: int = response.json()["version"]
    return version


async def run(client: Any, params: Any = None, path: str = EXECUTE, **headers: str) -> Any:
    response = await client.post(path, json={"params": params or {}}, headers=headers)
    assert response.status_code == 200, response.text
    return response.json()


async def listed(client: Any, path: str = HISTORY, **query: Any) -> Any:
    response = await client.get(path, params=query)
    assert response.status_code == 200, response.text
    return response.json()


async def test_one_call_runs_a_function_and_the_next_ones_run_in_its_session(client: Any, world: World) -> None:
    await put(client, "result = params['a'] + 1")
    ran = [await run(client, {"a": number}) for number in range(3)]
    assert [each["result"] for each in ran] == [1, 2, 3]
    assert [each["execution_count"] for each in ran] == [1, 2, 3]
    assert len({each["request_id"] for each in ran}) == len(world.store.sessions) == 1


async def test_a_new_version_is_used_by_the_next_call_and_an_older_one_by_its_number(client: Any) -> None:
    await put(client, "result = 'old'")
    old = await run(client)
    await put(client, "result = 'new'")
    new, pinned = await run(client), await run(client, path=f"{URL}@1/execute")
    assert [each["result"] for each in (old, new, pinned)] == ["old", "new", "old"]
    assert (pinned["request_id"], pinned["execution_count"]) == (old["request_id"], 2)
    assert new["request_id"] != old["request_id"]
    back = await client.post(f"{URL}/rollback", json={"version": 1})
    assert back.status_code == 200
    assert (await run(client))["result"] == "old"


async def test_params_are_checked_by_the_schema_of_the_version_that_runs(client: Any) -> None:
    await put(client, "result = 1", schema={"params": {"type": "object", "required": ["a"]}})
    assert problems_of(await client.post(EXECUTE), "INVALID_PARAMS") == {"/params": "lacks the member a"}
    await put(client, "result = 2")
    assert (await run(client))["result"] == 2
    assert (await client.post(f"{URL}@1/execute")).status_code == 400
    assert (await listed(client))["executions"][0]["result"] == 2


async def test_no_list_and_no_quota_of_sessions_sees_the_session(client: Any, world: World) -> None:
    await put(client, "result = 1")
    session_id = (await run(client))["request_id"]
    assert (await client.get("/api/v1/sessions")).json()["sessions"] == []
    read = await client.get(f"/api/v1/sessions/{session_id}")
    assert (read.json()["function_version"], read.json()["renewal"], read.json()["context"]) == (1, "sliding", {})


async def test_a_quota_of_sessions_leaves_calls_by_name_alone(log_lines: Any) -> None:
    async with World.of(usage=UsagePolicy(live_sessions_max=1)).client() as client:
        await put(client, "result = 1")
        closed = (await run(client))["request_id"]
        initialize = {"headers": {"Language-Title": "python-adder"}}
        assert (await client.post("/api/v1/initialize", **initialize)).status_code == 200
        assert (await client.delete(f"/api/v1/sessions/{closed}")).status_code == 204
        assert (
            error_of(await client.post("/api/v1/initialize", **initialize), 429)["details"]["limit"] == "live_sessions"
        )
        await put(client, "result = 2")
        assert (await run(client))["result"] == 2


async def test_the_quota_of_bytes_counts_the_script_of_each_version_that_is_called(log_lines: Any) -> None:
    async with World.of(usage=UsagePolicy(stored_bytes_max=40)).client() as client:
        await put(client, "result = 1  # " + "x" * 10)
        await run(client)
        await put(client, "result = 2  # " + "x" * 10)
        error = error_of(await client.post(EXECUTE), 429)
        assert (error["code"], error["details"]["limit"]) == ("RATE_LIMITED", "stored_bytes")
        assert (await run(client, path=f"{URL}@1/execute"))["result"] == 1


async def test_a_session_that_has_expired_or_was_closed_is_followed_without_a_word(client: Any, world: World) -> None:
    await put(client, "result = 1")
    first = (await run(client))["request_id"]
    world.clock.advance(timedelta(days=1))
    again = await run(client)
    assert (again["request_id"], again["execution_count"]) == (first, 2)
    assert (await client.delete(f"/api/v1/sessions/{first}")).status_code == 204
    fresh = await run(client)
    assert fresh["execution_count"] == 1
    assert fresh["request_id"] != first
    assert len((await listed(client))["executions"]) == 1


async def test_calls_renew_the_session(client: Any, world: World) -> None:
    await put(client, "result = 1")
    session_id = (await run(client))["request_id"]
    for _ in range(10):
        world.clock.advance(timedelta(seconds=3000))
        assert (await run(client))["request_id"] == session_id
    (session,) = world.store.sessions.values()
    assert session.expires_at == world.clock.now() + timedelta(seconds=3600)


async def test_the_history_has_the_calls_of_all_versions_newest_first_in_pages(client: Any, world: World) -> None:
    for version in (1, 2):
        await put(client, f"result = [{version}, params['n']]")
        for number in range(2):
            await run(client, {"n": number})
            world.clock.advance(timedelta(seconds=1))
    assert [each["result"] for each in (await listed(client))["executions"]] == [[2, 1], [2, 0], [1, 1], [1, 0]]
    only = await listed(client, f"{URL}@1/executions")
    assert [each["result"] for each in only["executions"]] == [[1, 1], [1, 0]]
    first = await listed(client, limit=3)
    rest = await listed(client, limit=3, cursor=first["next_cursor"])
    assert [len(first["executions"]), len(rest["executions"]), rest["next_cursor"]] == [3, 1, None]
    one = await client.get(f"/api/v1/executions/{rest['executions'][0]['execution_id']}")
    assert one.json()["result"] == [1, 0]
    alien = await client.get("/api/v1/functions/python-other/executions", params={"cursor": first["next_cursor"]})
    assert problems_of(alien) == {"/query/cursor": "belongs to another list"}


async def test_the_history_of_a_deactivated_function_stays_and_a_call_of_it_is_404(client: Any) -> None:
    await put(client, "result = 1")
    await run(client)
    assert (await client.delete(URL)).status_code == 204
    error = error_of(await client.post(EXECUTE), 404)
    assert (error["code"], error["details"]) == ("FUNCTION_NOT_FOUND", {"language_title": "python-adder"})
    assert len((await listed(client))["executions"]) == 1


@pytest.mark.parametrize(
    ("name", "status", "code"),
    [
        ("python-none", 404, "FUNCTION_NOT_FOUND"),
        ("python-adder@7", 404, "FUNCTION_VERSION_NOT_FOUND"),
        ("cobol-adder", 404, "RUNTIME_NOT_FOUND"),
        ("adder", 400, "INVALID_LANGUAGE_TITLE"),
        ("python-adder@", 400, "INVALID_LANGUAGE_TITLE"),
    ],
)
async def test_a_name_that_means_no_version_runs_nothing(client: Any, world: World, name, status, code) -> None:
    await put(client, "result = 1")
    assert error_of(await client.post(f"/api/v1/functions/{name}/execute"), status)["code"] == code
    assert world.store.sessions == {}


async def test_a_repeated_key_gets_the_first_response_whatever_version_came_since(client: Any, world: World) -> None:
    await put(client, "result = 'old'")
    first = await run(client, {"a": 1}, **KEY)
    await put(client, "result = 'new'")
    assert await run(client, {"a": 1}, **KEY) == first
    other = await client.post(EXECUTE, json={"params": {"a": 2}}, headers=KEY)
    assert error_of(other, 409)["code"] == "IDEMPOTENCY_CONFLICT"
    pinned = await client.post(f"{URL}@2/execute", json={"params": {"a": 1}}, headers=KEY)
    assert error_of(pinned, 409)["code"] == "IDEMPOTENCY_CONFLICT"
    world.clock.advance(timedelta(hours=25))
    assert (await run(client, {"a": 1}, **KEY))["result"] == "new"
    assert len(world.runner.ran) == 2


async def test_a_script_that_fails_is_422_and_counted_as_in_a_session(client: Any) -> None:
    await put(client, "raise ValueError('no')")
    error = error_of(await client.post(EXECUTE), 422)
    assert (error["code"], error["details"]["execution_count"]) == ("SCRIPT_ERROR", 1)
    assert (await listed(client, outcome="failed"))["executions"][0]["error"]["message"] == "no"


async def test_while_the_database_is_away_nothing_runs_and_the_error_says_so(client: Any, world: World) -> None:
    await put(client, "result = 1")
    for broken in (world.functions, world.store):
        broken.failure = StorageUnavailable()
        details = error_of(await client.post(EXECUTE), 503)["details"]
        assert (details["stored"], details["executed"]) == ("no", "no")
        broken.failure = None
    assert (await run(client))["execution_count"] == 1


async def test_owners_have_sessions_of_their_own_even_of_a_shared_function(guarded: Guarded) -> None:
    shared = {"script_content": "result = params"}
    publish = {Scope.WRITE_SHARED_FUNCTIONS}
    assert (await guarded.ask("PUT", f"{URL}?owner=shared", publish, "root", json=shared)).is_success
    ran = {owner: (await guarded.ask("POST", EXECUTE, RUN, owner)).json() for owner in ("alice", "bob")}
    assert ran["alice"]["request_id"] != ran["bob"]["request_id"]
    for owner in ("alice", "bob"):
        rows = (await guarded.ask("GET", HISTORY, set(), owner)).json()["executions"]
        assert [row["execution_id"] for row in rows] == [ran[owner]["execution_id"]]
    own = {"script_content": "result = 'own'"}
    assert (await guarded.ask("PUT", URL, WRITE, json=own)).is_success
    assert (await guarded.ask("POST", EXECUTE, RUN)).json()["result"] == "own"
    assert (await guarded.ask("POST", EXECUTE, RUN, "bob")).json()["result"] == {}


async def test_no_owner_runs_reads_or_closes_the_session_of_another_by_its_id(guarded: Guarded) -> None:
    assert (await guarded.ask("PUT", URL, WRITE, json={"script_content": "result = 1"})).is_success
    ran = (await guarded.ask("POST", EXECUTE, RUN)).json()
    session = f"/api/v1/sessions/{ran['request_id']}"
    for method, path in (
        ("POST", f"/api/v1/execute/{ran['request_id']}"),
        ("GET", session),
        ("GET", f"{session}/executions"),
        ("DELETE", session),
    ):
        assert error_of(await guarded.ask(method, path, RUN, "bob"), 404)["code"] == "SESSION_NOT_FOUND"
    execution = f"/api/v1/executions/{ran['execution_id']}"
    assert error_of(await guarded.ask("GET", execution, RUN, "bob"), 404)["code"] == "EXECUTION_NOT_FOUND"
    for path in (EXECUTE, HISTORY):
        response = await guarded.ask("POST" if path == EXECUTE else "GET", path, RUN, "bob")
        assert error_of(response, 404)["code"] == "FUNCTION_NOT_FOUND"
    source = await guarded.ask("GET", f"{session}?fields=script_content", RUN)
    assert error_of(source, 403)["code"] == "FORBIDDEN"


async def test_a_scope_for_another_language_does_not_run_it(guarded: Guarded) -> None:
    assert (await guarded.ask("PUT", URL, WRITE, json={"script_content": "result = 1"})).is_success
    refused = error_of(await guarded.ask("POST", f"{URL}@1/execute", {Scope.EXECUTE_NODEJS}), 403)
    assert refused["details"] == {"needed_scopes": ["execute:python", "execute:all"]}
    assert (await guarded.ask("POST", f"{URL}@1/execute", {Scope.EXECUTE_PYTHON})).json()["result"] == 1


async def test_the_access_log_names_the_route_and_the_session(client: Any, log_lines: Any) -> None:
    await put(client, "result = 1")
    ran = await run(client)
    (line,) = (each for each in log_lines if each.get("route") == "/api/v1/functions/{language_title}/execute")
    assert str(line["request_id"]) == ran["request_id"]


async def test_an_owner_of_a_hidden_session_is_its_caller(client: Any, world: World) -> None:
    await put(client, "result = 1")
    await run(client)
    (session,) = world.store.sessions.values()
    assert (session.hidden, session.ref.owner) == (True, Owner("anonymous"))
