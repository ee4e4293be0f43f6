"""The commands of a takeover, as an operator runs them, on real databases."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import psycopg
import pytest

from tests.integration.commands.conftest import QUIET, ROOT, Run
from tests.origin.databases import fill, origin_database
from tests.support.programs import unmeasured

_COPIED = "SELECT count(*) FROM meta.inbound_sessions"
_DEADLINE_S = 60.0


@pytest.fixture
def origin_url(server_url: str) -> Iterator[str]:
    with origin_database(server_url) as url:
        fill(url, 3000, 256)
        yield url


def await_copies(database_url: str, count: int) -> None:
    """Wait until so many copies are stored."""
    until_s = time.monotonic() + _DEADLINE_S
    with psycopg.connect(database_url, autocommit=True) as connection:
        while connection.execute(_COPIED).fetchone()[0] < count:
            assert time.monotonic() < until_s, "nothing is copied"


def test_a_copy_that_is_killed_continues_and_both_sides_are_the_same(
    run: Run, settings, origin_url: str, database_url: str
) -> None:
    source = {"TAKEOVER_SOURCE_URL": origin_url}
    given = {"DATABASE_URL": settings.database_url.reveal(), "DATA_DIR": str(settings.data_dir)}
    killed = subprocess.Popen(
        [sys.executable, "-m", "entrypoints", "takeover", "copy", "--rate", "300"],
        env={**unmeasured(), **QUIET, **given, **source},
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        await_copies(database_url, 1)
    finally:
        killed.send_signal(signal.SIGKILL)
        killed.wait()
    continued = run("takeover", "copy", "--output", "json", **source)
    found = json.loads(continued.stdout)
    assert continued.returncode == 1, continued.stderr  # those of rust are left
    assert 0 < found["examined"] < 3000
    assert found["left"].keys() <= {"language_not_served", "expired"}
    verified = run("takeover", "verify", "--output", "json", **source)
    assert verified.returncode == 0, verified.stderr
    report = json.loads(verified.stdout)
    assert report["examined"] == 3000
    assert report["verdicts"]["same"] == 2400
    repeated = json.loads(run("takeover", "copy", "--output", "json", **source).stdout)
    assert (repeated["written"], repeated["unchanged"]) == (0, 2400)
