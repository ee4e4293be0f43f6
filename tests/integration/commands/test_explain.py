"""Explanations of sessions and executions that exist, existed, or never did."""

import hashlib
import json
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest

from domain.grants.environment import EnvironmentGrant
from domain.grants.grants import Grants
from domain.identity import uuid7_at, uuid7_time
from domain.scripts.language import Language
from domain.timeline import Timeline
from entrypoints.cli.explain.explanation import explain
from entrypoints.cli.explain.sentences import Explanation
from entrypoints.composition.commands import Commands
from entrypoints.composition.controller import create_controller
from entrypoints.settings.settings import Settings
from tests.foreign_ids import EXTREMES, TAKEN, random_v4, uuid_of
from tests.integration.application.conftest import Api, serving
from tests.integration.commands.conftest import Run

Write = Callable[..., None]


@pytest.fixture
async def api(python_settings: Settings) -> AsyncIterator[Api]:
    async with serving(create_controller(python_settings)) as api:
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


async def explained(settings: Settings, identifier: UUID | str) -> Explanation:
    return explain(await read(settings, identifier), Commands(settings=settings).retention_times())


def texts_of(found: Explanation, topic: str) -> list[str]:
    return [each.text for each in found.statements if each.topic == topic]


async def keyed(api: Api, session_id: str, key: str) -> str:
    response = await api.client.post(
        f"/api/v1/execute/{session_id}", headers={"Idempotency-Key": key}, json={"params": {}}
    )
    return str(response.json()["execution_id"])


async def test_the_command_explains_a_session_and_an_execution(api: Api, run: Run) -> None:
    session_id = await api.initialize("python-x", "result = 1", renewal="sliding", ttl_seconds=1000)
    execution_id = await keyed(api, session_id, "order-1")
    await api.execute(session_id)
    await api.client.delete(f"/api/v1/sessions/{session_id}")
    session = run("explain", session_id)
    assert session.returncode == 0, session.stderr
    for text in (
        "The session was closed at ",
        "It belongs to anonymous and runs python-x. [the session's row]",
        "2 executions reached a worker and ended",
        "The history has 2 of its executions",
        "1 execution had an Idempotency-Key",
        "It is ",
    ):
        assert text in session.stdout
    document = json.loads(run("explain", execution_id, "--output", "json").stdout)
    assert (document["id"], document["verdict"]) == (execution_id, "ended")
    texts = {each["topic"]: each["text"] for each in document["statements"]}
    assert texts["key"].startswith("It had the Idempotency-Key 'order-1'")
    assert f"to the session {session_id}, which is closed" in texts["session"]
    assert abs(document["clock"]["offset_ms"]) < 1000


async def test_what_runs_later_is_explained_with_its_schedules_and_messages(
    api: Api, settings: Settings, write: Write
) -> None:
    session_id = await api.initialize("python-x", "result = params")
    timed = {"name": "x", "request_id": session_id, "interval_seconds": 3600}
    assert (await api.client.post("/api/v1/schedules", json=timed)).status_code == 201
    later = {"params": 1, "async": {"delay_seconds": 60}}
    accepted = await api.client.post(f"/api/v1/execute/{session_id}", headers={"Prefer": "respond-async"}, json=later)
    execution_id = accepted.json()["execution_id"]
    write(
        "WITH webhook AS (INSERT INTO meta.webhooks (webhook_id, owner, url, events, key_id, claimed_until)"
        " VALUES (%(id)s, 'anonymous', 'https://example.com/', '{}', 'k', 'infinity'))"
        " INSERT INTO meta.deliveries (delivery_id, request_id, webhook_id, execution_id, event, payload, next_at)"
        " VALUES (%(id)s, %(session)s, %(id)s, %(id)s, 'execution.succeeded', '{}', now())",
        id=execution_id,
        session=session_id,
    )
    of_session, found = await explained(settings, session_id), await explained(settings, execution_id)
    assert texts_of(of_session, "schedules") == ["It is the target of 1 schedule."]
    assert texts_of(of_session, "keys") == texts_of(found, "key") == []
    assert texts_of(found, "messages") == ["Messages to webhooks about it: 1 pending."]
    await api.client.post(f"/api/v1/executions/{execution_id}/cancel")
    ended = await explained(settings, session_id)
    assert texts_of(ended, "results") == ["Params and results of 1 execution that runs later are stored."]
    assert texts_of(ended, "keys") == []
    webhook_id = str(UUID(int=9))
    write(
        "INSERT INTO meta.webhooks (webhook_id, owner, url, events, key_id)"
        " VALUES (%(id)s, 'anonymous', 'https://example.com/', '{}', 'k')",
        id=webhook_id,
    )
    assert (await explained(settings, webhook_id)).summary.startswith("This webhook is enabled.")


async def test_a_purged_session_says_when_it_was_purged_and_by_whom(
    api: Api, settings: Settings, write: Write, run: Run
) -> None:
    session_id = await api.initialize("python-x", "result = params")
    await keyed(api, session_id, "order-1")
    await api.client.delete(f"/api/v1/sessions/{session_id}?purge=true")
    found = await explained(settings, session_id)
    (purged,) = texts_of(found, "purged")
    assert purged.startswith("It was purged at ")
    assert purged.endswith(
        "by anonymous. Erased: 0 deliveries, 1 execution, 1 idempotency key, 0 open executions, 0 queued executions, "
        "0 schedules."
    )
    assert not texts_of(found, "history")
    write("DELETE FROM meta.sessions WHERE request_id = %(id)s", id=session_id)
    removed = await explained(settings, session_id)
    assert removed.state == "removed"
    assert texts_of(removed, "purged") == [purged]


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


async def test_a_session_with_an_idempotency_key_and_a_function(api: Api, settings: Settings) -> None:
    headers = {"Language-Title": "python-text_processor", "Idempotency-Key": "first"}
    made = await api.client.post("/api/v1/initialize", headers=headers, json={})
    found = await explained(settings, made.json()["request_id"])
    assert found.state == "active"
    assert "The call that created it had the Idempotency-Key 'first'." in texts_of(found, "created")
    assert texts_of(found, "script") == [
        "It uses version 1 of the function of shared, which is the current one.",
        "Version 1 was registered at 2026-01-01 00:00:00.000000Z, by an unrecorded author.",
    ]
    assert texts_of(found, "renewed")[0].startswith("It was never renewed")


BUILT = """
INSERT INTO meta.environment_builds
SELECT 'data', v, 'p1', 'ready', sha256('x'), NULL, '', 1, gen_random_uuid(), now(), now() FROM generate_series(1, 2) AS v
"""


async def test_the_packages_of_a_session_are_named_with_their_tree(api: Api, settings: Settings, write: Write) -> None:
    session_id = await api.initialize("python-x", "result = 1")
    execution_id = (await api.execute(session_id)).json()["execution_id"]
    write(BUILT)
    grants = Grants(environment=EnvironmentGrant("data", 2, Language.PYTHON)).text()
    write("UPDATE meta.sessions SET grants = %(grants)s WHERE request_id = %(id)s", grants=grants, id=session_id)
    tree = hashlib.sha256(b"x").hexdigest()
    for each in (session_id, execution_id):
        shown = texts_of(await explained(settings, each), "script")
        assert f"It imports packages of the environment data@2: p1 has the tree {tree}." in shown


async def test_the_history_proves_a_session_without_a_row(api: Api, settings: Settings, write: Write) -> None:
    session_id = await api.initialize("python-x", "result = 1")
    await api.execute(session_id)
    write("DELETE FROM meta.sessions WHERE request_id = %(id)s", id=session_id)
    found = await explained(settings, session_id)
    assert found.state == "removed"
    assert "The history has 1 execution of it, of anonymous." in texts_of(found, "executed")


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


async def test_an_execution_that_waits_in_the_queue(api: Api, settings: Settings, write: Write) -> None:
    session_id = await api.initialize("python-x", "result = 1")
    now = uuid7_time(UUID(session_id))
    waiting, later, until = uuid7_at(now, 3), now + timedelta(minutes=30), now + timedelta(hours=1)
    facts = {"session_id": session_id, "id": waiting, "later": later, "until": until}
    write(
        "INSERT INTO meta.queued_executions VALUES (%(id)s, %(session_id)s, %(later)s, %(later)s, %(until)s, %(until)s, 0,"
        " FALSE, 'anonymous', 'python', 'x', '{}', NULL, 'order 4711', sha256(''))",
        **facts,
    )
    found = await explained(settings, waiting)
    assert found.state == "queued"
    assert "order 4711" in texts_of(found, "key")[0]
    assert session_id in texts_of(found, "session")[0]
    assert "In the queue: 1 execution of it." in texts_of(await explained(settings, session_id), "open")


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


async def test_an_explanation_changes_nothing(api: Api, settings: Settings) -> None:
    session_id = await api.initialize("python-x", "result = 1", renewal="sliding", ttl_seconds=1)
    before = (await read(settings, session_id)).session
    assert (await read(settings, session_id)).session == before
