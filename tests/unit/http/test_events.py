"""Live events over HTTP: streams that start with a call, and streams that continue where another one broke off."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from attrs import evolve

from domain.access.principal import Principal, Scope
from domain.identity import Owner
from tests.support.waiting import until
from tests.unit.http.test_asynchronous import accepted, dispatching, read
from tests.unit.http.world import OPTIONS, Exchange, World, chunks, error_of, initialized, problems_of

BOB = Principal(Owner("bob"), frozenset({Scope.EXECUTE_ALL}))
PRINTS = "print('one'); print('two'); result = params"
EVENTS, LINES = {"Accept": "text/event-stream"}, {"Accept": "application/x-ndjson"}


def events_of(lines: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines.splitlines()]


def text_of(events: Sequence[dict[str, Any]]) -> str:
    return "".join(each["data"]["text"] for each in events if each["event"] == "stdout")


async def events(client: httpx2.AsyncClient, execution_id: str, last_id: str | None = None) -> list[dict[str, Any]]:
    headers = LINES if last_id is None else {**LINES, "Last-Event-ID": last_id}
    response = await client.get(f"/api/v1/executions/{execution_id}/events", headers=headers)
    assert response.status_code == 200, response.text
    return events_of(response.text)


def started(world: World, session_id: str, prefer: bytes = b"") -> Exchange:
    """Return a call that streams its execution, not yet sent."""
    headers = [(b"accept", b"application/x-ndjson"), (b"prefer", prefer), (b"content-type", b"application/json")]
    return Exchange(world.app, "POST", f"/api/v1/execute/{session_id}", headers, chunks(b'{"params":1}'))


@asynccontextmanager
async def streaming(world: World, exchange: Exchange) -> AsyncIterator[asyncio.Task[Any]]:
    """Send a call whose script does not end, and let its reader see that it runs."""
    world.runner.hold()
    async with dispatching(world):
        call = asyncio.create_task(exchange.run())
        await until(lambda: world.runner.running and len(exchange.sent) > 1)
        yield call
        world.runner.let_go()


async def test_a_call_that_accepts_events_gets_the_output_and_the_response_of_execute(client, world):
    session_id = await initialized(client, script_content=PRINTS)
    path, body = f"/api/v1/execute/{session_id}", {"params": {"a": [1, 2]}}
    async with dispatching(world):
        response = await client.post(path, headers=LINES, json=body)
        waited = (await client.post(path, json=body)).json()
    found = events_of(response.text)
    assert (response.status_code, response.headers["content-type"]) == (200, "application/x-ndjson")
    assert found[0]["event"] == "execution"
    execution_id = found[0]["data"]["execution_id"]
    assert response.headers["location"] == f"/api/v1/executions/{execution_id}"
    assert (response.headers["vary"], "preference-applied" in response.headers) == ("prefer, accept", False)
    assert text_of(found) == "one\ntwo\n"
    assert (found[-1]["event"], found[-1]["id"]) == ("end", "8.0.0.end")
    end = found[-1]["data"]
    assert end.pop("status") == 200
    for each, count in ((end, 1), (waited, 2)):
        assert each.pop("execution_id")
        assert each.pop("execution_count") == count
        assert [each.pop(name) is None for name in ("execution_time_ms", "cpu_time_ms", "queue_time_ms")] == [False] * 3
        del each["cold_start"]
    assert end == waited


async def test_a_failed_script_ends_with_the_error_of_execute(client, world):
    session_id = await initialized(client, script_content="raise ValueError('no')")
    path = f"/api/v1/execute/{session_id}"
    async with dispatching(world):
        end = events_of((await client.post(path, headers=LINES, json={})).text)[-1]["data"]
        waited = await client.post(path, json={})
    assert end["status"] == waited.status_code == 422
    assert end["request_id"] == waited.json()["request_id"]
    error, other = end["error"], waited.json()["error"]
    assert (error["code"], error["message"]) == (other["code"], other["message"])
    assert set(error["details"]) == set(other["details"])


async def test_a_function_by_its_name_is_streamed_too(client, world):
    await client.put("/api/v1/functions/python-printing", json={"script_content": PRINTS})
    async with dispatching(world):
        response = await client.post("/api/v1/functions/python-printing/execute", headers=EVENTS, json={"params": 3})
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert "event: stdout\ndata: {" in response.text
    assert '"result":3' in response.text.rpartition("event: end\n")[2]


async def test_a_stream_continues_with_what_the_reader_lacks_and_204_follows_the_end(client, world):
    session_id = await initialized(client, script_content=PRINTS)
    execution_id = await accepted(client, session_id, 1)
    path = f"/api/v1/executions/{execution_id}/events"
    async with dispatching(world):
        whole = await events(client, execution_id)
    assert [each["event"] for each in whole] == ["execution", "stdout", "end"]
    assert await events(client, execution_id, "8.0.0") == [
        {**whole[0], "id": "8.0.0", "data": whole[0]["data"] | {"status": "succeeded"}},
        whole[-1],
    ]
    assert text_of(await events(client, execution_id, "4.0.0")) == "two\n"
    by_query = await client.get(path, params={"after": "4.0.0"}, headers=LINES)
    assert text_of(events_of(by_query.text)) == "two\n"
    both = await client.get(path, params={"after": "0.0.0"}, headers=LINES | {"Last-Event-ID": "4.0.0"})
    assert text_of(events_of(both.text)) == "two\n"
    over = await client.get(path, headers={"Last-Event-ID": whole[-1]["id"]})
    assert (over.status_code, over.content) == (204, b"")
    assert (await client.get(path)).headers["content-type"].startswith("text/event-stream")


@pytest.mark.parametrize(
    "last_id", ["x", "1.2", "-1.0.0", "01.0.0", "1e3.0.0", "9" * 16 + ".0.0", "9.0.0", "0.0.0.end.end"]
)
async def test_a_forged_id_is_refused(client, world, last_id):
    execution_id = await accepted(client, await initialized(client, script_content=PRINTS), 1)
    async with dispatching(world):
        await read(client, execution_id, 5)
    path = f"/api/v1/executions/{execution_id}/events"
    assert set(problems_of(await client.get(path, headers={"Last-Event-ID": last_id}))) == {"/headers/Last-Event-ID"}
    assert set(problems_of(await client.get(path, params={"after": last_id}))) == {"/query/after"}
    unknown = await client.get(f"{path}?before=1")
    assert set(problems_of(unknown)) == {"/query/before"}


async def test_executions_of_others_and_calls_whose_callers_waited_have_no_events(client, world):
    session_id = await initialized(client)
    execution_id = await accepted(client, session_id)
    async with World.of(caller=BOB, store=world.store).client() as other:
        response = await other.get(f"/api/v1/executions/{execution_id}/events")
        assert error_of(response, 404)["code"] == "EXECUTION_NOT_FOUND"
    waited = (await client.post(f"/api/v1/execute/{session_id}", json={})).json()["execution_id"]
    assert "no events" in error_of(await client.get(f"/api/v1/executions/{waited}/events"), 409)["message"]


async def test_what_is_refused_is_refused_before_the_stream(client, world):
    gone = await client.post(f"/api/v1/execute/{'0' * 8}-0000-7000-8000-000000000001", headers=EVENTS, json={})
    assert error_of(gone, 404)["code"] == "SESSION_NOT_FOUND"
    options = {"async": {"priority": 1}}
    session_id = await initialized(client)
    assert (
        "text/event-stream" in problems_of(await client.post(f"/api/v1/execute/{session_id}", json=options))["/async"]
    )
    async with dispatching(world):
        assert (await client.post(f"/api/v1/execute/{session_id}", headers=LINES, json=options)).status_code == 200


async def test_respond_async_precedes_the_format_and_without_stored_responses_there_are_no_events(client):
    session_id = await initialized(client)
    later = await client.post(f"/api/v1/execute/{session_id}", headers={**EVENTS, "Prefer": "respond-async"}, json={})
    assert later.status_code == 202
    async with World.of(evolve(OPTIONS, idempotency=False)).client() as other:
        session_id = await initialized(other)
        refused = await other.post(f"/api/v1/execute/{session_id}", headers=EVENTS, json={})
        assert "IDEMPOTENCY=off" in problems_of(refused)["/headers/Accept"]
        batch = {"items": [{}]}
        assert (await other.post(f"/api/v1/execute/{session_id}/batch", headers=LINES, json=batch)).status_code == 200


async def test_a_repeated_key_streams_the_first_execution_and_its_response_after_that(client, world):
    session_id = await initialized(client, script_content=PRINTS)
    path, headers = f"/api/v1/execute/{session_id}", {**LINES, "Idempotency-Key": "k"}
    first = await client.post(path, headers={"Prefer": "respond-async", "Idempotency-Key": "k"}, json={"params": 1})
    async with dispatching(world):
        found = [events_of((await client.post(path, headers=headers, json={"params": 1})).text) for _ in range(2)]
        again = await client.post(path, headers=headers, json={"params": 1})
    assert {each[0]["data"]["execution_id"] for each in found} == {first.json()["execution_id"]}
    assert found[0][-1] == found[1][-1]
    assert again.headers["idempotent-replayed"] == "true"
    assert len(world.runner.ran) == 1
    waited = {"Idempotency-Key": "waited"}
    await client.post(path, headers=waited, json={"params": 1})
    replayed = await client.post(path, headers={**LINES, **waited}, json={"params": 1})
    assert [each["event"] for each in events_of(replayed.text)] == ["execution", "stdout", "end"]


async def test_hanging_up_ends_no_execution(client, world):
    exchange = started(world, await initialized(client))
    async with streaming(world, exchange) as call:
        exchange.disconnect()
        assert (await call).status == 200
    (execution_id,) = world.runner.ran
    assert (await read(client, str(execution_id)))["status"] == "succeeded"


async def test_hanging_up_ends_an_execution_whose_caller_prefers_that(client, world):
    exchange = started(world, await initialized(client), b"cancel-on-disconnect")
    async with streaming(world, exchange) as call:
        exchange.disconnect()
        reply = await call
        assert reply.headers["preference-applied"] == "cancel-on-disconnect"
        execution_id = reply.headers["location"].rpartition("/")[2]
        assert (await read(client, execution_id, 5))["status"] == "cancelled"
    assert not world.runner.ran


async def test_a_caller_that_waits_can_prefer_that_too(client, world):
    headers = [(b"prefer", b"wait=60, cancel-on-disconnect"), (b"content-type", b"application/json")]
    exchange = Exchange(world.app, "POST", f"/api/v1/execute/{await initialized(client)}", headers, chunks(b"{}"))
    call = asyncio.create_task(exchange.run())
    await until(lambda: world.store.queued)
    exchange.disconnect()
    await call
    await until(lambda: not world.store.queued)
    assert not world.runner.ran


async def test_a_purge_ends_a_stream_with_the_error_that_a_reconnect_gets(client, world):
    session_id = await initialized(client)
    exchange = started(world, session_id)
    async with streaming(world, exchange) as call:
        (execution_id,) = world.store.open_executions
        assert (await client.delete(f"/api/v1/sessions/{session_id}?purge=true")).status_code == 204
        world.runner.let_go()
        last = events_of((await call).body.decode())[-1]
    assert (last["event"], last["data"]["status"], last["data"]["request_id"]) == ("end", 404, session_id)
    again = await client.get(f"/api/v1/executions/{execution_id}/events", headers={"Last-Event-ID": last["id"]})
    assert error_of(again, 404) == last["data"]["error"]


async def test_a_stream_is_no_request_in_flight_and_has_a_place_of_its_own(client, world):
    session_id = await initialized(client)
    execution_id = await accepted(client, session_id, delay_seconds=60)
    path = f"/api/v1/executions/{execution_id}/events"
    streams = [Exchange(world.app, "GET", path) for _ in range(64)]
    calls = [asyncio.create_task(each.run()) for each in streams]
    await until(lambda: all(each.sent for each in streams))
    assert world.app.limiter.in_flight == 0
    refused = await client.get(path)
    assert error_of(refused, 429)["details"] | {"retry_after_ms": 1000} == refused.json()["error"]["details"]
    assert "an event stream" in refused.json()["error"]["message"]
    one_more = await client.post(f"/api/v1/execute/{session_id}", headers=EVENTS, json={})
    assert one_more.status_code == 429
    assert len(world.store.queued) == 1, "what has no stream is not accepted"
    streams[0].disconnect()
    await calls[0]
    head = await client.head(path)
    assert (head.status_code, head.content) == (200, b"")
    for each in streams:
        each.disconnect()
    await asyncio.gather(*calls)


async def test_the_drain_ends_streams_and_says_where_they_continue(client, world):
    execution_id = await accepted(client, await initialized(client), delay_seconds=60)
    exchange = Exchange(
        world.app, "GET", f"/api/v1/executions/{execution_id}/events", [(b"accept", b"application/x-ndjson")]
    )
    call = asyncio.create_task(exchange.run())
    await until(lambda: exchange.sent)
    await world.app.drain(5)
    found = events_of((await call).body.decode())
    assert [each["event"] for each in found] == ["execution", "reconnect"]


async def test_streams_are_counted_by_their_ends(client, world):
    session_id = await initialized(client, script_content=PRINTS)
    exchange = started(world, session_id)
    async with streaming(world, exchange) as call:
        registry = world.app.scrape.registry
        assert registry.get_sample_value("pglambda_event_streams") == 1
        exchange.disconnect()
        await call
        world.runner.let_go()
        response = await client.post(f"/api/v1/execute/{session_id}", headers=LINES, json={"params": 1})
    for reason, count in (("ended", 1), ("disconnected", 1), ("stalled", 0)):
        assert registry.get_sample_value("pglambda_event_streams_ended_total", {"reason": reason}) == count
    assert registry.get_sample_value("pglambda_event_streams") == 0
    assert registry.get_sample_value("pglambda_event_stream_bytes_total") > len(response.content)
