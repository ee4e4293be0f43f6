"""Commands for tokens, keys and owners, against the application that they are for."""

import json
from pathlib import Path

import pytest

from entrypoints.composition.controller import create_controller
from entrypoints.settings.settings import Settings
from tests.integration.application.conftest import bearer, serving, settings_for
from tests.integration.commands.conftest import Run

# Each test starts several processes.
pytestmark = pytest.mark.timeout(600)

ISSUER = {"JWT_SECRET": "a secret of thirty-two bytes or more", "JWT_ISSUER": "here", "JWT_AUDIENCE": "pglambda"}


@pytest.fixture
def settings(database_url: str, data_dir: Path) -> Settings:
    return settings_for(database_url, data_dir, **ISSUER)


@pytest.fixture
def variables(variables: dict[str, str]) -> dict[str, str]:
    return variables | ISSUER


async def test_the_service_accepts_a_token_of_the_command(run: Run, settings: Settings) -> None:
    made = run("token", "--owner", "alice", "--scope", "execute:all", "--expires-in", "5m")
    assert (made.returncode, made.stderr) == (0, "")
    async with serving(create_controller(settings)) as api:
        assert (await api.client.get("/api/v1/sessions", headers=bearer(made.stdout.strip()))).status_code == 200
        assert (await api.client.get("/api/v1/sessions", headers=bearer(made.stdout.strip()[:-2]))).status_code == 401


async def test_the_sessions_of_a_batch_are_in_the_usage_of_their_owner(run: Run, settings: Settings) -> None:
    caller, admin = (
        bearer(run("token", "--owner", owner, "--scope", scope).stdout.strip())
        for owner, scope in (("alice", "execute:python"), ("root", "admin"))
    )
    items = [
        {"language_title": "python-x", "script_content": "result = 1"},
        {"language_title": "nodejs-x", "script_content": "return 1"},
    ]
    async with serving(create_controller(settings)) as api:
        made = await api.client.post("/api/v1/initialize/batch", json={"items": items}, headers=caller)
        assert sorted(json.loads(line)["status"] for line in made.text.splitlines()) == [200, 403]
        assert (await api.client.get("/api/v1/usage?owner=*", headers=caller)).status_code == 403
        (own,) = (await api.client.get("/api/v1/usage", headers=caller)).json()["owners"]
        reports = (await api.client.get("/api/v1/usage?owner=*", headers=admin)).json()["owners"]
    assert [report["owner"] for report in reports] == ["alice", "shared"]
    assert reports[0] == own
    listed = {
        report["owner"]: report["quotas"] for report in json.loads(run("owners", "usage", "--output", "json").stdout)
    }
    assert listed["alice"]["live_sessions"] == {"observed": 1, "allowed": None}
    assert listed["shared"]["functions"]["observed"] > 0


async def test_a_key_is_created_listed_used_and_revoked(run: Run, settings: Settings) -> None:
    made = run(
        "keys", "create", "--owner", "alice", "--scope", "execute:python", "--expires-in", "1d", "--output", "json"
    )
    assert made.returncode == 0, made.stderr
    facts = json.loads(made.stdout)
    async with serving(create_controller(settings)) as api:
        assert (await api.client.get("/api/v1/sessions", headers=bearer(facts["key"]))).status_code == 200
    listed = run("keys", "list")
    assert facts["id"] in listed.stdout
    secret = facts["key"].rpartition("_")[2]
    revoked = run("keys", "revoke", facts["id"], "--yes")
    assert revoked.stdout.startswith(f"Revoked {facts['id']} of alice.")
    assert secret not in listed.stdout + listed.stderr + revoked.stdout + revoked.stderr
    async with serving(create_controller(settings)) as api:
        result = await api.client.get("/api/v1/sessions", headers=bearer(facts["key"]))
    assert (result.status_code, result.json()["error"]["details"]["reason"]) == (401, "the API key was revoked")
    again = run("keys", "revoke", "0" * 32, "--yes")
    assert again.returncode == 1
    assert "There is no API key with this id" in again.stderr


async def test_turning_authentication_on_loses_no_session(run: Run, settings: Settings, database_url: str) -> None:
    async with serving(create_controller(settings_for(database_url, settings.data_dir))) as api:
        session_id = await api.initialize("python-x", "result = params['a'] * 2")
        assert (await api.execute(session_id, a=1)).json()["result"] == 2
    counted = run("owners", "move", "anonymous", "alice", "--dry-run")
    assert (
        counted.stdout
        == "Would move 1 session, 0 idempotency keys, 1 execution in the history, 0 functions, 0 webhooks, 0 schedules, "
        "0 files, 0 egress rules, 0 secrets.\n"
    )
    token = run("token", "--owner", "alice", "--scope", "execute:python").stdout.strip()
    async with serving(create_controller(settings)) as api:
        path = f"/api/v1/execute/{session_id}"
        assert (await api.client.post(path, headers=bearer(token), json={"params": {"a": 2}})).status_code == 404
        moved = run("owners", "move", "anonymous", "alice", "--yes")
        assert moved.returncode == 0, moved.stderr
        assert (
            moved.stdout
            == "Moved 1 session, 0 idempotency keys, 1 execution in the history, 0 functions, 0 webhooks, 0 schedules, "
            "0 files, 0 egress rules, 0 secrets.\n"
        )
        ran = await api.client.post(path, headers=bearer(token), json={"params": {"a": 2}})
        assert (ran.json()["result"], ran.json()["execution_count"]) == (4, 2)
        history = await api.client.get(f"/api/v1/sessions/{session_id}/executions", headers=bearer(token))
        assert len(history.json()["executions"]) == 2


def test_a_database_without_the_tables_is_an_error_with_the_remedy(
    run: Run, empty_database_url: str, settings: Settings
) -> None:
    assert settings.database_url is not None
    empty = settings_for(empty_database_url, settings.data_dir)
    assert empty.database_url is not None
    for arguments in (("keys", "list"), ("owners", "move", "anonymous", "alice")):
        result = run(*arguments, DATABASE_URL=empty.database_url.reveal())
        assert result.returncode == 1
        assert "pglambda migrate up" in result.stderr
        assert "Traceback" not in result.stderr
