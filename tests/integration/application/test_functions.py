"""Functions over real PostgreSQL and the real sandbox."""

import asyncio

import httpx2
import pytest

from tests.integration.application.conftest import BOTH_LANGUAGES, Api

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
    response = await api.client.post("/api/v1/initialize", headers={"Language-Title": title})
    assert response.status_code == 200, response.text
    return response.json()["request_id"]


@pytest.mark.parametrize("name", PREDEFINED)
@BOTH_LANGUAGES
async def test_every_example_of_a_predefined_function_holds_and_it_can_be_sent_back(api: Api, name: str) -> None:
    function = (await api.client.get(f"/api/v1/functions/{name}")).json()
    assert (function["type"], function["version"]) == ("predefined", 1)
    assert len(function["examples"]) >= 4
    checked = await api.client.post(f"/api/v1/functions/{name}/check")
    assert checked.status_code == 200, checked.text
    assert checked.json()["holds"], checked.text
    assert len(checked.json()["examples"]) == len(function["examples"])
    body = {field: function[field] for field in ("script_content", "description", "schema", "examples", "tags")}
    assert (await put(api, body, f"/api/v1/functions/{name}")).json() == function


@BOTH_LANGUAGES
async def test_sessions_run_what_is_predefined(api: Api) -> None:
    calculator = await pinned(api, "nodejs-calculator")
    response = await api.execute(calculator, operation="divide", a=1, b=4)
    assert response.json()["result"] == {"result": 0.25}
    for params in ({"a": 1, "b": 0}, {"a": 1e308, "b": 1e-308}):
        failed = await api.execute(calculator, operation="divide", **params)
        assert failed.status_code == 422
        assert failed.json()["error"]["details"]["name"] == "RangeError"


async def test_a_session_keeps_its_version_and_its_schema(api: Api) -> None:
    created = await put(api)
    assert (created.status_code, created.headers["etag"][:3]) == (201, '"1.')
    first = await pinned(api, "python-adder")
    replaced = await put(api, {"script_content": "result = 'new'"}, **{"If-Match": created.headers["etag"]})
    assert (replaced.status_code, replaced.headers["etag"][:3]) == (200, '"2.')
    second = await pinned(api, "python-adder")
    assert (await api.client.delete(URL)).status_code == 204
    assert (await api.execute(first, a=1, b=2)).json()["result"] == {"sum": 3}
    assert (await api.execute(first)).status_code == 400
    assert (await api.execute(second)).json()["result"] == "new"


async def test_versions_are_listed_pinned_and_rolled_back_to(api: Api) -> None:
    await put(api)
    await put(api, {"script_content": "result = 'new'"})
    assert (await api.execute(await pinned(api, "python-adder@1"), a=1, b=2)).json()["result"] == {"sum": 3}
    back = await api.client.post(f"{URL}/rollback?check=true", json={"version": 1}, headers={"If-Match": '"2"'})
    assert (back.status_code, back.json()["version"]) == (200, 3)
    assert (await api.execute(await pinned(api, "python-adder"), a=2, b=2)).json()["result"] == {"sum": 4}
    listed = (await api.client.get(f"{URL}/versions")).json()["versions"]
    assert [(each["version"], each["author"]) for each in listed] == [(number, "anonymous") for number in (3, 2, 1)]
    assert listed[0]["script_hash"] == listed[2]["script_hash"] != listed[1]["script_hash"]
    unknown = await api.client.post("/api/v1/initialize", headers={"Language-Title": "python-adder@9"})
    assert (unknown.status_code, unknown.json()["error"]["details"]["kept_versions"]) == (404, [3, 2, 1])


async def test_of_many_concurrent_rollbacks_to_one_version_all_end_in_one_new_version(api: Api) -> None:
    await put(api)
    await put(api, {"script_content": "result = 'new'"})
    calls = (api.client.post(f"{URL}/rollback", json={"version": 1}) for _ in range(8))
    responses = await asyncio.gather(*calls)
    assert {(response.status_code, response.json()["version"]) for response in responses} == {(200, 3)}


async def test_of_many_concurrent_replacements_of_one_version_one_wins(api: Api) -> None:
    await put(api)
    bodies = [{"script_content": f"result = {n}"} for n in range(8)]
    responses = await asyncio.gather(*(put(api, body, **{"If-Match": '"1"'}) for body in bodies))
    assert sorted(response.status_code for response in responses) == [200] + [412] * 7
    (winner,) = (body for body, response in zip(bodies, responses, strict=True) if response.status_code == 200)
    assert (await api.client.get(URL)).json()["script_content"] == winner["script_content"]
