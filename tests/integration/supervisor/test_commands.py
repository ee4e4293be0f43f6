"""Commands on a database: that of a running service, or started for them alone."""

import signal

import psycopg
import pytest
from attrs import frozen
from click.testing import CliRunner

from adapters.embedded_postgres.server import EmbeddedPostgres, EmbeddedPostgresOptions
from entrypoints.cli.main import cli
from entrypoints.server.data_dir import DataDir
from entrypoints.server.launcher import launch
from tests.integration.embedded.conftest import seed


@frozen
class OneTable:
    url: str

    async def up(self, to=None, *, dry_run=False):
        async with await psycopg.AsyncConnection.connect(self.url, autocommit=True) as connection:
            await connection.execute("CREATE TABLE one ()")
        return ["0001_one"]


class Wiring:
    shared_buffers_mb = 16

    def embedded_postgres(self, settings):
        options = EmbeddedPostgresOptions(settings.data_dir, shared_buffers_mb=self.shared_buffers_mb)
        return EmbeddedPostgres(options, launch)

    def migrations(self, settings):
        return OneTable(settings.database_url.reveal())


@pytest.fixture
def run(folder, made):
    seed(made, folder)
    env = {"DATA_DIR": str(folder), "DATABASE_URL": None}
    return lambda wiring=None: CliRunner().invoke(cli, ["migrate", "up"], obj=wiring or Wiring(), env=env)


def test_with_nothing_running_a_command_starts_the_database_for_itself(run, folder):
    assert run().output == "went up: 0001_one\n"
    assert not (folder / "postgres" / "postmaster.pid").exists()
    assert not (folder / "socket").exists()
    DataDir.hold(folder).release()


def test_a_command_uses_the_database_of_a_running_service(run, service):
    running = service().ready()
    assert run().output == "went up: 0001_one\n"
    assert running.counts()
    running.tell(signal.SIGTERM)
    assert running.ended() == 0


def test_a_database_that_does_not_start_is_told(run):
    wiring = Wiring()
    wiring.shared_buffers_mb = 0
    answer = run(wiring)
    assert answer.exit_code == 1
    assert answer.output.startswith("Error: PostgreSQL ended with status 1. Its log ends with:\n")


def test_a_folder_that_cannot_be_used_is_told(run, folder):
    (folder / "postgres" / "PG_VERSION").write_text("17")
    answer = run()
    assert answer.exit_code == 1
    assert answer.output.startswith("Error: PostgreSQL 17 made the data folder")
