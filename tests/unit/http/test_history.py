"""The history over HTTP: filters, pages and single executions."""

from datetime import timedelta

import pytest

from tests.unit.http.test_lists import linked
from tests.unit.http.world import error_of, initialized, problems_of

SCRIPT = "result = 1 / params['by']"
RUN = "01a2101f-a3da-7b64-8000-000000000002"


@pytest.fixture
async def session_id(client, world):
    """A session with five executions, one a minute; those with the params 0 failed."""
    session_id = await initialized(client, script_content=SCRIPT)
    for by in (1, 0, 1, 0, 1):
        await client.post(f"/api/v1/execute/{session_id}", json={"params": {"by": by}})
        world.clock.advance(timedelta(minutes=1))
    return session_id


async def minutes(client, session_id, query):
    """Return the minutes in which the executions of all pages began."""
    url, found = f"/api/v1/sessions/{session_id}/executions?{query}", []
    while url:
        response = await client.get(url)
        assert response.status_code == 200, response.text
        found += [row["started_at"][14:16] for row in response.json()["executions"]]
        url = linked(response) if response.json()["next_cursor"] else None
    return found


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("outcome=failed", ["07", "05"]),
        ("outcome=succeeded&limit=1", ["08", "06", "04"]),
        ("outcome=unknown", []),
        ("since=2026-01-02T03:06:05.678901Z&limit=2", ["08", "07", "06"]),
        ("since=2026-01-02T03:06:05.678902Z", ["08", "07"]),
        ("since=2026-01-02T05:06:05.678901%2B02:00&outcome=failed&limit=1", ["07"]),
        ("since=1066-10-14T09:00:00Z", ["08", "07", "06", "05", "04"]),
        ("since=9999-12-31T23:59:59Z", []),
    ],
)
async def test_a_history_is_filtered(client, session_id, query, shown):
    assert await minutes(client, session_id, query) == shown


async def test_a_cursor_of_the_history_contains_its_filters(client, session_id):
    first = await client.get(f"/api/v1/sessions/{session_id}/executions?outcome=succeeded&limit=2")
    cursor = first.json()["next_cursor"]
    for query in ("", "&outcome=succeeded"):
        assert await minutes(client, session_id, f"cursor={cursor}{query}") == ["04"]
    for query, pointer in (("outcome=failed", "/query/outcome"), ("since=2026-01-01T00:00:00Z", "/query/since")):
        response = await client.get(f"/api/v1/sessions/{session_id}/executions?cursor={cursor}&{query}")
        assert set(problems_of(response)) == {pointer}


async def test_the_instant_of_a_cursor_is_compared_as_an_instant(client, session_id):
    path = f"/api/v1/sessions/{session_id}/executions"
    first = await client.get(f"{path}?since=2026-01-02T03:05:00Z&limit=2")
    cursor = first.json()["next_cursor"]
    assert await minutes(client, session_id, f"cursor={cursor}&since=2026-01-02T04:05:00.000%2B01:00") == ["06", "05"]


@pytest.mark.parametrize(
    "since", ["yesterday", "2026-01-02", "2026-01-02T03:04:05", "2026-01-02T03:04:05 02:00", "", "1"]
)
async def test_an_invalid_instant_is_rejected(client, session_id, since):
    response = await client.get(f"/api/v1/sessions/{session_id}/executions", params={"since": since, "outcome": "lost"})
    assert set(problems_of(response)) == {"/query/since", "/query/outcome"}


async def test_one_execution_is_read_by_its_id(client, session_id):
    (newest,) = (await client.get(f"/api/v1/sessions/{session_id}/executions?limit=1")).json()["executions"]
    response = await client.get(f"/api/v1/executions/{newest['execution_id']}")
    body = response.json()
    assert {name: body[name] for name in newest} == newest
    assert (body["request_id"], body["status"], body["outcome"], body["attempt"]) == (
        session_id,
        newest["status"],
        newest["status"],
        1,
    )
    assert "retry-after" not in response.headers


async def test_an_execution_in_progress_is_running_and_unknown_after_its_deadline(client, world):
    session_id = await initialized(client)
    world.runner.unknown_next = "the runtime disconnected"
    await client.post(f"/api/v1/execute/{session_id}")
    (open_one,) = world.store.open_executions.values()
    path = f"/api/v1/executions/{open_one.execution_id}"
    running = await client.get(path)
    assert (running.json()["status"], running.json()["outcome"]) == ("running", None)
    assert running.headers["retry-after"] == "1"
    world.clock.advance(open_one.deadline_at - world.clock.now())
    body = (await client.get(path)).json()
    assert (body["outcome"], body["execution_count"], body["request_id"]) == ("unknown", None, session_id)


async def test_an_execution_of_a_closed_session_is_gone(client, session_id):
    (newest,) = (await client.get(f"/api/v1/sessions/{session_id}/executions?limit=1")).json()["executions"]
    await client.delete(f"/api/v1/sessions/{session_id}")
    response = await client.get(f"/api/v1/executions/{newest['execution_id']}")
    assert error_of(response, 410)["code"] == "SESSION_CLOSED"


async def test_an_execution_of_a_removed_session_is_not_found(client, world, session_id):
    (newest,) = (await client.get(f"/api/v1/sessions/{session_id}/executions?limit=1")).json()["executions"]
    world.store.sessions.clear()
    response = await client.get(f"/api/v1/executions/{newest['execution_id']}")
    assert error_of(response, 404)["code"] == "EXECUTION_NOT_FOUND"


@pytest.mark.parametrize("execution_id", [RUN, "x", RUN + "0", "%C3%A9"])
async def test_an_unknown_execution_is_not_found(client, execution_id):
    assert error_of(await client.get(f"/api/v1/executions/{execution_id}"), 404)["code"] == "EXECUTION_NOT_FOUND"
