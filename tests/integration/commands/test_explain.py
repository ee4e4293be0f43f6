"""The stories of sessions and executions that really were, or never."""

import json
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest

from domain.identity import uuid7_at, uuid7_time
from domain.timeline import ExplainedState, Explanation, Timeline
from entrypoints.cli.explanation.explanation import explain
from entrypoints.composition.commands import Commands
from entrypoints.composition.controller import create_controller
from entrypoints.settings.settings import Settings
from tests.foreign_ids import EXTREMES, random_v4, uuid_of
from tests.integration.application.conftest import Api, serving
from tests.integration.commands.conftest import Run

Write = Callable[..., None]


@pytest.fixture
async def api(settings: Settings) -> AsyncIterator[Api]:
    async with serving(create_controller(settings)) as api:
        yield api


@pytest.fixture
def write(database_url: str) -> Write:
    def run(statement: str, **values: Any) -> None:
        with psycopg.connect(database_url, autocommit=True) as connection:
            assert connection.execute(statement, values).rowcount

    return run


async def read(settings: Settings, identifier: UUID | str) -> Timeline:
    commands = Commands(settings=settings)
    async with commands.database_access().opened():
        return await commands.timeline().read(UUID(str(identifier)))


async def story(settings: Settings, identifier: UUID | str) -> Explanation:
    return explain(await read(settings, identifier), Commands(settings=settings).retention_times())


def told(found: Explanation, topic: str) -> list[str]:
    return [each.text for each in found.statements if each.topic == topic]


async def keyed(api: Api, session_id: str, key: str) -> str:
    answer = await api.client.post(
        f"/api/v1/execute/{session_id}", headers={"Idempotency-Key": key}, json={"params": {}}
    )
    return str(answer.json()["execution_id"])


async def test_the_life_of_a_session_by_the_command_itself(api: Api, run: Run) -> None:
    session_id = await api.initialize("python-x", "result = 1", renewal="sliding", ttl_seconds=1000)
    execution_id = await keyed(api, session_id, "order-1")
    await api.execute(session_id)
    await api.client.delete(f"/api/v1/sessions/{session_id}")
    session = run("explain", session_id)
    assert session.returncode == 0, session.stderr
    for said in (
        "The session was closed on ",
        "It belongs to anonymous and runs python-x. [the session's row]",
        "2 executions reached a worker and ended",
        "The history keeps 2 of its executions",
        "1 execution had an Idempotency-Key",
        "It is ",
    ):
        assert said in session.stdout
    document = json.loads(run("explain", execution_id, "--output", "json").stdout)
    assert (document["id"], document["verdict"]) == (execution_id, "ended")
    texts = {each["topic"]: each["text"] for each in document["statements"]}
    assert texts["key"].startswith("It had the Idempotency-Key 'order-1'")
    assert f"to the session {session_id}, which is closed" in texts["session"]
    assert abs(document["clock"]["offset_ms"]) < 1000


async def test_a_session_that_was_made_under_a_key_and_with_a_function(api: Api, settings: Settings) -> None:
    headers = {"Language-Title": "nodejs-calculator", "Idempotency-Key": "first"}
    made = await api.client.post("/api/v1/initialize", headers=headers, json={})
    found = await story(settings, made.json()["request_id"])
    assert found.verdict is ExplainedState.ACTIVE
    assert "The call that made it had the Idempotency-Key 'first'." in told(found, "made")
    assert told(found, "script") == ["It is pinned to version 1 of the function."]
    assert told(found, "renewed")[0].startswith("It was never prolonged")


async def test_a_session_whose_row_is_gone_is_proved_by_its_history(api: Api, settings: Settings, write: Write) -> None:
    session_id = await api.initialize("python-x", "result = 1")
    await api.execute(session_id)
    write("DELETE FROM meta.sessions WHERE request_id = %(id)s", id=session_id)
    found = await story(settings, session_id)
    assert found.verdict is ExplainedState.REMOVED
    assert "The history keeps 1 execution of it, of anonymous." in told(found, "executed")


async def test_executions_that_are_open(settings: Settings, write: Write) -> None:
    # The service has gone before: its sweep would move the overdue one into the history.
    async with serving(create_controller(settings)) as api:
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
    assert len(told(await story(settings, session_id), "open")) == 2
    assert (await story(settings, running)).verdict is ExplainedState.UNDER_WAY
    assert (await story(settings, overdue)).verdict is ExplainedState.UNKNOWN


async def test_an_id_that_was_never_here(settings: Settings, run: Run) -> None:
    now = (await read(settings, uuid7_at(datetime.fromisoformat("2026-01-01T00:00:00Z"), 0))).clock.now
    assert (await story(settings, uuid7_at(now, 7))).verdict is ExplainedState.NEVER_HERE
    assert (await story(settings, uuid7_at(now + timedelta(days=40), 7))).verdict is ExplainedState.NEVER_HERE
    assert (await story(settings, uuid7_at(now - timedelta(days=2), 7))).verdict is ExplainedState.REMOVED_OR_NEVER_HERE
    foreign = run("explain", "00000000-0000-4000-8000-000000000000")
    assert (foreign.returncode, "was not made by this service" in foreign.stdout) == (0, True)
    assert run("explain", "nonsense").returncode == 2


async def test_any_id_has_a_story(settings: Settings) -> None:
    absent = {ExplainedState.NEVER_HERE, ExplainedState.REMOVED_OR_NEVER_HERE}
    sevens = [uuid_of(7, each.int >> 80) for each in random_v4(100)]
    commands = Commands(settings=settings)
    async with commands.database_access().opened():
        for identifier in [*EXTREMES, *random_v4(100), *sevens]:
            found = await commands.timeline().read(identifier)
            assert explain(found, commands.retention_times()).verdict in absent


async def test_the_command_has_a_story_of_any_id(run: Run) -> None:
    for identifier in (UUID(int=0), UUID(int=(1 << 128) - 1), uuid_of(7, 0), uuid_of(7, (1 << 48) - 1), *random_v4(2)):
        answer = run("explain", str(identifier))
        assert (answer.returncode, answer.stderr) == (0, "")
        assert "never" in answer.stdout


async def test_a_function_of_which_nothing_is_left(api: Api, settings: Settings, write: Write) -> None:
    made = await api.client.post("/api/v1/initialize", headers={"Language-Title": "nodejs-calculator"}, json={})
    write("DELETE FROM meta.functions WHERE title = 'calculator'")
    found = await story(settings, made.json()["request_id"])
    assert told(found, "script") == ["It is pinned to version 1 of the function, of which nothing is left."]


async def test_reading_a_story_changes_nothing(api: Api, settings: Settings) -> None:
    session_id = await api.initialize("python-x", "result = 1", renewal="sliding", ttl_seconds=1)
    before = (await read(settings, session_id)).session
    assert (await read(settings, session_id)).session == before
