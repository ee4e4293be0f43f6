"""An id that does not exist gives the same response as an unknown id, whatever its bits are."""

import itertools
import json
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from attrs import evolve

from domain.identity import MAX_ID, NO_ID, SessionRef
from domain.json_text import JsonText
from domain.scripts.convention import Convention
from tests.foreign_ids import CALLS, EXTREMES, TAKEN, UNKNOWN, random_v4
from tests.unit.http.world import TITLE, Exchange, Reply, World, chunks, initialized

JSON = (b"content-type", b"application/json")


async def call(world: World, some_id: UUID, made: tuple[str, str, Any, dict[str, str]]) -> Reply:
    method, path, body, headers = made
    sent = [JSON, *((name.encode(), value.encode()) for name, value in headers.items())]
    exchange = Exchange(world.app, method, path.format(some_id), sent if body else (), [])
    exchange.messages = chunks(json.dumps(body).encode() if body else b"")
    return await exchange.run()


def content_of(reply: Reply) -> tuple[int | None, Any]:
    """Return status and body without the id of the session."""
    body = reply.json() if reply.body else None
    if isinstance(body, dict):
        body.pop("request_id", None)
    return reply.status, body


@pytest.mark.parametrize("some_id", EXTREMES, ids=str)
@pytest.mark.parametrize("made", CALLS, ids=str)
async def test_extreme_ids_give_the_response_of_an_unknown_id(world, some_id, made):
    assert content_of(await call(world, some_id, made)) == content_of(await call(world, UNKNOWN, made))


async def test_a_thousand_random_ids_give_the_response_of_an_unknown_id(world):
    expected = [content_of(await call(world, UNKNOWN, made)) for made in CALLS]
    assert {status for status, _ in expected} == {404}
    for some_id, (made, response) in zip(
        random_v4(1_000), itertools.cycle(list(zip(CALLS, expected, strict=True))), strict=False
    ):
        assert content_of(await call(world, some_id, made)) == response, (some_id, made)


async def test_the_nil_id_does_not_reach_the_idempotency_keys_of_initialize(client):
    key = TITLE | {"Idempotency-Key": "k"}
    await client.post("/api/v1/initialize", headers=key, json={"script_content": "result = 1"})
    response = await client.post(f"/api/v1/execute/{UUID(int=0)}", headers={"Idempotency-Key": "k"})
    assert (response.status_code, response.json()["error"]["code"]) == (404, "SESSION_NOT_FOUND")


@pytest.mark.parametrize("session_id", sorted({*TAKEN, *EXTREMES} - {NO_ID, MAX_ID}), ids=str)
async def test_a_session_of_another_service_is_served_under_its_id(world, client, session_id):
    made = UUID(await initialized(client))
    stored, script = world.store.sessions.pop(made), world.store.scripts[made]
    ref, created_at = SessionRef(stored.ref.owner, session_id), stored.created_at - timedelta(days=1)
    taken = evolve(stored, ref=ref, foreign_created_at=created_at, context=JsonText("[1, null]"))
    await world.sessions.add(evolve(taken, convention=Convention.ORIGIN), script)
    shown = (await client.get(f"/api/v1/sessions/{session_id}")).json()
    assert (shown["request_id"], shown["created_at"]) == (str(session_id), "2026-01-01T03:04:05.678901Z")
    assert (shown["context"], shown["convention"]) == ([1, None], "origin")
    executed = await client.post(f"/api/v1/execute/{session_id}", json={"params": 1})
    assert (executed.status_code, executed.json()["result"]) == (200, 1)
    (listed,) = (await client.get("/api/v1/sessions")).json()["sessions"]
    assert (listed["request_id"], listed["created_at"]) == (str(session_id), shown["created_at"])
    (row,) = (await client.get(f"/api/v1/sessions/{session_id}/executions")).json()["executions"]
    assert row["execution_id"] == executed.json()["execution_id"]
    assert (await client.delete(f"/api/v1/sessions/{session_id}?purge=true")).status_code == 204
