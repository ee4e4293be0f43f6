"""Errors on the origin's API, and what guards and limits answer there."""

from uuid import UUID

import pytest

from domain.access.principal import NOBODY, Principal, Scope
from domain.errors import Overloaded, RuntimeUnavailable, ShuttingDown, StorageUnavailable
from domain.executions.execution import ExecutionLost, ExecutionNotStored
from domain.identity import ANONYMOUS, Owner
from domain.scripts.language import LanguageMapping
from domain.scripts.report import ScriptReport
from domain.sessions.service import SessionLanguages
from domain.takeover.front import SessionMoving, StageUnknown
from domain.takeover.passing import OriginTimeout, OriginUnavailable
from entrypoints.http.middleware.authentication import LanguageGuard
from entrypoints.http.middleware.hosts import HostGuard
from entrypoints.http.pipeline import Guard
from entrypoints.origin.application import OriginApplication, OriginHooks
from entrypoints.origin.endpoints import OriginOptions
from tests.contracts.origin_api import execute, initialize, initialized
from tests.unit.origin.conftest import caller_of, world_of

ID = UUID("01a2101f-9ff2-79ec-8000-000000000000")
OF_THE_FRONT = {OriginUnavailable, OriginTimeout, SessionMoving, StageUnknown}
ENDED = ScriptReport(None, None, 1.0)


class Rejecting(Guard):
    """Rejects every request."""

    def __init__(self, error):
        self.error = error

    async def admit(self, request, route):
        raise self.error


class Broken(Guard):
    """Has a bug."""

    async def admit(self, request, route):
        raise ZeroDivisionError


@pytest.mark.parametrize(
    ("error", "status", "begins", "retry_after"),
    [
        (StorageUnavailable(), 500, "Failed to execute function: Database error: The database did not", "1"),
        (StorageUnavailable("unknown", None, None), 500, "Failed to execute function: Database error: ", None),
        (RuntimeUnavailable("python", "It sleeps."), 500, "Failed to execute function: Runtime error: ", "1"),
        (ExecutionNotStored(ID, ENDED), 500, "Failed to update session: Database error: The script ran, but", None),
        (ExecutionLost(), 500, "Failed to execute function: Database error: The script ran, but", None),
        (Overloaded("a worker"), 503, "Failed to execute function: Too many calls are waiting", "1"),
        (OriginUnavailable("refused", "no"), 503, "Failed to execute function: The origin cannot be reached", "1"),
        (OriginUnavailable("reset"), 503, "Failed to execute function: The origin received the call", None),
        (OriginTimeout(160), 504, "Failed to execute function: The origin did not reply within 160 s", None),
        (SessionMoving(), 503, "Failed to execute function: The session moves", "1"),
        (StageUnknown(), 503, "Failed to execute function: The database has not told", "1"),
        (ShuttingDown(), 503, "Failed to execute function: This server is shutting down", "1"),
    ],
)
async def test_a_call_that_could_not_be_served_says_why(error, status, begins, retry_after):
    async with caller_of(world_of(origin_hooks=OriginHooks((Rejecting(error),)))) as client:
        response = await execute(client, "x")
    assert response.status_code == status
    assert response.json()["error"].startswith(begins)
    assert response.json().get("executed") == (error.executed if type(error) in OF_THE_FRONT else None)
    assert response.headers["x-error-code"] == error.code
    assert response.headers.get("retry-after") == retry_after


async def test_a_database_that_is_away_is_500_as_at_the_origin(world, client):
    request_id = await initialized(client)
    world.store.failure = StorageUnavailable()
    calls = {
        "Failed to create session: ": await initialize(client),
        "Failed to get session: ": await client.get(f"/api/v1/sessions/{request_id}"),
        "Failed to execute function: ": await execute(client, request_id),
    }
    for prefix, response in calls.items():
        assert response.status_code == 500
        assert response.json()["error"].startswith(f"{prefix}Database error: ")


async def test_an_end_that_is_unknown_is_never_503(world, client):
    request_id = await initialized(client, "result = 1")
    world.runner.unknown_next = "it left"
    response = await execute(client, request_id)
    assert response.status_code == 500
    assert response.json()["error"].startswith("Failed to execute function: Runtime error: The script may have run")
    assert "retry-after" not in response.headers


async def test_a_bug_is_told_with_the_id_under_which_the_log_has_it(log_lines):
    async with caller_of(world_of(origin_hooks=OriginHooks((Broken(),)))) as client:
        response = await execute(client, "x")
    assert (response.status_code, response.headers["x-error-code"]) == (500, "INTERNAL_ERROR")
    error_id = response.json()["error"].rpartition("error_id: ")[2]
    assert error_id in {line.get("error_id") for line in log_lines}


async def test_an_unknown_caller_is_401_except_for_the_health_and_unknown_paths():
    async with caller_of(world_of(caller=NOBODY)) as client:
        calls = (await initialize(client), await execute(client, "x"), await client.get("/api/v1/functions"))
        for response in calls:
            assert response.status_code == 401
            assert response.headers["www-authenticate"] == 'Bearer realm="pglambda"'
            assert list(response.json()) == ["error"]
        assert (await client.get("/health")).status_code == 200
        assert (await client.get("/nowhere")).status_code == 404


async def test_a_caller_needs_the_scope_of_the_language():
    caller = Principal(Owner("me"), frozenset({Scope.EXECUTE_NODEJS}))
    async with caller_of(world_of(caller=caller)) as client:
        response = await initialize(client)
    assert (response.status_code, response.headers["x-error-code"]) == (403, "FORBIDDEN")
    assert response.json()["error"].startswith("Failed to create session: The token or API key lacks a scope")


async def test_a_title_of_no_language_needs_the_scope_of_the_language_under_which_it_is_stored():
    for scope, status in ((Scope.EXECUTE_PYTHON, 403), (Scope.EXECUTE_NODEJS, 200)):
        caller = Principal(Owner("me"), frozenset({scope}))
        async with caller_of(world_of(OriginOptions(lenient=True), caller=caller)) as client:
            made = await client.post("/api/v1/initialize", json={"context": {}}, headers={"Language-Title": "cobol-x"})
        assert made.status_code == status


async def test_guards_that_need_the_session_run_once_the_body_is_read():
    async with caller_of(world_of(origin_hooks=OriginHooks(authorization=(Rejecting(ShuttingDown()),)))) as client:
        assert (await client.post(f"/api/v1/execute/{ID}", json={})).status_code == 400
        assert (await execute(client, str(ID))).status_code == 503
        assert (await client.get(f"/api/v1/sessions/{ID}")).status_code == 503


async def test_a_session_needs_the_scope_of_its_language_to_be_executed():
    world = world_of()
    async with caller_of(world) as client:
        request_id = await initialized(client)
    guard = LanguageGuard(LanguageMapping(), SessionLanguages(world.sessions))
    caller = Principal(ANONYMOUS, frozenset({Scope.EXECUTE_NODEJS}))
    limited = world_of(origin_hooks=OriginHooks(authorization=(guard,)), caller=caller)
    async with caller_of(limited) as client:
        response = await execute(client, request_id)
    assert (response.status_code, response.headers["x-error-code"]) == (403, "FORBIDDEN")


async def test_another_host_is_refused():
    async with caller_of(world_of(origin_hooks=OriginHooks((HostGuard(["localhost"]),)))) as client:
        response = await client.get("/api/v1/functions")
    assert response.status_code == 400
    assert response.json()["error"].startswith("Failed to get functions: The request is for the host 'pglambda'")


async def test_both_apis_share_the_places_for_requests_in_flight(world, client):
    await world.app.drain(0)
    response = await initialize(client)
    assert (response.status_code, response.headers["x-error-code"]) == (503, "SHUTTING_DOWN")
    assert (await client.get("/health")).status_code == 200


async def test_a_component_that_fails_shows_in_the_health():
    async def failing():
        return {"status": "failing"}

    world = world_of()
    world.process.components["x"] = failing
    async with caller_of(world) as client:
        assert (await client.get("/health")).json() == {"status": "degraded", "version": "1.2.3"}


async def test_logs_and_metrics_name_the_routes_of_this_api(world, client, log_lines):
    request_id = await initialized(client)
    await client.get("/nowhere")
    await client.get(f"/api/v1/sessions/{request_id}")
    routes = [line["route"] for line in log_lines if line["event"] == "request"]
    assert routes == ["origin:/api/v1/initialize", "origin:unmatched", "origin:/api/v1/sessions/{id}"]
    assert [line.get("request_id") for line in log_lines if line["event"] == "request"] == [
        request_id,
        None,
        request_id,
    ]
    exposed = (await world.app.scrape.exposition("")).body.decode()
    assert (
        'pglambda_http_requests_total{method="OTHER",process="0",route="origin:unmatched",status="404"} 1.0' in exposed
    )
    assert (
        'pglambda_http_requests_total{method="POST",process="0",route="/api/v1/initialize",status="500"} 0.0' in exposed
    )


def test_a_rejection_by_the_server_has_the_form_of_this_api():
    assert OriginApplication.error_body("CODE", "It failed.", {}) == {"error": "It failed."}
