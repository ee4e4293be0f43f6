"""The contract of the origin's API: what its clients rely on, whichever service answers them."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import httpx2
import pytest

TITLE = {"Language-Title": "python-test"}
ABSENT = {"error": "Session not found or expired"}
ADDS = 'result = params["a"] + params["b"]'
NOBODY = "00000000-0000-4000-8000-000000000001"


async def initialize(client: httpx2.AsyncClient, script: str | None = ADDS, **members: Any) -> httpx2.Response:
    body = {"context": {}, "script_content": script} | members
    return await client.post("/api/v1/initialize", json=body, headers=TITLE)


async def initialized(client: httpx2.AsyncClient, script: str | None = ADDS, **members: Any) -> str:
    response = await initialize(client, script, **members)
    assert response.status_code == 200, response.text
    request_id: str = response.json()["request_id"]
    return request_id


async def execute(client: httpx2.AsyncClient, request_id: str, **params: Any) -> httpx2.Response:
    return await client.post(f"/api/v1/execute/{request_id}", json={"params": params})


class OriginApiContract:
    """Subclasses have a fixture `client`, whose calls reach a service with the origin's sample functions or none."""

    @pytest.fixture
    def client(self) -> httpx2.AsyncClient:
        raise NotImplementedError

    async def test_initialize_returns_three_members(self, client):
        response = await initialize(client)
        found = response.json()
        assert (response.status_code, response.headers["content-type"]) == (200, "application/json")
        assert list(found) == ["request_id", "status", "expires_at"]
        assert found["status"] == "initialized"
        assert datetime.fromisoformat(found["expires_at"]).utcoffset() == timedelta()

    async def test_unknown_members_are_ignored(self, client):
        request_id = await initialized(client, surprise={"a": [1]}, request_id=NOBODY, compile_options={"opt": 3})
        assert request_id != NOBODY
        response = await client.post(f"/api/v1/execute/{request_id}", json={"params": {"a": 1, "b": 2}, "more": None})
        assert response.json()["result"] == 3

    @pytest.mark.parametrize("context", [{"a": {"b": [1.50]}}, [], "text", 1.5, True, None])
    async def test_a_context_may_be_any_value(self, client, context):
        assert await initialized(client, context=context)

    @pytest.mark.parametrize("title", ["python-a b", "python-", "python-a/b:c@3", "python-=x", "python-" + "x" * 121])
    async def test_a_title_may_have_any_text_behind_its_language(self, client, title):
        body = {"context": {}, "script_content": ADDS}
        made = await client.post("/api/v1/initialize", json=body, headers={"Language-Title": title})
        request_id = made.json()["request_id"]
        assert (await execute(client, request_id, a=1, b=2)).json()["result"] == 3

    @pytest.mark.parametrize("title", ["python-a b", "python-=x", "nodejs-test"])
    async def test_a_session_shows_the_title_as_it_was_sent(self, client, title):
        body = {"context": {}, "script_content": "return 1"} if title == "nodejs-test" else {"context": {}}
        body.setdefault("script_content", ADDS)
        made = await client.post("/api/v1/initialize", json=body, headers={"Language-Title": title})
        shown = (await client.get(f"/api/v1/sessions/{made.json()['request_id']}")).json()
        assert shown["language_title"] == title

    async def test_execute_returns_four_members(self, client):
        request_id = await initialized(client)
        response = await execute(client, request_id, a=5, b=3)
        found = response.json()
        assert response.status_code == 200
        assert list(found) == ["result", "request_id", "execution_time_ms", "memory_usage_bytes"]
        assert (found["result"], found["request_id"]) == (8, request_id)
        assert isinstance(found["execution_time_ms"], int)
        assert found["execution_time_ms"] >= 0
        assert isinstance(found["memory_usage_bytes"], int | None)

    async def test_executions_at_the_same_time_have_their_own_results(self, client):
        request_id = await initialized(client)
        found = await asyncio.gather(*(execute(client, request_id, a=n, b=n) for n in range(4)))
        assert [each.json()["result"] for each in found] == [0, 2, 4, 6]

    async def test_a_script_that_fails_is_500(self, client):
        response = await execute(client, await initialized(client, "1 / 0"))
        assert response.status_code == 500
        assert list(response.json()) == ["error"]
        assert response.json()["error"].startswith("Failed to execute function: ")

    async def test_a_session_shows_eight_members(self, client):
        request_id = await initialized(client)
        before = (await client.get(f"/api/v1/sessions/{request_id}")).json()
        assert (before["execution_count"], before["last_executed_at"]) == (0, None)
        await execute(client, request_id, a=1, b=2)
        after = (await client.get(f"/api/v1/sessions/{request_id}")).json()
        assert list(after) == [
            "request_id",
            "language_title",
            "created_at",
            "expires_at",
            "last_executed_at",
            "execution_count",
            "status",
            "compile_status",
        ]
        facts = ("request_id", "language_title", "execution_count", "status", "compile_status")
        assert [after[name] for name in facts] == [request_id, "python-test", 1, "active", None]
        created_at, expires_at = (datetime.fromisoformat(after[name]) for name in ("created_at", "expires_at"))
        assert (expires_at - created_at).total_seconds() == 3600
        assert datetime.fromisoformat(after["last_executed_at"]) >= created_at

    @pytest.mark.parametrize("name", ["no-such-id", NOBODY, "%20", "00000000-0000-0000-0000-000000000000"])
    async def test_an_unknown_session_is_404(self, client, name):
        for response in (await execute(client, name), await client.get(f"/api/v1/sessions/{name}")):
            assert (response.status_code, response.json()) == (404, ABSENT)

    @pytest.mark.parametrize(
        ("headers", "text"),
        [
            ({}, "Missing Language-Title header"),
            ({"Language-Title": "python-é".encode()}, "Invalid Language-Title header"),
        ],
    )
    async def test_initialize_needs_a_visible_title(self, client, headers, text):
        response = await client.post("/api/v1/initialize", json={"context": {}}, headers=headers)
        assert (response.status_code, response.json()) == (400, {"error": text})

    @pytest.mark.parametrize("path", ["/api/v1/initialize", f"/api/v1/execute/{NOBODY}"])
    @pytest.mark.parametrize(
        ("body", "kind", "text"),
        [
            (b"{", "application/json", "Json deserialize error: "),
            (b"", "application/json", "Json deserialize error: "),
            (b"{}", "application/json", "Json deserialize error: missing field `"),
            (b"[]", "application/json", "Json deserialize error: "),
            (b'{"context": NaN, "params": NaN}', "application/json", "Json deserialize error: "),
            (b'{"context": {}, "params": {}}', "text/plain", "Content type error"),
            (b'{"context": {}, "params": {}}', None, "Content type error"),
        ],
    )
    async def test_a_body_that_is_not_the_json_of_the_call_is_400_in_plain_text(self, client, path, body, kind, text):
        headers = {"Content-Type": kind} if kind else {}
        response = await client.post(path, content=body, headers=headers | TITLE)
        assert (response.status_code, response.headers["content-type"]) == (400, "text/plain; charset=utf-8")
        assert response.text.startswith(text)

    async def test_a_script_that_is_no_text_is_400_in_plain_text(self, client):
        response = await initialize(client, 1)
        assert (response.status_code, response.headers["content-type"]) == (400, "text/plain; charset=utf-8")

    @pytest.mark.parametrize(
        "kind", ["application/json; charset=latin-1", "Application/JSON", "application/vnd.example+json"]
    )
    async def test_every_type_of_json_is_read(self, client, kind):
        body = b'{"context": {}, "script_content": "result = 1"}'
        response = await client.post("/api/v1/initialize", content=body, headers=TITLE | {"Content-Type": kind})
        assert response.status_code == 200

    async def test_a_script_has_a_greatest_size(self, client):
        response = await initialize(client, "#" * (2**20 + 1))
        assert (response.status_code, response.json()) == (400, {"error": "Script content exceeds maximum size"})

    async def test_a_body_has_a_greatest_size(self, client):
        response = await initialize(client, context="x" * 2**23)
        assert (response.status_code, response.headers["content-type"]) == (413, "text/plain; charset=utf-8")

    @pytest.mark.parametrize("query", ["", "?language=python", "?user_id=nobody&type=else", "?page=2&per_page=3"])
    async def test_functions_are_listed_without_a_total(self, client, query):
        response = await client.get(f"/api/v1/functions{query}")
        assert response.status_code == 200
        assert list(response.json()) == ["functions"]

    async def test_no_function_is_behind_the_last_page_or_of_an_unknown_language(self, client):
        for query in ("page=99999", "language=cobol", "per_page=0"):
            assert (await client.get(f"/api/v1/functions?{query}")).json() == {"functions": []}

    async def test_a_page_that_is_no_number_is_400_in_plain_text(self, client):
        response = await client.get("/api/v1/functions?page=x")
        assert (response.status_code, response.headers["content-type"]) == (400, "text/plain; charset=utf-8")

    async def test_an_unknown_function_is_404(self, client):
        response = await client.get("/api/v1/functions/python-none")
        assert response.status_code == 404
        assert response.json() == {"error": "Function with language_title 'python-none' not found"}

    async def test_health_has_a_status_and_a_version(self, client):
        response = await client.get("/health")
        assert (response.status_code, list(response.json())) == (200, ["status", "version"])
        assert response.json()["status"] == "ok"

    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("GET", "/"),
            ("GET", "/metrics"),
            ("GET", "/api/v1/initialize"),
            ("GET", "/api/v1/sessions"),
            ("PATCH", f"/api/v1/sessions/{NOBODY}"),
            ("DELETE", f"/api/v1/sessions/{NOBODY}"),
            ("OPTIONS", "/health"),
            ("HEAD", "/health"),
        ],
    )
    async def test_other_paths_and_methods_are_404_without_a_body(self, client, method, path):
        response = await client.request(method, path)
        assert (response.status_code, response.content) == (404, b"")

    async def test_every_web_page_may_call(self, client):
        origin = {"Origin": "https://anywhere.example"}
        response = await client.get(f"/api/v1/sessions/{NOBODY}", headers=origin)
        assert response.headers["access-control-allow-origin"] == "*"
        asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-user-id,language-title"}
        preflight = await client.options("/api/v1/initialize", headers=origin | asked)
        assert preflight.status_code in {200, 204}
        allowed = preflight.headers["access-control-allow-headers"].lower()
        assert "*" in allowed or "x-user-id" in allowed
