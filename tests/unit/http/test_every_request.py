"""Properties of every request: routing, ids, the access line, internal errors."""

import json
import logging
import sys

import httpx2
import pytest
import structlog

from domain.access.principal import NOBODY
from domain.errors import DomainError
from domain.executions.execution import ExecutionFailed
from domain.scripts.report import Failure, FailureCode, ScriptReport
from entrypoints.http.errors import error_response, status_of
from entrypoints.http.route import WITHOUT_CREDENTIAL, Access, Route, RouteTable
from tests.unit.http.world import TITLE, Exchange, World, error_of, initialized, problems_of

ID = "01a2101f-9ff2-79ec-8000-000000000001"


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/api",
        "/api/v1",
        "/api/v1/sessions/",
        f"/api/v1/sessions/{ID}/",
        "/api/v1/execute",
        "//livez",
        "/Livez",
        "/api/v1/sessions/x/y/z",
        "/livez/x",
    ],
)
async def test_unknown_paths_are_404_with_an_error_body(client, path):
    assert error_of(await client.get(httpx2.URL("http://pglambda" + path)), 404)["code"] == "NOT_FOUND"


async def test_every_path_rejects_other_methods_and_lists_its_own(client, world):
    by_path = {}
    for route in world.app.routes:
        by_path.setdefault(route.path.replace("{request_id}", ID), set()).add(route.method)
    for path, methods in by_path.items():
        allowed = methods | ({"HEAD"} if "GET" in methods else set())
        for method in {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"} - allowed:
            response = await client.request(method, path)
            assert response.status_code == 405, (method, path)
            assert response.headers["allow"] == ", ".join(sorted(allowed))
            if method != "HEAD":
                assert error_of(response, 405)["code"] == "METHOD_NOT_ALLOWED"


def with_ids(path):
    path = path.replace("{environment}", "data").replace("{environment_version}", "1")
    for name in ("execution_id", "webhook_id", "delivery_id", "schedule_id", "file_id"):
        path = path.replace(f"{{{name}}}", ID)
    return path


async def test_every_route_rejects_an_unknown_query_parameter(client, world):
    for route in world.app.routes:
        path = with_ids(route.path.replace("{request_id}", await initialized(client)))
        response = await client.request(
            route.method, path.replace("{language_title}", "python-adder") + "?foo=2", headers=TITLE
        )
        known = ", ".join(sorted(route.query_names)) or "none on this route"
        assert problems_of(response) == {"/query/foo": f"is not a known parameter; known are: {known}"}, route.path


async def test_an_empty_query_is_no_query(client):
    for query in ("?", "?&"):
        assert (await client.get("/livez" + query)).status_code == 200


@pytest.mark.parametrize(
    "path", ["/api%2fv1/sessions", "/api%2Fv1%2Fsessions", "/api/v1%2fsessions", "%2flivez", "/livez%2F", "/docs%2fx"]
)
async def test_an_encoded_slash_is_no_separator(client, path):
    assert error_of(await client.get(httpx2.URL("http://pglambda" + path)), 404)["code"] == "NOT_FOUND"


async def test_an_encoded_slash_stays_a_part_of_an_id(client):
    response = await client.get(httpx2.URL(f"http://pglambda/api/v1/sessions/{ID}%2fexecutions"))
    assert error_of(response, 404)["code"] == "SESSION_NOT_FOUND"
    assert (await client.get("/api/v1/%73essions")).status_code == 200


@pytest.mark.parametrize("expected", ["200-maybe", "100-continue, 200-maybe", "", "100-continued"])
async def test_an_unknown_expectation_is_417(client, expected):
    for path in ("/livez", "/api/v1/sessions"):
        error = error_of(await client.get(path, headers={"Expect": expected}), 417)
        assert (error["code"], error["details"]) == ("EXPECTATION_FAILED", {})
        assert repr(expected) in error["message"]


@pytest.mark.parametrize("expected", ["100-continue", "100-Continue", "100-continue "])
async def test_the_known_expectation_is_accepted(client, expected):
    assert (await client.get("/livez", headers={"Expect": expected})).status_code == 200


async def test_callers_without_credential_use_no_capacity(client, world):
    await world.app.drain(0)  # no request is admitted any more
    for route in world.app.routes:
        if route.access in (Access.OPEN, Access.DETAIL):
            response = await client.request(route.method, route.path)
            assert response.status_code == 200 or "error" not in response.json(), route.path


async def test_a_get_route_also_serves_head(client):
    response = await client.head("/livez")
    assert (response.status_code, response.content) == (200, b"")


@pytest.mark.parametrize("path", ["/api/v1/sessions", "/api/v1/sessions/nobody", "/livez"])
async def test_responses_are_for_their_caller_only(client, path):
    response = await client.get(path)
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert "access-control-allow-origin" not in response.headers
    assert "server" not in response.headers


async def test_the_id_of_a_request_is_returned(client):
    response = await client.get("/livez", headers={"X-Request-ID": "trace-1/a:b"})
    assert response.headers["x-request-id"] == "trace-1/a:b"


@pytest.mark.parametrize("request_id", ["", "x" * 129, "a b", "a\tb", "é".encode(), "<x>", 'a"b'])
async def test_an_invalid_request_id_is_replaced(client, request_id):
    headers = {"X-Request-ID": request_id}
    responses = [await client.get("/livez", headers=headers), await client.get("/nowhere", headers=headers)]
    made = {response.headers["x-request-id"] for response in responses}
    assert len(made) == 2
    assert all(len(value) >= 14 for value in made)


async def test_each_request_has_one_access_line_without_payloads(client, log_lines):
    session_id = await initialized(client, context={"secret": "swordfish"})
    log_lines.clear()
    await client.get(f"/api/v1/sessions/{session_id}?fields=context", headers={"X-Request-ID": "mine"})
    await client.get("/nowhere/swordfish")
    found, lost = log_lines
    assert found.pop("duration_ms") >= 0
    assert found.pop("db_ms") == 0
    assert len(found.pop("owner_hash")) == 12
    assert found == {
        "event": "request",
        "log_level": "info",
        "logger": "http.access",
        "x_request_id": "mine",
        "request_id": session_id,
        "method": "GET",
        "route": "/api/v1/sessions/{request_id}",
        "status": 200,
        "client": "127.0.0.1",
    }
    assert lost["status"] == 404
    assert {"route", "request_id"}.isdisjoint(lost)
    assert "swordfish" not in str(log_lines)


async def test_no_access_line_is_written_above_the_log_level(log_lines):
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    async with World.of().client() as client:
        assert (await client.get("/livez")).status_code == 200
    assert log_lines == []


async def test_an_internal_error_is_500_with_an_id_that_is_in_the_log(client, world, log_lines):
    session_id = await initialized(client)
    world.store.failure = RuntimeError("the password is swordfish")
    response = await client.get(f"/api/v1/sessions/{session_id}", headers={"X-Request-ID": "mine"})
    error = error_of(response, 500)
    assert error["code"] == "INTERNAL_ERROR"
    assert "swordfish" not in response.text
    assert response.json()["request_id"] == session_id
    line = next(line for line in log_lines if line["event"] == "internal_error")
    assert (line["error_id"], line["x_request_id"]) == (error["details"]["error_id"], "mine")
    assert line["exc_info"]


async def test_an_error_that_cannot_be_encoded_is_an_internal_error(client, world, log_lines):
    class Unwritable(DomainError):
        code = "X"

        @property
        def details(self):
            raise ZeroDivisionError

    world.store.failure = Unwritable()
    assert error_of(await client.get(f"/api/v1/sessions/{ID}"), 500)["code"] == "INTERNAL_ERROR"


async def test_a_mount_prefix_is_not_part_of_routes(world):
    reply = await Exchange(world.app, "GET", "/lambda/livez", root_path="/lambda").run()
    assert reply.status == 200


def leaf_errors(category=DomainError):
    # Whatever was imported before: errors of a runtime host, or of the origin's API, are not the API's.
    if category.__module__.startswith(("entrypoints.runtime_host.", "entrypoints.origin.")):
        return []
    # attrs creates a class with slots twice; this is the one that its module names.
    if getattr(sys.modules[category.__module__], category.__name__, None) is not category:
        return []
    below = category.__subclasses__()
    own = [category] if not below and isinstance(category.__dict__.get("code"), str) else []
    return own + [error for kind in below for error in leaf_errors(kind)]


@pytest.mark.parametrize("category", leaf_errors(), ids=lambda category: category.__name__)
def test_every_error_has_a_status(category):
    assert 400 <= status_of(category.__new__(category)) < 600


STATUSES = {
    FailureCode.EXECUTION_TIMEOUT: 504,
    FailureCode.EXECUTION_CANCELLED: 409,
    FailureCode.EXECUTION_EXPIRED: 410,
    FailureCode.FILES_LOST: 503,
}


@pytest.mark.parametrize("code", list(FailureCode))
def test_the_status_says_whether_a_failure_is_of_the_script_or_of_its_end_from_outside(code):
    failure = Failure(code, "The limit was reached.", limit=100, observed=101)
    report = ScriptReport(None, failure, 100.5, stdout="partial")
    response = error_response(ExecutionFailed(ID, ID, 1, report, failure), None)
    assert response.status == STATUSES.get(code, 422)
    error = json.loads(response.body)["error"]
    assert error["code"] == code
    assert (error["details"]["limit"], error["details"]["observed"], error["details"]["stdout"]) == (
        100,
        101,
        "partial",
    )


def test_two_routes_cannot_have_one_path():
    async def endpoint(_):
        raise NotImplementedError

    one, other = (Route("GET", "/x/{a}", endpoint, name) for name in ("one", "other"))
    with pytest.raises(AssertionError, match="two routes"):
        RouteTable([one, other])
    with pytest.raises(AssertionError, match="two names"):
        RouteTable([one, Route("GET", "/x/{b}", endpoint, "third")])


async def test_without_a_guard_an_unknown_caller_reaches_open_routes_only():
    world = World.of(caller=NOBODY)
    async with world.client() as client:
        for route in world.app.routes:
            path = with_ids(route.path.replace("{request_id}", ID))
            response = await client.request(route.method, path.replace("{language_title}", "python-adder"))
            if route.access in WITHOUT_CREDENTIAL:
                assert response.status_code in {200, 503}, route.path
            else:
                assert error_of(response, 401)["code"] == "UNAUTHORIZED"
