"""Sessions over HTTP."""

import hashlib
from datetime import timedelta
from uuid import UUID

import pytest

from domain.errors import StorageUnavailable
from domain.identity import Owner, SessionRef
from domain.sessions.session import UpdateConflict
from tests.unit.domain.builders import session_at
from tests.unit.http.world import SCRIPT, TITLE, error_of, initialized, problems_of

NOBODY = "01a2101f-9ff2-79ec-8000-00000000ffff"


async def test_initialize_answers_with_every_field_of_the_contract(client):
    answer = await client.post("/api/v1/initialize", headers=TITLE, json={"script_content": SCRIPT})
    body = answer.json()
    assert answer.status_code == 200
    assert UUID(body.pop("request_id"))
    assert body == {
        "status": "initialized",
        "language_title": "python-adder",
        "expires_at": "2026-01-02T04:04:05.678901Z",
        "script_hash": hashlib.sha256(SCRIPT.encode()).hexdigest(),
        "syntax_checked": True,
    }


async def test_get_shows_what_was_initialized(client):
    asked = {
        "context": {"user": {"näme": [1, 2.5, None]}},
        "metadata": {"m": "\N{GRINNING FACE}"},
        "ttl_seconds": 60,
        "renewal": "sliding",
        "limits": {"timeout_ms": 100, "memory_mb": 64, "isolation": "process"},
    }
    session_id = await initialized(client, **asked)
    answer = await client.get(f"/api/v1/sessions/{session_id}")
    assert answer.status_code == 200
    assert answer.headers["etag"] == '"1"'
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {
        "request_id": session_id,
        "language_title": "python-adder",
        "user_id": "anonymous",
        "status": "active",
        "created_at": "2026-01-02T03:04:05.678901Z",
        "expires_at": "2026-01-02T03:05:05.678901Z",
        "last_executed_at": None,
        "execution_count": 0,
        "renewal": "sliding",
        "limits": asked["limits"],
        "context": asked["context"],
        "metadata": asked["metadata"],
        "script_hash": hashlib.sha256(SCRIPT.encode()).hexdigest(),
        "function_version": None,
        "version": 1,
    }


async def test_context_travels_as_it_came(client):
    text = '{ "big": 12345678901234567890123, "x": 1.50, "x": 2 }'
    body = f'{{"script_content": "result = 1", "context": {text}}}'
    headers = TITLE | {"Content-Type": "application/json; charset=UTF-8"}
    made = await client.post("/api/v1/initialize", headers=headers, content=body)
    answer = await client.get(f"/api/v1/sessions/{made.json()['request_id']}")
    assert text in answer.text


async def test_fields_picks_some(client):
    session_id = await initialized(client)
    answer = await client.get(f"/api/v1/sessions/{session_id}", params={"fields": "version,status,version"})
    assert answer.json() == {"version": 1, "status": "active"}


async def test_the_script_comes_only_on_demand(client):
    session_id = await initialized(client)
    answer = await client.get(f"/api/v1/sessions/{session_id}", params={"fields": "script_content,version"})
    assert answer.json() == {"version": 1, "script_content": SCRIPT}


async def test_the_script_of_a_session_closed_meanwhile_is_null(client, world):
    session_id = await initialized(client)
    del world.store.scripts[UUID(session_id)]
    answer = await client.get(f"/api/v1/sessions/{session_id}", params={"fields": "script_content"})
    assert answer.json() == {"script_content": None}


@pytest.mark.parametrize("query", ["fields=nonsense", "fields=", "fields=version,", "fields=a&fields=b"])
async def test_fields_that_do_not_exist_are_refused(client, query):
    session_id = await initialized(client)
    assert "/query/fields" in problems_of(await client.get(f"/api/v1/sessions/{session_id}?{query}"))


async def test_unknown_query_parameters_of_get_are_refused(client):
    session_id = await initialized(client)
    assert set(problems_of(await client.get(f"/api/v1/sessions/{session_id}?field=version"))) == {"/query/field"}


async def test_patch_replaces_given_fields_and_moves_the_version(client):
    session_id = await initialized(client, context={"a": 1}, metadata={"b": 2})
    answer = await client.patch(f"/api/v1/sessions/{session_id}", json={"metadata": {"c": 3}, "renewal": "sliding"})
    assert answer.status_code == 200
    assert answer.headers["etag"] == '"2"'
    body = answer.json()
    assert (body["context"], body["metadata"], body["renewal"], body["version"]) == ({"a": 1}, {"c": 3}, "sliding", 2)


async def test_patch_of_the_length_counts_from_now(client, world):
    session_id = await initialized(client)
    world.clock.advance(timedelta(seconds=100))
    answer = await client.patch(f"/api/v1/sessions/{session_id}", json={"ttl_seconds": 7200})
    assert answer.json()["expires_at"] == "2026-01-02T05:05:45.678901Z"


@pytest.mark.parametrize("header", ['"1"', "*", '"7", "1"', 'W/"1", "1"', '"x" ,"1"'])
async def test_patch_goes_on_if_the_version_matches(client, header):
    session_id = await initialized(client)
    url, headers = f"/api/v1/sessions/{session_id}", {"If-Match": header}
    assert (await client.patch(url, json={"ttl_seconds": 5}, headers=headers)).status_code == 200


@pytest.mark.parametrize("header", ['"2"', 'W/"1"', '"01"', '"x"', '""', '"2", "3"', '"-1"', '"x1"'])
async def test_patch_of_another_version_is_refused(client, header):
    session_id = await initialized(client)
    answer = await client.patch(f"/api/v1/sessions/{session_id}", json={"ttl_seconds": 5}, headers={"If-Match": header})
    error = error_of(answer, 412)
    assert (error["code"], error["details"]) == ("PRECONDITION_FAILED", {"version": 1})
    assert answer.json()["request_id"] == session_id


@pytest.mark.parametrize("header", ["1", '"1', "", '"1" "2"', '"x 1"', ",".join(['"1"'] * 9), '"1",'])
async def test_a_malformed_condition_is_refused(client, header):
    session_id = await initialized(client)
    answer = await client.patch(f"/api/v1/sessions/{session_id}", json={}, headers={"If-Match": header})
    assert set(problems_of(answer)) == {"/headers/If-Match"}


async def test_patch_lost_to_other_writers_is_a_conflict(client, world):
    session_id = await initialized(client)
    world.store.failure = UpdateConflict()
    answer = await client.patch(f"/api/v1/sessions/{session_id}", json={"ttl_seconds": 5})
    assert error_of(answer, 409)["code"] == "CONFLICT"
    assert answer.headers["retry-after"] == "1"


async def test_patch_needs_a_body(client):
    session_id = await initialized(client)
    assert set(problems_of(await client.patch(f"/api/v1/sessions/{session_id}"))) == {""}


async def test_delete_closes_for_good(client, world):
    session_id = await initialized(client)
    url = f"/api/v1/sessions/{session_id}"
    for _ in range(2):
        answer = await client.delete(url)
        assert (answer.status_code, answer.content) == (204, b"")
        assert "content-type" not in answer.headers
    for answer in (await client.get(url), await client.post(f"/api/v1/execute/{session_id}")):
        error = error_of(answer, 410)
        assert (error["code"], error["details"]) == ("SESSION_CLOSED", {"closed_at": "2026-01-02T03:04:05.678901Z"})
    assert error_of(await client.patch(url, json={"ttl_seconds": 5}), 410)["code"] == "SESSION_CLOSED"


async def test_an_expired_session_tells_when(client, world):
    session_id = await initialized(client, ttl_seconds=1)
    world.clock.advance(timedelta(seconds=1))
    answer = await client.get(f"/api/v1/sessions/{session_id}")
    error = error_of(answer, 410)
    assert error["code"] == "SESSION_EXPIRED"
    assert error["details"] == {"expired_at": "2026-01-02T03:04:06.678901Z", "now": "2026-01-02T03:04:06.678901Z"}
    assert answer.json()["request_id"] == session_id
    assert (await client.delete(f"/api/v1/sessions/{session_id}")).status_code == 204


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
@pytest.mark.parametrize("session_id", [NOBODY, "x", "0", NOBODY[:-1], f"{{{NOBODY}}}", "%00", NOBODY + "%0A"])
async def test_an_unknown_or_malformed_id_is_a_session_not_found(client, method, session_id):
    body = {"json": {"ttl_seconds": 1}} if method == "PATCH" else {}
    answer = await client.request(method, f"/api/v1/sessions/{session_id}", **body)
    assert error_of(answer, 404)["code"] == "SESSION_NOT_FOUND"
    assert answer.json().get("request_id") == (NOBODY if session_id == NOBODY else None)


async def test_an_id_in_capitals_is_the_same_id(client):
    session_id = await initialized(client)
    assert (await client.get(f"/api/v1/sessions/{session_id.upper()}")).json()["request_id"] == session_id


async def test_a_session_of_somebody_else_is_not_found(client, world):
    ref = SessionRef(Owner("somebody"), UUID(NOBODY))
    world.store.put(session_at(world.clock.now(), ref=ref))
    assert error_of(await client.get(f"/api/v1/sessions/{NOBODY}"), 404)["code"] == "SESSION_NOT_FOUND"


async def test_a_write_that_may_be_stored_says_so(client, world):
    world.store.failure = StorageUnavailable(stored="unknown", retry_after_ms=None)
    answer = await client.post("/api/v1/initialize", headers=TITLE, json={"script_content": SCRIPT})
    error = error_of(answer, 503)
    assert (error["code"], error["details"]) == ("STORAGE_UNAVAILABLE", {"stored": "unknown"})
    assert "retry-after" not in answer.headers


async def test_the_time_to_retry_is_rounded_up_to_seconds(client, world):
    session_id = await initialized(client)
    world.store.failure = StorageUnavailable(retry_after_ms=1001)
    answer = await client.get(f"/api/v1/sessions/{session_id}")
    assert error_of(answer, 503)["details"] == {"retry_after_ms": 1001}
    assert answer.headers["retry-after"] == "2"


@pytest.mark.parametrize("title", [None, "", "python", "Python-x", "python-", "python-" + "x" * 200, "python-a, b"])
async def test_a_title_that_breaks_the_grammar_is_refused(client, title):
    headers = {} if title is None else {"Language-Title": title}
    answer = await client.post("/api/v1/initialize", headers=headers, json={"script_content": SCRIPT})
    assert error_of(answer, 400)["code"] == "INVALID_LANGUAGE_TITLE"


async def test_two_titles_are_refused(client):
    headers = [("Language-Title", "python-a"), ("Language-Title", "python-b")]
    answer = await client.post("/api/v1/initialize", headers=headers, json={"script_content": SCRIPT})
    assert error_of(answer, 400)["details"] == {"value": "python-a, python-b"}


async def test_a_language_that_nobody_serves_is_not_found(client):
    answer = await client.post("/api/v1/initialize", headers={"Language-Title": "cobol-x"}, json={})
    assert error_of(answer, 404)["code"] == "RUNTIME_NOT_FOUND"


async def test_without_a_script_the_function_is_looked_for(client):
    answer = await client.post("/api/v1/initialize", headers=TITLE)
    error = error_of(answer, 404)
    assert (error["code"], error["details"]) == ("FUNCTION_NOT_FOUND", {"language_title": "python-adder"})


async def test_a_script_that_does_not_parse_tells_where(client):
    answer = await client.post("/api/v1/initialize", headers=TITLE, json={"script_content": "x = 1\nresult = ("})
    error = error_of(answer, 400)
    assert (error["code"], error["details"]["line"]) == ("SCRIPT_SYNTAX_ERROR", 2)


async def test_initialize_without_a_runtime_says_what_to_do(client, world):
    world.runner.unavailable = "install bubblewrap"
    answer = await client.post("/api/v1/initialize", headers=TITLE, json={"script_content": SCRIPT})
    error = error_of(answer, 503)
    assert error["code"] == "RUNTIME_UNAVAILABLE"
    assert "install bubblewrap" in error["message"]
