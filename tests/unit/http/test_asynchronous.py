"""Executions that run later, over HTTP: accepted, read in every state, listed, cancelled and repeated."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import httpx2
import pytest
from attrs import evolve

from adapters.memory.queue import MemoryExecutionQueue
from domain.errors import StorageUnavailable
from domain.limits.usage_limiter import UsagePolicy
from tests.support.waiting import until
from tests.unit.http.world import OPTIONS, TITLE, Exchange, World, chunks, error_of, initialized, problems_of

ASYNC = {"Prefer": "respond-async"}
ADD = "result = params['a'] + 1"


@asynccontextmanager
async def dispatching(world: World) -> AsyncIterator[None]:
    loop = asyncio.create_task(world.dispatcher.run())
    try:
        yield
    finally:
        await world.dispatcher.drain(5)
        await loop
        await world.tasks.drain(5)


async def accepted(client: httpx2.AsyncClient, session_id: str, params: Any = None, **options: Any) -> str:
    body = {"params": params, **({"async": options} if options else {})}
    response = await client.post(f"/api/v1/execute/{session_id}", headers=ASYNC, json=body)
    assert response.status_code == 202, response.text
    execution_id: str = response.json()["execution_id"]
    return execution_id


async def read(client: httpx2.AsyncClient, execution_id: str, wait_s: int = 0) -> Any:
    response = await client.get(f"/api/v1/executions/{execution_id}", headers={"Prefer": f"wait={wait_s}"})
    assert response.status_code == 200, response.text
    return response.json()


def lines_of(batch: httpx2.Response) -> list[Any]:
    return [json.loads(line) for line in batch.text.splitlines()]


async def test_an_accepted_execution_is_answered_with_its_place_and_its_times(client, world):
    session_id = await initialized(client)
    options = {"priority": 60, "delay_seconds": 5, "expires_in_seconds": 100}
    response = await client.post(f"/api/v1/execute/{session_id}", headers=ASYNC, json={"params": 1, "async": options})
    body = response.json()
    execution_id = body.pop("execution_id")
    now = world.clock.now()
    at = [f"{now + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%S.%fZ}" for seconds in (0, 5, 105)]
    assert (response.status_code, body) == (
        202,
        {
            "request_id": session_id,
            "status": "queued",
            "attempt": 1,
            "accepted_at": at[0],
            "starts_at": at[1],
            "expires_at": at[2],
            "position": None,
        },
    )
    headers = {name: response.headers[name] for name in ("location", "retry-after", "preference-applied", "vary")}
    assert headers == {
        "location": f"/api/v1/executions/{execution_id}",
        "retry-after": "1",
        "preference-applied": "respond-async",
        "vary": "prefer, accept",
    }


@pytest.mark.parametrize(
    ("prefer", "applied"),
    [
        ("respond-async", "respond-async"),
        ('Respond-Async; x=1 , unknown, wait="0"', "respond-async, wait=0"),
        ("wait=0, wait=5", "wait=0"),
        ("respond-async, wait=x", "respond-async"),
        ("respond-async, =, ;", "respond-async"),
    ],
)
async def test_preferences_are_read_as_rfc_7240_says(client, prefer, applied):
    session_id = await initialized(client)
    response = await client.post(f"/api/v1/execute/{session_id}", headers={"Prefer": prefer})
    assert (response.status_code, response.headers["preference-applied"]) == (202, applied)


@pytest.mark.parametrize("prefer", ["unknown", "wait", "wait=-1", "wait=12345", "handling=lenient"])
async def test_unknown_preferences_are_ignored(client, prefer):
    session_id = await initialized(client)
    response = await client.post(f"/api/v1/execute/{session_id}", headers={"Prefer": prefer}, json={"params": 1})
    assert (response.status_code, response.json()["result"]) == (200, 1)
    assert "preference-applied" not in response.headers


async def test_a_long_wait_is_shortened_and_the_response_says_so(client, world):
    session_id = await initialized(client)
    async with dispatching(world):
        response = await client.post(f"/api/v1/execute/{session_id}", headers={"Prefer": "wait=999"})
    assert (response.status_code, response.headers["preference-applied"]) == (200, "wait=60")


async def test_a_caller_that_waits_gets_the_response_or_the_error_of_execute(client, world):
    session_id = await initialized(client, script_content=ADD)
    path, prefer = f"/api/v1/execute/{session_id}", {"Prefer": "respond-async, wait=5"}
    async with dispatching(world):
        executed = await client.post(path, headers=prefer, json={"params": {"a": 1}})
        failed = await client.post(path, headers=prefer, json={"params": {}})
    assert (executed.status_code, executed.json()["result"]) == (200, 2)
    assert executed.headers["preference-applied"] == "respond-async, wait=5"
    assert "location" not in executed.headers
    assert error_of(failed, 422)["code"] == "SCRIPT_ERROR"


async def test_a_caller_that_waits_too_long_gets_the_state(client, world):
    world.runner.hold()
    session_id = await initialized(client)
    path = f"/api/v1/execute/{session_id}"
    async with dispatching(world):
        response = await client.post(path, headers={"Prefer": "respond-async, wait=1"})
        assert (response.status_code, response.json()["status"]) == (202, "running")
        world.runner.let_go()


async def test_a_caller_that_leaves_while_it_waits_leaves_an_accepted_execution(client, world):
    session_id = await initialized(client)
    headers = [(b"prefer", b"wait=60"), (b"content-type", b"application/json")]
    exchange = Exchange(world.app, "POST", f"/api/v1/execute/{session_id}", headers, chunks(b"{}"))
    call = asyncio.create_task(exchange.run())
    await until(lambda: world.store.queued)
    exchange.disconnect()
    assert (await call).status is None
    assert len(world.store.queued) == 1


async def test_an_unknown_end_is_told_to_a_caller_that_waits(client, world):
    session_id = await initialized(client)
    world.runner.unknown_next = "the runtime disconnected"
    headers = [(b"prefer", b"wait=60"), (b"content-type", b"application/json")]
    exchange = Exchange(world.app, "POST", f"/api/v1/execute/{session_id}", headers, chunks(b"{}"))
    async with dispatching(world):
        call = asyncio.create_task(exchange.run())
        await until(lambda: world.runner.ran and not world.dispatcher.held)
        (execution_id,) = world.store.open_executions
        world.queue.end_overdue(world.clock.now() + timedelta(hours=1))
        reply = await call
    assert (reply.status, reply.json()["error"]["code"]) == (503, "RUNTIME_UNAVAILABLE")
    state = await read(client, str(execution_id))
    assert (state["status"], state["outcome"], state["status_code"]) == ("unknown", "unknown", 503)


@pytest.mark.parametrize(
    ("options", "pointer"),
    [
        ({"priority": -1}, "/async/priority"),
        ({"priority": 3601}, "/async/priority"),
        ({"delay_seconds": 31 * 86_400}, "/async/delay_seconds"),
        ({"run_at": "tomorrow"}, "/async/run_at"),
        ({"expires_in_seconds": 0}, "/async/expires_in_seconds"),
        ({"retry": {"max_attempts": 11, "on": ["timeout"]}}, "/async/retry/max_attempts"),
        ({"retry": {"max_attempts": 2, "on": ["everything"]}}, "/async/retry/on/0"),
        ({"retry": {"max_attempts": 2, "on": []}}, "/async/retry/on"),
        ({"later": True}, "/async/later"),
    ],
)
async def test_options_outside_their_bounds_are_refused(client, options, pointer):
    session_id = await initialized(client)
    response = await client.post(f"/api/v1/execute/{session_id}", headers=ASYNC, json={"async": options})
    assert set(problems_of(response)) == {pointer}


async def test_a_delay_beyond_the_session_is_refused_with_both_instants(client):
    session_id = await initialized(client, ttl_seconds=100)
    body = {"async": {"delay_seconds": 100}}
    response = await client.post(f"/api/v1/execute/{session_id}", headers=ASYNC, json=body)
    message = error_of(response, 400)["message"]
    assert message.count("2026-01-02T03:05:45") == 2


async def test_options_need_the_preference(client):
    session_id = await initialized(client)
    path = f"/api/v1/execute/{session_id}"
    single = await client.post(path, json={"async": {}})
    assert "respond-async" in problems_of(single)["/async"]
    items = {"items": [{}, {"async": {}}]}
    for headers in ({}, {"Prefer": "wait=5"}):
        assert set(problems_of(await client.post(f"{path}/batch", headers=headers, json=items))) == {"/items/1/async"}


async def test_a_server_without_stored_responses_accepts_nothing(log_lines):
    world = World.of(evolve(OPTIONS, idempotency=False))
    async with world.client() as client:
        session_id = await initialized(client)
        path = f"/api/v1/execute/{session_id}"
        for target in (path, f"{path}/batch"):
            refused = await client.post(target, headers=ASYNC, json={})
            assert "IDEMPOTENCY=off" in problems_of(refused)["/headers/Prefer"]
        waited = await client.post(path, headers={"Prefer": "wait=5"}, json={"params": 1})
        assert (waited.status_code, waited.json()["result"]) == (200, 1)
        assert "preference-applied" not in waited.headers


async def test_params_of_executions_that_run_later_count_in_the_quota_of_bytes():
    world = World.of(usage=UsagePolicy(stored_bytes_max=1000))
    async with world.client() as client:
        path = f"/api/v1/execute/{await initialized(client)}"
        body = {"params": "x" * 500}
        first, second = [await client.post(path, headers=ASYNC, json=body) for _ in range(2)]
        assert first.status_code == 202
        assert error_of(second, 429)["details"]["limit"] == "stored_bytes"


async def test_the_state_of_an_execution_is_read_from_the_queue_to_the_end(client, world):
    session_id = await initialized(client, script_content=ADD)
    world.runner.hold()
    execution_id = await accepted(client, session_id, {"a": 1})
    queued = await client.get(f"/api/v1/executions/{execution_id}")
    assert (queued.json()["status"], queued.json()["position"], queued.json()["outcome"]) == ("queued", 0, None)
    assert queued.headers["retry-after"] == "1"
    async with dispatching(world):
        await until(lambda: world.runner.running)
        running = await read(client, execution_id)
        assert (running["status"], running["position"], running["result"]) == ("running", None, None)
        world.runner.let_go()
        ended = await client.get(f"/api/v1/executions/{execution_id}", headers={"Prefer": "wait=5"})
    body = ended.json()
    assert (body["status"], body["outcome"], body["result"], body["params"]) == ("succeeded", "succeeded", 2, {"a": 1})
    assert (body["status_code"], body["language_title"], body["request_id"]) == (200, "python-adder", session_id)
    assert ended.headers["preference-applied"] == "wait=5"
    assert "retry-after" not in ended.headers


async def test_the_result_is_read_whole_and_after_its_retention_from_the_history(client, world):
    session_id = await initialized(client, script_content="result = 'x' * 70_000", ttl_seconds=86_400 * 20)
    execution_id = await accepted(client, session_id)
    async with dispatching(world):
        ended = await read(client, execution_id, 5)
    assert (len(ended["result"]), ended["truncated"]) == (70_000, {})
    world.clock.advance(timedelta(days=10))
    kept = await read(client, execution_id)
    assert (kept["status"], kept["result"], kept["result_kept_until"]) == ("succeeded", None, None)
    assert kept["truncated"] == {"result": 70_002}


async def test_an_execution_of_a_closed_session_tells_its_end(client, world):
    session_id = await initialized(client)
    execution_id = await accepted(client, session_id)
    assert (await client.delete(f"/api/v1/sessions/{session_id}")).status_code == 204
    state = await read(client, execution_id)
    assert (state["status"], state["status_code"], state["error"]["code"]) == ("cancelled", 409, "EXECUTION_CANCELLED")


async def test_an_execution_that_does_not_start_in_time_has_expired(client, world):
    session_id = await initialized(client)
    execution_id = await accepted(client, session_id, expires_in_seconds=10)
    world.clock.advance(timedelta(seconds=10))
    state = await read(client, execution_id)
    assert (state["status"], state["status_code"], state["error"]["code"]) == ("expired", 410, "EXECUTION_EXPIRED")
    cancelled = (await client.post(f"/api/v1/executions/{execution_id}/cancel")).json()
    assert (cancelled["status"], cancelled["executed"]) == ("expired", "no")


async def test_a_queued_execution_is_cancelled_and_never_runs(client, world):
    execution_id = await accepted(client, await initialized(client))
    for _ in range(2):
        response = await client.post(f"/api/v1/executions/{execution_id}/cancel")
        assert response.json() == {"execution_id": execution_id, "status": "cancelled", "executed": "no"}
        assert response.status_code == 200
    assert not world.store.queued


async def test_a_running_execution_is_being_cancelled_and_then_partly_executed(client, world):
    session_id = await initialized(client)
    world.runner.hold()
    async with dispatching(world):
        execution_id = await accepted(client, session_id)
        await until(lambda: world.runner.running)
        path = f"/api/v1/executions/{execution_id}/cancel"
        response = await client.post(path)
        assert (response.status_code, response.json()["status"], response.json()["executed"]) == (
            202,
            "cancelling",
            "partly",
        )
        await read(client, execution_id, 5)
        assert (await client.post(path)).json()["executed"] == "partly"


@pytest.mark.parametrize(("script", "status", "executed"), [("", "succeeded", "yes"), ("1/0", "failed", "yes")])
async def test_a_cancel_after_the_end_says_how_it_ended(client, script, status, executed):
    session_id = await initialized(client, script_content=script)
    response = await client.post(f"/api/v1/execute/{session_id}")
    body = response.json()
    execution_id = body.get("execution_id") or body["error"]["details"]["execution_id"]
    cancelled = await client.post(f"/api/v1/executions/{execution_id}/cancel")
    assert (cancelled.status_code, cancelled.json()["status"], cancelled.json()["executed"]) == (200, status, executed)


async def test_an_execution_that_was_cancelled_unstarted_and_erased_still_says_that_it_did_not_run(client):
    execution_id = await accepted(client, await initialized(client))
    path = f"/api/v1/executions/{execution_id}"
    early = await client.delete(path)
    assert (early.status_code, early.json()["error"]["code"]) == (409, "CONFLICT")
    await client.post(f"{path}/cancel")
    for _ in range(2):
        assert (await client.delete(path)).status_code == 204
    cancelled = (await client.post(f"{path}/cancel")).json()
    assert (cancelled["status"], cancelled["executed"]) == ("cancelled", "no")
    assert (await client.delete(f"/api/v1/executions/{UUID(int=7)}")).status_code == 404


async def test_an_erased_execution_keeps_its_state_and_its_key_is_refused(client, world):
    session_id, keyed = await initialized(client), {**ASYNC, "Idempotency-Key": "order-1"}
    path, body = f"/api/v1/execute/{session_id}", {"params": {"a": 41}}
    execution_id = (await client.post(path, headers=keyed, json=body)).json()["execution_id"]
    async with dispatching(world):
        assert (await read(client, execution_id, wait_s=5))["result"] == {"a": 41}
    assert (await client.delete(f"/api/v1/executions/{execution_id}")).status_code == 204
    state = await read(client, execution_id)
    assert (state["status"], state["execution_count"]) == ("succeeded", 1)
    assert {state[name] for name in ("params", "result", "stdout", "result_kept_until", "status_code")} == {None}
    for headers in (keyed, {"Idempotency-Key": "order-1"}):
        refused = await client.post(path, headers=headers, json=body)
        assert (refused.status_code, "was erased" in refused.json()["error"]["message"]) == (409, True)
    again = await client.post(f"/api/v1/executions/{execution_id}/retry")
    assert (again.status_code, again.json()["error"]["code"]) == (409, "CONFLICT")


RETRY = "/async/retry"


@pytest.mark.parametrize(
    ("retry", "pointer", "message"),
    [
        ({"max_attempts": 3, "on": []}, f"{RETRY}/on", "must have at least 1 items"),
        ({"max_attempts": 3, "on": ["bad"]}, f"{RETRY}/on/0", "must be one of"),
        ({"max_attempts": 0, "on": ["timeout"]}, f"{RETRY}/max_attempts", "must be at least 1"),
        ({"max_attempts": 3}, RETRY, "must have the field on"),
        ({"on": ["timeout"], "max_attempts": 3, "backoff": "x"}, f"{RETRY}/backoff", "must be"),
        (3, RETRY, "must be an object"),
    ],
)
async def test_what_is_wrong_with_a_retry_is_said_where_it_is(client, retry, pointer, message):
    body = {"async": {"retry": retry}, "params": {"a": [1]}}
    response = await client.post(f"/api/v1/execute/{await initialized(client)}", headers=ASYNC, json=body)
    found = problems_of(response)
    assert list(found) == [pointer]
    assert message in found[pointer]


async def test_a_delay_and_an_instant_contradict_each_other(client):
    body = {"async": {"delay_seconds": 5, "run_at": "2030-01-01T00:00:00Z"}}
    response = await client.post(f"/api/v1/execute/{await initialized(client)}", headers=ASYNC, json=body)
    assert "delay_seconds" in problems_of(response)["/async/run_at"]


async def test_closing_with_cancel_stops_what_runs(client, world):
    session_id = await initialized(client)
    world.runner.hold()
    call = asyncio.create_task(client.post(f"/api/v1/execute/{session_id}"))
    await until(lambda: world.runner.running)
    assert (await client.delete(f"/api/v1/sessions/{session_id}?cancel=true")).status_code == 204
    assert error_of(await call, 409)["code"] == "EXECUTION_CANCELLED"


async def test_closing_without_cancel_lets_it_run(client, world):
    session_id = await initialized(client)
    world.runner.hold()
    call = asyncio.create_task(client.post(f"/api/v1/execute/{session_id}"))
    await until(lambda: world.runner.running)
    assert (await client.delete(f"/api/v1/sessions/{session_id}?cancel=false")).status_code == 204
    world.runner.let_go()
    assert (await call).status_code == 200


async def test_a_repeated_key_gets_the_state_and_then_the_response(client, world):
    session_id = await initialized(client)
    path, headers = f"/api/v1/execute/{session_id}", {**ASYNC, "Idempotency-Key": "k"}
    first, second = [await client.post(path, headers=headers, json={"params": 1}) for _ in range(2)]
    assert first.json()["execution_id"] == second.json()["execution_id"]
    assert (second.status_code, second.json()["position"]) == (202, 0)
    other = await client.post(path, headers=headers, json={"params": 2})
    assert error_of(other, 409)["code"] == "IDEMPOTENCY_CONFLICT"
    async with dispatching(world):
        await read(client, first.json()["execution_id"], 5)
    replayed = await client.post(path, headers=headers, json={"params": 1})
    assert (replayed.status_code, replayed.json()["result"]) == (200, 1)
    assert replayed.headers["idempotent-replayed"] == "true"


async def test_a_key_leads_a_call_of_the_other_kind_to_its_execution(client, world):
    path, body = f"/api/v1/execute/{await initialized(client)}", {"params": 1}
    later, waits = {"Idempotency-Key": "later"}, {"Idempotency-Key": "waits"}
    delayed = {**body, "async": {"delay_seconds": 30}}
    accepted_id = (await client.post(path, headers={**ASYNC, **later}, json=delayed)).json()["execution_id"]
    plain = await client.post(path, headers=later, json=body)
    assert error_of(plain, 409)["details"]["execution_id"] == accepted_id
    assert plain.headers["retry-after"] == "30"
    world.runner.hold()
    call = asyncio.create_task(client.post(path, headers=waits, json=body))
    await until(lambda: world.runner.running)
    preferring = error_of(await client.post(path, headers={**ASYNC, **waits}, json=body), 409)
    world.runner.let_go()
    assert preferring["details"]["execution_id"] == (await call).json()["execution_id"]
    assert f"GET /api/v1/executions/{preferring['details']['execution_id']}" in preferring["message"]


async def test_a_caller_that_waits_with_a_key_gets_the_first_response(client, world):
    session_id = await initialized(client)
    path, headers = f"/api/v1/execute/{session_id}", {"Prefer": "wait=5", "Idempotency-Key": "k"}
    async with dispatching(world):
        first, second = [await client.post(path, headers=headers, json={"params": 1}) for _ in range(2)]
    assert (first.status_code, second.status_code) == (200, 200)
    assert first.json()["execution_id"] == second.json()["execution_id"]


async def test_each_item_of_a_batch_is_accepted_with_an_id_of_its_own(client, world):
    session_id = await initialized(client)
    items = [{"params": 1}, {"params": 2, "async": {"delay_seconds": 9}}, {"async": {"delay_seconds": 86_400}}]
    path = f"/api/v1/execute/{session_id}/batch"
    response = await client.post(path, headers=ASYNC, json={"items": items})
    lines = lines_of(response)
    assert [line["status"] for line in lines] == [202, 202, 400]
    members = {"index", "status", "request_id", "execution_id", "accepted_at", "starts_at", "expires_at"}
    assert [set(line) for line in lines[:2]] == [members] * 2
    assert {str(each) for each in world.store.queued} == {line["execution_id"] for line in lines[:2]}
    keyed = await client.post(path, headers={**ASYNC, "Idempotency-Key": "k"}, json={"items": items})
    assert "/headers/Idempotency-Key" in problems_of(keyed)


async def test_the_line_of_an_item_says_when_it_starts_and_that_it_expires_with_its_session(client, world):
    path = f"/api/v1/execute/{await initialized(client, ttl_seconds=100)}/batch"
    body = {"items": [{"async": {"delay_seconds": 5}}, {"async": {"expires_in_seconds": 60}}]}
    response = await client.post(path, headers=ASYNC, json=body)
    now = world.clock.now()
    found = [[line[name] for name in ("accepted_at", "starts_at", "expires_at")] for line in lines_of(response)]
    expected = [[now + timedelta(seconds=each) for each in seconds] for seconds in ((0, 5, 100), (0, 0, 60))]
    assert [[*map(datetime.fromisoformat, each)] for each in found] == expected


@pytest.mark.parametrize(
    ("prefer", "status", "applied"),
    [
        ("respond-async", 202, "respond-async"),
        ("respond-async, wait=5, cancel-on-disconnect", 202, "respond-async"),
        ("wait=5", 200, None),
    ],
)
async def test_a_batch_names_the_preference_that_it_honours_and_waits_for_no_item(client, prefer, status, applied):
    path = f"/api/v1/execute/{await initialized(client)}/batch"
    response = await client.post(path, headers={"Prefer": prefer}, json={"items": [{}]})
    assert [line["status"] for line in lines_of(response)] == [status]
    assert response.headers.get("preference-applied") == applied


async def test_a_batch_for_no_session_is_refused_as_a_whole(client):
    path = "/api/v1/execute/01890000-0000-7000-8000-000000000000/batch"
    response = await client.post(path, headers=ASYNC, json={"items": [{}]})
    assert error_of(response, 404)["code"] == "SESSION_NOT_FOUND"


async def test_a_function_is_called_later_by_its_name(client, world):
    put = await client.put("/api/v1/functions/python-later", json={"script_content": ADD})
    assert put.status_code == 201
    path = "/api/v1/functions/python-later/execute"
    response = await client.post(path, headers={**ASYNC, "Idempotency-Key": "k"}, json={"params": {"a": 1}})
    again = await client.post(path, headers={**ASYNC, "Idempotency-Key": "k"}, json={"params": {"a": 1}})
    assert response.json()["execution_id"] == again.json()["execution_id"]
    async with dispatching(world):
        ended = await read(client, response.json()["execution_id"], 5)
    assert (ended["status"], ended["result"]) == ("succeeded", 2)


async def test_an_ended_execution_is_repeated_by_hand(client, world):
    session_id = await initialized(client)
    execution_id = await accepted(client, session_id, 7)
    path = f"/api/v1/executions/{execution_id}/retry"
    assert error_of(await client.post(path), 409)["code"] == "CONFLICT"
    async with dispatching(world):
        await read(client, execution_id, 5)
        response = await client.post(path)
        assert (response.status_code, response.json()["attempt"]) == (202, 1)
        ended = await read(client, response.json()["execution_id"], 5)
    assert (ended["retry_of"], ended["result"]) == (execution_id, 7)


async def test_executions_whose_params_are_not_kept_are_not_repeated(client):
    session_id = await initialized(client)
    executed = (await client.post(f"/api/v1/execute/{session_id}")).json()
    response = await client.post(f"/api/v1/executions/{executed['execution_id']}/retry")
    assert "params are not kept" in error_of(response, 409)["message"]


async def test_executions_are_listed_in_pages_with_their_filters(client, world):
    session_id, other = await initialized(client), await initialized(client)
    ids = [await accepted(client, each) for each in (session_id, session_id, other, session_id)]
    await client.post(f"/api/v1/executions/{ids[1]}/cancel")
    listed, path = [], f"/api/v1/executions?status=queued&session={session_id}&limit=1&since=2026-01-01T00:00:00Z"
    while path:
        page = await client.get(path)
        listed += [each["execution_id"] for each in page.json()["executions"]]
        path = page.links["next"]["url"] if "next" in page.links else None
        assert (path is None) == (page.json()["next_cursor"] is None)
    assert listed == [ids[3], ids[0]]
    row = (await client.get("/api/v1/executions?status=cancelled")).json()["executions"][0]
    assert (row["execution_id"], row["request_id"], row["status"], row["attempt"]) == (
        ids[1],
        session_id,
        "cancelled",
        1,
    )
    assert (await client.get("/api/v1/executions?since=2027-01-01T00:00:00Z")).json()["executions"] == []


async def test_a_list_refuses_wrong_filters_and_foreign_cursors(client):
    session_id = await initialized(client)
    for _ in range(2):
        await accepted(client, session_id)
    cursor = (await client.get(f"/api/v1/executions?limit=1&session={session_id}")).json()["next_cursor"]
    wrong = {
        "status=done": "/query/status",
        "session=x": "/query/session",
        "since=x": "/query/since",
        "cursor=x": "/query/cursor",
        f"cursor={cursor}&status=failed": "/query/status",
        f"cursor={cursor}&session=01890000-0000-7000-8000-000000000000": "/query/session",
        f"cursor={cursor}&since=2026-01-01T00:00:00Z": "/query/since",
    }
    for query, pointer in wrong.items():
        assert set(problems_of(await client.get(f"/api/v1/executions?{query}"))) == {pointer}
    same = await client.get(f"/api/v1/executions?cursor={cursor}&session={session_id}")
    assert same.status_code == 200


async def test_the_queue_says_how_much_waits_and_what_is_served(client, world):
    session_id = await initialized(client)
    for _ in range(3):
        await accepted(client, session_id)
    world.clock.advance(timedelta(seconds=2))
    body = (await client.get("/api/v1/queue")).json()
    languages = {each.pop("language"): each for each in body["languages"]}
    python = {"queued": 3, "oldest_age_seconds": 2.0, "running": 0, "served": True, "reason": None}
    assert languages["python"] == python
    assert languages["nodejs"] == python | {"queued": 0, "oldest_age_seconds": None}
    assert (body["queued"], body["oldest_age_seconds"], body["running"]) == (3, 2.0, 0)


async def test_a_language_that_nothing_serves_is_told_and_refused(client, world):
    session_id = await initialized(client)
    world.runner.unavailable = "install it."
    refused = await client.post(f"/api/v1/execute/{session_id}", headers=ASYNC)
    assert error_of(refused, 503)["code"] == "RUNTIME_UNAVAILABLE"
    languages = (await client.get("/api/v1/queue")).json()["languages"]
    assert {each["served"] for each in languages} == {False}
    assert all("failing" in each["reason"] for each in languages)


async def test_a_database_that_is_away_accepts_nothing(client, world):
    session_id = await initialized(client)
    world.store.failure = StorageUnavailable(stored="no")
    response = await client.post(f"/api/v1/execute/{session_id}", headers=ASYNC)
    assert error_of(response, 503)["details"]["stored"] == "no"


class AwayAfterAccept(World):
    """The database is away once it has accepted an execution."""

    @property
    def queue(self) -> MemoryExecutionQueue:
        store = self.store

        class Queue(MemoryExecutionQueue):
            async def accept(self, *given: Any) -> Any:
                accepted = await super().accept(*given)
                store.failure = StorageUnavailable()
                return accepted

        return Queue(store, self.executions, self.ids, audit=self.audit)


async def test_an_accepted_execution_is_acknowledged_also_if_its_state_cannot_be_read():
    world = AwayAfterAccept.of()
    async with world.client() as client:
        session_id = await initialized(client)
        response = await client.post(f"/api/v1/execute/{session_id}", headers={"Prefer": "wait=5"})
    assert (response.status_code, response.json()["status"]) == (202, "queued")
    assert {UUID(response.json()["execution_id"])} == set(world.store.queued)


async def test_the_events_of_an_accepted_execution_begin_also_if_its_state_cannot_be_read():
    world = AwayAfterAccept.of()
    async with world.client() as client:
        session_id = await initialized(client)
        call = client.post(f"/api/v1/execute/{session_id}", headers={"Accept": "application/x-ndjson"})
        streaming = asyncio.create_task(call)
        await until(lambda: world.store.failure)
        world.store.failure = None
        async with dispatching(world):
            lines = [json.loads(line) for line in (await streaming).text.splitlines()]
    assert [each["event"] for each in lines] == ["execution", "end"]
    assert lines[0]["data"]["execution_id"] == lines[1]["data"]["execution_id"]


async def test_the_history_is_filtered_by_status_or_by_its_former_name(client):
    session_id = await initialized(client)
    await client.post(f"/api/v1/execute/{session_id}", headers=TITLE)
    path = f"/api/v1/sessions/{session_id}/executions"
    for query, found in (("status=succeeded", 1), ("outcome=succeeded", 1), ("status=failed", 0)):
        assert len((await client.get(f"{path}?{query}")).json()["executions"]) == found
    contradicting = await client.get(f"{path}?status=failed&outcome=succeeded")
    assert set(problems_of(contradicting)) == {"/query/outcome"}


async def test_a_drain_claims_nothing_more(client, world):
    session_id = await initialized(client)
    execution_id = await accepted(client, session_id)
    assert await world.app.drain(5) == 0
    await world.dispatcher.run()
    assert [str(each) for each in world.store.queued] == [execution_id]


async def test_a_repetition_is_accepted_once_under_one_key(client, world):
    execution_id = await accepted(client, await initialized(client))
    await client.post(f"/api/v1/executions/{execution_id}/cancel")
    path, headers = f"/api/v1/executions/{execution_id}/retry", {"Idempotency-Key": "again-1"}
    first = await client.post(path, headers=headers)
    repeated = [await client.post(path, headers=headers)]
    async with dispatching(world):
        await read(client, first.json()["execution_id"], wait_s=5)
    repeated.append(await client.post(path, headers=headers))
    assert {each.status_code for each in (first, *repeated)} == {202}
    assert {each.json()["execution_id"] for each in repeated} == {first.json()["execution_id"]}
    assert [each.json()["status"] for each in repeated] == ["queued", "succeeded"]
    other = await accepted(client, first.json()["request_id"])
    await client.post(f"/api/v1/executions/{other}/cancel")
    conflict = await client.post(f"/api/v1/executions/{other}/retry", headers=headers)
    assert conflict.json()["error"]["code"] == "IDEMPOTENCY_CONFLICT"
