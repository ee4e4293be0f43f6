"""Calls of the origin's clients are recorded by the front, run in the sandbox, and compared."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
import psycopg
import pytest
from attrs import evolve, frozen

from adapters.postgres.gateway import Gateway
from adapters.postgres.repositories.recordings import PostgresRecordingStore
from adapters.postgres.repositories.takeover import PostgresTakeoverStore
from adapters.postgres.statements.catalogue import Statements
from domain.identity import ANONYMOUS, SessionRef
from domain.scripts.language import Language, LanguageTitle
from domain.scripts.script import Script
from domain.takeover.recording import RecordedCounts, RecordingStore
from domain.takeover.stages import Stage
from tests.contracts.takeover_store import inbound, receive
from tests.integration.postgres.conftest import storage_on
from tests.integration.takeover.test_plan_command import as_url
from tests.origin.process import Origin
from tests.programs.origin.fronting import Fronting, fronting_of, store_stage
from tests.support.commands import Ended, run_command
from tests.support.folders import shared_folder

MARKER = "payload-of-a-caller"
SCRIPTS = {
    "same": "nodejs: return { sum: event.params.n + 1, text: event.params.text }",
    "by params": "python: def handle(x): return x['n'] * 2",
    "another branch": "nodejs: return { n: event.params.n, kind: typeof setTimeout }",
    "network": "python: import socket\nresult = socket.socket(socket.AF_INET).family == socket.AF_INET",
    "time": "nodejs: return Date.now()",
}


@frozen
class Told:
    """What a rehearsal tells of one script: verdicts, codes and locations, under `origin` and `own`."""

    origin: dict[str, int]
    own: dict[str, int]
    codes: list[str]
    locations: list[str]


@pytest.fixture(scope="session")
def data_dir() -> Iterator[Path]:
    """A folder that workers of another user can reach."""
    with shared_folder() as folder:
        yield folder


@pytest.fixture
def fronting(database_url: str, data_dir: Path, origin: Origin) -> Fronting:
    return fronting_of(database_url, data_dir, origin.url)


def rehearse(database_url: str, *arguments: str) -> Ended:
    given = {"DATABASE_URL": as_url(database_url), **dict.fromkeys(["HOST", "AUTH", "JWT_SECRET", "ORIGIN_URL"], "")}
    return run_command("takeover", "rehearse", *arguments, **given)


async def sessions(client: httpx2.AsyncClient) -> dict[str, tuple[UUID, LanguageTitle, Script]]:
    """Make a session of the origin for each script."""
    made = {}
    for name, written in SCRIPTS.items():
        language, _, source = written.partition(": ")
        title = LanguageTitle(Language(language), "rehearsed")
        body = {"context": {}, "script_content": source}
        response = await client.post("/initialize", json=body, headers={"Language-Title": str(title)})
        made[name] = UUID(response.json()["request_id"]), title, Script.of(source, 1000)
    return made


async def recorded(client: httpx2.AsyncClient, recordings: RecordingStore, ids: list[UUID]) -> None:
    """Execute the sessions until a call of each is stored."""
    while (await recordings.counts()).scripts < len(ids):
        for number, session_id in enumerate(ids):
            await client.post(f"/execute/{session_id}", json={"params": {"n": number, "text": MARKER}})


def told(document: dict[str, Any], script: Script) -> Told:
    (found,) = [each for each in document["scripts"] if each["script_hash"] == script.hash]
    origin, own = found["origin"], found["own"]
    return Told(
        dict.fromkeys(origin["verdicts"], 0),
        dict.fromkeys(own["verdicts"], 0),
        origin["codes"],
        origin["locations"],
    )


async def test_calls_that_the_front_passed_on_are_rehearsed(
    fronting: Fronting, database_url: str, gateway: Gateway, statements: Statements, tmp_path: Path
):
    store, storage = PostgresTakeoverStore(gateway, statements.takeover), storage_on(gateway, statements)
    recordings = PostgresRecordingStore(gateway, statements.recordings)
    store_stage(database_url, Stage.LOOK)
    report, now = tmp_path / "answers.jsonl", datetime.now(UTC)
    await recordings.start(now, now + timedelta(hours=1))
    async with fronting() as port:
        base_url = f"http://127.0.0.1:{port}/api/v1"
        async with httpx2.AsyncClient(base_url=base_url, timeout=30) as client:
            made, ends_at = await sessions(client), now + timedelta(hours=1)
            for session_id, title, script in made.values():
                facts = {"script_hash": script.hash, "language_title": title, "expires_at": ends_at}
                copy = inbound(storage, ref=SessionRef(ANONYMOUS, session_id), expires_max_at=ends_at, **facts)
                await receive(store, evolve(copy, script=script))
            await recorded(client, recordings, [session_id for session_id, _, _ in made.values()])
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE meta.recording SET recording_until = %s", [now])
    ended = rehearse(database_url, "--output", "json", "--report", str(report))
    document = json.loads(ended.stdout)
    found = {name: told(document, script) for name, (_, _, script) in made.items()}
    assert found["same"] == Told({"same": 0}, {"same": 0}, [], [])
    assert found["by params"] == Told({"same": 0}, {"fails": 0}, [], [])
    assert found["another branch"] == Told({"differs": 0}, {"differs": 0}, [], ["at /kind"])
    assert found["network"] == Told({"fails": 0}, {"fails": 0}, ["P7"], ["SCRIPT_ERROR PermissionError"])
    assert found["time"] == Told({"varies": 0}, {"varies": 0}, [], ["at (the whole result)"])
    assert (ended.returncode, document["status"]) == (1, "differs"), ended.stderr
    calls = document["calls"]
    assert await recordings.counts() == RecordedCounts(calls, calls, len(SCRIPTS))
    assert len(report.read_text().splitlines()) == calls
    assert MARKER not in ended.stdout + ended.stderr + report.read_text()
