"""Explanations of what was removed, taken over, left open, or never there, each in a database of its own."""

import json
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from domain.identity import uuid7_at, uuid7_time
from entrypoints.cli.explain.explanation import explain
from entrypoints.composition.commands import Commands
from entrypoints.composition.controller import create_controller
from entrypoints.settings.settings import Settings
from tests.foreign_ids import EXTREMES, TAKEN, random_v4, uuid_of
from tests.integration.application.conftest import Api, serving
from tests.integration.commands.conftest import Run, Write
from tests.integration.commands.test_explain import explained, read, texts_of


@pytest.fixture
async def api(python_settings: Settings) -> AsyncIterator[Api]:
    async with serving(create_controller(python_settings)) as api:
        yield api


async def test_a_session_of_a_purged_owner_says_so(api: Api, settings: Settings, run: Run) -> None:
    session_id = await api.initialize("python-x", "result = params")
    await api.execute(session_id)
    ended = run("owners", "purge", "anonymous", "--yes")
    assert ended.returncode == 0, ended.stderr
    found = await explained(settings, session_id)
    (purged,) = texts_of(found, "purged")
    assert purged.startswith("All content of its owner was purged at ")
    newest, *_ = json.loads(run("audit", "--output", "json").stdout)
    assert (newest["act"], newest["origin"], newest["subject"]) == ("owners.purge", "cli", "anonymous")
    assert newest["details"]["sessions"] == 1
    assert "@" in newest["actor"]
    later = await api.initialize("python-x", "result = params")
    assert not texts_of(await explained(settings, later), "purged")


async def test_open_executions_are_running_or_unknown(
    settings: Settings, python_settings: Settings, write: Write
) -> None:
    # The service has ended before: its cleanup would move the overdue one into the history.
    async with serving(create_controller(python_settings)) as api:
        session_id = await api.initialize("python-x", "result = 1")
    now = uuid7_time(UUID(session_id))
    running, overdue = uuid7_at(now, 1), uuid7_at(now, 2)
    for execution_id, deadline_at in ((running, now + timedelta(hours=1)), (overdue, now)):
        write(
            "INSERT INTO meta.open_executions VALUES (%(session_id)s, %(id)s, 'anonymous', 0, %(until)s)",
            session_id=session_id,
            id=execution_id,
            until=deadline_at,
        )
    assert len(texts_of(await explained(settings, session_id), "open")) == 2
    assert (await explained(settings, running)).state == "under-way"
    assert (await explained(settings, overdue)).state == "unknown"


async def test_an_id_that_never_existed(settings: Settings, run: Run) -> None:
    now = (await read(settings, uuid7_at(datetime.fromisoformat("2026-01-01T00:00:00Z"), 0))).clock.now
    assert (await explained(settings, uuid7_at(now, 7))).state == "never-here"
    assert (await explained(settings, uuid7_at(now + timedelta(days=40), 7))).state == "never-here"
    assert (await explained(settings, uuid7_at(now - timedelta(days=2), 7))).state == "removed-or-never-here"
    foreign = run("explain", "00000000-0000-4000-8000-000000000000")
    assert (foreign.returncode, "was not made by this service" in foreign.stdout) == (0, True)
    assert run("explain", "nonsense").returncode == 2


async def test_every_id_has_an_explanation(settings: Settings) -> None:
    absent = {"foreign", "never-here", "removed-or-never-here"}
    sevens = [uuid_of(7, each.int >> 80) for each in random_v4(100)]
    commands = Commands(settings=settings)
    async with commands.database_access().opened():
        for identifier in [*EXTREMES, *random_v4(100), *sevens]:
            found = await commands.timeline().read(identifier)
            assert explain(found, commands.retention_times()).state in absent


async def test_a_session_that_was_taken_over(api: Api, settings: Settings, write: Write) -> None:
    session_id, taken = await api.initialize("python-x", "result = 1"), str(TAKEN[2])
    write(
        "UPDATE meta.sessions SET request_id = %(taken)s, created_at = '2026-01-02T00:00:00Z', convention = 'origin' "
        "WHERE request_id = %(id)s",
        taken=taken,
        id=session_id,
    )
    execution_id = (await api.execute(taken)).json()["execution_id"]
    async with Commands(settings=settings).database_inspection() as inspector:
        contents = await inspector.contents(UUID(session_id))
    await api.client.delete(f"/api/v1/sessions/{taken}?purge=true")
    assert (contents.sessions, contents.foreign_sessions, contents.newer_sessions) == (1, 1, 0)
    assert str(contents.newest_id) == execution_id
    found = await explained(settings, taken)
    assert found.state == "closed"
    assert texts_of(found, "created")[0].startswith("It was created at 2026-01-02 00:00:00.000000Z, by the clock of")
    assert "Its script is called by the convention origin." in texts_of(found, "script")
    (purged,) = texts_of(found, "purged")
    assert purged.endswith(
        "Erased: 0 deliveries, 1 execution, 0 idempotency keys, 0 open executions, 0 queued executions, 0 schedules."
    )
    write("DELETE FROM meta.sessions WHERE request_id = %(id)s", id=taken)
    assert (await explained(settings, taken)).state == "removed"


async def test_a_function_that_is_no_longer_stored(api: Api, settings: Settings, write: Write) -> None:
    made = await api.client.post("/api/v1/initialize", headers={"Language-Title": "python-text_processor"}, json={})
    write("DELETE FROM meta.functions WHERE title = 'text_processor'")
    found = await explained(settings, made.json()["request_id"])
    assert texts_of(found, "script") == ["It uses version 1 of a function that is no longer stored."]
