"""Sessions over HTTP."""

import hashlib
import json
from datetime import timedelta
from uuid import UUID

import pytest

from domain.errors import StorageUnavailable
from domain.sessions.session import UpdateConflict
from tests.unit.http.world import SCRIPT, TITLE, error_of, initialized, problems_of

NOBODY = "01a2101f-9ff2-79ec-8000-00000000ffff"


async def test_initialize_returns_every_field_of_the_contract(client):
    response = await client.post("/api/v1/initialize", headers=TITLE, json={"script_content": SCRIPT})
    body = response.json()
    assert response.status_code == 200
    assert UUID(body.pop("request_id"))
    assert body == {
        "status": "initialized",
        "language_title": "python-adder",
        "expires_at": "2026-01-02T04:04:05.678901Z",
        "script_hash": hashlib.sha256(SCRIPT.encode()).hexdigest(),
        "syntax_checked": True,
    }


async def test_get_returns_the_session_as_it_was_initialized(client):
    asked = {
        "context": {"user": {"näme": [1, 2.5, None]}},
        "metadata": {"m": "\N{GRINNING FACE}"},
        "ttl_seconds": 60,
        "renewal": "sliding",
        "limits": {"timeout_ms": 100, "memory_mb": 64, "isolation": "process"},
    }
    session_id = await initialized(client, **asked)
    response = await client.get(f"/api/v1/sessions/{session_id}")
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert response.json() == {
        "request_id": session_id,
        "language_title": "python-adder",
        "user_id": "anonymous",
        "status": "active",
        "created_at": "2026-01-02T03:04:05.678901Z",
        "expires_at": "2026-01-02T03:05:05.678901Z",
        "ttl_seconds": 60,
        "last_executed_at": None,
        "execution_count": 0,
        "renewal": "sliding",
        "limits": asked["limits"],
        "context": asked["context"],
        "metadata": asked["metadata"],
        "script_hash": hashlib.sha256(SCRIPT.encode()).hexdigest(),
        "function_version": None,
        "convention": "own",
        "version": 1,
    }


async def test_context_stays_unchanged(client):
    text = '{ "big": 12345678901234567890123, "x": 1.50, "x": 2 }'
    body = f'{{"script_content": "result = 1", "context": {text}}}'
    headers = TITLE | {"Content-Type": "application/json; charset=UTF-8"}
    made = await client.post("/api/v1/initialize", headers=headers, content=body)
    response = await client.get(f"/api/v1/sessions/{made.json()['request_id']}")
    assert text in response.text


@pytest.mark.parametrize(
    "query", ["fields=version,status,version", "fields=version&fields=status", "fields=status&fields=version,status"]
)
async def test_fields_selects_fields(client, query):
    session_id = await initialized(client)
    response = await client.get(f"/api/v1/sessions/{session_id}?{query}")
    assert response.json() == {"version": 1, "status": "active"}


async def test_the_script_is_returned_only_if_selected(client):
    session_id = await initialized(client)
    response = await client.get(f"/api/v1/sessions/{session_id}", params={"fields": "script_content,version"})
    assert response.json() == {"version": 1, "script_content": SCRIPT}


async def test_the_script_of_a_session_that_was_closed_meanwhile_is_null(client, world):
    session_id = await initialized(client)
    del world.store.scripts[UUID(session_id)]
    response = await client.get(f"/api/v1/sessions/{session_id}", params={"fields": "script_content"})
    assert response.json() == {"script_content": None}


@pytest.mark.parametrize(
    "query", ["fields=nonsense", "fields=", "fields=version,", "fields=a&fields=b", "fields=version&fields="]
)
async def test_unknown_fields_are_rejected(client, query):
    session_id = await initialized(client)
    assert "/query/fields" in problems_of(await client.get(f"/api/v1/sessions/{session_id}?{query}"))


async def test_unknown_query_parameters_of_get_are_rejected(client):
    session_id = await initialized(client)
    assert set(problems_of(await client.get(f"/api/v1/sessions/{session_id}?field=version"))) == {"/query/field"}


async def test_patch_replaces_given_fields_and_increases_the_version(client):
    session_id = await initialized(client, context={"a": 1}, metadata={"b": 2})
    response = await client.patch(f"/api/v1/sessions/{session_id}", json={"metadata": {"c": 3}, "renewal": "sliding"})
    assert response.status_code == 200
    body = response.json()
    assert (body["context"], body["metadata"], body["renewal"], body["version"]) == ({"a": 1}, {"c": 3}, "sliding", 2)


async def test_patch_of_the_lifetime_counts_from_now(client, world):
    session_id = await initialized(client)
    world.clock.advance(timedelta(seconds=100))
    response = await client.patch(f"/api/v1/sessions/{session_id}", json={"ttl_seconds": 7200})
    assert response.json()["expires_at"] == "2026-01-02T05:05:45.678901Z"


async def test_a_lifetime_that_a_patch_would_shorten_is_rejected(client):
    session_id = await initialized(client)
    url = f"/api/v1/sessions/{session_id}"
    response = await client.patch(url, json={"ttl_seconds": 10, "context": {"a": 1}})
    assert problems_of(response)["/ttl_seconds"].startswith(
        "must be at least 3600, because the session lives until 2026-"
    )
    assert (await client.get(url)).json()["context"] == {}
    sliding = await client.patch(url, json={"ttl_seconds": 10, "renewal": "sliding"})
    assert (sliding.json()["ttl_seconds"], sliding.json()["expires_at"]) == (10, "2026-01-02T04:04:05.678901Z")


@pytest.mark.parametrize("convention", ["own", "origin", "event-first"])
async def test_a_session_has_the_calling_convention_that_was_chosen(client, convention):
    session_id = await initialized(client, convention=convention)
    assert (await client.get(f"/api/v1/sessions/{session_id}")).json()["convention"] == convention
    (listed,) = (await client.get("/api/v1/sessions")).json()["sessions"]
    assert listed["convention"] == convention


async def test_an_unknown_calling_convention_is_rejected_with_those_that_exist(client):
    body = {"script_content": SCRIPT, "convention": "theirs"}
    problems = problems_of(await client.post("/api/v1/initialize", headers=TITLE, json=body))
    assert problems == {"/convention": "must be one of: event-first, origin, own"}


async def test_a_session_without_a_script_has_the_convention_of_its_function(client):
    function = {"script_content": SCRIPT, "convention": "event-first"}
    await client.put("/api/v1/functions/python-adder", json=function)
    problems = problems_of(await client.post("/api/v1/initialize", headers=TITLE, json={"convention": "event-first"}))
    assert problems == {
        "/convention": "must be absent without script_content: the session has the calling convention of its function"
    }
    pinned = (await client.post("/api/v1/initialize", headers=TITLE)).json()["request_id"]
    assert (await client.get(f"/api/v1/sessions/{pinned}")).json()["convention"] == "event-first"


@pytest.mark.parametrize(
    ("convention", "result"),
    [(None, ["c"]), ("own", ["c"]), ("origin", ["p"]), ("event-first", ["context", "params", "request_id"])],
)
async def test_the_script_of_a_session_is_called_by_its_convention(client, convention, result):
    script = "def handle(context): return sorted(context)"
    body = {"script_content": script, "context": {"c": 1}} | ({} if convention is None else {"convention": convention})
    session_id = await initialized(client, **body)
    executed = await client.post(f"/api/v1/execute/{session_id}", json={"params": {"p": 2}})
    assert executed.json()["result"] == result


EVENT_IN_CONTEXT = "def handle(context): return context.get('params')"
WARNINGS = [
    {
        "code": "EVENT_IN_CONTEXT",
        "message": 'The handler has the one parameter `context`, and reads "params" in it. It receives the context of '
        "the session. If it expects the event, name the parameter `event`, or send the convention event-first.",
    }
]


@pytest.mark.parametrize(
    ("convention", "warnings"),
    [
        ({}, WARNINGS),
        ({"convention": "own"}, WARNINGS),
        ({"convention": "event-first"}, None),
        ({"convention": "origin"}, None),
    ],
)
async def test_a_script_that_reads_the_event_in_context_is_accepted_with_a_warning(client, convention, warnings):
    body, headers = {"script_content": EVENT_IN_CONTEXT} | convention, TITLE | {"Idempotency-Key": "k"}
    for replayed in (None, "true"):
        response = await client.post("/api/v1/initialize", headers=headers, json=body)
        assert (response.status_code, response.headers.get("idempotent-replayed")) == (200, replayed)
        assert response.json().get("warnings") == warnings
    batch = {"items": [body, {"script_content": SCRIPT}]}
    lines = (await client.post("/api/v1/initialize/batch", headers=TITLE, json=batch)).text.splitlines()
    assert {each["index"]: each.get("warnings") for each in map(json.loads, lines)} == {0: warnings, 1: None}


async def test_a_function_that_reads_the_event_in_context_is_registered_with_a_warning(client):
    url = "/api/v1/functions/python-adder"
    first = await client.put(url, json={"script_content": EVENT_IN_CONTEXT})
    assert (first.status_code, first.json()["warnings"]) == (201, WARNINGS)
    assert "warnings" not in (await client.get(url)).json()
    second = await client.put(url, json={"script_content": EVENT_IN_CONTEXT, "convention": "event-first"})
    assert (second.json()["version"], "warnings" in second.json()) == (2, False)
    back = await client.post(f"{url}/rollback", json={"version": 1})
    assert (back.json()["version"], back.json()["warnings"]) == (3, WARNINGS)


async def test_a_function_and_its_examples_are_called_by_its_convention(client):
    function = {
        "script_content": "def handle(context): return context['params']['p']",
        "examples": [{"params": {"p": 2}, "result": 2}],
        "convention": "event-first",
    }
    url = "/api/v1/functions/python-adder"
    assert (await client.put(f"{url}?check=true", json=function)).status_code == 201
    called = await client.post(f"{url}/execute", json={"params": {"p": 3}})
    assert called.json()["result"] == 3


@pytest.mark.parametrize("field", ["script_content", "limits", "convention"])
async def test_what_never_changes_is_rejected_with_advice(client, field):
    session_id = await initialized(client)
    response = await client.patch(f"/api/v1/sessions/{session_id}", json={field: {}})
    assert problems_of(response) == {f"/{field}": "never changes: initialize a new session for another value"}


async def test_patch_lost_to_other_writers_is_a_conflict(client, world):
    session_id = await initialized(client)
    world.store.failure = UpdateConflict()
    response = await client.patch(f"/api/v1/sessions/{session_id}", json={"ttl_seconds": 5})
    assert error_of(response, 409)["code"] == "CONFLICT"
    assert response.headers["retry-after"] == "1"


async def test_patch_needs_a_body(client):
    session_id = await initialized(client)
    assert set(problems_of(await client.patch(f"/api/v1/sessions/{session_id}"))) == {""}


async def test_delete_closes_for_good(client, world):
    session_id = await initialized(client)
    url = f"/api/v1/sessions/{session_id}"
    for _ in range(2):
        response = await client.delete(url)
        assert (response.status_code, response.content) == (204, b"")
        assert "content-type" not in response.headers
    for response in (await client.get(url), await client.post(f"/api/v1/execute/{session_id}")):
        error = error_of(response, 410)
        assert (error["code"], error["details"]) == ("SESSION_CLOSED", {"closed_at": "2026-01-02T03:04:05.678901Z"})
    assert error_of(await client.patch(url, json={"ttl_seconds": 5}), 410)["code"] == "SESSION_CLOSED"


async def test_the_error_of_an_expired_session_has_the_time(client, world):
    session_id = await initialized(client, ttl_seconds=1)
    world.clock.advance(timedelta(seconds=1))
    response = await client.get(f"/api/v1/sessions/{session_id}")
    error = error_of(response, 410)
    assert error["code"] == "SESSION_EXPIRED"
    assert error["details"] == {"expired_at": "2026-01-02T03:04:06.678901Z", "now": "2026-01-02T03:04:06.678901Z"}
    assert response.json()["request_id"] == session_id
    assert (await client.delete(f"/api/v1/sessions/{session_id}")).status_code == 204


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
@pytest.mark.parametrize("session_id", [NOBODY, "x", "0", NOBODY[:-1], f"{{{NOBODY}}}", "%00", NOBODY + "%0A"])
async def test_an_unknown_or_malformed_id_is_404(client, method, session_id):
    body = {"json": {"ttl_seconds": 1}} if method == "PATCH" else {}
    response = await client.request(method, f"/api/v1/sessions/{session_id}", **body)
    assert error_of(response, 404)["code"] == "SESSION_NOT_FOUND"
    assert response.json().get("request_id") == (NOBODY if session_id == NOBODY else None)


async def test_an_id_in_capitals_is_the_same_id(client):
    session_id = await initialized(client)
    assert (await client.get(f"/api/v1/sessions/{session_id.upper()}")).json()["request_id"] == session_id


async def test_a_write_with_unknown_result_reports_it(client, world):
    world.store.failure = StorageUnavailable(stored="unknown", retry_after_ms=None)
    response = await client.post("/api/v1/initialize", headers=TITLE, json={"script_content": SCRIPT})
    error = error_of(response, 503)
    assert (error["code"], error["details"]) == ("STORAGE_UNAVAILABLE", {"stored": "unknown"})
    assert "retry-after" not in response.headers


async def test_retry_after_is_rounded_up_to_seconds(client, world):
    session_id = await initialized(client)
    world.store.failure = StorageUnavailable(retry_after_ms=1001)
    response = await client.get(f"/api/v1/sessions/{session_id}")
    assert error_of(response, 503)["details"] == {"retry_after_ms": 1001}
    assert response.headers["retry-after"] == "2"


@pytest.mark.parametrize("title", [None, "", "python", "Python-x", "python-", "python-" + "x" * 200, "python-a, b"])
async def test_an_invalid_title_is_rejected(client, title):
    headers = {} if title is None else {"Language-Title": title}
    response = await client.post("/api/v1/initialize", headers=headers, json={"script_content": SCRIPT})
    assert error_of(response, 400)["code"] == "INVALID_LANGUAGE_TITLE"


async def test_a_missing_title_is_named_as_a_header(client):
    error = error_of(await client.post("/api/v1/initialize", json={"script_content": SCRIPT}), 400)
    assert (error["code"], error["details"]) == ("INVALID_LANGUAGE_TITLE", {"value": None})
    assert error["message"] == (
        "The header Language-Title is missing. Send Language-Title: nodejs-NAME or python-NAME."
    )


async def test_two_titles_are_rejected(client):
    headers = [("Language-Title", "python-a"), ("Language-Title", "python-b")]
    response = await client.post("/api/v1/initialize", headers=headers, json={"script_content": SCRIPT})
    assert error_of(response, 400)["details"] == {"value": "python-a, python-b"}


async def test_an_unknown_language_is_404(client):
    response = await client.post("/api/v1/initialize", headers={"Language-Title": "cobol-x"}, json={})
    assert error_of(response, 404)["code"] == "RUNTIME_NOT_FOUND"


async def test_initialize_without_a_script_looks_for_a_function(client):
    response = await client.post("/api/v1/initialize", headers=TITLE)
    error = error_of(response, 404)
    assert (error["code"], error["details"]) == ("FUNCTION_NOT_FOUND", {"language_title": "python-adder"})


async def test_a_syntax_error_has_line_and_column_and_makes_no_session(client, world):
    response = await client.post("/api/v1/initialize", headers=TITLE, json={"script_content": "x = 1\nresult = ("})
    error = error_of(response, 400)
    assert (error["code"], error["details"]["line"]) == ("SCRIPT_SYNTAX_ERROR", 2)
    assert not world.store.sessions


async def test_initialize_without_a_runtime_is_503_with_a_remedy(client, world):
    world.runner.unavailable = "install bubblewrap"
    response = await client.post("/api/v1/initialize", headers=TITLE, json={"script_content": SCRIPT})
    error = error_of(response, 503)
    assert error["code"] == "RUNTIME_UNAVAILABLE"
    assert "install bubblewrap" in error["message"]
