"""What the fake origin answers, call by call and error by error, as the origin does."""

import re
from uuid import UUID

import pytest

from tests.programs.origin.calls import execute, initialize, initialized, session

JSON = "application/json"
DIGITS_9 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{1,9}\+00:00")
DIGITS_6 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3}|\.\d{6})?\+00:00")
ABSENT = {"error": "Session not found or expired"}


def test_initialize_answers_three_members(client):
    response = initialize(client, "result = 1")
    answer = response.json()
    assert (response.status_code, list(answer), answer["status"]) == (
        200,
        ["request_id", "status", "expires_at"],
        "initialized",
    )
    assert UUID(answer["request_id"]).version == 4
    assert DIGITS_9.fullmatch(answer["expires_at"])


def test_an_id_in_the_body_is_ignored(client):
    mine = "00000000-0000-4000-8000-000000000001"
    assert initialized(client, "result = 1", request_id=mine) != mine


@pytest.mark.parametrize("context", [{}, [], "text", 1.5, True, None])
def test_a_context_of_any_type_is_taken(client, row, context):
    request_id = initialized(client, "return event.context;", "nodejs-context", context=context)
    assert row(request_id)["context"] == context


def test_a_title_of_no_runtime_is_refused_at_execute(client):
    response = execute(client, initialized(client, "1", "cobol-x"))
    assert response.status_code == 500
    assert response.json() == {
        "error": "Failed to execute function: Validation error: Unsupported language title: cobol-x"
    }


@pytest.mark.parametrize(
    ("headers", "text"),
    [({}, "Missing Language-Title header"), ({"Language-Title": "python-é".encode()}, "Invalid Language-Title header")],
)
def test_initialize_needs_a_visible_title(client, headers, text):
    response = client.post("/api/v1/initialize", json={"context": {}}, headers=headers)
    assert (response.status_code, response.json()) == (400, {"error": text})


def test_a_script_has_a_greatest_size(client):
    response = initialize(client, "#" * (2**20 + 1))
    assert (response.status_code, response.json()) == (400, {"error": "Script content exceeds maximum size"})


@pytest.mark.parametrize(
    ("title", "script", "user"),
    [("python-" + "x" * 122, "", ""), ("python-a", "", "x" * 129), ("python-a", "result = '\0'", "")],
)
def test_what_no_column_takes_is_a_failure_of_the_database(client, title, script, user):
    headers = {"Language-Title": title, "X-User-ID": user}
    response = client.post("/api/v1/initialize", json={"context": {}, "script_content": script}, headers=headers)
    assert response.status_code == 500
    assert response.json()["error"].startswith("Failed to create session: Database error: ")


@pytest.mark.parametrize("path", ["/api/v1/initialize", "/api/v1/execute/no-such-id"])
@pytest.mark.parametrize(
    ("body", "kind", "text"),
    [
        ("{", JSON, "Json deserialize error: "),
        ("", JSON, "Json deserialize error: "),
        ("{}", JSON, "Json deserialize error: missing field `"),
        ('{"context": NaN, "params": NaN}', JSON, "Json deserialize error: "),
        ('{"context": {}, "params": {}}', "text/plain", "Content type error"),
        ('{"context": {}, "params": {}}', None, "Content type error"),
    ],
)
def test_a_body_that_the_framework_rejects_is_answered_in_plain_text(client, path, body, kind, text):
    headers = {"Language-Title": "python-a"} | ({"Content-Type": kind} if kind else {})
    response = client.post(path, content=body, headers=headers)
    assert (response.status_code, response.headers["content-type"]) == (400, "text/plain; charset=utf-8")
    assert response.text.startswith(text)


def test_a_body_has_a_greatest_size(client):
    response = initialize(client, None, context="x" * 2**21)
    assert (response.status_code, response.headers["content-type"]) == (413, "text/plain; charset=utf-8")


def test_execute_answers_four_members_and_integers(client):
    request_id = initialized(client, "return event.params.a + event.params.b;", "nodejs-calculator")
    answer = execute(client, request_id, {"a": 5, "b": 3}).json()
    assert list(answer) == ["result", "request_id", "execution_time_ms", "memory_usage_bytes"]
    assert (answer["result"], answer["request_id"]) == (8, request_id)
    assert [type(answer[name]) for name in ("execution_time_ms", "memory_usage_bytes")] == [int, int]


def test_unknown_members_are_ignored(client):
    request_id = initialized(client, "result = 1", surprise=1)
    response = client.post(f"/api/v1/execute/{request_id}", json={"params": {}, "surprise": 1})
    assert response.status_code == 200


@pytest.mark.parametrize("name", ["no-such-id", "00000000-0000-4000-8000-000000000001", "%20"])
def test_an_unknown_session_is_404(client, name):
    for response in (execute(client, name), session(client, name)):
        assert (response.status_code, response.json()) == (404, ABSENT)


@pytest.mark.parametrize("script", ["1 / 0", "result = (", "import sys\nresult = iter([])"])
def test_a_failing_script_is_a_body_that_cannot_be_read(client, script, row):
    request_id = initialized(client, script)
    response = execute(client, request_id)
    assert response.status_code == 500
    begins = "Failed to execute function: Runtime error: HTTP client error: error decoding response body: "
    assert response.json()["error"].startswith(begins)
    assert row(request_id)["execution_count"] == 0


def test_a_session_is_shown_with_eight_members(client, row):
    request_id = initialized(client, "result = 1", "python-shown")
    before = session(client, request_id).json()
    assert (before["last_executed_at"], before["execution_count"], before["compile_status"]) == (None, 0, None)
    assert (before["language_title"], before["status"]) == ("python-shown", "active")
    execute(client, request_id)
    after = session(client, request_id).json()
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
    assert after["execution_count"] == 1
    assert all(DIGITS_6.fullmatch(after[name]) for name in ("created_at", "expires_at", "last_executed_at"))


def test_a_row_is_what_was_sent(client, row):
    headers = {"Language-Title": "python-kept", "X-User-ID": "somebody"}
    body = {"context": {"b": 1, "a": [2.50]}, "script_content": "result = 1", "compile_options": {"optimize": True}}
    made = client.post("/api/v1/initialize", json=body, headers=headers).json()
    kept = row(made["request_id"])
    assert {
        name: kept[name] for name in ("language_title", "user_id", "context", "script_content", "compile_options")
    } == {
        "language_title": "python-kept",
        "user_id": "somebody",
        **body,
    }
    never = ("script_hash", "compiled_artifact", "compile_status", "compile_error", "metadata", "last_executed_at")
    assert [kept[name] for name in never] == [None] * 6
    assert (kept["expires_at"] - kept["created_at"]).total_seconds() == 3600


def test_functions_are_listed_newest_first(client):
    answer = client.get("/api/v1/functions").json()
    assert [each["language_title"] for each in answer["functions"]] == [
        "python-own",
        "rust-data_validator",
        "python-text_processor",
        "nodejs-calculator",
    ]
    assert answer["functions"][3] == {
        "language_title": "nodejs-calculator",
        "description": "Adds and divides",
        "type": "dynamic",
        "created_at": "2025-07-15T01:02:03.000001+00:00",
        "last_updated_at": "2025-07-16T01:02:03+00:00",
    }


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("language=python", 2),
        ("user_id=system", 3),
        ("type=predefined", 1),
        ("type=dynamic", 3),
        ("type=else", 4),
        ("page=2&per_page=3", 1),
        ("page=9", 0),
    ],
)
def test_functions_are_filtered_and_paged(client, query, found):
    assert len(client.get(f"/api/v1/functions?{query}").json()["functions"]) == found


def test_page_0_is_a_failure_of_the_database(client):
    response = client.get("/api/v1/functions?page=0")
    assert response.status_code == 500
    assert response.json() == {
        "error": "Failed to get functions: Database error: db error: ERROR: OFFSET must not be negative"
    }


def test_a_page_that_is_no_number_is_rejected_in_plain_text(client):
    response = client.get("/api/v1/functions?page=x")
    assert (response.status_code, response.headers["content-type"]) == (400, "text/plain; charset=utf-8")


def test_a_function_is_shown_without_its_script(client):
    answer = client.get("/api/v1/functions/python-text_processor").json()
    assert sorted(answer) == [
        "created_at",
        "description",
        "examples",
        "language",
        "language_title",
        "schema",
        "script_content",
        "title",
        "type",
        "updated_at",
        "user_id",
    ]
    assert (answer["script_content"], answer["user_id"], answer["title"]) == (None, "system", "text_processor")


def test_an_unknown_function_is_404(client):
    response = client.get("/api/v1/functions/python-none")
    assert response.status_code == 404
    assert response.json() == {"error": "Function with language_title 'python-none' not found"}


def test_health_and_tests_have_two_members(client):
    assert client.get("/health").json() == {"status": "ok", "version": "0.2.0"}
    for path in ("/test", "/test-function-manager"):
        assert list(client.get(path).json()) == ["message", "status"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/metrics"),
        ("GET", "/api/v1/initialize"),
        ("DELETE", "/api/v1/sessions/x"),
        ("HEAD", "/health"),
    ],
)
def test_other_paths_and_methods_are_404_without_a_body(client, method, path):
    response = client.request(method, path)
    assert (response.status_code, response.content) == (404, b"")


def test_any_web_page_may_call_it(client):
    response = client.get("/health", headers={"Origin": "https://anywhere.example"})
    assert response.headers["access-control-allow-origin"] == "*"


def test_answers_are_compressed_for_who_accepts_it(client):
    assert client.get("/health", headers={"Accept-Encoding": "gzip"}).headers["content-encoding"] == "gzip"
    assert "content-encoding" not in client.get("/health", headers={"Accept-Encoding": "identity"}).headers
