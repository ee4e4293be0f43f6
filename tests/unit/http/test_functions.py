"""Functions over HTTP."""

import asyncio
import hashlib
import json

import pytest

from domain.functions.function import FunctionType
from domain.identity import SHARED
from domain.scripts.language import LanguageTitle
from entrypoints.http.parsing.cursors import FunctionCursor, write_cursor
from tests.support.waiting import until
from tests.unit.http.world import TITLE, Exchange, chunks, error_of, problems_of

URL = "/api/v1/functions/python-adder"
SOURCE = "result = params['a'] + params['b']"
BODY = {
    "script_content": SOURCE,
    "description": "Adds two numbers",
    "schema": {
        "params": {"type": "object", "properties": {"a": {"type": "number"}, "b": {"type": "number"}}},
        "result": {"type": "number"},
    },
    "examples": [{"params": {"a": 1, "b": 2}, "result": 3}],
    "tags": ["arithmetic", "ä"],
}


async def put(client, body=BODY, url=URL, **headers):
    return await client.put(url, json=body, headers={name.replace("_", "-"): value for name, value in headers.items()})


async def test_a_function_is_read_as_it_was_registered(client, world):
    response = await put(client)
    tag = response.headers["etag"]
    assert (response.status_code, tag[:3]) == (201, '"1.')
    registered_at = world.clock.now().isoformat().replace("+00:00", "Z")
    function = {
        "owner": "shared",
        "language": "python",
        "title": "adder",
        "language_title": "python-adder",
        "type": "dynamic",
        "version": 1,
        "created_at": registered_at,
        "updated_at": registered_at,
        "author": "anonymous",
        "script_hash": hashlib.sha256(SOURCE.encode()).hexdigest(),
        **BODY,
        "convention": "own",
    }
    assert response.json() == function
    read = await client.get(URL)
    assert (read.status_code, read.headers["etag"], read.json()) == (200, tag, function)


async def test_a_function_needs_no_more_than_a_script(client):
    function = (await put(client, {"script_content": SOURCE})).json()
    assert (function["description"], function["tags"], function["examples"]) == ("", [], [])
    assert function["schema"] == {"params": None, "result": None}


async def test_a_function_can_be_sent_back_as_it_was_read(client):
    read = (await put(client, {"script_content": SOURCE})).json()
    body = {name: read[name] for name in BODY}
    again = await put(client, body)
    assert (again.status_code, again.json()) == (200, read)


async def test_another_calling_convention_makes_a_version_that_keeps_it(client):
    await put(client)
    replaced = (await put(client, BODY | {"convention": "event-first"})).json()
    assert (replaced["version"], replaced["convention"]) == (2, "event-first")
    assert (await client.get(f"{URL}?version=1")).json()["convention"] == "own"
    back = await client.post(f"{URL}/rollback", json={"version": 2})
    assert (back.json()["version"], back.json()["convention"]) == (2, "event-first")


async def test_a_function_of_an_unknown_calling_convention_is_rejected(client):
    problems = problems_of(await put(client, BODY | {"convention": 7}))
    assert list(problems) == ["/convention"]


async def test_a_replacement_has_the_next_version(client):
    await put(client)
    replaced = await put(client, BODY | {"description": "Other"}, If_Match='"7", "1"')
    assert (replaced.status_code, replaced.headers["etag"][:3], replaced.json()["version"]) == (200, '"2.', 2)
    again = await put(client, BODY, If_Match=replaced.headers["etag"])
    assert (again.status_code, again.json()["version"]) == (200, 3)


@pytest.mark.parametrize(
    "headers",
    [
        {"If_Match": '"2"'},
        {"If_Match": 'W/"1"'},
        {"If_Match": '"x"'},
        {"If_None_Match": "*"},
        {"If_None_Match": "*", "If_Match": '"1"'},
    ],
)
async def test_a_condition_that_does_not_hold_is_412(client, headers):
    await put(client)
    error = error_of(await put(client, BODY | {"description": "Other"}, **headers), 412)
    assert (error["code"], error["details"]["version"]) == ("PRECONDITION_FAILED", 1)
    assert (await client.get(URL)).json()["description"] == BODY["description"]


@pytest.mark.parametrize("value", ["*", '"1"'])
async def test_if_match_needs_a_registered_function(client, value):
    error = error_of(await put(client, If_Match=value), 412)
    assert error["details"] == {"language_title": "python-adder", "stored": "no"}


async def test_a_star_matches_any_version(client):
    await put(client)
    assert (await put(client, BODY | {"tags": []}, If_Match="*")).status_code == 200


@pytest.mark.parametrize("headers", [{"If_None_Match": '"1"'}, {"If_Match": "1"}])
async def test_a_malformed_condition_is_400(client, headers):
    (where,) = problems_of(await put(client, **headers))
    assert where.startswith("/headers/If-")


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"script_content": 1}, {"/script_content"}),
        ({"description": None}, {"/description"}),
        ({"schema": []}, {"/schema"}),
        (
            {"schema": {"params": "x", "result": 1, "other": True}},
            {"/schema/params", "/schema/result", "/schema/other"},
        ),
        ({"schema": {"params": {"type": "text"}}}, {"/schema/params/type"}),
        ({"examples": {}}, {"/examples"}),
        ({"examples": [{}, {"result": 1}, 7]}, {"/examples/0/result", "/examples/2", "/examples/2/result"}),
        ({"examples": [{"result": 1, "other": 1}]}, {"/examples/0/other"}),
        ({"examples": [{"result": 1}] * 17}, {"/examples"}),
        ({"examples": [{"params": {"a": "x"}, "result": 1}]}, {"/examples/0/params/a"}),
        ({"tags": "x"}, {"/tags"}),
        ({"tags": ["", 1, "x" * 65, "ok"]}, {"/tags/0", "/tags/1", "/tags/2"}),
        ({"tags": ["x"] * 17}, {"/tags"}),
        ({"tags": ["\0"]}, {"/tags/0"}),
        ({"description": "\0"}, {"/description"}),
        ({"more": 1}, {"/more"}),
    ],
)
async def test_every_problem_of_a_function_names_its_place(client, world, change, found):
    assert set(problems_of(await put(client, BODY | change))) == found
    assert not world.functions.functions


async def test_a_function_requires_a_script(client):
    assert set(problems_of(await put(client, {}))) == {"/script_content"}


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"script_content": "#" * 2001}, "/script_content"),
        ({"description": "ä" * 2049}, "/description"),
        ({"schema": {"params": {"const": "x" * 65_536}}}, "/schema/params"),
        ({"schema": {"result": {"const": "x" * 65_536}}}, "/schema/result"),
        ({"examples": [{"result": "x" * 262_144}]}, "/examples"),
    ],
)
async def test_a_field_above_the_size_limit_is_413(client, change, pointer):
    error = error_of(await put(client, BODY | change), 413)
    assert error["details"]["pointer"] == pointer


async def test_a_script_with_a_syntax_error_is_not_registered(client):
    assert error_of(await put(client, BODY | {"script_content": "result ="}), 400)["code"] == "SCRIPT_SYNTAX_ERROR"


async def test_check_runs_the_examples_before_registering(client):
    wrong = BODY | {"examples": [*BODY["examples"], {"params": {"a": 1, "b": 1}, "result": 3}]}
    assert problems_of(await put(client, wrong, URL + "?check=true")) == {"/examples/1": "gave 2, not 3"}
    assert (await client.get(URL)).status_code == 404
    assert (await put(client, wrong, URL + "?check=false")).status_code == 201
    assert (await put(client, BODY, URL + "?check=true")).status_code == 200


@pytest.mark.parametrize("query", ["check=yes", "check=", "check=true&check=true", "more=1"])
async def test_an_invalid_query_is_400(client, query):
    (where,) = problems_of(await put(client, url=f"{URL}?{query}"))
    assert where.startswith("/query/")


async def test_a_check_reports_the_outcome_of_each_example(client, world):
    await put(client)
    stored = world.functions.functions[SHARED, LanguageTitle.of("python-adder")]
    await put(
        client,
        {
            "script_content": "print('hi')\nresult = params['a']",
            "examples": [
                {"params": {"a": 1}, "result": 1},
                {"params": {"a": 1}, "result": 2},
                {"params": {}, "result": 1},
                {"params": {"a": "x" * 70_000}, "result": 1},
            ],
        },
    )
    assert stored.version == 1
    response = await client.post(URL + "/check")
    assert response.status_code == 200
    body = response.json()
    assert (body["language_title"], body["version"], body["holds"]) == ("python-adder", 2, False)
    assert [(one["index"], one["holds"]) for one in body["examples"]] == [(0, True), (1, False), (2, False), (3, False)]
    good, wrong, failed, long = body["examples"]
    assert (good["params"], good["expected"], good["result"], good["stdout"]) == ({"a": 1}, 1, 1, "hi\n")
    assert (good["reason"], good["error"]) == (None, None)
    assert good["execution_time_ms"] >= 0
    assert (wrong["reason"], wrong["expected"], wrong["result"]) == ("gave 1, not 2", 2, 1)
    assert failed["result"] is None
    assert failed["error"] == {"code": "SCRIPT_ERROR", "message": "KeyError: 'a'", "line": 2, "column": None}
    assert long["result"] == '"' + "x" * (64 * 1024 - 1)


async def test_a_disconnect_ends_a_check(client, world):
    await put(client)
    world.runner.hold()
    exchange = Exchange(world.app, "POST", URL + "/check", messages=chunks(b""))
    call = asyncio.create_task(exchange.run())
    await until(lambda: world.runner.running)
    exchange.disconnect()
    assert (await call).status is None
    await until(lambda: world.runner.evicted)
    assert world.runner.running == 0


async def test_a_disconnect_while_examples_run_registers_nothing(client, world):
    world.runner.hold()
    body = json.dumps(BODY).encode()
    headers = [(b"content-type", b"application/json")]
    exchange = Exchange(world.app, "PUT", URL, query=b"check=true", headers=headers, messages=chunks(body))
    call = asyncio.create_task(exchange.run())
    await until(lambda: world.runner.running)
    exchange.disconnect()
    assert (await call).status is None
    world.runner.let_go()
    await until(lambda: world.runner.evicted)
    assert not world.functions.functions


async def test_an_unknown_function_is_404(client):
    for response in (await client.get(URL), await client.delete(URL), await client.post(URL + "/check")):
        assert error_of(response, 404)["code"] == "FUNCTION_NOT_FOUND"


async def test_a_deactivated_function_is_registered_again_as_the_next_version(client):
    await put(client)
    assert error_of(await client.delete(URL, headers={"If-Match": '"2"'}), 412)
    assert (await client.delete(URL, headers={"If-Match": '"1"'})).status_code == 204
    assert (await client.delete(URL)).status_code == 204
    assert error_of(await client.get(URL), 404)["code"] == "FUNCTION_NOT_FOUND"
    again = await put(client, If_None_Match="*")
    assert (again.status_code, again.headers["etag"][:3]) == (201, '"2.')


async def test_an_etag_from_before_a_removal_does_not_match_the_next_function_of_the_title(client, world):
    old = (await put(client)).headers["etag"]
    world.functions.functions.clear()
    new = (await put(client)).headers["etag"]
    assert (old[:3], new[:3]) == ('"1.', '"1.')
    assert error_of(await put(client, BODY | {"tags": []}, If_Match=old), 412)["code"] == "PRECONDITION_FAILED"
    assert error_of(await client.delete(URL, headers={"If-Match": old}), 412)
    assert (await client.get(URL, headers={"If-None-Match": old})).status_code == 200
    assert (await client.get(URL, headers={"If-None-Match": new})).status_code == 304


@pytest.mark.parametrize(
    ("name", "status", "code"), [("adder", 400, "INVALID_LANGUAGE_TITLE"), ("ruby-adder", 404, "RUNTIME_NOT_FOUND")]
)
async def test_a_name_must_be_a_language_title(client, name, status, code):
    assert error_of(await client.get(f"/api/v1/functions/{name}"), status)["code"] == code


async def listed(client, query=""):
    """Return the titles on all pages, which the Link headers lead to."""
    found, url = [], f"/api/v1/functions{query}"
    while url is not None:
        response = await client.get(url)
        assert response.status_code == 200, response.text
        found += [each["language_title"] for each in response.json()["functions"]]
        url = response.links.get("next", {}).get("url")
        assert ("cursor=" in (url or "")) == (response.json()["next_cursor"] is not None)
    return found


async def test_lists_are_paged_and_filtered(client):
    for name in ("python-b", "nodejs-a", "python-a"):
        body = {"script_content": "result = 1", "tags": [name], "description": f"Does {name}"}
        await put(client, body, f"/api/v1/functions/{name}")
    first = (await client.get("/api/v1/functions", params={"limit": 2})).json()
    assert [one["language_title"] for one in first["functions"]] == ["nodejs-a", "python-a"]
    assert set(first["functions"][0]) == {
        "owner",
        "language",
        "title",
        "language_title",
        "description",
        "type",
        "version",
        "tags",
        "created_at",
        "updated_at",
        "author",
    }
    assert await listed(client) == await listed(client, "?limit=1") == ["nodejs-a", "python-a", "python-b"]
    assert await listed(client, "?language=python&type=dynamic&limit=1") == ["python-a", "python-b"]
    assert await listed(client, f"?type={FunctionType.PREDEFINED}") == []
    assert await listed(client, "?owner=*&limit=1") == ["nodejs-a", "python-a", "python-b"]
    assert await listed(client, "?tag=python-b") == ["python-b"]
    assert await listed(client, "?text=DOES%20PYTHON&limit=1") == ["python-a", "python-b"]


async def test_a_cursor_keeps_the_filters_of_its_list(client):
    for name in ("python-b", "nodejs-a", "python-a"):
        await put(client, {"script_content": "result = 1"}, f"/api/v1/functions/{name}")
    first = (await client.get("/api/v1/functions?language=python&owner=shared&limit=1")).json()
    cursor = first["next_cursor"]
    second = (await client.get(f"/api/v1/functions?owner=shared&cursor={cursor}")).json()
    assert [one["language_title"] for one in second["functions"]] == ["python-b"]
    for query, name in (("owner=shared&language=nodejs", "language"), ("owner=shared&tag=x", "tag"), ("", "owner")):
        response = await client.get(f"/api/v1/functions?cursor={cursor}&{query}")
        assert list(problems_of(response)) == [f"/query/{name}"]


@pytest.mark.parametrize(
    "query", ["language=ruby", "type=x", "page=1", "limit=201", "cursor=x", "tag=", f"tag={'x' * 65}", "text=%00"]
)
async def test_an_invalid_query_of_a_list_is_400(client, query):
    assert list(problems_of(await client.get(f"/api/v1/functions?{query}"))) == [f"/query/{query.split('=')[0]}"]


PLACE = ("python", "a", "shared")


@pytest.mark.parametrize(
    ("after", "tag", "text"),
    [
        *[(place, None, None) for place in (("a\0", "", ""), ("", "\0", ""), ("", "", "a\0"))],
        *[(place, None, None) for place in (("x" * 129, "", ""), ("", "x" * 129, ""), ("", "", "x" * 256))],
        *[(PLACE, tag, None) for tag in ("a\0", "\0\n", "", "x" * 65)],
        *[(PLACE, None, text) for text in ("a\0", "\0\n", "", "x" * 101)],
    ],
)
async def test_a_cursor_with_a_text_that_no_list_has_is_400(client, after, tag, text):
    cursor = write_cursor(FunctionCursor(after, None, None, tag, text, None))
    assert list(problems_of(await client.get(f"/api/v1/functions?cursor={cursor}"))) == ["/query/cursor"]


async def test_a_cursor_has_the_longest_texts_that_a_list_has(client):
    longest = FunctionCursor(("python", "x" * 121, "ä" * 127), None, None, "\n" * 64, "ä\n" * 50, None)
    response = await client.get(f"/api/v1/functions?cursor={write_cursor(longest)}")
    assert (response.status_code, response.json()["functions"]) == (200, []), response.text


async def test_a_session_pins_the_function_and_its_schema(client):
    await put(client)
    made = await client.post("/api/v1/initialize", headers=TITLE)
    assert made.status_code == 200, made.text
    session = f"/api/v1/sessions/{made.json()['request_id']}"
    assert made.json()["script_hash"] == hashlib.sha256(SOURCE.encode()).hexdigest()
    assert (await client.get(session)).json()["function_version"] == 1
    execute = f"/api/v1/execute/{made.json()['request_id']}"
    assert (await client.post(execute, json={"params": {"a": 1, "b": 2}})).json()["result"] == 3
    response = await client.post(execute, json={"params": {"a": "1", "b": None}})
    assert set(problems_of(response, "INVALID_PARAMS")) == {"/params/a", "/params/b"}
    assert response.json()["error"]["details"]["executed"] == "no"
