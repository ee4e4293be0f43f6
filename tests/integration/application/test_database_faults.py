"""A database that does not serve: callers get the reason, and the operator what the server said."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import httpx2
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from domain.storage.faults import StorageFault
from entrypoints.composition.controller import Controller
from entrypoints.http.app import Application
from entrypoints.settings.settings import Settings
from tests.integration.application.conftest import Api, serving, settings_for
from tests.support.waiting import until

PATIENCE_S = 20.0

Change = Callable[[str], None]

DISK_FULL = """
CREATE FUNCTION meta.fails() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END $$;
CREATE TRIGGER fails BEFORE INSERT ON meta.sessions FOR EACH ROW EXECUTE FUNCTION meta.fails();
CREATE TRIGGER fails BEFORE INSERT ON meta.open_executions FOR EACH ROW EXECUTE FUNCTION meta.fails();
"""
NO_DISK_FULL = "DROP TRIGGER fails ON meta.sessions; DROP TRIGGER fails ON meta.open_executions"


@pytest.fixture
def change(database_url: str) -> Change:
    def run(statement: str) -> None:
        with psycopg.connect(database_url, autocommit=True) as connection:
            connection.execute(statement)

    return run


@pytest.fixture
def reader(database_url: str, server_url: str, change: Change) -> Iterator[str]:
    """The name of a role that may read every table, and write none."""
    name = f"reader_{uuid4().hex}"
    change(f"CREATE ROLE {name} LOGIN; GRANT USAGE ON SCHEMA meta TO {name}")
    change(f"GRANT SELECT ON ALL TABLES IN SCHEMA meta TO {name}")
    yield name
    change(f"DROP OWNED BY {name}")
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f"DROP ROLE {name}")


def create_controller(settings: Settings) -> Application:
    """Return a controller whose attempts of writes are ten times as frequent: their interval is five seconds."""
    controller = Controller(settings=settings)
    controller.observation.write_probe.add_kwargs(monotonic=lambda: 10 * time.monotonic())
    application: Application = controller.application()
    return application


async def initialize(api: Api) -> httpx2.Response:
    script = {"script_content": "result = 1"}
    return await api.client.post("/api/v1/initialize", headers={"Language-Title": "python-x"}, json=script)


async def ready(api: Api) -> bool:
    return (await api.client.get("/readyz")).status_code == 200


async def reason_of(api: Api) -> str:
    """Wait until the process is not ready, and return the reason."""
    found: list[str] = []

    async def reported() -> bool:
        response = await api.client.get("/readyz")
        found.append(response.json().get("reason", ""))
        return response.status_code == 503

    await until(reported, PATIENCE_S)
    return found[-1]


def require(response: httpx2.Response, fault: StorageFault, *secrets: str) -> None:
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["details"]["reason"]) == (503, "STORAGE_UNAVAILABLE", fault)
    assert error["message"] == fault.message
    assert error["details"]["retry_after_ms"] == fault.retry_after_ms
    assert not any(secret in response.text for secret in secrets)


async def test_without_schema_callers_and_readiness_name_the_command(empty_database_url: str, data_dir: Path) -> None:
    async with serving(create_controller(settings_for(empty_database_url, data_dir))) as api:
        require(await initialize(api), StorageFault.SCHEMA_MISSING)
        assert "run `pglambda migrate up`" in await reason_of(api)


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"user": "nobody-knows-me"}, StorageFault.LOGIN_REJECTED),
        ({"dbname": "nothing-is-here"}, StorageFault.DATABASE_MISSING),
        ({"host": "/nonexistent-folder"}, StorageFault.UNREACHABLE),
    ],
    ids=["login", "database", "network"],
)
async def test_a_connection_that_fails_has_its_reason_and_only_health_has_the_names(
    database_url: str, data_dir: Path, changed: dict[str, str], fault: StorageFault
) -> None:
    wrong = make_conninfo(database_url, **changed)
    async with serving(create_controller(settings_for(wrong, data_dir, REQUEST_TIMEOUT_MS="2000"))) as api:
        names = (*changed.values(), conninfo_to_dict(database_url)["host"])
        assert await reason_of(api) == fault.message

        async def reported() -> bool:
            return "reason" in (await initialize(api)).json()["error"]["details"]

        await until(reported, PATIENCE_S)  # the clock learns the reason with its next probe
        require(await initialize(api), fault, *names)
        component = (await api.client.get("/health")).json()["components"]["postgres"]
        assert component["reason"] == fault.message
        assert next(iter(changed.values())) in component["detail"]


async def test_a_role_that_may_only_read_is_not_ready_until_the_right_is_granted(
    database_url: str, data_dir: Path, change: Change, reader: str
) -> None:
    weak = make_conninfo(database_url, user=reader)
    async with serving(create_controller(settings_for(weak, data_dir))) as api:
        require(await initialize(api), StorageFault.RIGHT_MISSING, reader)
        assert await reason_of(api) == StorageFault.RIGHT_MISSING.message
        component = (await api.client.get("/health")).json()["components"]["writes"]
        assert component["detail"].startswith("permission denied for table open_executions")
        assert (await api.client.get("/api/v1/sessions")).status_code == 200
        change(f"GRANT INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA meta TO {reader}")
        assert (await initialize(api)).status_code == 200
        await until(lambda: ready(api), PATIENCE_S)


async def test_a_database_that_becomes_read_only_is_reported(database_url: str, data_dir: Path, change: Change) -> None:
    name = conninfo_to_dict(database_url)["dbname"]
    async with serving(create_controller(settings_for(database_url, data_dir, REQUEST_TIMEOUT_MS="2000"))) as api:
        await until(lambda: ready(api), PATIENCE_S)
        change(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        change(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}' AND pid <> pg_backend_pid()"
        )
        require(await initialize(api), StorageFault.READ_ONLY)
        assert await reason_of(api) == StorageFault.READ_ONLY.message


async def test_a_full_disk_is_reported_and_service_resumes_by_itself(
    database_url: str, data_dir: Path, change: Change
) -> None:
    change(DISK_FULL)
    async with serving(create_controller(settings_for(database_url, data_dir))) as api:
        require(await initialize(api), StorageFault.DISK_FULL)
        assert await reason_of(api) == StorageFault.DISK_FULL.message
        change(NO_DISK_FULL)
        assert (await initialize(api)).status_code == 200
        await until(lambda: ready(api), PATIENCE_S)


async def test_the_attempted_write_leaves_nothing(api: Api, database_url: str) -> None:
    await until(lambda: ready(api), PATIENCE_S)
    metrics = (await api.client.get("/metrics")).text
    (tried,) = [line for line in metrics.splitlines() if "seconds_count" in line and 'statement="try_write"' in line]
    assert float(tried.split()[-1]) >= 1
    with psycopg.connect(database_url, autocommit=True) as connection:
        assert connection.execute("SELECT count(*) FROM meta.open_executions").fetchall() == [(0,)]
