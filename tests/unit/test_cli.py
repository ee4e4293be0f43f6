from datetime import UTC, datetime

import pytest
from attrs import define, field, frozen
from click.testing import CliRunner

from domain.errors import StorageUnavailable
from entrypoints.cli import cli
from entrypoints.commands.migration import DATABASE_AWAY, DONE, REFUSED, bring_up
from entrypoints.version import VERSION

ENV = {"DATABASE_URL": "postgresql://nobody/nothing", "HOST": None, "PORT": None}


@frozen
class State:
    name: str
    applied_at: datetime | None


@define
class ManualMigrations:
    """Migrations that note what is asked of them."""

    failure: Exception | None = None
    names: tuple[str, ...] = ("0001_sessions",)
    asked: list[tuple] = field(factory=list)

    async def status(self):
        return [State("0001_sessions", datetime(2026, 1, 2, tzinfo=UTC)), State("0002_history", None)]

    async def up(self, to=None, *, dry_run=False):
        return self._answer("up", to, dry_run)

    async def down(self, to=None, *, dry_run=False, destroy_sessions=False):
        return self._answer("down", to, dry_run, destroy_sessions)

    def _answer(self, *asked):
        self.asked.append(asked)
        if self.failure is not None:
            raise self.failure
        return self.names


@define
class ManualWiring:
    of: ManualMigrations
    settings: list = field(factory=list)

    def migrations(self, settings):
        self.settings.append(settings)
        return self.of

    def embedded_postgres(self, settings):
        raise AssertionError("the database is given")


def run(*arguments, migrations=None, env=ENV):
    return CliRunner().invoke(cli, arguments, obj=ManualWiring(migrations or ManualMigrations()), env=env)


def test_the_version_is_that_of_the_project():
    assert run("--version").output == f"pglambda, version {VERSION}\n"


@pytest.mark.parametrize(
    "command",
    [
        (),
        ("serve",),
        ("selftest",),
        ("runtime-host",),
        ("migrate",),
        ("migrate", "up"),
        ("migrate", "down"),
        ("migrate", "status"),
        ("config", "show"),
    ],
)
def test_every_command_explains_itself(command):
    answer = run(*command, "--help")
    assert answer.exit_code == 0
    assert "Usage:" in answer.output


@pytest.mark.parametrize("command", [("serve",), ("runtime-host",), ("migrate", "up"), ("config", "show")])
def test_wrong_settings_are_told_without_a_traceback(command):
    answer = run(*command, env={**ENV, "PORT": "x", "WEB_CONCURRENCY": "0"})
    assert answer.exit_code == 2
    assert answer.output.startswith("Error: PORT: 'x' does not fit")
    assert "\nWEB_CONCURRENCY: " in answer.output


def test_settings_are_shown_with_secrets_masked():
    answer = run("config", "show", env={**ENV, "RUNTIME_TOKEN": "hush"})
    assert "RUNTIME_TOKEN=********\n" in answer.output
    assert "# " not in answer.output
    assert "# Address to listen on.\nHOST=127.0.0.1\n" in run("config", "show", "--describe").output


def test_what_is_missing_is_applied_and_told():
    migrations = ManualMigrations(names=("0001_sessions", "0002_history"))
    answer = run("migrate", "up", migrations=migrations)
    assert answer.output == "went up: 0001_sessions\nwent up: 0002_history\n"
    assert migrations.asked == [("up", None, False)]


def test_a_dry_run_says_what_would_be_done():
    migrations = ManualMigrations()
    assert run("migrate", "up", "--to", "1", "--dry-run", migrations=migrations).output == (
        "would go up: 0001_sessions\n"
    )
    assert migrations.asked == [("up", 1, True)]


def test_sessions_are_destroyed_only_when_that_is_said():
    migrations = ManualMigrations()
    run("migrate", "down", migrations=migrations)
    run("migrate", "down", "--to", "0", "--destroy-sessions", migrations=migrations)
    assert migrations.asked == [("down", None, False, False), ("down", 0, False, True)]


def test_nothing_to_do_is_said():
    assert run("migrate", "up", migrations=ManualMigrations(names=())).output == "Nothing to do.\n"


def test_migrations_are_listed_with_their_instants():
    assert run("migrate", "status").output == "0001_sessions  2026-01-02T00:00:00+00:00\n0002_history  not applied\n"


@pytest.mark.parametrize("failure", [RuntimeError("sessions exist"), StorageUnavailable()])
def test_a_migration_that_fails_is_told_in_one_line(failure):
    answer = run("migrate", "up", migrations=ManualMigrations(failure))
    assert answer.exit_code == 1
    assert answer.output == f"Error: {failure}\n"


@pytest.mark.parametrize(
    ("failure", "status"),
    [(None, DONE), (StorageUnavailable(), DATABASE_AWAY), (RuntimeError("it differs"), REFUSED)],
)
async def test_the_supervisors_migration_says_how_it_went(failure, status, capsys):
    assert await bring_up(ManualMigrations(failure)) == status
    assert capsys.readouterr().err == (f"{failure}\n" if failure else "")
