"""The audit record over HTTP."""

import pytest

from domain.audit import ActName, Actor
from domain.identity import Owner
from tests.support.acts import act
from tests.unit.http.world import World, problems_of

PATH = "/api/v1/audit"
BODY = {"script_content": "result = params"}


@pytest.fixture
def world() -> World:
    return World.of()


async def test_a_change_of_a_function_is_listed_with_its_actor_and_address(world):
    async with world.client() as client:
        assert (await client.put("/api/v1/functions/python-adder", json=BODY)).status_code == 201
        (entry,) = (await client.get(PATH)).json()["acts"]
    assert (entry["actor"], entry["origin"], entry["act"]) == ("anonymous", "127.0.0.1", "functions.put")
    assert (entry["owner"], entry["subject"], entry["details"]) == ("shared", "python-adder", {"version": 1})
    assert BODY["script_content"] not in str(entry)


async def test_pages_show_every_act_once(world):
    acts = [act(ActName.KEYS_CREATE, world.ids, Actor("alice", "192.0.2.7")) for _ in range(5)]
    for each in acts:
        world.audit.record(each, Owner("alice"), "key", {})
    found, query = [], "?limit=2"
    async with world.client() as client:
        while query:
            response = await client.get(f"{PATH}{query}")
            found += [entry["act_id"] for entry in response.json()["acts"]]
            following = response.json()["next_cursor"]
            assert ("link" in response.headers) == (following is not None)
            query = following and f"?limit=2&cursor={following}"
    assert found == [str(each.act_id) for each in acts[::-1]]


@pytest.mark.parametrize("query", ["cursor=x", "limit=0", "owner=alice"])
async def test_a_wrong_query_is_refused(world, query):
    async with world.client() as client:
        assert list(problems_of(await client.get(f"{PATH}?{query}"))) == [f"/query/{query.partition('=')[0]}"]
