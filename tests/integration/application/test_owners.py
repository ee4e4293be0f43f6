"""What belongs to somebody else is exactly as absent, at every route that names a thing."""

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

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
"""Headers that differ between any two responses."""

BODIES: dict[str, Any] = {
    "execute_session": {"params": {}},
    "execute_batch": {"items": [{"params": {}}]},
    "patch_session": {"context": {"a": 1}},
    "put_state": {"state": {}},
    "patch_state": {"state": {}},
    "put_state_key": {"value": 1},
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
    response = await api.client.post("/api/v1/initialize", headers=headers, json={"script_content": script, **fields})
    assert response.status_code == 200, response.text
    return str(response.json()["request_id"])


async def execute(api: Api, session_id: str, **headers: str) -> httpx2.Response:
    path = f"/api/v1/execute/{session_id}"
    return await api.client.post(path, headers={**ALICE, **headers}, json={"params": {}})


async def comparable(api: Api, route: Route, ids: dict[str, str], headers: dict[str, str]) -> tuple[Any, ...]:
    """Return everything in a response that could distinguish two resources, except the ids."""
    path = route.path.format(**ids, state_key="a")
    assert route.body is None or route.name in BODIES, f"say what {route.name} is sent"
    response = await api.client.request(route.method, path, headers=headers, json=BODIES.get(route.name))
    body = response.text
    for identifier in ids.values():
        body = body.replace(identifier, "ID")
    shown = sorted((name, value) for name, value in response.headers.items() if name not in OWN_HEADERS)
    return response.status_code, body, shown


@pytest.mark.parametrize("headers", [BOB, PYTHON_ONLY], ids=["every scope", "one language"])
async def test_what_belongs_to_somebody_else_is_exactly_as_absent(guarded: Any, headers: dict[str, str]) -> None:
    api, routes = guarded
    state = {"state": {"mode": "exclusive"}}
    live, closed = await initialize(api, **state), await initialize(api, **state)
    expired = await initialize(api, ttl_seconds=1, **state)
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
        expected = await comparable(api, route, absent, headers)
        assert expected[0] == 404
        for session_id in (live, closed, expired):
            foreign = {"request_id": session_id, "execution_id": ran.get(session_id, absent["execution_id"])}
            assert await comparable(api, route, foreign, headers) == expected, route.name
    seen = await api.client.get(f"/api/v1/sessions/{live}", headers=ALICE)
    assert (seen.json()["execution_count"], seen.json()["context"], seen.json()["version"]) == (1, {}, 1)


async def test_turning_authentication_off_shows_anonymous_nothing_of_the_others(
    database_url: str, data_dir: Path
) -> None:
    async with serving(create_controller(settings_for(database_url, data_dir, JWT_SECRET=SECRET))) as api:
        session = await initialize(api)
    async with serving(create_controller(settings_for(database_url, data_dir))) as api:
        assert (await api.session(session)).status_code == 404
        assert (await api.client.get("/api/v1/sessions")).json()["sessions"] == []
