"""Recorded releases, and their databases, restored on the suite's server."""

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from attrs import frozen
from psycopg import sql

from adapters.embedded_postgres.programs import find_programs
from tests.faults.conftest import (  # noqa: F401  # fixtures of both suites
    data_dir,
    database,
    pytest_terminal_summary,
    quiet_logs,
    server,
    stored,
    stored_in,
    template,
    url,
)
from tests.faults.server import SERVICE_ROLE

RECORDED = Path(__file__).with_name("recorded")
_CLOCK = """
CREATE SCHEMA shifted;
CREATE FUNCTION shifted.clock_timestamp() RETURNS timestamptz LANGUAGE sql
AS $$ SELECT pg_catalog.clock_timestamp() - {}::interval $$;
ALTER DATABASE {} SET search_path = shifted, pg_catalog, public;
"""
"""Sets the clock of a database back to the time of its dump, so that nothing has expired since."""


@frozen
class Release:
    """What was recorded of a release: its commit, the keys of its callers, and its responses."""

    version: str
    facts: Mapping[str, Any]

    @classmethod
    def load(cls, version: str) -> "Release":
        return cls(version, json.loads((RECORDED / f"{version}.json").read_text()))

    @property
    def numbers(self) -> Sequence[int]:
        """The version, for comparisons."""
        return [int(part) for part in self.version.split(".")]

    @property
    def latest(self) -> int:
        """The number of its newest migration."""
        return int(self.facts["latest"])

    def restore(self, dsn: str) -> None:
        """Load the dump into an empty database, and set the clock of the database back."""
        psql = [find_programs().path("psql"), "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", f"--dbname={dsn}"]
        with (RECORDED / f"{self.version}.sql").open() as dump:
            subprocess.run(psql, stdin=dump, stdout=subprocess.DEVNULL, check=True, timeout=60)
        with psycopg.connect(dsn, autocommit=True) as connection:
            since = "SELECT clock_timestamp() - %s::timestamptz"
            ((age,),) = connection.execute(since, [self.facts["recorded_at"]]).fetchall()
            set_back = sql.SQL(_CLOCK).format(sql.Literal(str(age)), sql.Identifier(connection.info.dbname))
            connection.execute(set_back.as_string(connection))


RELEASES = sorted((Release.load(path.stem) for path in RECORDED.glob("*.json")), key=lambda each: each.numbers)


@pytest.fixture(params=RELEASES, ids=[each.version for each in RELEASES])
def release(request) -> Release:
    return request.param


@pytest.fixture
def restored(server, release) -> Iterator[str]:  # noqa: F811  # the fixture
    """The address of the release's database, as it was dumped."""
    name = server.create_database(f"restored_{uuid4().hex}")
    dsn = server.dsn(name, SERVICE_ROLE)
    release.restore(dsn)
    yield dsn
    server.drop_database(name)
