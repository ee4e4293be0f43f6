"""What the service answers about functions on the origin's API."""

from datetime import timedelta

import pytest

from domain.access.principal import Principal, Scope
from domain.identity import SHARED, Owner
from entrypoints.origin.endpoints import OriginOptions
from tests.unit.origin.conftest import caller_of, world_of


async def register(world, *titles, **query):
    async with world.client() as own:
        for title in titles:
            body = {"script_content": "result = 1", "description": f"It is {title}."}
            response = await own.put(f"/api/v1/functions/{title}", json=body, params=query)
            assert response.status_code in {200, 201}, response.text
            world.clock.advance(timedelta(seconds=1))


async def listed(client, query=""):
    found = (await client.get(f"/api/v1/functions{query}")).json()["functions"]
    return [each["language_title"] for each in found]


async def test_the_newest_function_comes_first(world, client):
    await register(world, "python-b", "nodejs-c", "python-a")
    assert await listed(client) == ["python-a", "nodejs-c", "python-b"]
    assert await listed(client, "?per_page=2") == ["python-a", "nodejs-c"]
    assert await listed(client, "?per_page=2&page=2") == ["python-b"]
    assert await listed(client, "?language=python&user_id=nobody") == ["python-a", "python-b"]
    assert await listed(client, "?type=dynamic") == ["python-a", "nodejs-c", "python-b"]
    assert await listed(client, "?type=predefined") == []
    assert await listed(client, "?type=else&unknown=1") == ["python-a", "nodejs-c", "python-b"]


async def test_a_listed_function_has_five_members(world, client):
    await register(world, "python-a")
    assert (await client.get("/api/v1/functions")).json()["functions"] == [
        {
            "language_title": "python-a",
            "description": "It is python-a.",
            "type": "dynamic",
            "created_at": "2026-01-02T03:04:05.678901Z",
            "last_updated_at": "2026-01-02T03:04:05.678901Z",
        }
    ]


@pytest.mark.parametrize("owner", ["me", "someone"])
async def test_an_own_function_hides_the_shared_one_of_its_title(owner):
    world = world_of(caller=Principal(Owner(owner), frozenset(Scope)))
    async with caller_of(world) as client:
        await register(world, "python-a", "python-b", owner=SHARED)
        await register(world, "python-a")
        assert await listed(client) == ["python-a", "python-b"]
        assert (await client.get("/api/v1/functions/python-a")).json()["user_id"] == owner


async def test_a_list_of_several_pages_of_the_database_is_in_order(world, client):
    titles = [f"python-f{n:03}" for n in range(205)]
    await register(world, *titles)
    assert await listed(client, "?per_page=300") == titles[::-1]


async def test_more_functions_than_the_order_bears_are_refused():
    world = world_of(OriginOptions(functions_max=2))
    async with caller_of(world) as client:
        await register(world, "python-a", "python-b")
        assert await listed(client) == ["python-b", "python-a"]
        await register(world, "python-c")
        response = await client.get("/api/v1/functions")
    assert response.status_code == 400
    assert response.json()["error"].startswith("Failed to get functions: ")
    assert "are more than 2, and cannot be listed in this order. List them at PORT" in response.json()["error"]


@pytest.mark.parametrize("query", ["page=0", "page=-1", "per_page=-1"])
async def test_a_page_that_cannot_be_is_refused(client, query):
    response = await client.get(f"/api/v1/functions?{query}")
    assert response.status_code == 400
    assert response.json()["error"].startswith("Failed to get functions: ")


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("page=1&page=2", "is given more than once (at page)"),
        ("per_page=", "must be an integer (at per_page)"),
        ("page=1.5", "must be an integer (at page)"),
        ("page=99999999999999999999", "must be an integer (at page)"),
        ("&".join(f"a{n}" for n in range(40)), "must have at most 32 parameters"),
    ],
)
async def test_a_query_that_cannot_be_read_is_400_in_plain_text(client, query, said):
    response = await client.get(f"/api/v1/functions?{query}")
    assert (response.status_code, response.headers["content-type"]) == (400, "text/plain; charset=utf-8")
    assert response.text.startswith("Query deserialize error: ")
    assert said in response.text


async def test_a_function_is_shown_without_its_script(world, client):
    body = {
        "script_content": "result = params['n']",
        "schema": {"params": {"type": "object"}},
        "examples": [{"params": {"n": 1}, "result": 1}],
    }
    async with world.client() as own:
        await own.put("/api/v1/functions/python-a.b", json=body)
    assert (await client.get("/api/v1/functions/python-a.b")).json() == {
        "language": "python",
        "title": "a.b",
        "language_title": "python-a.b",
        "description": None,
        "type": "dynamic",
        "user_id": "anonymous",
        "created_at": "2026-01-02T03:04:05.678901Z",
        "updated_at": "2026-01-02T03:04:05.678901Z",
        "script_content": None,
        "schema": {"params": {"type": "object"}},
        "examples": [{"request": {"params": {"n": 1}}, "response": {"result": 1}}],
    }


async def test_a_function_without_schema_and_examples_shows_null(world, client):
    await register(world, "nodejs-a")
    shown = (await client.get("/api/v1/functions/nodejs-a")).json()
    assert (shown["schema"], shown["examples"]) == (None, None)


@pytest.mark.parametrize("title", ["cobol-x", "python-", "%20", "python-gone", "x" * 4000])
async def test_a_title_of_no_function_is_404(world, client, title):
    await register(world, "python-gone")
    async with world.client() as own:
        await own.delete("/api/v1/functions/python-gone")
    response = await client.get(f"/api/v1/functions/{title}")
    assert (response.status_code, response.headers["x-error-code"]) == (404, "FUNCTION_NOT_FOUND")
    assert len(response.json()["error"]) < 200
