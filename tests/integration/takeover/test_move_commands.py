"""Sessions move from a real origin and back by the commands, between real databases."""

import asyncio
import hashlib
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
import redis
from dependency_injector import providers
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import dict_row

from domain.takeover.cached_origin import CachedOriginSessions
from domain.takeover.plan import Generation
from domain.takeover.source import SourceAddress, SourceRefused
from entrypoints.cli.takeover.connecting import connected
from entrypoints.cli.takeover.options import SourceChoice
from entrypoints.composition.commands import Commands
from tests.integration.application.conftest import settings_for
from tests.origin.databases import fill, origin_database
from tests.origin.process import running_redis
from tests.support.commands import run_command
from tests.unit.takeover.test_start import OPTIONS


def as_url(conninfo: str) -> str:
    given = conninfo_to_dict(conninfo)
    return f"postgresql://{given['user']}@/{given['dbname']}?host={given['host']}"


async def at_once(_seconds: float) -> None:
    """Wait for nothing: there is no front that had to read a new stage, and no call."""
    await asyncio.sleep(0)


def takeover(database_url: str, origin_url: str, *arguments: str, status: int = 0) -> Any:
    given = {"DATABASE_URL": as_url(database_url), "TAKEOVER_SOURCE_URL": origin_url and as_url(origin_url)}
    given |= dict.fromkeys(["HOST", "AUTH", "JWT_SECRET", "ORIGIN_URL"], "")
    commands = partial(Commands, pause=providers.Object(at_once))
    done = run_command("takeover", *arguments, "--output", "json", obj=commands, **given)
    assert done.returncode == status, done.stderr + done.stdout
    return json.loads(done.stdout) if done.stdout else done.stderr


def rows_of(url: str) -> dict[str, dict[str, Any]]:
    with psycopg.connect(url, row_factory=dict_row) as admin:
        found = admin.execute("SELECT s.*, s.expires_at > now() AS is_live FROM meta.sessions AS s").fetchall()
    return {row["request_id"]: row for row in found}


def live_there(url: str) -> set[str]:
    return {request_id for request_id, row in rows_of(url).items() if row["is_live"]}


def live_here(url: str) -> dict[str, dict[str, Any]]:
    with psycopg.connect(url, row_factory=dict_row) as admin:
        found = admin.execute(
            "SELECT * FROM meta.sessions AS s WHERE s.closed_at IS NULL AND s.expires_at > now()"
        ).fetchall()
    return {str(row["request_id"]): row for row in found}


def test_every_session_comes_and_returns_with_every_column_as_it_was(server_url, database_url, tmp_path):
    with origin_database(server_url, "b") as url:
        fill(url, 60, 64, users=True)
        before, live = rows_of(url), live_there(url)
        assert takeover(database_url, url, "open") == {"before": "look", "stage": "open", "changed": True}
        preview = takeover(database_url, url, "adopt", "--dry-run", status=1)
        assert preview["movable"] + preview["left"] == len(live)
        report = tmp_path / "left.jsonl"
        options = ("--settle-seconds", "0", "--report", str(report))
        adopted = takeover(database_url, url, "adopt", *options, status=1)
        left = live_there(url)
        assert (adopted["owned"], adopted["left"]) == (preview["movable"], len(left))
        assert (live_here(database_url).keys() & left, live_here(database_url).keys() | left) == (set(), live)
        state = takeover(database_url, url, "status", status=1)
        assert (state["stage"], state["live_at_origin"], state["unsettled"]) == ("adopt", len(left), 0)
        assert state["reports"]["adopt"]["sha256"] == hashlib.sha256(report.read_bytes()).hexdigest()
        assert state["reports"]["adopt"]["lines"] == len(left)
        census = takeover(database_url, url, "back", "--dry-run")
        assert (census["sessions"], census["made_here"]) == (adopted["owned"], 0)
        assert (census["userless"], census["missing_users"]) == (0, [])
        assert takeover(database_url, url, "back")["returned"] == adopted["owned"]
        assert (rows_of(url), live_here(database_url)) == (before, {})
        compared = takeover(database_url, url, "verify", "--functions", status=1)
        assert compared["verdicts"]["same"] >= adopted["owned"]
        assert compared["verdicts"]["differs"] == 0
        assert (compared["functions"]["differs"], compared["functions"]["left"]) == (2, 1)  # they were not registered
        assert takeover(database_url, url, "finish")["can_finish"]
    with psycopg.connect(database_url) as admin:
        found = admin.execute("SELECT a.act, a.details FROM meta.audit AS a ORDER BY a.act_id").fetchall()
    acts = [(act, details["from"], details["to"]) for act, details in found if act.startswith("takeover")]
    assert acts == [
        ("takeover.open", "look", "open"),
        ("takeover.adopt", "open", "adopt"),
        ("takeover.back", "adopt", "back"),
        ("takeover.finish", "back", "look"),
    ]


def test_copies_are_dropped_before_anything_is_opened(origin_url, database_url):
    fill(origin_url, 40, 64)
    before = rows_of(origin_url)
    assert takeover(database_url, origin_url, "copy", status=1)["written"]
    assert takeover(database_url, origin_url, "finish", "--dry-run")["can_finish"]
    assert takeover(database_url, origin_url, "finish")["sessions"]["inbound"]
    state = takeover(database_url, origin_url, "status")
    assert (state["stage"], state["sessions"]["inbound"], rows_of(origin_url)) == ("look", 0, before)
    verdicts = takeover(database_url, origin_url, "verify")["verdicts"]
    assert (verdicts["left"], verdicts["missing"]) == (40, 0)


def test_copies_of_an_origin_that_is_lost_are_kept_and_the_takeover_ends(server_url, database_url):
    with origin_database(server_url) as url:
        fill(url, 40, 64)
        takeover(database_url, url, "copy", status=1)
        assert takeover(database_url, url, "verify")["verdicts"]["missing"] == 0
        live = live_there(url)
    lost = "--origin-lost"
    assert "does not exist" in takeover(database_url, url, "open", status=1)
    assert "takeover open --origin-lost" in takeover(database_url, "", "finish", lost, status=1)
    assert takeover(database_url, "", "open", lost)["stage"] == "open"
    preview = takeover(database_url, "", "adopt", lost, "--dry-run")
    assert (preview["movable"], preview["left"]) == (preview["copied"], 0)
    assert "live sessions are the origin's" in takeover(database_url, "", "finish", lost, status=1)
    adopted = takeover(database_url, "", "adopt", lost)
    assert (adopted["owned"], adopted["left"]) == (preview["movable"], 0)
    assert live_here(database_url).keys() < live  # those of rust were not copied
    assert len(live_here(database_url)) == adopted["owned"] > 0
    assert takeover(database_url, "", "finish", lost)["can_finish"]
    assert takeover(database_url, "", "status", lost)["stage"] == "finished"
    with psycopg.connect(database_url) as admin:
        found = admin.execute("SELECT a.details FROM meta.audit AS a WHERE a.act LIKE 'takeover.%'").fetchall()
    assert [details["origin"] for (details,) in found] == ["lost"] * 3


Made = Callable[[], Commands]


@pytest.fixture
def commands(database_url: str, tmp_path: Path) -> Made:
    """Return what makes the parts of one command."""
    return lambda: Commands(settings=settings_for(database_url, tmp_path))


async def begun(commands: Made, url: str) -> None:
    async with connected(commands(), SourceChoice(SourceAddress(url), None), "open", lambda: OPTIONS):
        pass


def test_a_right_that_the_origin_denies_is_told_with_the_way_to_its_grant(origin_url, database_url):
    role = f"reader_{uuid4().hex}"
    with psycopg.connect(origin_url, autocommit=True) as admin:
        admin.execute(f"CREATE ROLE {role} LOGIN")
        try:
            admin.execute(f"GRANT USAGE ON SCHEMA meta TO {role}")
            told = takeover(database_url, psycopg.conninfo.make_conninfo(origin_url, user=role), "copy", status=1)
            assert "`pglambda takeover plan` prints the GRANT for each stage" in told
        finally:
            admin.execute(f"DROP OWNED BY {role}")
            admin.execute(f"DROP ROLE {role}")


async def test_an_origin_of_the_first_generation_needs_its_redis(origin_url, database_url, commands):
    await begun(commands, origin_url)
    first = SourceChoice(SourceAddress(origin_url), Generation.G1)
    with pytest.raises(SourceRefused, match="--redis"):
        async with connected(commands(), first, "adopt"):
            pass
    with running_redis() as server:
        address = SourceAddress(origin_url, cache_url=server.url)
        async with connected(commands(), SourceChoice(address, Generation.G1), "adopt") as sides:
            assert isinstance(sides.origin, CachedOriginSessions)
            assert await sides.origin.live(None, 10) == []
            assert sides.generations == {Generation.G1}
        async with connected(commands(), SourceChoice(address, None), "adopt") as sides:
            assert sides.generations == {*Generation}  # it may still make keys
        with redis.Redis.from_url(server.url) as client:
            client.set("session:1", "{}", ex=3600)
            takeover(database_url, origin_url, "open", "--redis", server.url)
            takeover(database_url, origin_url, "adopt", "--redis", server.url)
            client.delete("session:1")
        async with connected(commands(), SourceChoice(address, None), "back") as sides:
            assert sides.generations == {Generation.G1}  # its keys are removed, and it is known
