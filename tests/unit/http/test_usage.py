"""The usage of owners over HTTP."""

from datetime import date

import pytest

from domain.access.principal import Principal, Scope
from domain.errors import StorageUnavailable
from domain.identity import Owner
from domain.usage import UsedDay
from entrypoints.http.schemas.usage import UsedDayResponse
from tests.contracts.storage import Storage
from tests.unit.http.world import World, error_of, initialized, problems_of

PATH = "/api/v1/usage"
ADMIN = Principal(Owner("root"), frozenset({Scope.ADMIN}))
NAMES = ["alice", "bob", "carl"]


@pytest.fixture
def admin() -> World:
    return World.of(caller=ADMIN)


@pytest.fixture
async def storage(admin) -> Storage:
    storage = Storage(admin.sessions, admin.executions, admin.clock, admin.ids)
    for name in NAMES:
        await storage.execute((await storage.add(Owner(name))).ref)
    return storage


async def test_a_caller_reads_its_own_usage(client, world):
    session_id = await initialized(client)
    assert (await client.post(f"/api/v1/execute/{session_id}", json={})).status_code == 200
    await client.put("/api/v1/functions/python-adder", json={"script_content": "result = 1"})
    timed = {"name": "x", "function": "python-adder", "interval_seconds": 60}
    assert (await client.post("/api/v1/schedules", json=timed)).status_code == 201
    assert (await client.post("/api/v1/webhooks", json={"url": "https://hooks.example.com/"})).status_code == 201
    assert (await client.post("/api/v1/files", content=b"x")).status_code == 201
    assert (await client.put("/api/v1/secrets/TOKEN", json={"value": "12345678"})).status_code == 200
    later = {"Prefer": "respond-async"}
    assert (await client.post(f"/api/v1/execute/{session_id}", json={}, headers=later)).status_code == 202
    world.counts.count(world.clock.now().replace(year=2030))
    found = (await client.get(PATH)).json()
    (report,) = found["owners"]
    (day,) = report["days"]
    assert (report["owner"], report["rates"], report["complete"]) == ("anonymous", [], True)
    assert {each["limit"]: each["observed"] > 0 for each in report["quotas"]} == {
        "live_sessions": True,
        "stored_bytes": True,
        "functions": True,
        "function_bytes": True,
        "concurrent_calls": False,
        "queued_executions": True,
        "schedules": True,
        "webhooks": True,
        "stored_file_bytes": True,
        "secrets": True,
    }
    assert (day["day"], day["executions"], day["failed"]) == (str(world.clock.now().date()), 1, 0)
    assert (found["counted_until"][:4], found["next_cursor"]) == ("2030", None)


def test_the_times_of_a_day_are_as_exact_as_those_of_executions():
    response = UsedDayResponse.of(UsedDay(date(2026, 1, 2), 3, 1, 0, 0.1 + 0.2, 4794.161000000002))
    assert (response.execution_time_ms, response.cpu_time_ms) == (0.3, 4794.161)


async def test_an_admin_reads_all_owners_in_pages(admin, storage):
    names, query = [], f"{PATH}?owner=*&limit=2"
    async with admin.client() as client:
        while query:
            response = await client.get(query)
            names += [report["owner"] for report in response.json()["owners"]]
            query = response.links["next"]["url"] if "link" in response.headers else None
            assert (response.json()["next_cursor"] is None) == (query is None)
    assert names == NAMES


async def test_an_admin_reads_the_usage_of_one_owner(admin, storage):
    async with admin.client() as client:
        (report,) = (await client.get(f"{PATH}?owner=bob")).json()["owners"]
    assert (report["owner"], report["quotas"][0]) == ("bob", {"limit": "live_sessions", "observed": 1, "allowed": None})


async def test_another_owner_is_for_admins(world):
    caller = World.of(caller=Principal(Owner("alice"), frozenset({Scope.EXECUTE_ALL})))
    async with caller.client() as client:
        for owner in ("*", "bob"):
            error = error_of(await client.get(f"{PATH}?owner={owner}"), 403)
            assert error["details"] == {"needed_scopes": ["admin"]}
        assert (await client.get(f"{PATH}?owner=alice")).status_code == 200


@pytest.mark.parametrize("query", ["cursor=x", "limit=0", "owner=", "day=1"])
async def test_a_wrong_query_is_refused(client, query):
    assert list(problems_of(await client.get(f"{PATH}?{query}"))) == [f"/query/{query.partition('=')[0]}"]


async def test_a_cursor_is_for_the_list_of_all_owners(admin, storage):
    async with admin.client() as client:
        cursor = (await client.get(f"{PATH}?owner=*&limit=1")).json()["next_cursor"]
        assert list(problems_of(await client.get(f"{PATH}?cursor={cursor}"))) == ["/query/cursor"]


async def test_usage_is_unavailable_while_the_database_is(client, world):
    world.store.failure = StorageUnavailable()
    assert error_of(await client.get(PATH), 503)["code"] == "STORAGE_UNAVAILABLE"
