"""Sessions end to end: one truth, over restarts and among callers."""

import asyncio
from collections import Counter
from pathlib import Path

import psycopg
import pytest

from domain.errors import StorageUnavailable
from domain.storage.faults import StorageFault
from entrypoints.composition.controller import create_controller
from tests.integration.application.conftest import BOTH_LANGUAGES, ON_SHARED, Api, serving, settings_for
from tests.support.waiting import until

pytestmark = pytest.mark.timeout(120)

COUNTING = "result = params.get('n', 0) + 1"


@ON_SHARED
async def test_twenty_executions_at_once_count_exactly_twenty(shared: Api) -> None:
    session_id = await shared.initialize("python-counting", COUNTING)
    responses = await asyncio.gather(*(shared.execute(session_id, n=n) for n in range(20)))
    assert sorted(response.json()["result"] for response in responses) == list(range(1, 21))
    assert sorted(response.json()["execution_count"] for response in responses) == list(range(1, 21))
    assert (await shared.session(session_id)).json()["execution_count"] == 20
    history = await shared.client.get(f"/api/v1/sessions/{session_id}/executions?limit=50")
    assert Counter(row["outcome"] for row in history.json()["executions"]) == {"succeeded": 20}


async def test_sessions_survive_a_restart_with_exact_counts(database_url: str, data_dir: Path) -> None:
    settings = settings_for(database_url, data_dir)
    async with serving(create_controller(settings)) as api:
        session_id = await api.initialize("python-counting", "result = params['n'] + 1")
        assert (await api.execute(session_id, n=1)).json()["execution_count"] == 1
    async with serving(create_controller(settings)) as api:
        response = (await api.execute(session_id, n=2)).json()
    assert (response["result"], response["execution_count"]) == (3, 2)


async def test_two_controllers_see_one_session(database_url: str, data_dir: Path) -> None:
    settings = settings_for(database_url, data_dir)
    async with serving(create_controller(settings)) as one, serving(create_controller(settings)) as other:
        session_id = await one.initialize("python-counting", COUNTING)
        assert (await other.session(session_id)).status_code == 200
        executed = [(await api.execute(session_id)).json()["execution_count"] for api in (one, other, one)]
        assert executed == [1, 2, 3]
        assert (await other.client.delete(f"/api/v1/sessions/{session_id}")).status_code == 204
        gone = await one.execute(session_id)
    assert (gone.status_code, gone.json()["error"]["code"]) == (410, "SESSION_CLOSED")


@ON_SHARED
async def test_context_and_metadata_come_back_as_they_were_sent(shared: Api) -> None:
    texts = ['{"z": 1, "a": {"y": 1.50, "b": 2}, "big": 1e30}', '{ "b":[1,2.0],\n"a":12345678901234567890 }']
    headers = {"Language-Title": "python-order", "Content-Type": "application/json"}
    script = "result = [list(context), type(context['big']).__name__ if 'big' in context else None]"
    body = f'{{"script_content": "{script}", "context": {texts[0]}, "metadata": {texts[1]}}}'
    session_id = (await shared.client.post("/api/v1/initialize", headers=headers, content=body)).json()["request_id"]
    url = f"/api/v1/sessions/{session_id}"
    assert (await shared.execute(session_id)).json()["result"] == [["z", "a", "big"], "float"]
    patched = f'{{"context": {texts[1]}, "metadata": {texts[0]}}}'
    read = [await shared.client.get(url), await shared.client.get("/api/v1/sessions?fields=context,metadata")]
    changed = [await shared.client.patch(url, headers=headers, content=patched), await shared.client.get(url)]
    for response, (context, metadata) in zip([*read, *changed], [texts, texts, texts[::-1], texts[::-1]], strict=True):
        assert f'"context":{context},"metadata":{metadata}' in response.text
    assert (await shared.execute(session_id)).json()["result"] == [["b", "a"], None]


@BOTH_LANGUAGES
async def test_the_process_says_how_it_is(api: Api) -> None:
    health: dict = {}

    async def is_well() -> bool:
        health.update((await api.client.get("/health")).json())
        return health["status"] == "ok" and (await api.client.get("/readyz")).status_code == 200

    assert (await api.client.get("/livez")).status_code == 200
    await until(is_well, 30)  # on a busy machine a part may be too slow to be heard
    parts = {"postgres", "migrations", "writes", "clock", "runtimes", "sandbox", "cleanup", "storage"}
    assert set(health["components"]) == parts | {"environments", "files", "secrets"}
    assert set(health["components"]["runtimes"]) == {"nodejs", "python"}
    assert health["components"]["postgres"]["latency_ms"] > 0
    assert {runtime["status"] for runtime in health["components"]["runtimes"].values()} == {"ok"}
    assert health["components"]["sandbox"]["layers"]["seccomp"]
    assert "languages" not in health["components"]["sandbox"]


async def test_without_a_database_it_serves_and_says_so(data_dir: Path) -> None:
    away = "postgresql://nobody@127.0.0.1:1/none?connect_timeout=2"
    settings = settings_for(away, data_dir, REQUEST_TIMEOUT_MS="500")
    async with serving(create_controller(settings)) as api:
        assert (await api.client.get("/livez")).status_code == 200
        assert (await api.client.get("/readyz")).status_code == 503
        response = await api.session("019b7ca9-8f2e-7e6b-8000-000000000001")
        assert (response.status_code, response.json()["error"]["code"]) == (503, "STORAGE_UNAVAILABLE")
        created = await api.client.post(
            "/api/v1/initialize", headers={"Language-Title": "python-x"}, json={"script_content": "result = 1"}
        )
        components = (await api.client.get("/health")).json()["components"]
    assert (created.status_code, created.json()["error"]["code"]) == (503, "STORAGE_UNAVAILABLE")
    for name in ("postgres", "migrations"):
        assert components[name]["status"] == "failing"
        assert components[name]["reason"] in {StorageFault.UNREACHABLE.message, StorageUnavailable().message}


async def test_nothing_of_a_purged_session_is_found_in_any_table(api: Api, database_url: str) -> None:
    session_id = await api.initialize("python-echo", "print(params); result = params", context={"mark": MARK})
    url, body = f"/api/v1/execute/{session_id}", {"params": {"mark": MARK}}
    executed = await api.client.post(url, headers={"Idempotency-Key": "order-1"}, json=body)
    assert executed.json()["result"] == {"mark": MARK}
    await api.client.post(url, json={"params": {"mark": MARK, "fails": 1}})
    closed = await api.client.delete(f"/api/v1/sessions/{session_id}")
    assert closed.headers["kept-until"] > "2026"
    assert contents_of(database_url).count(MARK) > 0
    assert (await api.client.delete(f"/api/v1/sessions/{session_id}?purge=true")).status_code == 204
    assert MARK not in contents_of(database_url)
    again = await api.client.post(url, headers={"Idempotency-Key": "order-1"}, json=body)
    assert (again.status_code, MARK in again.text) == (410, False)


async def test_an_execution_that_runs_while_its_session_is_purged_is_not_kept(api: Api, database_url: str) -> None:
    session_id = await api.initialize("python-slow", "import time; time.sleep(params['pause_s']); result = params")
    # A first execution reads the script after it has begun, and finds the session closed then.
    await api.execute(session_id, pause_s=0)
    running = asyncio.create_task(api.execute(session_id, pause_s=50, mark=MARK))

    async def has_begun() -> bool:
        with psycopg.connect(database_url) as connection:
            return connection.execute("SELECT count(*) FROM meta.open_executions").fetchone() == (1,)

    await until(has_begun)
    assert (await api.client.delete(f"/api/v1/sessions/{session_id}?purge=true")).status_code == 204
    response = await running
    assert (response.status_code, response.json()["error"]["code"]) == (409, "EXECUTION_CANCELLED")
    assert MARK not in contents_of(database_url)


MARK = "content-of-a-caller"


def contents_of(database_url: str) -> str:
    """Return all rows of all tables, as a dump has them."""
    with psycopg.connect(database_url) as connection:
        tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'meta'").fetchall()
        return "\n".join(
            str(row) for (table,) in tables for row in connection.execute(f"SELECT t::text FROM meta.{table} AS t")
        )


@ON_SHARED
@pytest.mark.parametrize(
    "value",
    [
        "1e308",
        "1e-16383",
        "9" * 300,
        '"\\ud83d\\ude00"',
        '"\\u0001\\\\\\""',
        "null",
        "[[[-0.0]]]",
        '{"a":' * 50 + "1" + "}" * 50,
    ],
)
async def test_sessions_are_found_by_every_value_that_metadata_can_have(shared: Api, value: str) -> None:
    metadata = f'{{"value": {value}}}'
    body = f'{{"script_content": "result = 1", "metadata": {metadata}}}'
    headers = {"Language-Title": "python-x", "Content-Type": "application/json"}
    made = await shared.client.post("/api/v1/initialize", content=body, headers=headers)
    await shared.initialize("python-x", "result = 1", metadata={"other": 1})
    found = await shared.client.get("/api/v1/sessions", params={"metadata": metadata})
    assert [item["request_id"] for item in found.json()["sessions"]] == [made.json()["request_id"]]
