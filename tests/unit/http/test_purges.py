"""What a deletion keeps, and what a purge erases."""

import pytest

from domain.access.principal import Principal, Scope
from domain.identity import Owner
from tests.support.acts import recorded
from tests.unit.http.world import World, error_of, initialized, problems_of

KEY = {"Idempotency-Key": "order-1"}


@pytest.fixture
def world() -> World:
    return World.of()


async def executed(client) -> tuple[str, str]:
    """Return the ids of a session and of its execution, which has a key."""
    session_id = await initialized(client)
    response = await client.post(f"/api/v1/execute/{session_id}", headers=KEY, json={"params": {"name": "Ada"}})
    return session_id, response.json()["execution_id"]


async def test_a_deletion_says_until_when_executions_are_kept(world):
    async with world.client() as client:
        session_id, _ = await executed(client)
        response = await client.delete(f"/api/v1/sessions/{session_id}")
    # The clock stands at 2026-01-02 03:04:05Z: the day ends, and then its history is kept for seven days.
    assert (response.status_code, response.headers["kept-until"]) == (204, "2026-01-10T00:00:00Z")
    assert await recorded(world.audit) == []


@pytest.mark.parametrize("is_closed", [False, True])
async def test_a_purge_erases_executions_and_responses_and_is_recorded(world, is_closed):
    async with world.client() as client:
        session_id, execution_id = await executed(client)
        if is_closed:
            await client.delete(f"/api/v1/sessions/{session_id}")
        response = await client.delete(f"/api/v1/sessions/{session_id}?purge=true")
        assert (response.status_code, response.content) == (204, b"")
        assert "kept-until" not in response.headers
        assert (await client.get(f"/api/v1/executions/{execution_id}")).status_code == 404
        again = await client.post(f"/api/v1/execute/{session_id}", headers=KEY, json={"params": {"name": "Ada"}})
        assert error_of(again, 410)["code"] == "SESSION_CLOSED"
    (entry,) = await recorded(world.audit)
    assert (entry.act, entry.actor.name, entry.actor.origin) == ("sessions.purge", "anonymous", "127.0.0.1")
    assert entry.details == {
        "executions": 1,
        "open_executions": 0,
        "queued_executions": 0,
        "idempotency_keys": 1,
        "deliveries": 0,
        "schedules": 0,
    }
    assert "Ada" not in str(entry)


async def test_what_is_left_of_a_removed_session_can_be_purged(world):
    async with world.client() as client:
        session_id, execution_id = await executed(client)
        world.store.sessions.clear()
        assert (await client.delete(f"/api/v1/sessions/{session_id}")).status_code == 404
        assert (await client.delete(f"/api/v1/sessions/{session_id}?purge=true")).status_code == 204
        assert (await client.get(f"/api/v1/executions/{execution_id}")).status_code == 404


async def test_a_purge_keeps_the_condition(world):
    async with world.client() as client:
        session_id, execution_id = await executed(client)
        url = f"/api/v1/sessions/{session_id}?purge=true"
        error_of(await client.delete(url, headers={"If-Match": '"7"'}), 412)
        assert (await client.get(f"/api/v1/executions/{execution_id}")).status_code == 200
    assert await recorded(world.audit) == []


async def test_another_owner_cannot_purge(world):
    async with world.client() as client:
        session_id, execution_id = await executed(client)
        other = World.of(caller=Principal(Owner("mallory"), frozenset({Scope.EXECUTE_ALL})))
        other.store.sessions.update(world.store.sessions)
        other.store.history.update(world.store.history)
        async with other.client() as mallory:
            error_of(await mallory.delete(f"/api/v1/sessions/{session_id}?purge=true"), 404)
    assert [str(each) for each in other.store.history] == [execution_id]
    assert await recorded(other.audit) == []


@pytest.mark.parametrize("query", ["purge=yes", "purge=", "erase=true"])
async def test_a_wrong_query_closes_nothing(world, query):
    async with world.client() as client:
        session_id, _ = await executed(client)
        problems = problems_of(await client.delete(f"/api/v1/sessions/{session_id}?{query}"))
        assert list(problems) == [f"/query/{query.partition('=')[0]}"]
        assert (await client.get(f"/api/v1/sessions/{session_id}")).status_code == 200
