"""What is composed out of settings."""

from pathlib import Path

import psycopg
import pytest

from adapters.postgres.migrations.migration import load_migrations
from entrypoints.composition.commands import Commands
from entrypoints.composition.controller import create_controller
from tests.integration.application.conftest import NODEJS_HERE, serving, settings_for
from tests.support.waiting import until

FIRST, *FURTHER = [str(step) for step in load_migrations()]


async def test_a_mapping_file_adds_spellings(database_url: str, data_dir: Path, tmp_path: Path) -> None:
    path = tmp_path / "mapping.json"
    path.write_text('{"prefixes": {"py-": "python", "js-": "nodejs"}}')
    settings = settings_for(database_url, data_dir, RUNTIME_MAPPINGS_FILE=str(path), **NODEJS_HERE)
    async with serving(create_controller(settings)) as api:
        session_id = await api.initialize("py-sum", "result = 1")
        assert (await api.session(session_id)).json()["language_title"] == "python-sum"
        await api.client.put("/api/v1/functions/js-sum", json={"script_content": "return 2"})
        called = await api.client.post("/api/v1/functions/nodejs-sum/execute")
        assert (called.json()["language_title"], called.json()["result"]) == ("nodejs-sum", 2)


async def test_a_database_without_schema_is_not_ready_and_says_what_to_do(
    empty_database_url: str, data_dir: Path
) -> None:
    async with serving(create_controller(settings_for(empty_database_url, data_dir))) as api:
        assert (await api.client.get("/readyz")).status_code == 503
        response = await api.client.get("/api/v1/sessions")
        assert (response.status_code, response.json()["error"]["code"]) == (503, "STORAGE_UNAVAILABLE")
        component = (await api.client.get("/health")).json()["components"]["migrations"]
    assert component["status"] == "failing"
    assert "pglambda migrate up" in component["reason"]
    assert component["pending"] == [FIRST, *FURTHER]


async def test_beside_a_migration_of_a_newer_release_it_is_ready_and_names_it(
    database_url: str, data_dir: Path
) -> None:
    newest = len(FURTHER) + 1
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "INSERT INTO meta.migrations VALUES (%s, 'next', 'another', now(), %s)", (newest + 1, newest)
        )
    async with serving(create_controller(settings_for(database_url, data_dir))) as api:

        async def is_ready() -> bool:
            return (await api.client.get("/readyz")).status_code == 200

        await until(is_ready, 30)
        component = (await api.client.get("/health")).json()["components"]["migrations"]
        assert component == {"status": "ok", "newer": [f"{newest + 1:04d}_next"]}


async def test_migrations_go_up_and_down_by_name_and_refuse_to_destroy(empty_database_url: str, data_dir: Path) -> None:
    settings = settings_for(empty_database_url, data_dir)
    steps = Commands(settings=settings).migrations()
    assert [str(step) for step in await steps.up(dry_run=True)] == [FIRST, *FURTHER]
    assert [str(step) for step in await steps.up(1)] == [FIRST]
    assert [str(step) for step in await steps.up()] == FURTHER
    async with serving(create_controller(settings)) as api:
        await api.initialize("python-x", "result = 1")
    assert [step.name for step in await steps.down(1)] == FURTHER[::-1]
    with pytest.raises(RuntimeError, match="0001_sessions would delete 1 session: add --destroy-sessions"):
        await steps.down(0)
    status = [(step.name, step.applied_at is not None) for step in await steps.status()]
    assert status == [(FIRST, True), *((name, False) for name in FURTHER)]
    assert [step.name for step in await steps.down(0, destroy={"sessions"})] == [FIRST]


async def test_more_connections_than_the_server_grants_are_reported(database_url: str, data_dir: Path) -> None:
    settings = settings_for(database_url, data_dir, DB_POOL_MAX="200", WEB_CONCURRENCY="2")
    async with serving(create_controller(settings)) as api:
        component = (await api.client.get("/health")).json()["components"]["postgres"]
    assert component["status"] == "degraded"
    assert "DB_POOL_MAX x WEB_CONCURRENCY is 400" in component["reason"]


async def test_where_scripts_run_elsewhere_the_sandbox_says_so(database_url: str, data_dir: Path) -> None:
    elsewhere = {"NODEJS_RUNTIME_URL": "http://127.0.0.1:1", "PYTHON_RUNTIME_URL": "http://127.0.0.1:1"}
    async with serving(create_controller(settings_for(database_url, data_dir, **elsewhere))) as api:
        component = (await api.client.get("/health")).json()["components"]["sandbox"]
    assert "runtime hosts" in component["reason"]
