"""Batches over HTTP: a line for each item, disconnects, slow clients and drains."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from attrs import define, evolve

from domain.errors import LimitReached
from entrypoints.http.app import Hooks
from entrypoints.http.response import NDJSON
from tests.support.waiting import until
from tests.unit.http.world import OPTIONS, Exchange, World, chunks, error_of, initialized, problems_of

DIVIDE = "result = 10 / params"
JSON = (b"content-type", b"application/json")


def lines_of(response: Any) -> list[dict[str, Any]]:
    """Return the lines of a complete response."""
    *lines, rest = response.text.split("\n")
    assert (response.status_code, response.headers["content-type"], rest) == (200, NDJSON.decode(), "")
    return [json.loads(line) for line in lines]


def items(*params: Any, **more: Any) -> dict[str, Any]:
    return {"items": [{"params": each} for each in params], **more}


async def execute(client, session_id: str, *params: Any, **more: Any) -> list[dict[str, Any]]:
    return lines_of(await client.post(f"/api/v1/execute/{session_id}/batch", json=items(*params, **more)))


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("*/*", "application/x-ndjson"),
        ("text/plain", "text/plain; charset=utf-8"),
        ("text/plain;q=0.9, */*;q=0.1", "text/plain; charset=utf-8"),
        ("application/x-ndjson, text/plain", "application/x-ndjson"),
    ],
)
async def test_the_lines_are_plain_text_for_clients_that_accept_that(client, accept, media_type):
    path = f"/api/v1/execute/{await initialized(client)}/batch"
    response = await client.post(path, json=items(1, 2), headers={"Accept": accept})
    assert response.headers["content-type"] == media_type
    assert [json.loads(line)["result"] for line in response.text.splitlines()] == [1, 2]


async def test_each_item_has_a_line_with_the_response_of_execute(client):
    session_id = await initialized(client, script_content="print('hi')\nresult = 10 / params")
    lines = await execute(client, session_id, 2, 5)
    assert [(line["index"], line["status"], line["result"]) for line in lines] == [(0, 200, 5), (1, 200, 2)]
    single = (await client.post(f"/api/v1/execute/{session_id}", json={"params": 1})).json()
    assert set(lines[0]) == {"index", "status", *single}
    assert list(lines[0])[:2] == ["index", "status"]
    assert [line["execution_count"] for line in lines] == [1, 2]
    assert lines[0]["stdout"] == "hi\n"
    history = (await client.get(f"/api/v1/sessions/{session_id}/executions")).json()["executions"]
    assert {row["execution_id"] for row in history} >= {line["execution_id"] for line in lines}


async def test_a_failed_item_has_its_error_and_the_others_run(client):
    session_id = await initialized(client, script_content=DIVIDE)
    lines = await execute(client, session_id, 1, 0, 2)
    assert [line["status"] for line in lines] == [200, 422, 200]
    assert set(lines[1]) == {"index", "status", "error"}
    assert lines[1]["error"]["code"] == "SCRIPT_ERROR"
    assert lines[1]["error"]["details"]["name"] == "ZeroDivisionError"


async def test_an_item_without_params_has_an_empty_object(client):
    session_id = await initialized(client)
    response = await client.post(f"/api/v1/execute/{session_id}/batch", json={"items": [{}]})
    assert lines_of(response)[0]["result"] == {}


async def test_items_run_in_parallel_if_requested(client, world):
    session_id = await initialized(client, script_content=DIVIDE)
    world.runner.hold()
    call = asyncio.create_task(execute(client, session_id, 1, 2, 4, 5, parallel=3))
    await until(lambda: world.runner.running == 3)
    world.runner.let_go()
    lines = await call
    assert sorted(line["index"] for line in lines) == [0, 1, 2, 3]
    assert {line["index"]: line["result"] for line in lines} == {0: 10, 1: 5, 2: 2.5, 3: 2}


async def test_output_that_is_not_unicode_is_replaced(client):
    session_id = await initialized(client, script_content="print(chr(0xD800))\nresult = 1 / params")
    lines = await execute(client, session_id, 1, 0)
    assert [line["status"] for line in lines] == [200, 422]
    assert lines[0]["stdout"] == lines[1]["error"]["details"]["stdout"] == "?\n"


async def test_a_line_break_in_a_result_does_not_break_its_line(client):
    session_id = await initialized(client, script_content="result = 'a\\nb'")
    assert (await execute(client, session_id, 1))[0]["result"] == "a\nb"


async def test_a_result_that_a_runtime_indents_is_one_line(client, world):
    session_id = await initialized(client, script_content="result = params")
    execute_one = world.runner.execute

    async def execute_for_people(*given):
        ended = await execute_one(*given)
        return evolve(ended, result='{\r\n  "a": [\n    "b\\n"\n  ]\n}')

    world.runner.execute = execute_for_people
    lines = await execute(client, session_id, 1, 2)
    assert [line["result"] for line in lines] == [{"a": ["b\n"]}] * 2


async def test_a_session_that_is_not_live_gives_an_error_response(client, world):
    absent = "019b7ca9-8f2e-7e6b-8000-0000000000ff"
    closed, expired = await initialized(client), await initialized(client, ttl_seconds=1)
    await client.delete(f"/api/v1/sessions/{closed}")
    world.clock.advance(world.clock.now().resolution * 2_000_000)
    for session_id, status, code in (
        (absent, 404, "SESSION_NOT_FOUND"),
        (closed, 410, "SESSION_CLOSED"),
        (expired, 410, "SESSION_EXPIRED"),
    ):
        response = await client.post(f"/api/v1/execute/{session_id}/batch", json=items(1))
        assert error_of(response, status)["code"] == code
    assert not world.runner.ran


async def test_a_session_that_is_closed_meanwhile_gives_an_error_for_each_item(client, world):
    session_id = await initialized(client, script_content=DIVIDE)
    world.runner.hold()
    call = asyncio.create_task(execute(client, session_id, 1, 2))
    await until(lambda: world.runner.running)
    await client.delete(f"/api/v1/sessions/{session_id}")
    world.runner.let_go()
    lines = await call
    assert [line["status"] for line in lines] == [200, 410]
    assert lines[1]["error"]["code"] == "SESSION_CLOSED"


async def test_an_idempotency_key_is_rejected(client):
    session_id = await initialized(client)
    headers = {"Idempotency-Key": "once"}
    response = await client.post(f"/api/v1/execute/{session_id}/batch", json=items(1), headers=headers)
    assert "/headers/Idempotency-Key" in problems_of(response)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/items"),
        ({"items": []}, "/items"),
        ({"items": [{}] * (OPTIONS.batch_items_max + 1)}, "/items"),
        ({"items": {}}, "/items"),
        ({"items": [{}], "parallel": 0}, "/parallel"),
        ({"items": [{}], "parallel": OPTIONS.batch_parallel_max + 1}, "/parallel"),
        ({"items": [{}], "key": 1}, "/key"),
        ({"items": [{}, 3]}, "/items/1"),
        ({"items": [{}, {"param": 1}]}, "/items/1/param"),
        ({"items": [{"params": "\ud800"}]}, "/items/0/params"),
    ],
)
async def test_an_invalid_batch_is_rejected_with_the_place(client, world, body, pointer):
    session_id = await initialized(client)
    content = json.dumps(body).encode()
    response = await client.post(
        f"/api/v1/execute/{session_id}/batch", content=content, headers={"content-type": "application/json"}
    )
    assert list(problems_of(response)) == [pointer]
    assert not world.runner.ran


async def test_repeated_params_in_an_item_are_rejected(client):
    session_id = await initialized(client)
    content = b'{"items": [{"params": 1}, {"params": 1, "params": 2}]}'
    headers = {"content-type": "application/json"}
    response = await client.post(f"/api/v1/execute/{session_id}/batch", content=content, headers=headers)
    assert problems_of(response) == {"/items/1/params": "is given more than once"}


async def test_up_to_a_hundred_invalid_items_are_reported(client):
    session_id = await initialized(client)
    response = await client.post(f"/api/v1/execute/{session_id}/batch", json={"items": [{}, *[{"x": 1}] * 200]})
    found = problems_of(response)
    assert len(found) == 100
    assert "/items/1/x" in found


async def test_the_params_of_an_item_have_the_size_limit_of_a_call(client):
    session_id = await initialized(client)
    response = await client.post(f"/api/v1/execute/{session_id}/batch", json=items(1, "x" * OPTIONS.params_size_max))
    error = error_of(response, 413)
    assert error["details"]["pointer"] == "/items/1/params"


async def test_a_batch_has_a_size_limit(log_lines):
    world = World.of(evolve(OPTIONS, batch_size_max=1000))
    async with world.client() as client:
        session_id = await initialized(client)
        response = await client.post(f"/api/v1/execute/{session_id}/batch", json=items(*["x" * 100] * 20))
    assert error_of(response, 413)["details"]["limit"] == 1000


async def test_a_large_batch_is_executed(client):
    session_id = await initialized(client, script_content="result = len(params)")
    lines = await execute(client, session_id, *["é" * 400] * 200)
    assert [line["result"] for line in lines] == [400] * 200


async def test_an_internal_error_of_an_item_has_an_id_and_the_others_run(client, world, log_lines):
    session_id = await initialized(client, script_content=DIVIDE)
    acquire, failures = world.runner.acquire, [KeyError("a bug")]

    async def fail_once(run):
        if failures:
            raise failures.pop()
        return await acquire(run)

    world.runner.acquire = fail_once
    lines = await execute(client, session_id, 1, 2)
    assert [line["status"] for line in lines] == [500, 200]
    error = lines[0]["error"]
    assert error["code"] == "INTERNAL_ERROR"
    assert "a bug" not in json.dumps(error)
    (logged,) = [line for line in log_lines if line["event"] == "internal_error"]
    assert (logged["error_id"], logged["item"]) == (error["details"]["error_id"], 0)


@define(eq=False)
class Streaming(Exchange):
    """An exchange whose client stops reading: after `reads` messages, `send` waits for ever."""

    reads: int = 10_000
    after_first: Callable[[], None] | None = None

    async def send(self, message: Any) -> None:
        if len(self.sent) >= self.reads:
            await asyncio.Event().wait()
        self.sent.append(message)
        if len(self.sent) == 2 and self.after_first is not None:
            self.after_first()

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(message["body"]) for message in self.sent[1:] if message["body"]]

    @property
    def ended(self) -> bool:
        return self.sent[-1]["type"] == "http.response.body" and not self.sent[-1].get("more_body")


def streaming(world: World, session_id: str, *params: Any, **options: Any) -> Streaming:
    body = json.dumps(items(*params)).encode()
    path = f"/api/v1/execute/{session_id}/batch"
    return Streaming(world.app, "POST", path, headers=[JSON], messages=chunks(body), **options)


async def test_a_line_is_sent_as_soon_as_its_item_has_ended(client, world):
    session_id = await initialized(client, script_content=DIVIDE)
    exchange = streaming(world, session_id, 1, 2, after_first=world.runner.hold)
    running = asyncio.create_task(exchange.run())
    await until(lambda: world.runner.running and exchange.lines)
    assert [line["index"] for line in exchange.lines] == [0]
    assert not exchange.ended
    world.runner.let_go()
    await running
    assert exchange.ended


async def test_a_disconnect_ends_the_batch_and_the_running_item_is_recorded(client, world, log_lines):
    session_id = await initialized(client, script_content=DIVIDE)
    world.runner.hold()
    exchange = streaming(world, session_id, 1, 2, 4)
    running = asyncio.create_task(exchange.run())
    await until(lambda: world.runner.running)
    exchange.disconnect()
    await running
    world.runner.let_go()
    assert await world.tasks.drain(5) == 0
    assert len(world.runner.ran) == len(world.store.history) == 1
    assert not exchange.ended
    assert [line["status"] for line in log_lines if "/batch" in (line.get("route") or "")] == [499]


async def test_a_client_that_does_not_read_ends_the_batch(log_lines):
    world = World.of(evolve(OPTIONS, stall_s=0.05))
    async with world.client() as client:
        session_id = await initialized(client, script_content=DIVIDE)
        exchange = streaming(world, session_id, 1, 2, 4, 5, reads=2)
        await exchange.run()
    assert await world.tasks.drain(5) == 0
    assert [line["index"] for line in exchange.lines] == [0]
    assert len(world.runner.ran) == 2
    assert not exchange.ended
    assert [line["status"] for line in log_lines if "/batch" in (line.get("route") or "")] == [499]


async def test_the_number_of_batches_is_limited_and_each_returns_its_permit(log_lines):
    world = World.of(evolve(OPTIONS, batches_max=1, examination_wait_s=0.1))
    async with world.client() as client:
        session_id = await initialized(client, script_content=DIVIDE)
        world.runner.hold()
        first = streaming(world, session_id, 1, 2)
        running = asyncio.create_task(first.run())
        await until(lambda: world.runner.running)
        response = await client.post(f"/api/v1/execute/{session_id}/batch", json=items(1))
        error = error_of(response, 503)
        assert (error["code"], error["details"]["retry_after_ms"]) == ("OVERLOADED", 1000)
        assert response.headers["retry-after"] == "1"
        first.disconnect()
        await running
        world.runner.let_go()
        rejected = await client.post(f"/api/v1/execute/{session_id}/batch", json={})
        assert "/items" in problems_of(rejected)
        assert len(await execute(client, session_id, 1, 2)) == 2


async def test_a_batch_waits_for_the_end_of_another():
    world = World.of(evolve(OPTIONS, batches_max=1, examination_wait_s=10))
    async with world.client() as client:
        session_id = await initialized(client, script_content=DIVIDE)
        world.runner.hold()
        first = asyncio.create_task(execute(client, session_id, 1, 2))
        await until(lambda: world.runner.running)
        second = asyncio.create_task(execute(client, session_id, 4))
        await asyncio.sleep(0)
        world.runner.let_go()
        assert [len(lines) for lines in await asyncio.gather(first, second)] == [2, 1]


async def test_a_drain_ends_running_items_and_rejects_the_rest(client, world):
    session_id = await initialized(client, script_content=DIVIDE)
    world.runner.hold()
    call = asyncio.create_task(execute(client, session_id, 1, 2, 4))
    await until(lambda: world.runner.running)
    draining = asyncio.create_task(world.app.drain(5))
    await asyncio.sleep(0)
    world.runner.let_go()
    lines = await call
    assert [line["status"] for line in lines] == [200, 503, 503]
    assert {line["error"]["code"] for line in lines[1:]} == {"SHUTTING_DOWN"}
    assert await draining == 0


async def test_a_batch_is_charged_for_its_items_before_any_of_them_runs(log_lines):
    class TooMany(LimitReached):
        code = "RATE_LIMITED"
        message = "Wait."

    charged: list[int] = []

    async def charge(request, count):
        charged.append(count)
        raise TooMany

    world = World.of(hooks=Hooks(charge=charge))
    async with world.client() as client:
        session_id = await initialized(client)
        response = await client.post(f"/api/v1/execute/{session_id}/batch", json=items(1, 2, 3))
    assert error_of(response, 429)["code"] == "RATE_LIMITED"
    assert charged == [3]
    assert not world.runner.ran
