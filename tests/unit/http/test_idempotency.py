"""Idempotency keys over HTTP."""

import asyncio

import pytest
from attrs import evolve

from domain.errors import StorageUnavailable
from entrypoints.http.parsing.headers import payload_hash
from entrypoints.http.response import embedded
from entrypoints.http.schemas.sessions import InitializeBody
from tests.support.waiting import until
from tests.unit.http.world import (
    OPTIONS,
    SCRIPT,
    TITLE,
    Exchange,
    World,
    chunks,
    error_of,
    initialized,
    problems_of,
)

KEY = {"Idempotency-Key": "order 4711"}
TIMES = {"date", "x-request-id"}


def content_of(response):
    """Return status, headers and body without what differs between two responses."""
    headers = {name: value for name, value in response.headers.items() if name not in TIMES | {"idempotent-replayed"}}
    return response.status_code, headers, response.content


async def test_a_replay_is_the_first_response_byte_by_byte_with_a_header(client, world):
    script = (
        "import sys\nprint('hi \\0', chr(0xD800))\nprint('é', file=sys.stderr)\nresult = {'sum': params['a'] + 1.5}"
    )
    session_id = await initialized(client, script_content=script)
    path, body = f"/api/v1/execute/{session_id}", {"params": {"a": 5}}
    first = await client.post(path, json=body, headers=KEY)
    again = await client.post(path, json=body, headers=KEY)
    assert first.status_code == 200
    assert content_of(again) == content_of(first)
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert len(world.runner.ran) == 1


@pytest.mark.parametrize("key", [b"order 4711 ", b" order 4711", b"\torder 4711 \t"])
async def test_blanks_around_a_key_do_not_make_another_key(client, world, key):
    path = f"/api/v1/execute/{await initialized(client)}"
    await client.post(path, headers=KEY)
    content = [(b"idempotency-key", key)]
    reply = await Exchange(world.app, "POST", path, content, chunks(b"")).run()
    assert (reply.status, reply.headers["idempotent-replayed"]) == (200, "true")
    assert len(world.runner.ran) == 1


@pytest.mark.parametrize(
    ("script", "code"), [("x = 1 / 0", "SCRIPT_ERROR"), ("result = {1, 2}", "RESULT_NOT_SERIALIZABLE")]
)
async def test_a_replay_of_a_failure_is_the_same_failure(client, world, script, code):
    session_id = await initialized(client, script_content=script)
    first, again = [await client.post(f"/api/v1/execute/{session_id}", headers=KEY) for _ in range(2)]
    assert error_of(first, 422)["code"] == code
    assert content_of(again) == content_of(first)
    assert again.headers["idempotent-replayed"] == "true"
    assert len(world.runner.ran) == 1


async def test_a_duplicate_in_flight_is_409_with_retry_after(client, world):
    session_id = await initialized(client)
    path = f"/api/v1/execute/{session_id}"
    world.runner.hold()
    call = asyncio.create_task(client.post(path, headers=KEY))
    await until(lambda: world.runner.running == 1)
    duplicate = await client.post(path, headers=KEY)
    assert error_of(duplicate, 409)["code"] == "CONFLICT"
    assert duplicate.headers["retry-after"] == "1"
    world.runner.let_go()
    assert (await call).status_code == 200
    assert (await client.post(path, headers=KEY)).headers["idempotent-replayed"] == "true"


async def test_an_interrupted_call_is_409_without_retry_after(client, world):
    session_id = await initialized(client)
    world.runner.unknown_next = "the runtime disconnected"
    lost = error_of(await client.post(f"/api/v1/execute/{session_id}", headers=KEY), 503)
    assert (await client.post(f"/api/v1/execute/{session_id}", headers=KEY)).headers["retry-after"] == "1"
    (open_one,) = world.store.open_executions.values()
    world.clock.advance(open_one.deadline_at - world.clock.now())
    response = await client.post(f"/api/v1/execute/{session_id}", headers=KEY)
    error = error_of(response, 409)
    assert error["code"] == "CONFLICT"
    assert error["details"] == {
        "idempotency_key": KEY["Idempotency-Key"],
        "request_id": session_id,
        "executed": "unknown",
        "execution_id": lost["details"]["execution_id"],
    }
    assert "retry-after" not in response.headers
    assert len(world.runner.ran) == 1


async def test_another_payload_under_the_key_is_409(client, world):
    session_id = await initialized(client)
    path = f"/api/v1/execute/{session_id}"
    await client.post(path, json={"params": {"a": 1, "b": [1.5, "ä"]}}, headers=KEY)
    spelled = b' {"params" : {"b":[15e-1,"\\u00e4"],  "a":1}}'
    same = await client.post(path, content=spelled, headers=KEY | {"Content-Type": "application/json"})
    assert same.headers["idempotent-replayed"] == "true"
    other = await client.post(path, json={"params": {"a": 2, "b": [1.5, "ä"]}}, headers=KEY)
    error = error_of(other, 409)
    assert error["code"] == "IDEMPOTENCY_CONFLICT"
    assert error["details"] == {"idempotency_key": KEY["Idempotency-Key"], "request_id": session_id}
    assert "retry-after" not in other.headers
    assert len(world.runner.ran) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1", "2"),
        ('"1"', "1"),
        ("[]", "{}"),
        ("null", "false"),
        ('{"a": 1}', '{"a": 1, "b": null}'),
        ("[1, 2]", "[2, 1]"),
    ],
)
def test_payloads_that_differ_have_different_hashes(one, other):
    assert payload_hash(embedded(one)) != payload_hash(embedded(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('{"a": 1, "b": {"d": 2, "c": 3}}', '{"b":{"c":3,"d":2},"a":1}'),
        ("1.50", "15e-1"),
        ('"\\u0061\\/"', '"a/"'),
        ("9" * 300, "9" * 300),
    ],
)
def test_payloads_with_different_spelling_have_one_hash(one, other):
    assert payload_hash(embedded(one)) == payload_hash(embedded(other))


def test_the_payload_of_an_initialize_has_no_defaults():
    assert payload_hash(InitializeBody(script_content=SCRIPT)) == payload_hash({"script_content": SCRIPT, "limits": {}})


async def test_a_replay_works_after_the_session_was_closed(client):
    session_id = await initialized(client)
    path = f"/api/v1/execute/{session_id}"
    await client.post(path, headers=KEY)
    await client.delete(f"/api/v1/sessions/{session_id}")
    assert (await client.post(path, headers=KEY)).status_code == 200
    assert error_of(await client.post(path), 410)["code"] == "SESSION_CLOSED"


async def test_invalid_params_leave_the_key_unused(client, world):
    session_id = await initialized(client)
    path = f"/api/v1/execute/{session_id}"
    assert (await client.post(path, json={"params": "x" * 2000}, headers=KEY)).status_code == 413
    assert not world.store.keys
    assert (await client.post(path, json={"params": "x"}, headers=KEY)).status_code == 200


async def test_a_client_that_disconnected_gets_the_response_by_repeating_the_call(client, world):
    session_id = await initialized(client)
    path = f"/api/v1/execute/{session_id}"
    world.runner.hold()
    headers = [(b"idempotency-key", b"order 4711")]
    exchange = Exchange(world.app, "POST", path, headers, chunks(b""))
    call = asyncio.create_task(exchange.run())
    await until(lambda: world.runner.running == 1)
    exchange.disconnect()
    assert (await call).status is None
    world.runner.let_go()
    await until(lambda: len(world.store.history) == 1)
    response = await client.post(path, headers=KEY)
    assert (response.status_code, response.headers["idempotent-replayed"]) == (200, "true")


async def test_a_response_that_could_not_be_stored_is_replayed_later(client, world):
    session_id = await initialized(client)
    path = f"/api/v1/execute/{session_id}"
    world.runner.hold()
    call = asyncio.create_task(client.post(path, json={"params": 7}, headers=KEY))
    await until(lambda: world.runner.running)
    world.store.failure = StorageUnavailable()
    world.runner.let_go()
    stored_not = await call
    error = error_of(stored_not, 503)
    assert error["details"]["executed"] == "yes"
    assert "Repeating the call with its Idempotency-Key is safe" in error["message"]
    assert stored_not.headers["retry-after"] == "1"
    world.store.failure = None
    await until(lambda: world.store.history)
    again = await client.post(path, json={"params": 7}, headers=KEY)
    assert (again.status_code, again.json()["result"], again.json()["execution_count"]) == (200, 7, 1)


async def test_a_repeated_initialize_returns_the_same_session(client, world):
    body = {"script_content": SCRIPT, "context": {"a": 1, "b": 2}}
    first = await client.post("/api/v1/initialize", headers=TITLE | KEY, json=body)
    await client.delete(f"/api/v1/sessions/{first.json()['request_id']}")
    world.runner.unavailable = "no syntax check is needed"
    again = await client.post("/api/v1/initialize", headers=TITLE | KEY, json=body)
    spelled = await client.post(
        "/api/v1/initialize", headers=TITLE | KEY, json={"context": {"b": 2, "a": 1}, "script_content": SCRIPT}
    )
    assert first.status_code == 200
    assert content_of(again) == content_of(first)
    assert again.headers["idempotent-replayed"] == spelled.headers["idempotent-replayed"] == "true"
    assert len(world.store.sessions) == 1


@pytest.mark.parametrize(
    ("title", "change"),
    [({}, {"context": {"a": 2}}), ({}, {"ttl_seconds": 60}), ({"Language-Title": "python-other"}, {})],
)
async def test_another_initialize_under_the_key_is_409(client, title, change):
    body = {"script_content": SCRIPT, "context": {"a": 1}}
    await client.post("/api/v1/initialize", headers=TITLE | KEY, json=body)
    response = await client.post("/api/v1/initialize", headers=TITLE | KEY | title, json=body | change)
    assert error_of(response, 409)["code"] == "IDEMPOTENCY_CONFLICT"


@pytest.mark.parametrize("key", [b"", b"x" * 256, b"\xe9", b"a\tb", b"a\x7f"])
@pytest.mark.parametrize("path", ["/api/v1/initialize", "/api/v1/execute/01a2101f-9ff2-79ec-8000-000000000001"])
async def test_an_invalid_key_is_rejected(world, path, key):
    exchange = Exchange(world.app, "POST", path, [(b"idempotency-key", key)], chunks(b""))
    reply = await exchange.run()
    assert reply.status == 400
    assert reply.json()["error"]["details"]["problems"][0]["pointer"] == "/headers/Idempotency-Key"


async def test_two_keys_are_rejected(world):
    path = "/api/v1/execute/01a2101f-9ff2-79ec-8000-000000000001"
    exchange = Exchange(world.app, "POST", path, [(b"idempotency-key", b"a"), (b"idempotency-key", b"b")], chunks(b""))
    assert (await exchange.run()).status == 400


async def test_the_longest_key_and_a_key_with_commas_are_accepted(client):
    session_id = await initialized(client)
    for key in ("~" * 255, "a, b"):
        response = await client.post(f"/api/v1/execute/{session_id}", headers={"Idempotency-Key": key})
        assert response.status_code == 200


async def test_a_server_without_idempotency_rejects_keys():
    world = World.of(evolve(OPTIONS, idempotency=False))
    async with world.client() as client:
        session_id = await initialized(client)
        for path in (f"/api/v1/execute/{session_id}", "/api/v1/initialize"):
            response = await client.post(path, headers=TITLE | KEY)
            assert set(problems_of(response)) == {"/headers/Idempotency-Key"}
        assert world.runner.ran == []
        assert (await client.post(f"/api/v1/execute/{session_id}")).status_code == 200
