"""Tokens, API keys and published keys on requests to the real application."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
import structlog
from attrs import define, field

from adapters.jwt.claims import ClaimRules
from adapters.jwt.issuer import issue_token
from domain.access.api_key_service import ApiKeyService
from domain.access.principal import Scope
from domain.identity import Owner
from entrypoints.composition.commands import Commands
from entrypoints.composition.controller import create_controller
from entrypoints.settings.settings import Settings
from tests.integration.application.conftest import Api, bearer, serving, settings_for
from tests.support.waiting import until
from tests.unit.jwt.forge import ED, RSA, claims, eddsa, pem, rs256, token
from tests.unit.jwt.test_keys import ED_JWK, RSA_JWK

SECRET = "a secret of thirty-two bytes or more"
ALL = frozenset(Scope)


def signed(owner: str = "alice", scopes: frozenset[Scope] = ALL) -> str:
    span = datetime.now(UTC), timedelta(minutes=10)
    return issue_token(SECRET, Owner(owner), scopes, ClaimRules(), span)


async def status(api: Api, credential: str | None, path: str = "/api/v1/sessions") -> int:
    headers = {} if credential is None else bearer(credential)
    return (await api.client.get(path, headers=headers)).status_code


async def is_ready(api: Api) -> bool:
    return await status(api, None, "/readyz") == 200


async def has_status(api: Api, credential: str, wanted: int) -> None:
    async def holds() -> bool:
        return await status(api, credential) == wanted

    await until(holds, timeout_s=30)


@contextlib.asynccontextmanager
async def keys_of(settings: Settings) -> AsyncIterator[ApiKeyService]:
    commands = Commands(settings=settings)
    async with commands.database_access().opened():
        yield commands.keys()


async def issue(settings: Settings, lifetime: timedelta | None = None) -> Any:
    async with keys_of(settings) as keys:
        return await keys.create(Owner("alice"), frozenset({Scope.EXECUTE_ALL}), lifetime)


async def test_a_secret_turns_authentication_on(database_url: str, data_dir: Path) -> None:
    async with serving(create_controller(settings_for(database_url, data_dir, JWT_SECRET=SECRET))) as api:
        assert await status(api, None) == 401
        assert await status(api, signed()) == 200
        headers = {"Language-Title": "python-x", **bearer(signed())}
        made = await api.client.post("/api/v1/initialize", headers=headers, json={"script_content": "result = 41 + 1"})
        path = f"/api/v1/execute/{made.json()['request_id']}"
        ran = await api.client.post(path, headers=bearer(signed()), json={})
        assert ran.json()["result"] == 42
        for open_path in ("/livez", "/readyz", "/health"):
            assert await status(api, None, open_path) == 200
        assert await status(api, None, "/metrics") == 401
        assert await status(api, signed(scopes=ALL - {Scope.ADMIN}), "/metrics") == 403
        assert await status(api, signed(), "/metrics") == 200


@pytest.mark.parametrize(("key", "header", "sign"), [(RSA, {"alg": "RS256"}, rs256()), (ED, {"alg": "EdDSA"}, eddsa())])
async def test_a_public_key_verifies_what_its_holder_signs(
    database_url: str, data_dir: Path, key: Any, header: Any, sign: Any
) -> None:
    settings = settings_for(database_url, data_dir, JWT_PUBLIC_KEY=pem(key), JWT_AUDIENCE="pglambda")
    async with serving(create_controller(settings)) as api:
        good = token(claims(datetime.now(UTC), aud="pglambda"), header, sign)
        assert await status(api, good) == 200
        assert await status(api, token(claims(datetime.now(UTC)), header, sign)) == 401
        assert await status(api, signed()) == 401


async def test_api_keys_alone_are_asked_for_by_name(database_url: str, data_dir: Path) -> None:
    settings = settings_for(database_url, data_dir, AUTH="required")
    issued = await issue(settings)
    brief = await issue(settings, timedelta(seconds=1))
    async with serving(create_controller(settings)) as api:
        assert await status(api, str(issued.text)) == 200
        assert await status(api, str(issued.text)[:-1] + "x") == 401
        assert await status(api, signed()) == 401
        await has_status(api, str(brief.text), 401)
        async with keys_of(settings) as keys:
            await keys.revoke(issued.key.key_id)
        await has_status(api, str(issued.text), 401)


async def test_a_lookup_of_a_key_may_take_its_part_of_a_long_budget(database_url: str, data_dir: Path) -> None:
    settings = settings_for(database_url, data_dir, AUTH="required", REQUEST_TIMEOUT_MS="20000")
    issued = await issue(settings)
    async with (
        serving(create_controller(settings)) as api,
        await psycopg.AsyncConnection.connect(database_url) as other,
    ):
        await other.execute("LOCK TABLE meta.api_keys IN ACCESS EXCLUSIVE MODE")
        call = asyncio.create_task(status(api, str(issued.text)))
        await until(partial(has_waited, other), 20)
        assert not call.done()
        await other.rollback()
        assert await call == 200


async def has_waited(connection: psycopg.AsyncConnection[Any]) -> bool:
    """Return whether a statement has waited for a lock for longer than the time limit with the default budget."""
    await connection.execute("SELECT pg_stat_clear_snapshot()")  # a transaction sees one state of the activity
    found = await connection.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' "
        "AND clock_timestamp() - query_start > '0.7 s'"
    )
    return bool((await found.fetchone() or (0,))[0])


@define(eq=False)
class Issuer:
    """Publishes keys over HTTP."""

    keys: list[Any] = field(factory=list)
    url: str = ""
    fetched: asyncio.Event = field(factory=asyncio.Event)

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        server = await asyncio.start_server(self._respond, "127.0.0.1", 0)
        async with server:
            self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/keys"
            yield

    async def _respond(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = json.dumps({"keys": self.keys}).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
        writer.close()
        self.fetched.set()


async def test_published_keys_are_fetched_and_followed(database_url: str, data_dir: Path) -> None:
    issuer = Issuer([RSA_JWK])
    async with issuer.serving():
        settings = settings_for(database_url, data_dir, JWT_JWKS_URL=issuer.url)
        async with serving(create_controller(settings)) as api:
            # Tokens come afterwards: one with an unknown key starts a fetch, at most once in ten seconds.
            await asyncio.wait_for(issuer.fetched.wait(), 30)
            now = datetime.now(UTC)
            old = token(claims(now), {"alg": "RS256", "kid": "r"}, rs256())
            new = token(claims(now, scope="admin"), {"alg": "EdDSA", "kid": "o"}, eddsa())
            await has_status(api, old, 200)
            issuer.keys = [ED_JWK]
            await has_status(api, new, 200)
            assert await status(api, old) == 401
            health = (await api.client.get("/health", headers=bearer(new))).json()
            assert health["components"]["token_keys"] == {"status": "ok", "keys": 1}


async def test_an_issuer_that_is_away_does_not_stop_the_start(database_url: str, data_dir: Path) -> None:
    settings = settings_for(database_url, data_dir, JWT_JWKS_URL="http://127.0.0.1:1/keys")
    async with serving(create_controller(settings)) as api:
        await until(partial(is_ready, api), 20)
        assert await status(api, token(claims(datetime.now(UTC)), {"alg": "RS256"}, rs256())) == 503


async def test_the_start_reports_sessions_that_no_caller_can_reach_any_more(database_url: str, data_dir: Path) -> None:
    async with serving(create_controller(settings_for(database_url, data_dir))) as api:
        for _ in range(3):
            await api.initialize("python-x", "result = 1")
    with structlog.testing.capture_logs() as lines:
        async with (
            serving(create_controller(settings_for(database_url, data_dir, JWT_SECRET=SECRET))),
            asyncio.timeout(30),
        ):
            while not (  # noqa: ASYNC110  # the log has no event for its lines
                logged := [line for line in lines if line["event"] == "anonymous_sessions_found"]
            ):
                await asyncio.sleep(0.02)
    assert logged[0]["sessions"] == "3"
    assert "pglambda owners move anonymous" in logged[0]["remedy"]
    assert SECRET not in repr(lines)
