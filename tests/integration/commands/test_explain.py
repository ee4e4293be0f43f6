"""Explanations of sessions and executions that exist, existed, or never did."""

import hashlib
import json
from datetime import timedelta
from uuid import UUID

import pytest

from domain.grants.environment import EnvironmentGrant
from domain.grants.grants import Grants
from domain.identity import uuid7_at, uuid7_time
from domain.scripts.language import Language
from domain.timeline import Timeline
from entrypoints.cli.explain.explanation import explain
from entrypoints.cli.explain.sentences import Explanation
from entrypoints.composition.commands import Commands
from entrypoints.settings.settings import Settings
from tests.integration.application.conftest import ON_SHARED, Api
from tests.integration.commands.conftest import Run, Write

pytestmark = ON_SHARED


@pytest.fixture(scope="module")
def database_url(shared_database_url: str) -> str:
    """The database of the controller whose sessions are explained; `test_explain_removed` has one for each test."""
    return shared_database_url


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


async def test_the_command_explains_a_session_and_an_execution(shared: Api, run: Run) -> None:
    session_id = await shared.initialize("python-x", "result = 1", renewal="sliding", ttl_seconds=1000)
    execution_id = await keyed(shared, session_id, "order-1")
    await shared.execute(session_id)
    await shared.client.delete(f"/api/v1/sessions/{session_id}")
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


async def test_a_file_is_explained_until_it_is_removed(shared: Api, settings: Settings) -> None:
    uploaded = await shared.client.post("/api/v1/files?name=a.csv", content=b"a,b")
    file_id = uploaded.json()["file_id"]
    found = await explained(settings, file_id)
    assert (found.state, texts_of(found, "upload")) == ("active", ["A caller has uploaded it."])
    assert texts_of(found, "file")[0].startswith("It belongs to anonymous, is called 'a.csv', and has 3 bytes")
    await shared.client.delete(f"/api/v1/files/{file_id}")
    gone = await explained(settings, file_id)
    assert gone.state == "never-here"
    assert "message or file" in texts_of(gone, "session")[0]


async def test_what_runs_later_is_explained_with_its_schedules_and_messages(
    shared: Api, settings: Settings, write: Write
) -> None:
    session_id = await shared.initialize("python-x", "result = params")
    timed = {"name": "x", "request_id": session_id, "interval_seconds": 3600}
    assert (await shared.client.post("/api/v1/schedules", json=timed)).status_code == 201
    later = {"params": 1, "async": {"delay_seconds": 60}}
    accepted = await shared.client.post(
        f"/api/v1/execute/{session_id}", headers={"Prefer": "respond-async"}, json=later
    )
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
    await shared.client.post(f"/api/v1/executions/{execution_id}/cancel")
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
    shared: Api, settings: Settings, write: Write, run: Run
) -> None:
    session_id = await shared.initialize("python-x", "result = params")
    await keyed(shared, session_id, "order-1")
    await shared.client.delete(f"/api/v1/sessions/{session_id}?purge=true")
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


async def test_a_session_with_an_idempotency_key_and_a_function(shared: Api, settings: Settings) -> None:
    headers = {"Language-Title": "python-text_processor", "Idempotency-Key": "first"}
    made = await shared.client.post("/api/v1/initialize", headers=headers, json={})
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


async def test_the_packages_of_a_session_are_named_with_their_tree(
    shared: Api, settings: Settings, write: Write
) -> None:
    session_id = await shared.initialize("python-x", "result = 1")
    execution_id = (await shared.execute(session_id)).json()["execution_id"]
    write(BUILT)
    grants = Grants(environment=EnvironmentGrant("data", 2, Language.PYTHON)).text()
    write("UPDATE meta.sessions SET grants = %(grants)s WHERE request_id = %(id)s", grants=grants, id=session_id)
    tree = hashlib.sha256(b"x").hexdigest()
    for each in (session_id, execution_id):
        shown = texts_of(await explained(settings, each), "script")
        assert f"It imports packages of the environment data@2: p1 has the tree {tree}." in shown


async def test_the_history_proves_a_session_without_a_row(shared: Api, settings: Settings, write: Write) -> None:
    session_id = await shared.initialize("python-x", "result = 1")
    await shared.execute(session_id)
    write("DELETE FROM meta.sessions WHERE request_id = %(id)s", id=session_id)
    found = await explained(settings, session_id)
    assert found.state == "removed"
    assert "The history has 1 execution of it, of anonymous." in texts_of(found, "executed")


async def test_an_execution_that_waits_in_the_queue(shared: Api, settings: Settings, write: Write) -> None:
    session_id = await shared.initialize("python-x", "result = 1")
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


async def test_an_explanation_changes_nothing(shared: Api, settings: Settings) -> None:
    session_id = await shared.initialize("python-x", "result = 1", renewal="sliding", ttl_seconds=1)
    before = (await read(settings, session_id)).session
    assert (await read(settings, session_id)).session == before
