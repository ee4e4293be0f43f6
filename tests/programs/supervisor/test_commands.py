"""Commands on a database that a service runs, or that they start for themselves."""

import signal

import psycopg
import pytest
from attrs import frozen
from click.testing import CliRunner
from dependency_injector import providers

from adapters.embedded_postgres.server import EmbeddedPostgres, EmbeddedPostgresOptions
from entrypoints.cli.main import cli
from entrypoints.composition.commands import Commands
from entrypoints.server.data_dir import DataDir
from entrypoints.server.process import launch
from tests.integration.embedded.conftest import seed


@frozen
class OneTable:
    url: str

    async def up(self, to=None, *, dry_run=False):
        async with await psycopg.AsyncConnection.connect(self.url, autocommit=True) as connection:
            await connection.execute("CREATE TABLE one ()")
        return ["0001_one"]


def commands_with(shared_buffers_mb):
    """Return what makes a container with a migration of one table and a server of this size."""

    def make(settings):
        options = EmbeddedPostgresOptions(settings.data_dir, shared_buffers_mb=shared_buffers_mb)
        url = settings.database_url.reveal() if settings.database_url else ""
        return Commands(
            settings=settings,
            embedded_postgres=providers.Object(EmbeddedPostgres(options, launch)),
            migrations=providers.Object(OneTable(url)),
        )

    return make


@pytest.fixture
def run(folder, made):
    seed(made, folder)
    env = {"DATA_DIR": str(folder), "DATABASE_URL": None}
    return lambda shared_buffers_mb=16: CliRunner().invoke(
        cli, ["migrate", "up"], obj=commands_with(shared_buffers_mb), env=env
    )


def test_without_a_service_a_command_starts_the_database_for_itself(run, folder):
    assert run().output == "Applied 0001_one.\n"
    assert not (folder / "postgres" / "postmaster.pid").exists()
    assert not (folder / "socket").exists()
    DataDir.hold(folder).release()


def test_a_command_uses_the_database_of_a_running_service(run, service):
    running = service().ready()
    assert run().output == "Applied 0001_one.\n"
    assert running.counts()
    running.send_signal(signal.SIGTERM)
    assert running.ended() == 0


def test_a_database_that_does_not_start_is_an_error(run):
    result = run(shared_buffers_mb=0)
    assert result.exit_code == 1
    assert result.output.startswith("Error: PostgreSQL ended (status 1). Its log ends with:\n")


def test_a_folder_of_another_version_is_an_error(run, folder):
    (folder / "postgres" / "PG_VERSION").write_text("17")
    result = run()
    assert result.exit_code == 1
    assert result.output.startswith("Error: PostgreSQL 17 created the data folder")
