"""Functions over real PostgreSQL and the real sandbox."""

import asyncio
import itertools

import httpx2
import pytest

from tests.integration.application.conftest import NODEJS_HERE, ON_SHARED, Api

pytestmark = ON_SHARED

SETTINGS = NODEJS_HERE

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
_numbers = itertools.count()


@pytest.fixture
def title() -> str:
    """The title of a function that no other test has."""
    return f"python-adder-{next(_numbers)}"


def url_of(title: str) -> str:
    return f"/api/v1/functions/{title}"


async def put(api: Api, title: str, body: object = ADDER, **headers: str) -> httpx2.Response:
    return await api.client.put(url_of(title), json=body, headers=headers)


async def pinned(api: Api, title: str) -> str:
    response = await api.client.post("/api/v1/initialize", headers={"Language-Title": title})
    assert response.status_code == 200, response.text
    return response.json()["request_id"]


@pytest.mark.parametrize("name", PREDEFINED)
async def test_every_example_of_a_predefined_function_holds_and_it_can_be_sent_back(shared: Api, name: str) -> None:
    function = (await shared.client.get(url_of(name))).json()
    assert (function["type"], function["version"]) == ("predefined", 1)
    assert len(function["examples"]) >= 4
    checked = await shared.client.post(f"{url_of(name)}/check")
    assert checked.status_code == 200, checked.text
    assert checked.json()["holds"], checked.text
    assert len(checked.json()["examples"]) == len(function["examples"])
    body = {field: function[field] for field in ("script_content", "description", "schema", "examples", "tags")}
    assert (await put(shared, name, body)).json() == function


async def test_sessions_run_what_is_predefined(shared: Api) -> None:
    calculator = await pinned(shared, "nodejs-calculator")
    response = await shared.execute(calculator, operation="divide", a=1, b=4)
    assert response.json()["result"] == {"result": 0.25}
    for params in ({"a": 1, "b": 0}, {"a": 1e308, "b": 1e-308}):
        failed = await shared.execute(calculator, operation="divide", **params)
        assert failed.status_code == 422
        assert failed.json()["error"]["details"]["name"] == "RangeError"


async def test_a_session_keeps_its_version_and_its_schema(shared: Api, title: str) -> None:
    created = await put(shared, title)
    assert (created.status_code, created.headers["etag"][:3]) == (201, '"1.')
    first = await pinned(shared, title)
    replaced = await put(shared, title, {"script_content": "result = 'new'"}, **{"If-Match": created.headers["etag"]})
    assert (replaced.status_code, replaced.headers["etag"][:3]) == (200, '"2.')
    second = await pinned(shared, title)
    assert (await shared.client.delete(url_of(title))).status_code == 204
    assert (await shared.execute(first, a=1, b=2)).json()["result"] == {"sum": 3}
    assert (await shared.execute(first)).status_code == 400
    assert (await shared.execute(second)).json()["result"] == "new"


async def test_versions_are_listed_pinned_and_rolled_back_to(shared: Api, title: str) -> None:
    await put(shared, title)
    await put(shared, title, {"script_content": "result = 'new'"})
    assert (await shared.execute(await pinned(shared, f"{title}@1"), a=1, b=2)).json()["result"] == {"sum": 3}
    rollback, body = f"{url_of(title)}/rollback?check=true", {"version": 1}
    back = await shared.client.post(rollback, json=body, headers={"If-Match": '"2"'})
    assert (back.status_code, back.json()["version"]) == (200, 3)
    assert (await shared.execute(await pinned(shared, title), a=2, b=2)).json()["result"] == {"sum": 4}
    listed = (await shared.client.get(f"{url_of(title)}/versions")).json()["versions"]
    assert [(each["version"], each["author"]) for each in listed] == [(number, "anonymous") for number in (3, 2, 1)]
    assert listed[0]["script_hash"] == listed[2]["script_hash"] != listed[1]["script_hash"]
    unknown = await shared.client.post("/api/v1/initialize", headers={"Language-Title": f"{title}@9"})
    assert (unknown.status_code, unknown.json()["error"]["details"]["kept_versions"]) == (404, [3, 2, 1])


async def test_of_many_concurrent_rollbacks_to_one_version_all_end_in_one_new_version(shared: Api, title: str) -> None:
    await put(shared, title)
    await put(shared, title, {"script_content": "result = 'new'"})
    calls = (shared.client.post(f"{url_of(title)}/rollback", json={"version": 1}) for _ in range(8))
    responses = await asyncio.gather(*calls)
    assert {(response.status_code, response.json()["version"]) for response in responses} == {(200, 3)}


async def test_of_many_concurrent_replacements_of_one_version_one_wins(shared: Api, title: str) -> None:
    await put(shared, title)
    bodies = [{"script_content": f"result = {n}"} for n in range(8)]
    responses = await asyncio.gather(*(put(shared, title, body, **{"If-Match": '"1"'}) for body in bodies))
    assert sorted(response.status_code for response in responses) == [200] + [412] * 7
    (winner,) = (body for body, response in zip(bodies, responses, strict=True) if response.status_code == 200)
    assert (await shared.client.get(url_of(title))).json()["script_content"] == winner["script_content"]
