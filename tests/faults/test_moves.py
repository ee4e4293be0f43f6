"""A command that is killed before and after each transaction by which it moves sessions, on real servers."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import dict_row

from domain.takeover.stages import Stage
from tests.faults import report
from tests.faults.server import fill_disk
from tests.origin.databases import fill, origin_database
from tests.programs.origin.fronting import store_stage
from tests.unit.takeover.test_start import OPTIONS

pytestmark = pytest.mark.timeout(600)

ROOT = Path(__file__).parents[2]
STEPS_MAX = 60
LIVE_HERE = "SELECT s.request_id::text FROM meta.sessions AS s WHERE s.closed_at IS NULL AND s.expires_at > now()"
LIVE_THERE = "SELECT s.request_id FROM meta.sessions AS s WHERE s.expires_at > now()"


def ids(url: str, query: str) -> set[str]:
    with psycopg.connect(url) as admin:
        return {request_id for (request_id,) in admin.execute(query)}


def rows_of(url: str) -> dict[str, dict[str, Any]]:
    with psycopg.connect(url, row_factory=dict_row) as admin:
        return {row["request_id"]: row for row in admin.execute("SELECT * FROM meta.sessions")}


def mover(direction: str, step: int, database_url: str, origin_url: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "tests.faults.mortal_mover", direction, str(step), database_url, origin_url]
    return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def move(direction: str, step: int, database_url: str, origin_url: str) -> bool:
    """Run the command, and return whether it was killed."""
    done = mover(direction, step, database_url, origin_url)
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode != 0


def test_a_command_that_is_killed_at_a_transaction_is_completed_by_the_next_one(server, url):
    kills = {"HERE": 0, "THERE": 0}
    with origin_database(server.dsn()) as origin_url:
        fill(origin_url, 40, 64)
        before, all_live = rows_of(origin_url), ids(origin_url, LIVE_THERE)
        begin(url)
        for step in range(STEPS_MAX):
            left: set[str] = set()
            killed_before = sum(kills.values())
            for direction, stage in (("HERE", Stage.ADOPT), ("THERE", Stage.BACK)):
                store_stage(url, stage)
                killed = move(direction, step, url, origin_url)
                kills[direction] += killed
                here, there = ids(url, LIVE_HERE), ids(origin_url, LIVE_THERE)
                assert not here & there, f"{direction} killed at step {step}: two owners"
                assert not move(direction, -1, url, origin_url)
                here, there = ids(url, LIVE_HERE), ids(origin_url, LIVE_THERE)
                assert (here & there, here | there) == (set(), all_live)
                left = there if direction == "HERE" else left
                assert here == (all_live - left if direction == "HERE" else set())
            assert rows_of(origin_url) == before
            if sum(kills.values()) == killed_before:
                break
    assert min(kills.values()) >= 6
    told = ", ".join(f"{number} kills of {direction}" for direction, number in kills.items())
    report.NOTES.append(
        f"moves of sessions, killed before and after each transaction: {told}; 0 lost, 0 with two owners"
    )


@pytest.mark.parametrize("full", ["here", "there"])
def test_a_full_disk_stops_a_move_and_the_next_one_completes_it(server, url, database, small_tablespace, full):
    told = {"here": "StorageUnavailable", "there": "its disk is full"}[full]
    with origin_database(server.dsn()) as origin_url:
        fill(origin_url, 400, 2048)
        before, all_live = rows_of(origin_url), ids(origin_url, LIVE_THERE)
        begin(url)
        name = database if full == "here" else conninfo_to_dict(origin_url)["dbname"]
        in_tablespace = sql.SQL("ALTER DATABASE {} SET TABLESPACE {}")
        with server.admin() as admin:
            admin.execute(in_tablespace.format(sql.Identifier(name), sql.Identifier("small")))
        for direction, stage in (("HERE", Stage.ADOPT), ("THERE", Stage.BACK)):
            store_stage(url, stage)
            fill_disk(small_tablespace / "filler")
            assert told in mover(direction, -1, url, origin_url).stderr
            assert not ids(url, LIVE_HERE) & ids(origin_url, LIVE_THERE)
            (small_tablespace / "filler").unlink()
            assert not move(direction, -1, url, origin_url)
            here, there = ids(url, LIVE_HERE), ids(origin_url, LIVE_THERE)
            assert (here & there, here | there) == (set(), all_live)
        assert rows_of(origin_url) == before
        with server.admin() as admin:
            admin.execute(in_tablespace.format(sql.Identifier(name), sql.Identifier("pg_default")))


def begin(url: str) -> None:
    store_stage(url, Stage.ADOPT)
    with psycopg.connect(url) as admin:
        admin.execute("UPDATE meta.takeover SET options = %s::jsonb", [json.dumps(dict(OPTIONS.stored()))])
