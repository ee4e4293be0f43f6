"""Functions over real PostgreSQL and the real sandbox."""

import asyncio

import httpx2
import pytest

from tests.integration.application.conftest import Api

PREDEFINED = ("nodejs-calculator", "python-text_processor")
ADDER = {
    "script_content": "def handle(params):\n    return {'sum': params['a'] + params['b']}\n",
    "description": "Adds",
    "schema": {
        "params": {
            "type": "object",
            "properties": {"a": {"type": "number"}, "b": {"type": "number"}},
            "required": ["a", "b"],
        }
    },
    "examples": [{"params": {"a": 1, "b": 2}, "result": {"sum": 3.0}}],
}
URL = "/api/v1/functions/python-adder"


async def put(api: Api, body: object = ADDER, url: str = URL, **headers: str) -> httpx2.Response:
    return await api.client.put(url, json=body, headers=headers)


async def pinned(api: Api, title: str) -> str:
    answer = await api.client.post("/api/v1/initialize", headers={"Language-Title": title})
    assert answer.status_code == 200, answer.text
    return answer.json()["request_id"]


@pytest.mark.parametrize("name", PREDEFINED)
async def test_every_example_of_what_is_predefined_holds(api: Api, name: str) -> None:
    function = (await api.client.get(f"/api/v1/functions/{name}")).json()
    assert (function["type"], function["version"]) == ("predefined", 1)
    assert len(function["examples"]) >= 4
    checked = await api.client.post(f"/api/v1/functions/{name}/check")
    assert checked.status_code == 200, checked.text
    assert checked.json()["holds"], checked.text
    assert len(checked.json()["examples"]) == len(function["examples"])


@pytest.mark.parametrize("name", PREDEFINED)
async def test_what_is_predefined_could_be_registered_as_it_is(api: Api, name: str) -> None:
    function = (await api.client.get(f"/api/v1/functions/{name}")).json()
    body = {field: function[field] for field in ("script_content", "description", "schema", "examples", "tags")}
    answer = await put(api, body, f"/api/v1/functions/{name}?check=true")
    assert answer.status_code == 200, answer.text
    assert answer.json() == function


async def test_sessions_run_what_is_predefined(api: Api) -> None:
    calculator = await pinned(api, "nodejs-calculator")
    answer = await api.execute(calculator, operation="divide", a=1, b=4)
    assert answer.json()["result"] == {"result": 0.25}
    for params in ({"a": 1, "b": 0}, {"a": 1e308, "b": 1e-308}):
        failed = await api.execute(calculator, operation="divide", **params)
        assert failed.status_code == 422
        assert failed.json()["error"]["details"]["name"] == "RangeError"


async def test_params_that_do_not_fit_are_refused_and_leave_nothing(api: Api) -> None:
    calculator = await pinned(api, "nodejs-calculator")
    answer = await api.execute(calculator, operation="power", a="1")
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["details"]["executed"]) == (400, "INVALID_PARAMS", "no")
    assert {problem["pointer"] for problem in error["details"]["problems"]} == {
        "/params",
        "/params/operation",
        "/params/a",
    }
    assert (await api.session(calculator)).json()["execution_count"] == 0
    history = await api.client.get(f"/api/v1/sessions/{calculator}/executions")
    assert history.json()["executions"] == []
    assert (await api.execute(calculator, operation="add", a=1, b=1)).json()["execution_count"] == 1


async def test_an_own_script_has_no_relation_to_a_function_of_its_title(api: Api) -> None:
    assert await api.run("nodejs-calculator", "return event.params.x;", x="anything") == "anything"


async def test_a_session_keeps_its_version_and_its_schema(api: Api) -> None:
    created = await put(api)
    assert (created.status_code, created.headers["etag"]) == (201, '"1"')
    first = await pinned(api, "python-adder")
    replaced = await put(api, {"script_content": "result = 'new'"}, **{"If-Match": '"1"'})
    assert (replaced.status_code, replaced.headers["etag"]) == (200, '"2"')
    second = await pinned(api, "python-adder")
    assert (await api.client.delete(URL)).status_code == 204
    assert (await api.execute(first, a=1, b=2)).json()["result"] == {"sum": 3}
    assert (await api.execute(first)).status_code == 400
    assert (await api.execute(second)).json()["result"] == "new"


async def test_a_deactivated_function_is_gone_until_it_is_registered_again(api: Api) -> None:
    await put(api)
    assert (await api.client.delete(URL)).status_code == 204
    assert (await api.client.delete(URL)).status_code == 204
    assert (await api.client.get(URL)).json()["error"]["code"] == "FUNCTION_NOT_FOUND"
    answer = await api.client.post("/api/v1/initialize", headers={"Language-Title": "python-adder"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "FUNCTION_NOT_FOUND")
    again = await put(api, **{"If-None-Match": "*"})
    assert (again.status_code, again.json()["version"]) == (201, 2)


async def test_of_many_concurrent_replacements_of_one_version_one_wins(api: Api) -> None:
    await put(api)
    bodies = [{"script_content": f"result = {n}"} for n in range(8)]
    answers = await asyncio.gather(*(put(api, body, **{"If-Match": '"1"'}) for body in bodies))
    assert sorted(answer.status_code for answer in answers) == [200] + [412] * 7
    (winner,) = (body for body, answer in zip(bodies, answers, strict=True) if answer.status_code == 200)
    assert (await api.client.get(URL)).json()["script_content"] == winner["script_content"]


async def test_of_many_concurrent_registrations_one_wins(api: Api) -> None:
    answers = await asyncio.gather(*(put(api, **{"If-None-Match": "*"}) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [201] + [412] * 7


async def test_concurrent_replacements_without_condition_are_all_kept(api: Api) -> None:
    answers = await asyncio.gather(*(put(api, {"script_content": f"result = {n}"}) for n in range(6)))
    assert sorted(answer.json()["version"] for answer in answers) == [1, 2, 3, 4, 5, 6]


async def test_examples_that_do_not_hold_keep_a_function_from_being_registered(api: Api) -> None:
    examples = [
        {"params": {"a": 1, "b": 2}, "result": {"sum": 3}},
        {"params": {"a": 1, "b": 2}, "result": {"sum": 4}},
        {"params": {"a": 1, "b": "x"}, "result": None},
    ]
    body = {"script_content": ADDER["script_content"], "examples": examples}
    answer = await put(api, body, URL + "?check=true")
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (400, "INVALID_REQUEST")
    told = {problem["pointer"]: problem["message"] for problem in error["details"]["problems"]}
    assert set(told) == {"/examples/1", "/examples/2"}
    assert told["/examples/1"] == 'gave {"sum":3}, not {"sum":4}'
    assert "SCRIPT_ERROR: TypeError" in told["/examples/2"]
    assert (await api.client.get(URL)).status_code == 404
    assert (await put(api, body)).status_code == 201
    checked = (await api.client.post(URL + "/check")).json()
    assert [example["holds"] for example in checked["examples"]] == [True, False, False]
    assert checked["examples"][1]["result"] == {"sum": 3}
    assert checked["examples"][2]["error"]["code"] == "SCRIPT_ERROR"


async def test_a_script_that_does_not_parse_is_not_registered(api: Api) -> None:
    answer = await put(api, {"script_content": "def handle(:"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "SCRIPT_SYNTAX_ERROR")
    assert (await api.client.get(URL)).status_code == 404
