"""What belongs to somebody else is exactly as absent, at every route that names a thing."""

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from adapters.jwt.claims import ClaimRules
from adapters.jwt.issuer import issue_token
from adapters.random_ids import RandomIds
from domain.access.principal import Scope
from domain.identity import Owner
from entrypoints.composition.controller import create_controller
from entrypoints.http.route import Route
from tests.integration.application.conftest import Api, serving, settings_for

SECRET = "a secret of thirty-two bytes or more"
OWN_HEADERS = {"x-request-id", "date"}
"""Headers that differ between any two answers."""

BODIES: dict[str, Any] = {
    "execute": {"params": {}},
    "execute_batch": {"items": [{"params": {}}]},
    "patch": {"context": {"a": 1}},
}
"""What is sent to each operation that names a thing and takes a body."""


def token(owner: str, *scopes: Scope) -> dict[str, str]:
    held = frozenset(scopes or set(Scope) - {Scope.ADMIN})
    made = issue_token(SECRET, Owner(owner), held, ClaimRules(), (datetime.now(UTC), timedelta(hours=12)))
    return {"Authorization": f"Bearer {made}"}


ALICE, BOB, PYTHON_ONLY = token("alice"), token("bob"), token("bob", Scope.EXECUTE_PYTHON)


def of_things(routes: tuple[Route, ...]) -> list[Route]:
    """Return the operations on a session or an execution."""
    return [each for each in routes if re.search(r"\{(request_id|execution_id)\}", each.path)]


@pytest.fixture
async def guarded(database_url: str, data_dir: Path) -> AsyncIterator[tuple[Api, tuple[Route, ...]]]:
    application = create_controller(settings_for(database_url, data_dir, JWT_SECRET=SECRET))
    async with serving(application) as api:
        yield api, application.routes


async def initialize(api: Api, script: str = "result = 1", **fields: Any) -> str:
    headers = {"Language-Title": "python-x", **ALICE}
    answer = await api.client.post("/api/v1/initialize", headers=headers, json={"script_content": script, **fields})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["request_id"])


async def execute(api: Api, session_id: str, **headers: str) -> httpx2.Response:
    path = f"/api/v1/execute/{session_id}"
    return await api.client.post(path, headers={**ALICE, **headers}, json={"params": {}})


async def told(api: Api, route: Route, ids: dict[str, str], headers: dict[str, str]) -> tuple[Any, ...]:
    """Return everything of an answer that could tell one thing from another, the ids in it aside."""
    path = route.path.format(**ids)
    assert route.body is None or route.name in BODIES, f"say what {route.name} is sent"
    answer = await api.client.request(route.method, path, headers=headers, json=BODIES.get(route.name))
    body = answer.text
    for identifier in ids.values():
        body = body.replace(identifier, "ID")
    shown = sorted((name, value) for name, value in answer.headers.items() if name not in OWN_HEADERS)
    return answer.status_code, body, shown


@pytest.mark.parametrize("headers", [BOB, PYTHON_ONLY], ids=["every scope", "one language"])
async def test_what_belongs_to_somebody_else_is_exactly_as_absent(guarded: Any, headers: dict[str, str]) -> None:
    api, routes = guarded
    live, closed, expired = [await initialize(api), await initialize(api), await initialize(api, ttl_seconds=1)]
    ran = {session_id: (await execute(api, session_id)).json()["execution_id"] for session_id in (live, closed)}
    await api.client.delete(f"/api/v1/sessions/{closed}", headers=ALICE)
    async with asyncio.timeout(30):
        path = f"/api/v1/sessions/{expired}"
        while (await api.client.get(path, headers=ALICE)).status_code != 410:  # noqa: ASYNC110  # by the database's clock
            await asyncio.sleep(0.05)
    ids, now = RandomIds(), datetime.now(UTC)
    absent = {"request_id": str(ids.new(now)), "execution_id": str(ids.new(now))}
    assert len(of_things(routes)) >= 7
    for route in of_things(routes):
        expected = await told(api, route, absent, headers)
        assert expected[0] == 404
        for session_id in (live, closed, expired):
            foreign = {"request_id": session_id, "execution_id": ran.get(session_id, absent["execution_id"])}
            assert await told(api, route, foreign, headers) == expected, route.name
    seen = await api.client.get(f"/api/v1/sessions/{live}", headers=ALICE)
    assert (seen.json()["execution_count"], seen.json()["context"], seen.json()["version"]) == (1, {}, 1)


async def test_lists_show_the_callers_own_alone(guarded: Any) -> None:
    api, _ = guarded
    await initialize(api)
    assert (await api.client.get("/api/v1/sessions", headers=BOB)).json() == {"sessions": [], "next_cursor": None}
    assert len((await api.client.get("/api/v1/sessions", headers=ALICE)).json()["sessions"]) == 1


async def test_an_idempotency_key_of_somebody_else_is_as_good_as_new(guarded: Any) -> None:
    api, _ = guarded
    key, body = {"Idempotency-Key": "the same", "Language-Title": "python-x"}, {"script_content": "result = 1"}
    made = [
        await api.client.post("/api/v1/initialize", headers={**key, **caller}, json=body)
        for caller in (ALICE, BOB, ALICE)
    ]
    assert [answer.status_code for answer in made] == [200] * 3
    first, foreign, again = (answer.json()["request_id"] for answer in made)
    assert first == again != foreign
    assert "idempotent-replayed" not in made[1].headers
    ran = await execute(api, first, **{"Idempotency-Key": "run"})
    path = f"/api/v1/execute/{first}"
    refused = await api.client.post(path, headers={**BOB, "Idempotency-Key": "run"}, json={"params": {}})
    unknown = await api.client.post(
        f"/api/v1/execute/{RandomIds().new(datetime.now(UTC))}",
        headers={**BOB, "Idempotency-Key": "run"},
        json={"params": {}},
    )
    assert ran.status_code == 200
    assert refused.status_code == unknown.status_code == 404
    assert refused.json()["error"] == unknown.json()["error"]


async def test_a_cursor_of_somebody_elses_history_opens_nothing(guarded: Any) -> None:
    api, _ = guarded
    session = await initialize(api)
    for _ in range(2):
        await execute(api, session)
    path = f"/api/v1/sessions/{session}/executions"
    page = (await api.client.get(f"{path}?limit=1", headers=ALICE)).json()
    stolen = await api.client.get(f"{path}?cursor={page['next_cursor']}", headers=BOB)
    assert stolen.status_code == 404


async def test_an_admin_reaches_every_owners_sessions_to_read_and_close_them(guarded: Any) -> None:
    api, _ = guarded
    session, admin = await initialize(api), token("root", Scope.ADMIN)
    ran = (await execute(api, session)).json()["execution_id"]
    path = f"/api/v1/sessions/{session}"
    assert (await api.client.get(path, headers=admin)).json()["user_id"] == "alice"
    assert (await api.client.get(f"{path}?fields=script_content", headers=admin)).json() == {
        "script_content": "result = 1"
    }
    history = (await api.client.get(f"{path}/executions", headers=admin)).json()["executions"]
    assert [row["execution_id"] for row in history] == [ran]
    one = (await api.client.get(f"/api/v1/executions/{ran}", headers=admin)).json()
    assert one["execution_id"] == ran
    listed = (await api.client.get("/api/v1/sessions?owner=*", headers=admin)).json()["sessions"]
    assert [each["user_id"] for each in listed] == ["alice"]
    everything = token("root")
    assert (await api.client.post(f"/api/v1/execute/{session}", headers=everything, json={})).status_code == 404
    assert (await api.client.patch(path, headers=admin, json={"context": {}})).status_code == 404
    assert (await api.client.delete(path, headers=admin)).status_code == 204
    assert (await api.client.get(path, headers=ALICE)).status_code == 410
    assert (await api.client.get(f"/api/v1/sessions/{uuid4()}", headers=admin)).status_code == 404


async def test_turning_authentication_off_shows_anonymous_nothing_of_the_others(
    database_url: str, data_dir: Path
) -> None:
    async with serving(create_controller(settings_for(database_url, data_dir, JWT_SECRET=SECRET))) as api:
        session = await initialize(api)
    async with serving(create_controller(settings_for(database_url, data_dir))) as api:
        assert (await api.session(session)).status_code == 404
        assert (await api.client.get("/api/v1/sessions")).json()["sessions"] == []
