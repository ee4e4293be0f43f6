"""Authentication and scopes, for every route and every set of scopes."""

from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import datetime, timedelta
from itertools import combinations
from typing import Any

import httpx2
import pytest
from attrs import define, field

from adapters.memory.api_keys import MemoryApiKeyRepository
from adapters.memory.manual_clock import ManualClock
from adapters.memory.sequential_ids import SequentialIds
from adapters.memory.sessions import MemorySessionRepository
from domain.access.api_key_service import ApiKeyService
from domain.access.authentication import Authentication, KeyRing
from domain.access.credentials import CredentialRefused, JwksUnavailable
from domain.access.ports import TokenVerifier
from domain.access.principal import ANYBODY, Principal, Scope
from domain.errors import StorageUnavailable
from domain.identity import ANONYMOUS, Owner
from domain.scripts.language import LanguageMapping
from domain.sessions.service import SessionLanguages
from entrypoints.http.app import Hooks
from entrypoints.http.middleware.authentication import AuthenticationGuard, LanguageGuard
from entrypoints.http.pipeline import Guard
from entrypoints.http.request import Request
from entrypoints.http.response import Headers
from entrypoints.http.route import Access, Route
from tests.support.acts import OPERATOR
from tests.unit.http.world import OPTIONS, SCRIPT, TITLE, Exchange, World, error_of, initialized

ANYONE: frozenset[Scope] | None = None
"""No credential is needed."""
KNOWN: frozenset[Scope] = frozenset()
"""A credential is needed, with any scope."""
EXECUTE = frozenset({Scope.EXECUTE_ALL, Scope.EXECUTE_NODEJS, Scope.EXECUTE_PYTHON})
WRITE = frozenset({Scope.WRITE_FUNCTIONS, Scope.WRITE_SHARED_FUNCTIONS})
READ = WRITE | {Scope.READ_FUNCTIONS}
SCHEDULE = frozenset({Scope.WRITE_SCHEDULES})
STORE = frozenset({Scope.WRITE_FILES})
KEEP_SECRETS, USE_SECRETS = frozenset({Scope.WRITE_SECRETS}), frozenset({Scope.USE_SECRETS})
ADMIN = frozenset({Scope.ADMIN})
HOOKS = ADMIN | {Scope.WRITE_WEBHOOKS}

DECISIONS: dict[str, frozenset[Scope] | None] = {
    "upload_file": STORE,
    "list_files": KNOWN,
    "get_file": KNOWN,
    "get_file_content": KNOWN,
    "delete_file": STORE,
    "initialize_session": EXECUTE,
    "initialize_batch": EXECUTE,
    "execute_session": EXECUTE,
    "execute_batch": EXECUTE,
    "execute_function": EXECUTE,
    "list_function_executions": KNOWN,
    "list_sessions": KNOWN,
    "get_session": KNOWN,
    "patch_session": KNOWN,
    "close_session": KNOWN,
    "get_state": KNOWN,
    "put_state": KNOWN,
    "patch_state": KNOWN,
    "delete_state": KNOWN,
    "get_state_key": KNOWN,
    "put_state_key": KNOWN,
    "delete_state_key": KNOWN,
    "list_executions": KNOWN,
    "get_execution": KNOWN,
    "list_asynchronous_executions": KNOWN,
    "get_queue": KNOWN,
    "follow_execution": KNOWN,
    "cancel_execution": KNOWN,
    "erase_execution": KNOWN,
    "retry_execution": EXECUTE,
    "list_functions": READ,
    "get_function": READ,
    "list_function_versions": READ,
    "put_function": WRITE,
    "roll_back_function": WRITE,
    "delete_function": WRITE,
    "check_function": WRITE,
    "create_schedule": SCHEDULE,
    "list_schedules": KNOWN,
    "get_schedule": KNOWN,
    "patch_schedule": SCHEDULE,
    "delete_schedule": SCHEDULE,
    "pause_schedule": SCHEDULE,
    "resume_schedule": SCHEDULE,
    "run_schedule": SCHEDULE,
    "list_firings": KNOWN,
    "get_metrics": ADMIN,
    "list_secrets": KEEP_SECRETS | USE_SECRETS,
    "get_secret": KEEP_SECRETS | USE_SECRETS,
    "put_secret": KEEP_SECRETS,
    "delete_secret": KEEP_SECRETS,
    "create_webhook": HOOKS,
    "list_webhooks": HOOKS,
    "get_webhook": HOOKS,
    "patch_webhook": HOOKS,
    "delete_webhook": HOOKS,
    "rotate_webhook": HOOKS,
    "test_webhook": HOOKS,
    "list_deliveries": HOOKS,
    "get_delivery": HOOKS,
    "redeliver_message": HOOKS,
    "list_acts": ADMIN,
    "create_environment": ADMIN,
    "list_environments": ADMIN,
    "get_environment": ADMIN,
    "retire_environment": ADMIN,
    "list_usage": KNOWN,
    "get_liveness": ANYONE,
    "get_readiness": ANYONE,
    "get_health": ANYONE,
    "openapi": ANYONE,
    "docs": ANYONE,
    "swagger-ui-bundle.js": ANYONE,
    "swagger-ui.css": ANYONE,
    "start.js": ANYONE,
}
"""The scopes of which a caller needs one, by route. Every new route needs a decision here."""

SUBSETS = [frozenset(chosen) for size in (0, 1, 2, len(Scope)) for chosen in combinations(Scope, size)]
"""One of several scopes suffices, so larger sets show nothing new."""


@define(eq=False)
class ManualTokens(TokenVerifier):
    """Accepts `owner/scope,scope` as a token."""

    failure: Exception | None = None

    async def verify(self, token: str) -> Principal:
        if self.failure is not None:
            raise self.failure
        owner, colon, scopes = token.partition("/")
        if not colon:
            raise CredentialRefused("it is none")
        return Principal(Owner(owner), frozenset(Scope(scope) for scope in scopes.split(",") if scope))


class LateGuards(Guard):
    """Guards that are set after the application was created."""

    guards: Sequence[Guard] = ()

    async def admit(self, request: Request, route: Route) -> Headers:
        for guard in self.guards:
            await guard.admit(request, route)
        return ()


@define(eq=False)
class Guarded:
    """The application with its guards, and a client for callers with scopes."""

    world: World = field(init=False)
    tokens: ManualTokens = field(factory=ManualTokens)
    keys: MemoryApiKeyRepository = field(factory=MemoryApiKeyRepository)
    client: httpx2.AsyncClient = field(init=False)

    def __attrs_post_init__(self) -> None:
        late = LateGuards()
        self.world = World.of(OPTIONS, Hooks(guards=[late]))
        authentication = Authentication(KeyRing(self.world.clock, self.keys), self.tokens)
        languages = SessionLanguages(MemorySessionRepository(self.world.store))
        late.guards = [AuthenticationGuard(authentication), LanguageGuard(LanguageMapping(), languages)]
        self.client = self.world.client()

    async def ask(self, method: str, path: str, scopes: Iterable[Scope], owner: str = "alice", **rest: Any) -> Any:
        headers = {**credential(scopes, owner), **rest.pop("headers", {})}
        return await self.client.request(method, path, headers=headers, **rest)


def credential(scopes: Iterable[Scope], owner: str = "alice") -> dict[str, str]:
    return {"Authorization": f"Bearer {owner}/{','.join(scopes)}"}


@pytest.fixture
async def guarded(log_lines: Any) -> AsyncIterator[Guarded]:
    guarded = Guarded()
    async with guarded.client:
        yield guarded


def routes() -> tuple[Route, ...]:
    return World.of().app.routes


def path_of(route: Route) -> str:
    ids = {"request_id": "01890000-0000-7000-8000-000000000000", "execution_id": "01890000-0000-7000-8000-000000000001"}
    ids |= {"webhook_id": ids["request_id"], "delivery_id": ids["request_id"], "schedule_id": ids["execution_id"]}
    ids |= {"state_key": "count", "secret_name": "API_KEY", "file_id": ids["request_id"]}
    ids |= {"environment": "none", "environment_version": "1"}
    return route.path.format(**ids, language_title="python-none")


def test_every_route_has_a_decision() -> None:
    assert {route.name for route in routes()} == set(DECISIONS)


def test_every_kind_of_access_has_the_decided_scopes() -> None:
    means = {
        Access.OPEN: ANYONE,
        Access.DETAIL: ANYONE,
        Access.RUNTIME_HOST: ANYONE,  # the endpoint checks a token of its own
        Access.OWNER: KNOWN,
        Access.EXECUTE: EXECUTE,
        Access.READ_FUNCTIONS: READ,
        Access.WRITE_FUNCTIONS: WRITE,
        Access.WEBHOOKS: HOOKS,
        Access.WRITE_SCHEDULES: SCHEDULE,
        Access.WRITE_FILES: STORE,
        Access.READ_SECRETS: KEEP_SECRETS | USE_SECRETS,
        Access.WRITE_SECRETS: KEEP_SECRETS,
        Access.ADMIN: ADMIN,
    }
    assert set(means) == set(Access)
    for route in routes():
        assert means[route.access] == DECISIONS[route.name], route.name


@pytest.mark.parametrize("name", [route.name for route in routes()])
async def test_a_route_admits_exactly_the_callers_with_its_scopes(guarded: Guarded, name: str) -> None:
    (route,) = (each for each in guarded.world.app.routes if each.name == name)
    needed = DECISIONS[name]
    for scopes in SUBSETS:
        response = await guarded.ask(route.method, path_of(route), scopes)
        expected = needed in (ANYONE, KNOWN) or not scopes.isdisjoint(needed or ())
        later = _language_is_missing(name, scopes, response) or _is_for_shared_ones(name, scopes, response)
        assert (response.status_code not in (401, 403)) == expected or later, scopes
        if response.status_code == 403:
            error_of(response, 403)
            assert response.headers["www-authenticate"].startswith(
                'Bearer realm="pglambda", error="insufficient_scope", scope="'
            )


def _language_is_missing(name: str, scopes: frozenset[Scope], response: Any) -> bool:
    """Return whether a call was rejected for its language only, which other tests cover."""
    return (
        name in {"initialize_session", "execute_function"}
        and Scope.EXECUTE_ALL not in scopes
        and response.status_code == 403
    )


def _is_for_shared_ones(name: str, scopes: frozenset[Scope], response: Any) -> bool:
    """Return whether a call was rejected because its scope is for shared functions only, which other tests cover."""
    writes = {"put_function", "delete_function", "roll_back_function"}
    return name in writes and Scope.WRITE_FUNCTIONS not in scopes and response.status_code == 403


async def test_an_execution_is_repeated_only_with_the_scope_of_its_language(guarded: Guarded) -> None:
    everything, title = {Scope.EXECUTE_ALL}, {"Language-Title": "python-a"}
    body = {"script_content": SCRIPT}
    made = await guarded.ask("POST", "/api/v1/initialize", everything, headers=title, json=body)
    path, later = f"/api/v1/execute/{made.json()['request_id']}", {"Prefer": "respond-async"}
    accepted = await guarded.ask("POST", path, everything, headers=later)
    execution = f"/api/v1/executions/{accepted.json()['execution_id']}"
    await guarded.ask("POST", f"{execution}/cancel", everything)
    for scope, status in ((Scope.EXECUTE_NODEJS, 403), (Scope.EXECUTE_PYTHON, 202)):
        assert (await guarded.ask("POST", f"{execution}/retry", {scope})).status_code == status


@pytest.mark.parametrize("name", [route.name for route in routes()])
async def test_without_a_credential_only_open_routes_respond(guarded: Guarded, name: str) -> None:
    (route,) = (each for each in guarded.world.app.routes if each.name == name)
    for headers in ({}, {"Authorization": "Bearer none"}):
        response = await guarded.client.request(route.method, path_of(route), headers=headers)
        assert (response.status_code == 401) == (DECISIONS[name] is not ANYONE)


@pytest.mark.parametrize(
    ("header", "challenge"),
    [
        (None, 'Bearer realm="pglambda"'),
        ("Basic YWxpY2U6c2VjcmV0", 'Bearer realm="pglambda"'),
        ("Bearer", 'Bearer realm="pglambda"'),
        ("alice/admin", 'Bearer realm="pglambda"'),
        ("BearerX alice/admin", 'Bearer realm="pglambda"'),
        ("Bearer none", 'Bearer realm="pglambda", error="invalid_token"'),
        ("Bearer " + "x" * 9000, 'Bearer realm="pglambda", error="invalid_token"'),
        ("Bearer pgl_unknown", 'Bearer realm="pglambda", error="invalid_token"'),
        (f"Bearer pgl_{7:032x}_{'x' * 43}", 'Bearer realm="pglambda", error="invalid_token"'),
    ],
)
async def test_a_caller_without_credential_learns_how_to_send_one(
    guarded: Guarded, header: str | None, challenge: str
) -> None:
    headers = {} if header is None else {"Authorization": header}
    response = await guarded.client.get("/api/v1/sessions", headers=headers)
    assert error_of(response, 401)["code"] == "UNAUTHORIZED"
    assert response.headers["www-authenticate"] == challenge


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "Bearer "])
async def test_the_scheme_is_case_insensitive(guarded: Guarded, scheme: str) -> None:
    response = await guarded.client.get("/api/v1/sessions", headers={"Authorization": f"{scheme} alice/"})
    assert response.status_code == 200


async def test_two_credentials_are_rejected(guarded: Guarded) -> None:
    header = (b"authorization", b"Bearer pgl_x")
    reply = await Exchange(guarded.world.app, "GET", "/api/v1/sessions", [header, header]).run()
    assert reply.status == 401


async def test_a_rejected_caller_sends_no_body(guarded: Guarded) -> None:
    exchange = Exchange(
        guarded.world.app, "POST", "/api/v1/initialize", messages=[{"type": "http.request", "body": b"x"}]
    )
    reply = await exchange.run()
    assert (reply.status, exchange.received) == (401, 0)


@pytest.mark.parametrize(
    ("failure", "code"), [(JwksUnavailable(), "KEYS_UNAVAILABLE"), (StorageUnavailable(), "STORAGE_UNAVAILABLE")]
)
async def test_unavailable_keys_are_503(guarded: Guarded, failure: Exception, code: str) -> None:
    guarded.tokens.failure = failure
    response = await guarded.ask("GET", "/api/v1/sessions", ())
    assert error_of(response, 503)["code"] == code
    assert response.headers["retry-after"] == "1"
    assert "www-authenticate" not in response.headers


async def test_sessions_belong_to_the_owner_for_every_kind_of_credential(guarded: Guarded) -> None:
    made = await guarded.ask("POST", "/api/v1/initialize", EXECUTE, headers=TITLE, json={"script_content": SCRIPT})
    path = f"/api/v1/sessions/{made.json()['request_id']}"
    assert (await guarded.ask("GET", path, ())).json()["user_id"] == "alice"
    assert error_of(await guarded.ask("GET", path, EXECUTE, "bob"), 404)["code"] == "SESSION_NOT_FOUND"
    assert (await guarded.ask("GET", "/api/v1/sessions", (), "bob")).json()["sessions"] == []


LANGUAGES = {"python": Scope.EXECUTE_PYTHON, "nodejs": Scope.EXECUTE_NODEJS}
EXECUTE_SUBSETS = [scopes for scopes in SUBSETS if scopes <= EXECUTE | ADMIN]


@pytest.mark.parametrize("language", LANGUAGES)
async def test_scripts_of_a_language_need_its_scope(guarded: Guarded, language: str) -> None:
    title, body = {"Language-Title": f"{language}-x"}, {"script_content": SCRIPT}
    made = await guarded.ask("POST", "/api/v1/initialize", {Scope.EXECUTE_ALL}, headers=title, json=body)
    path = f"/api/v1/execute/{made.json()['request_id']}"
    store = guarded.world.store
    for scopes in EXECUTE_SUBSETS:
        before = len(store.history), len(store.sessions)
        responses = [
            await guarded.ask("POST", "/api/v1/initialize", scopes, headers=title, json=body),
            await guarded.ask("POST", path, scopes, json={"params": 1}),
            await guarded.ask("POST", f"{path}/batch", scopes, json={"items": [{"params": 1}]}),
        ]
        is_rejected = scopes.isdisjoint({Scope.EXECUTE_ALL, LANGUAGES[language]})
        assert [response.status_code == 403 for response in responses] == [is_rejected] * 3, scopes
        if is_rejected:
            assert (len(store.history), len(store.sessions)) == before
            assert not store.open_executions


async def test_a_caller_without_the_language_learns_nothing_about_foreign_sessions(guarded: Guarded) -> None:
    made = await guarded.ask("POST", "/api/v1/initialize", EXECUTE, headers=TITLE, json={"script_content": SCRIPT})
    session_id = made.json()["request_id"]
    for path in (f"/api/v1/execute/{session_id}", f"/api/v1/execute/{session_id}/batch"):
        response = await guarded.ask("POST", path, {Scope.EXECUTE_NODEJS}, "bob", json={"params": 1})
        assert error_of(response, 404)["code"] == "SESSION_NOT_FOUND"
        assert (await guarded.ask("POST", path, {Scope.READ_FUNCTIONS}, "bob", json={})).status_code == 403


@pytest.mark.parametrize("title", [None, "nothing", "ruby-x"])
async def test_an_invalid_title_gives_every_caller_the_same_error(guarded: Guarded, title: str | None) -> None:
    headers = {} if title is None else {"Language-Title": title}
    responses = [
        await guarded.ask("POST", "/api/v1/initialize", scopes, headers=headers, json={"script_content": SCRIPT})
        for scopes in ({Scope.EXECUTE_ALL}, {Scope.EXECUTE_PYTHON})
    ]
    assert responses[0].json() == responses[1].json()
    assert responses[0].status_code == responses[1].status_code


async def test_an_admin_reads_lists_and_closes_across_owners_and_does_no_more(guarded: Guarded) -> None:
    made = await guarded.ask("POST", "/api/v1/initialize", EXECUTE, headers=TITLE, json={"script_content": SCRIPT})
    session_id = made.json()["request_id"]
    path = f"/api/v1/sessions/{session_id}"
    ran = await guarded.ask("POST", f"/api/v1/execute/{session_id}", EXECUTE, json={"params": 1})
    powerful = set(Scope)
    assert (await guarded.ask("GET", path, {Scope.ADMIN}, "root")).json()["user_id"] == "alice"
    script = await guarded.ask("GET", f"{path}?fields=script_content", {Scope.ADMIN}, "root")
    assert script.json() == {"script_content": SCRIPT}
    history = await guarded.ask("GET", f"{path}/executions", {Scope.ADMIN}, "root")
    assert [row["execution_id"] for row in history.json()["executions"]] == [ran.json()["execution_id"]]
    one = await guarded.ask("GET", f"/api/v1/executions/{ran.json()['execution_id']}", {Scope.ADMIN}, "root")
    assert one.status_code == 200
    assert (await guarded.ask("PATCH", path, powerful, "root", json={"context": {}})).status_code == 404
    assert (await guarded.ask("POST", f"/api/v1/execute/{session_id}", powerful, "root", json={})).status_code == 404
    assert (await guarded.ask("DELETE", path, {Scope.ADMIN}, "root")).status_code == 204
    assert (await guarded.ask("GET", path, ())).status_code == 410


async def test_an_admin_purges_a_session_of_another_owner_and_another_owner_does_not(guarded: Guarded) -> None:
    made = await guarded.ask("POST", "/api/v1/initialize", EXECUTE, headers=TITLE, json={"script_content": SCRIPT})
    path = f"/api/v1/sessions/{made.json()['request_id']}?purge=true"
    assert (await guarded.ask("DELETE", path, EXECUTE, "mallory")).status_code == 404
    assert (await guarded.ask("DELETE", path, {Scope.ADMIN}, "root")).status_code == 204
    acts = (await guarded.ask("GET", "/api/v1/audit", {Scope.ADMIN}, "root")).json()["acts"]
    assert [(each["actor"], each["owner"]) for each in acts] == [("root", "alice")]


async def test_an_admin_lists_their_own_another_owners_or_all_sessions(guarded: Guarded) -> None:
    for owner in ("alice", "alice", "bob", "root"):
        await guarded.ask("POST", "/api/v1/initialize", EXECUTE, owner, headers=TITLE, json={"script_content": SCRIPT})

    async def owners(query: str) -> list[str]:
        found: list[str] = []
        path: str | None = f"/api/v1/sessions?limit=1{query}"
        while path is not None:
            response = await guarded.ask("GET", path, {Scope.ADMIN}, "root")
            assert response.status_code == 200, response.text
            found += [session["user_id"] for session in response.json()["sessions"]]
            path = response.links.get("next", {}).get("url")
        return found

    assert await owners("") == ["root"]
    assert await owners("&owner=alice") == ["alice", "alice"]
    assert await owners("&owner=*") == ["root", "bob", "alice", "alice"]
    assert await owners("&owner=nobody") == []
    assert await owners("&owner=anonymous") == []


async def test_a_caller_without_admin_lists_their_own_sessions_only(guarded: Guarded) -> None:
    for owner in ("bob", "*", "anonymous"):
        response = await guarded.ask("GET", f"/api/v1/sessions?owner={owner}", EXECUTE)
        assert error_of(response, 403)["code"] == "FORBIDDEN"
        assert 'scope="admin"' in response.headers["www-authenticate"]
    assert (await guarded.ask("GET", "/api/v1/sessions?owner=alice", EXECUTE)).status_code == 200


@pytest.mark.parametrize("owner", ["", "%00", "%20x", "x" * 300])
async def test_an_invalid_owner_parameter_is_400(guarded: Guarded, owner: str) -> None:
    response = await guarded.ask("GET", f"/api/v1/sessions?owner={owner}", {Scope.ADMIN})
    assert error_of(response, 400)["details"]["problems"][0]["pointer"] == "/query/owner"


async def test_a_cursor_of_one_owners_list_is_rejected_in_anothers(guarded: Guarded) -> None:
    for owner in ("alice", "alice", "bob", "bob"):
        await guarded.ask("POST", "/api/v1/initialize", EXECUTE, owner, headers=TITLE, json={"script_content": SCRIPT})
    page = await guarded.ask("GET", "/api/v1/sessions?limit=1&owner=alice", {Scope.ADMIN}, "root")
    cursor = page.json()["next_cursor"]
    for query in (f"cursor={cursor}", f"cursor={cursor}&owner=bob", f"cursor={cursor}&owner=*"):
        response = await guarded.ask("GET", f"/api/v1/sessions?{query}", {Scope.ADMIN}, "root")
        assert error_of(response, 400)["details"]["problems"][0]["pointer"] == "/query/owner"
    assert (await guarded.ask("GET", f"/api/v1/sessions?cursor={cursor}", (), "bob")).status_code == 400


async def test_the_details_of_health_are_for_an_admin(guarded: Guarded) -> None:
    async def well() -> dict[str, object]:
        return {"status": "ok", "secret": "detail"}

    guarded.world.process.required["postgres"] = well
    for path, fields in (("/health", {"status"}), ("/readyz", {"status", "draining"})):
        for headers in ({}, credential({*Scope} - {Scope.ADMIN}), {"Authorization": "Bearer none"}):
            response = await guarded.client.get(path, headers=headers)
            assert response.status_code == 200
            assert set(response.json()) == fields
        detailed = await guarded.client.get(path, headers=credential({Scope.ADMIN}))
        assert detailed.json()["components"]["postgres"] == {"status": "ok", "secret": "detail"}


async def test_health_responds_for_every_state_of_authentication(guarded: Guarded) -> None:
    guarded.tokens.failure = StorageUnavailable()
    assert (await guarded.client.get("/health", headers=credential({Scope.ADMIN}))).json() == {"status": "ok"}


async def test_without_authentication_every_caller_is_anonymous_and_sees_the_details() -> None:
    world = World.of()
    async with world.client() as client:
        session_id = await initialized(client)
        seen = await client.get(f"/api/v1/sessions/{session_id}", headers={"Authorization": "Bearer whatever"})
        assert seen.json()["user_id"] == ANONYMOUS == ANYBODY.owner
        assert set((await client.get("/health")).json()) == {"status", "version", "draining", "components"}
        everybodys = (await client.get("/api/v1/sessions?owner=*")).json()["sessions"]
        assert [each["request_id"] for each in everybodys] == [session_id]
        assert (await client.get("/api/v1/sessions?owner=alice")).status_code == 403


async def test_no_credential_is_logged(guarded: Guarded, log_lines: list[Any]) -> None:
    for header in ("Bearer none-of-your-business", "Bearer alice/", f"Bearer pgl_{7:032x}_{'q' * 43}"):
        await guarded.client.get("/api/v1/sessions", headers={"Authorization": header})
    assert len(log_lines) >= 3
    text = repr(log_lines)
    assert "none-of-your-business" not in text
    assert "q" * 43 not in text


async def test_failed_attempts_are_counted_and_logged_with_their_address(
    guarded: Guarded, log_lines: list[Any]
) -> None:
    for header in ({}, {"Authorization": "Bearer none"}, {"Authorization": "Bearer pgl_unknown"}):
        assert (await guarded.client.get("/api/v1/sessions", headers=header)).status_code == 401
    logged = [(line["status"], line["code"], line["client"]) for line in log_lines if line["event"] == "request"]
    assert logged == [(401, "UNAUTHORIZED", "127.0.0.1")] * 3
    metrics = (await guarded.ask("GET", "/metrics", {Scope.ADMIN})).text
    assert 'pglambda_http_requests_total{method="GET",process="0",route="/api/v1/sessions",status="401"} 3.0' in metrics


async def test_failed_attempts_do_not_count_as_in_flight(guarded: Guarded) -> None:
    for number in range(OPTIONS.in_flight_max):
        guarded.world.app.limiter.enter(Owner(f"owner {number}"))
    rejected = await guarded.client.get("/api/v1/sessions", headers={"Authorization": "Bearer none"})
    assert rejected.status_code == 401
    assert (await guarded.ask("GET", "/api/v1/sessions", ())).status_code == 503


@pytest.mark.parametrize(("days", "is_told"), [(14, True), (15, False), (None, False)])
async def test_a_caller_is_told_when_its_key_ends_soon(days: int | None, is_told: bool, log_lines: Any) -> None:
    clock, keys = ManualClock(), MemoryApiKeyRepository()
    service = ApiKeyService(clock, SequentialIds(), keys, lambda: "s" * 43, OPERATOR)
    lifetime = None if days is None else timedelta(days=days)
    issued = await service.create(Owner("alice"), frozenset({Scope.EXECUTE_ALL}), lifetime)
    guard = AuthenticationGuard(Authentication(KeyRing(clock, keys)))
    async with World.of(hooks=Hooks(guards=(guard,))).client() as client:
        response = await client.get("/api/v1/sessions", headers={"Authorization": f"Bearer {issued.text}"})
    assert response.status_code == 200
    ends_at = issued.key.expires_at and issued.key.expires_at.replace(microsecond=0)
    told = response.headers.get("x-api-key-expires-at")
    assert (told and datetime.fromisoformat(told)) == (ends_at if is_told else None)
