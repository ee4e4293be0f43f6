"""Executions over HTTP."""

import asyncio

import pytest

from domain.errors import StorageUnavailable
from domain.json_text import VALUE_DEPTH_MAX
from tests.support.waiting import until
from tests.unit.http.world import TITLE, Exchange, chunks, error_of, initialized, problems_of

JSON = (b"content-type", b"application/json")
JSON_TYPE = {"Content-Type": "application/json"}


async def test_execute_returns_every_field_of_the_contract(client):
    script = "import sys\nprint('hi')\nprint('oh', file=sys.stderr)\nresult = {'sum': params['a'] + params['b']}"
    session_id = await initialized(client, script_content=script)
    response = await client.post(f"/api/v1/execute/{session_id}", json={"params": {"a": 5, "b": 3}})
    assert response.status_code == 200
    body = response.json()
    measured = {name: body.pop(name) for name in ("execution_id", "execution_time_ms", "cpu_time_ms", "queue_time_ms")}
    assert None not in measured.values()
    assert body == {
        "request_id": session_id,
        "language_title": "python-adder",
        "result": {"sum": 8},
        "result_given": True,
        "memory_usage_bytes": None,
        "cold_start": True,
        "execution_count": 1,
        "stdout": "hi\n",
        "stderr": "oh\n",
    }


@pytest.mark.parametrize(
    ("script", "is_given"), [("result = None", True), ("x = 1", False), ("def main(params): return 5", False)]
)
async def test_null_is_told_apart_from_no_result(client, script, is_given):
    session_id = await initialized(client, script_content=script)
    path = f"/api/v1/execute/{session_id}"
    executed = (await client.post(path, headers={"Idempotency-Key": "once"})).json()
    replayed = (await client.post(path, headers={"Idempotency-Key": "once"})).json()
    line = (await client.post(f"{path}/batch", json={"items": [{}]})).json()
    kept = (await client.get(f"/api/v1/executions/{executed['execution_id']}")).json()
    for shown in (executed, replayed, line, kept):
        assert (shown["result"], shown["result_given"]) == (None, is_given)


async def test_the_history_does_not_say_that_a_failed_script_gave_no_result(client):
    session_id = await initialized(client, script_content="x = 1 / 0")
    await client.post(f"/api/v1/execute/{session_id}")
    (row,) = (await client.get(f"/api/v1/sessions/{session_id}/executions")).json()["executions"]
    assert (row["result"], row["result_given"]) == (None, None)


@pytest.mark.parametrize("value", [None, True, 0, -1.5, "text", [], [1, {"a": None}], {}, "\N{GRINNING FACE}"])
async def test_params_may_be_any_json_value(client, value):
    session_id = await initialized(client)
    response = await client.post(f"/api/v1/execute/{session_id}", json={"params": value})
    assert response.json()["result"] == value


@pytest.mark.parametrize("body", [None, b"{}"])
async def test_params_are_an_empty_object_by_default(client, body):
    session_id = await initialized(client)
    headers = {"Content-Type": "application/json"} if body else {}
    response = await client.post(f"/api/v1/execute/{session_id}", content=body, headers=headers)
    assert response.json()["result"] == {}


async def test_a_failed_script_is_422_with_the_reason(client):
    session_id = await initialized(client, script_content="print('so far')\nx = 1\nresult = x / 0")
    response = await client.post(f"/api/v1/execute/{session_id}")
    error = error_of(response, 422)
    details = error["details"]
    assert error["code"] == "SCRIPT_ERROR"
    assert (details["name"], details["line"], details["stdout"]) == ("ZeroDivisionError", 3, "so far\n")
    assert details["execution_count"] == 1
    assert response.json()["request_id"] == session_id


async def test_a_result_that_is_not_json_is_422(client):
    session_id = await initialized(client, script_content="result = {1, 2}")
    error = error_of(await client.post(f"/api/v1/execute/{session_id}"), 422)
    assert error["code"] == "RESULT_NOT_SERIALIZABLE"


@pytest.mark.parametrize(
    ("script", "status"),
    [("print(chr(0xD800), 'é')", 200), ("print(chr(0xDC00), 'é')\nraise ValueError(chr(0xD800))", 422)],
)
async def test_output_that_is_not_unicode_is_replaced(client, script, status):
    session_id = await initialized(client, script_content=script)
    response = await client.post(f"/api/v1/execute/{session_id}")
    body = response.json()
    assert response.status_code == status
    assert (body if status == 200 else body["error"]["details"])["stdout"] == "? é\n"


async def test_an_execution_with_unknown_end_reports_that_it_may_have_run(client, world):
    session_id = await initialized(client)
    world.runner.unknown_next = "the runtime disconnected"
    response = await client.post(f"/api/v1/execute/{session_id}")
    error = error_of(response, 503)
    assert error["code"] == "RUNTIME_UNAVAILABLE"
    assert (error["details"]["stored"], error["details"]["executed"]) == ("unknown", "unknown")
    assert "retry-after" not in response.headers


async def test_an_unavailable_runtime_is_503_with_retry_after(client, world):
    session_id = await initialized(client)
    world.runner.unavailable = "wait"
    response = await client.post(f"/api/v1/execute/{session_id}")
    assert error_of(response, 503)["details"] == {"stored": "no", "executed": "no", "retry_after_ms": 1000}
    assert response.headers["retry-after"] == "1"


async def test_an_execution_that_could_not_be_saved_returns_its_result(client, world):
    session_id = await initialized(client)
    world.runner.hold()
    call = asyncio.create_task(client.post(f"/api/v1/execute/{session_id}", json={"params": {"deep": [1, "x"]}}))
    await until(lambda: world.runner.running)
    world.store.failure = StorageUnavailable()
    world.runner.let_go()
    error = error_of(await call, 503)
    world.store.failure = None
    assert error["code"] == "STORAGE_UNAVAILABLE"
    assert error["details"]["result"] == {"deep": [1, "x"]}
    assert (error["details"]["executed"], error["details"]["stored"]) == ("yes", "unknown")
    await world.tasks.drain(0)


async def test_too_many_executions_are_rejected(client, world):
    session_id = await initialized(client)
    world.execution_limiter.in_use = 4
    response = await client.post(f"/api/v1/execute/{session_id}")
    assert error_of(response, 503)["code"] == "OVERLOADED"
    assert response.headers["retry-after"] == "1"


@pytest.mark.parametrize(
    ("params", "pointer"),
    [
        ("1e999", "/params"),
        ('{"a": ["\\ud800"]}', "/params/a/0"),
        ("9" * 400, "/params"),
        ('{"\\udc00": 1}', "/params/\\udc00"),
    ],
)
async def test_invalid_params_have_their_own_error_code(client, params, pointer):
    session_id = await initialized(client)
    response = await client.post(
        f"/api/v1/execute/{session_id}",
        content=f'{{"params": {params}}}',
        headers={"Content-Type": "application/json"},
    )
    assert set(problems_of(response, "INVALID_PARAMS")) == {pointer}


async def test_params_above_the_size_limit_are_413(client):
    session_id = await initialized(client)
    response = await client.post(f"/api/v1/execute/{session_id}", json={"params": "x" * 1000})
    error = error_of(response, 413)
    assert error["code"] == "PAYLOAD_TOO_LARGE"
    assert error["details"] == {"pointer": "/params", "limit": 1000, "observed": 1002}


async def test_a_disconnect_in_the_queue_withdraws_the_execution(client, world):
    session_id = await initialized(client)
    world.runner.hold()
    running = [asyncio.create_task(client.post(f"/api/v1/execute/{session_id}")) for _ in range(4)]
    await until(lambda: world.runner.running == 4)
    world.execution_limiter.in_use = 0
    exchange = Exchange(world.app, "POST", f"/api/v1/execute/{session_id}", messages=chunks(b""))
    call = asyncio.create_task(exchange.run())
    await until(lambda: world.runner.queued == 1)
    exchange.disconnect()
    assert (await call).status is None
    await until(lambda: len(world.store.open_executions) == 4)
    world.runner.let_go()
    await asyncio.gather(*running)
    assert len(world.runner.ran) == 4


async def test_a_disconnect_during_the_run_lets_the_script_end(client, world, log_lines):
    session_id = await initialized(client)
    world.runner.hold()
    exchange = Exchange(world.app, "POST", f"/api/v1/execute/{session_id}", messages=chunks(b""))
    call = asyncio.create_task(exchange.run())
    await until(lambda: world.runner.running == 1)
    exchange.disconnect()
    assert (await call).status is None
    world.runner.let_go()
    await until(lambda: len(world.store.history) == 1)
    assert log_lines[-1]["status"] == 499


async def test_a_call_cancelled_by_the_server_stays_cancelled(client, world):
    session_id = await initialized(client)
    world.runner.hold()
    exchange = Exchange(world.app, "POST", f"/api/v1/execute/{session_id}", messages=chunks(b""))
    call = asyncio.create_task(exchange.run())
    await until(lambda: world.runner.running == 1)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    world.runner.let_go()
    await until(lambda: len(world.store.history) == 1)


async def test_messages_after_the_body_do_not_end_the_call(client, world):
    session_id = await initialized(client)
    messages = [*chunks(b"{}"), *chunks(b"")]
    exchange = Exchange(world.app, "POST", f"/api/v1/execute/{session_id}", [JSON], messages)
    world.runner.hold()
    call = asyncio.create_task(exchange.run())
    await until(lambda: exchange.received == 2)
    world.runner.let_go()
    assert (await call).status == 200


async def test_a_script_in_the_other_language_is_not_checked(client):
    response = await client.post(
        "/api/v1/initialize", headers=TITLE | {"Language-Title": "nodejs-x"}, json={"script_content": "return 1"}
    )
    assert response.json()["syntax_checked"] is False


async def test_params_may_be_nested_as_deep_as_results(client):
    session_id = await initialized(client)
    deepest = "[" * VALUE_DEPTH_MAX + "]" * VALUE_DEPTH_MAX
    statuses = [
        (
            await client.post(f"/api/v1/execute/{session_id}", content=f'{{"params":{params}}}', headers=JSON_TYPE)
        ).status_code
        for params in (deepest, f"[{deepest}]")
    ]
    assert statuses == [200, 400]
