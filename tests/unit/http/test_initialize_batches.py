"""Batches of sessions over HTTP: a line for each item, keys, quotas, scopes and faults."""

import asyncio
import json
from typing import Any

import pytest
from attrs import evolve

from domain.access.principal import Principal, Scope
from domain.errors import StorageUnavailable
from domain.identity import Owner
from domain.limits.usage_limiter import UsagePolicy
from entrypoints.http.app import Hooks
from entrypoints.http.parsing.batches import INITIALIZES_MAX
from tests.unit.http.test_batches import lines_of
from tests.unit.http.world import OPTIONS, SCRIPT, TITLE, Exchange, World, chunks, error_of, problems_of

PATH = "/api/v1/initialize/batch"
SINGLE = "/api/v1/initialize"
JSON = (b"content-type", b"application/json")


def item(**fields: Any) -> dict[str, Any]:
    return {"language_title": "python-adder", "script_content": SCRIPT} | fields


async def initialize(client, *items: dict[str, Any], **headers: str) -> list[dict[str, Any]]:
    """Return the lines in the order of the items."""
    response = await client.post(PATH, json={"items": items}, headers=headers)
    return sorted(lines_of(response), key=lambda line: line["index"])


async def test_each_item_has_a_line_with_its_session(client):
    fields = {"context": {"rate": 2}, "metadata": {"tenant": "a"}, "ttl_seconds": 60, "renewal": "sliding"}
    limits = {"timeout_ms": 100, "memory_mb": 64, "isolation": "process"}
    first, second = await initialize(client, item(**fields, limits=limits), item(language_title="nodejs-x"))
    assert set(first) == {
        "index",
        "status",
        "request_id",
        "language_title",
        "expires_at",
        "script_hash",
        "syntax_checked",
        "replayed",
    }
    assert [(each["status"], each["language_title"]) for each in (first, second)] == [
        (200, "python-adder"),
        (200, "nodejs-x"),
    ]
    session = (await client.get(f"/api/v1/sessions/{first['request_id']}")).json()
    assert {name: session[name] for name in ("context", "metadata", "renewal", "limits")} == {
        "context": {"rate": 2},
        "metadata": {"tenant": "a"},
        "renewal": "sliding",
        "limits": limits,
    }
    assert (await client.post(f"/api/v1/execute/{first['request_id']}", json={"params": 3})).json()["result"] == 3


async def test_more_items_than_are_made_at_once_are_all_stored(client, world):
    lines = await initialize(client, *(item(metadata={"n": n}) for n in range(2 * INITIALIZES_MAX + 1)))
    assert {line["status"] for line in lines} == {200}
    assert [json.loads(world.store.sessions[each].metadata)["n"] for each in sorted(world.store.sessions)] == list(
        range(len(lines))
    )


@pytest.mark.parametrize("title", ["", "python", "Python-x", "python-x@0"])
async def test_a_header_that_is_no_title_rejects_the_batch_also_if_no_item_needs_it(client, title):
    response = await client.post(PATH, json={"items": [item()]}, headers={"Language-Title": title})
    assert error_of(response, 400)["code"] == "INVALID_LANGUAGE_TITLE"
    assert (await client.get("/api/v1/sessions")).json()["sessions"] == []


async def test_the_header_names_items_without_a_title(client):
    lines = await initialize(client, {"script_content": SCRIPT}, item(language_title="nodejs-y"), **TITLE)
    assert [line["language_title"] for line in lines] == ["python-adder", "nodejs-y"]
    (line,) = await initialize(client, {"script_content": SCRIPT})
    assert (line["status"], line["error"]["code"]) == (400, "INVALID_LANGUAGE_TITLE")


async def test_a_failed_item_has_its_error_and_the_others_are_stored(client, world):
    bad = [item(script_content="def"), {"language_title": "python-unknown"}, item(language_title="ruby-x")]
    lines = await initialize(client, bad[0], item(), *bad[1:])
    assert [line["status"] for line in lines] == [400, 200, 404, 404]
    codes = [line["error"]["code"] for line in lines if "error" in line]
    assert codes == ["SCRIPT_SYNTAX_ERROR", "FUNCTION_NOT_FOUND", "RUNTIME_NOT_FOUND"]
    assert len(world.store.sessions) == 1


async def test_a_repeated_batch_with_keys_makes_no_further_session(client, world):
    items = [item(idempotency_key=f"tenant-{n}") for n in range(3)]
    first, again = await initialize(client, *items), await initialize(client, *items)
    assert [line["replayed"] for line in (*first, *again)] == [False] * 3 + [True] * 3
    assert [line["request_id"] for line in first] == [line["request_id"] for line in again]
    (line,) = await initialize(client, item(idempotency_key="tenant-1", metadata={"other": 1}))
    assert (line["status"], line["error"]["code"]) == (409, "IDEMPOTENCY_CONFLICT")
    assert len(world.store.sessions) == 3


async def test_a_key_means_the_same_in_a_batch_and_in_a_call_of_its_own(client):
    (line,) = await initialize(client, item(idempotency_key="once"))
    headers = TITLE | {"Idempotency-Key": "once"}
    single = await client.post(SINGLE, json={"script_content": SCRIPT}, headers=headers)
    assert (single.json()["request_id"], single.headers["idempotent-replayed"]) == (line["request_id"], "true")


@pytest.mark.parametrize("key", ["k", "order of 4711", "~" * 255])
async def test_keys_of_one_to_255_characters_are_accepted(client, key):
    (line,) = await initialize(client, item(idempotency_key=key))
    assert line["status"] == 200


async def test_a_key_of_the_whole_batch_is_rejected(client, world):
    response = await client.post(PATH, json={"items": [item()]}, headers={"Idempotency-Key": "once"})
    assert "idempotency_key" in problems_of(response)["/headers/Idempotency-Key"]
    assert not world.store.sessions


async def test_keys_are_rejected_if_responses_are_not_stored(log_lines):
    world = World.of(evolve(OPTIONS, idempotency=False))
    async with world.client() as client:
        response = await client.post(PATH, json={"items": [item(), item(idempotency_key="once")]})
    assert list(problems_of(response)) == ["/items/1/idempotency_key"]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/items"),
        ({"items": []}, "/items"),
        ({"items": [item()] * (OPTIONS.batch_items_max + 1)}, "/items"),
        ({"items": [item()], "parallel": 1}, "/parallel"),
        ({"items": [item(), 3]}, "/items/1"),
        ({"items": [item(language_title="Python")]}, "/items/0/language_title"),
        ({"items": [item(), item(idempotency_key="ä")]}, "/items/1/idempotency_key"),
        ({"items": [item(idempotency_key="once ")]}, "/items/0/idempotency_key"),
        ({"items": [item(idempotency_key=" once")]}, "/items/0/idempotency_key"),
        ({"items": [item(context=1)]}, "/items/0/context"),
        ({"items": [item(limits={"memory_mb": 4096})]}, "/items/0/limits/memory_mb"),
    ],
)
async def test_an_invalid_batch_is_rejected_as_a_whole_with_the_place(client, world, body, pointer):
    assert list(problems_of(await client.post(PATH, json=body))) == [pointer]
    assert not world.store.sessions


async def test_an_item_has_the_size_limits_of_a_call(client):
    response = await client.post(PATH, json={"items": [item(), item(script_content="#" * 2001)]})
    assert error_of(response, 413)["details"]["pointer"] == "/items/1/script_content"


async def test_a_quota_holds_exactly_within_a_batch(log_lines):
    world = World.of(usage=UsagePolicy(live_sessions_max=40))
    async with world.client() as client:
        await client.post(SINGLE, headers=TITLE, json={"script_content": SCRIPT})
        lines = await initialize(client, *(item() for _ in range(60)))
        assert [line["status"] for line in lines].count(200) == 39
        refused = {(line["status"], line["error"]["details"]["limit"]) for line in lines if "error" in line}
        assert refused == {(429, "live_sessions")}
        whole = error_of(await client.post(PATH, json={"items": [item()]}), 429)
    assert whole["details"] == {"limit": "live_sessions", "allowed": 40, "observed": 40}
    assert len(world.store.sessions) == 40


async def test_a_batch_with_keys_can_be_repeated_by_an_owner_that_has_reached_a_quota(log_lines):
    world = World.of(usage=UsagePolicy(live_sessions_max=2))
    items = [item(idempotency_key=f"tenant-{n}") for n in range(2)]
    async with world.client() as client:
        first = await initialize(client, *items)
        again = await initialize(client, *items, item(idempotency_key="tenant-2"), item())
    assert [line["request_id"] for line in again[:2]] == [line["request_id"] for line in first]
    assert [line["status"] for line in again] == [200, 200, 429, 429]


async def test_items_in_a_language_without_a_scope_are_refused(log_lines):
    world = World.of(caller=Principal(Owner("alice"), frozenset({Scope.EXECUTE_PYTHON})))
    async with world.client() as client:
        lines = await initialize(client, item(), item(language_title="nodejs-x", script_content="return 1"))
    assert [line["status"] for line in lines] == [200, 403]
    assert lines[1]["error"]["details"]["needed_scopes"] == ["execute:nodejs", "execute:all"]
    assert len(world.store.sessions) == 1


async def test_items_are_charged_before_any_is_stored(log_lines):
    charged = []

    async def charge(request, items):
        charged.append((items, len(world.store.sessions)))

    world = World.of(hooks=Hooks(charge=charge))
    async with world.client() as client:
        await initialize(client, item(), item())
    assert charged == [(2, 0)]


@pytest.mark.parametrize("stored", ["no", "unknown"])
async def test_an_item_says_what_is_stored_after_a_fault(log_lines, stored):
    async def fail(request, items):
        world.store.failure = StorageUnavailable(stored=stored, retry_after_ms=None)

    world = World.of(hooks=Hooks(charge=fail))
    async with world.client() as client:
        (line,) = await initialize(client, item())
    assert (line["status"], line["error"]["details"]["stored"]) == (503, stored)


async def test_no_item_begins_after_a_client_that_reads_nothing_has_left(world):
    body = json.dumps({"items": [item()] * 3 * INITIALIZES_MAX}).encode()

    class Stalled(Exchange):
        async def send(self, message):
            await super().send(message)
            if len(self.sent) > 1:
                self.disconnect()
                await asyncio.Event().wait()

    await Stalled(world.app, "POST", PATH, [JSON], chunks(body)).run()
    assert len(world.store.sessions) == INITIALIZES_MAX
