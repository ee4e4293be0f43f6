"""An id that is not there is answered like an unknown id of the service's own, whatever its bits are."""

import itertools
import json
from typing import Any
from uuid import UUID

import pytest

from domain.sessions.session import Status
from entrypoints.http.parsing.cursors import ExecutionCursor, SessionCursor, write_cursor
from tests.foreign_ids import CALLS, EXTREMES, UNKNOWN, random_v4
from tests.unit.http.world import TITLE, Exchange, Reply, World, chunks, initialized

JSON = (b"content-type", b"application/json")


async def call(world: World, identifier: UUID, made: tuple[str, str, Any, dict[str, str]]) -> Reply:
    method, path, body, headers = made
    sent = [JSON, *((name.encode(), value.encode()) for name, value in headers.items())]
    exchange = Exchange(world.app, method, path.format(identifier), sent if body else (), [])
    exchange.messages = chunks(json.dumps(body).encode() if body else b"")
    return await exchange.run()


def told(reply: Reply) -> tuple[int | None, Any]:
    """Return the answer without the id that it is about."""
    body = reply.json() if reply.body else None
    if isinstance(body, dict):
        body.pop("request_id", None)
    return reply.status, body


@pytest.mark.parametrize("identifier", EXTREMES, ids=str)
@pytest.mark.parametrize("made", CALLS, ids=str)
async def test_extreme_ids_are_answered_like_an_unknown_one(world, identifier, made):
    assert told(await call(world, identifier, made)) == told(await call(world, UNKNOWN, made))


async def test_ten_thousand_random_ids_are_not_there_on_any_path(world):
    expected = [told(await call(world, UNKNOWN, made)) for made in CALLS]
    assert {status for status, _ in expected} == {404}
    for identifier, (made, answer) in zip(
        random_v4(10_000), itertools.cycle(list(zip(CALLS, expected, strict=True))), strict=False
    ):
        assert told(await call(world, identifier, made)) == answer, (identifier, made)


@pytest.mark.parametrize("status", [None, Status.ACTIVE])
@pytest.mark.parametrize("identifier", EXTREMES, ids=str)
async def test_a_list_goes_on_after_any_id(client, world, identifier, status):
    made = sorted([await initialized(client), await initialized(client)], reverse=True)
    cursor = write_cursor(SessionCursor(identifier, 1_767_322_984_567_000, status, None))
    answer = await client.get(f"/api/v1/sessions?cursor={cursor}")
    assert answer.status_code == 200
    assert [each["request_id"] for each in answer.json()["sessions"]] == [
        each for each in made if UUID(each) < identifier
    ]


@pytest.mark.parametrize("identifier", EXTREMES, ids=str)
async def test_a_history_goes_on_after_any_id(client, identifier):
    session_id = await initialized(client)
    ran = (await client.post(f"/api/v1/execute/{session_id}", json={"params": 1})).json()["execution_id"]
    cursor = write_cursor(ExecutionCursor(UUID(session_id), identifier, None, None))
    answer = await client.get(f"/api/v1/sessions/{session_id}/executions?cursor={cursor}")
    assert answer.status_code == 200
    shown = [each["execution_id"] for each in answer.json()["executions"]]
    assert shown == ([ran] if UUID(ran) < identifier else [])


async def test_the_nil_id_has_no_part_in_the_keys_of_calls_that_make_sessions(client):
    key = TITLE | {"Idempotency-Key": "k"}
    await client.post("/api/v1/initialize", headers=key, json={"script_content": "result = 1"})
    answer = await client.post(f"/api/v1/execute/{UUID(int=0)}", headers={"Idempotency-Key": "k"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "SESSION_NOT_FOUND")
