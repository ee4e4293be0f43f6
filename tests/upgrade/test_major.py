"""The data folder of PostgreSQL 17 becomes one of PostgreSQL 18: sessions stay, kills do no harm, and there is a way back."""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from adapters.embedded_postgres.programs import PostgresPrograms
from adapters.embedded_postgres.server import EmbeddedPostgres, EmbeddedPostgresOptions
from entrypoints.server.process import launch
from tests.integration.embedded.conftest import RunningServer, folder  # noqa: F401  # a fixture
from tests.programs.supervisor.conftest import ROOT, Service
from tests.programs.supervisor.test_serve import execute, initialize
from tests.support.folders import shared_folder
from tests.upgrade.test_beside import LONG

OLD = Path("/usr/lib/postgresql/17")
POINTS = ("postgres.new-*/dump", "postgres.new-*/postgres/postmaster.pid")
"""Files beside the data folder at whose appearance the command is killed."""

if LONG:
    POINTS = ("postgres/postmaster.pid", "postgres.new-*", *POINTS, "postgres.new-*/postgres", "postgres.next") * 3
NODEJS_ELSEWHERE = {"NODEJS_RUNTIME_URL": "http://127.0.0.1:9"}
"""A language without a sandbox on this host, which would only make the start slower."""

pytestmark = [
    pytest.mark.timeout(1800 if LONG else 400),
    pytest.mark.skipif(not OLD.exists(), reason=f"PostgreSQL 17 is not in {OLD}: apt-get install postgresql-17"),
]


@contextlib.contextmanager
def earlier_server(data_dir: Path) -> Iterator[RunningServer]:
    """Run PostgreSQL 17 on the data folder, as a release that had it would."""
    programs = PostgresPrograms(OLD, "17")
    running = RunningServer(data_dir, EmbeddedPostgres(EmbeddedPostgresOptions(data_dir), launch, programs))
    try:
        yield running
    finally:
        running.stop()


@contextlib.contextmanager
def serving(data_dir: Path, **settings: str) -> Iterator[Service]:
    service = Service(data_dir, program=("entrypoints", "serve"), **NODEJS_ELSEWHERE, **settings)
    try:
        yield service.ready()
    finally:
        service.end()


def command(data_dir: Path, *options: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "entrypoints", "upgrade-database", *options],
        env={**os.environ, "DATA_DIR": str(data_dir)},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def upgraded(data_dir: Path, *options: str) -> dict:
    """Run the command to its end, and return its report."""
    process = command(data_dir, *options, "--output", "json")
    output, errors = process.communicate(timeout=180)
    assert process.returncode == 0, errors
    return json.loads(output)


@pytest.fixture(scope="module")
def template(data_dir) -> Iterator[tuple[Path, str]]:
    """A data folder of PostgreSQL 17 whose server was killed, and the id of a session in it, executed once."""
    with shared_folder() as made:
        with earlier_server(made) as running:
            with serving(data_dir, DATABASE_URL=running.server.url, AUTO_MIGRATE="true") as service:
                session_id = initialize(service, "python-adds", 'result = params["a"] + 1')
                assert execute(service, session_id, a=1) == (2, 1)
            running.process.kill()
        yield made, session_id


@pytest.fixture
def old_session(folder, template) -> str:  # noqa: F811  # the fixture
    """The id of the session in a data folder of PostgreSQL 17."""
    made, session_id = template
    subprocess.run(["cp", "-a", made / "postgres", made / "pgpass", folder], check=True)
    return session_id


def test_sessions_come_along_and_the_earlier_folder_leads_back(folder, old_session):  # noqa: F811  # the fixture
    refused = Service(folder, program=("entrypoints", "serve"), **NODEJS_ELSEWHERE)
    assert refused.ended() == 1
    assert "`pglambda upgrade-database`; --dry-run shows first" in refused.output
    refused.end()
    checked = upgraded(folder, "--dry-run")
    assert (checked["action"], checked["to"].split(".")[0]) == ("check", "18")
    assert (folder / "postgres/PG_VERSION").read_text() == "17\n"
    assert upgraded(folder)["message"].startswith("Upgraded from PostgreSQL 17.")
    with serving(folder) as service:
        assert execute(service, old_session, a=2) == (3, 2)
    assert upgraded(folder, "--back", "--yes")["to"] == "17"
    with earlier_server(folder) as running, psycopg.connect(running.server.url) as connection:
        counts = connection.execute("SELECT execution_count FROM meta.sessions").fetchall()
        assert counts == [(1,)], "what came after the upgrade is not there"


def test_an_upgrade_that_is_killed_anywhere_can_be_repeated(folder, old_session):  # noqa: F811  # the fixture
    for appears in POINTS:
        process = command(folder)
        while not any(folder.glob(appears)) and process.poll() is None:
            time.sleep(0.001)
        process.kill()
        process.communicate(timeout=30)
        if process.returncode == 0:  # faster than the kill
            upgraded(folder, "--back", "--yes")
            upgraded(folder, "--finish", "--yes")
    upgraded(folder)
    with serving(folder) as service:
        assert execute(service, old_session, a=2) == (3, 2)
    assert not list(folder.glob("postgres.n*"))
