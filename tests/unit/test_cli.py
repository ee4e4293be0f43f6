import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import click
import pytest
from attrs import define, field
from click.testing import CliRunner

from adapters.postgres.migrations.down import Destruction, PlannedDown
from adapters.postgres.migrations.migration import MigrationStatus, load_migrations
from domain.errors import StorageUnavailable
from entrypoints.cli.main import INTERRUPTED, cli, main
from entrypoints.cli.migrate import DESTROYED
from entrypoints.cli.migration import DATABASE_AWAY, DONE, REFUSED, bring_up
from entrypoints.version import VERSION
from tests.commands_page import PAGE, commands, page
from tests.support.commands import commands_with

ROOT = Path(__file__).parents[2]

ENV = {"DATABASE_URL": "postgresql://nobody/nothing", "HOST": None, "PORT": None}


@define
class ManualMigrations:
    """Migrations that note what is asked of them."""

    failure: Exception | None = None
    names: tuple[str, ...] = ("0001_sessions",)
    back: tuple[PlannedDown, ...] = (PlannedDown("0001_sessions", []),)
    asked: list[tuple] = field(factory=list)

    async def status(self):
        return [
            MigrationStatus("0001_sessions", datetime(2026, 1, 2, tzinfo=UTC)),
            MigrationStatus("0002_history", None),
        ]

    async def up(self, to=None, *, dry_run=False):
        return self._answer("up", to, dry_run)

    async def down(self, to=None, *, dry_run=False, destroy=()):
        self._answer("down", to, dry_run, set(destroy))
        return self.back

    def _answer(self, *asked):
        self.asked.append(asked)
        if self.failure is not None:
            raise self.failure
        return self.names


def run(*arguments, migrations=None, env=ENV):
    container = commands_with(migrations=migrations or ManualMigrations())
    return CliRunner().invoke(cli, arguments, obj=container, env=env)


def test_the_version_is_that_of_the_project():
    assert run("--version").output == f"pglambda, version {VERSION}\n"


COMMANDS = dict(commands(cli, None, "pglambda"))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name):
    answer = run(*name.split()[1:], "--help")
    assert answer.exit_code == 0
    assert answer.output.startswith("Usage: ")
    is_group = any(other.startswith(f"{name} ") for other in COMMANDS)
    assert is_group or "Examples:\n    " in COMMANDS[name]


def test_the_list_says_of_each_command_what_the_command_says():
    for name, (_, told) in cli.deferred.items():
        assert cli.get_command(click.Context(cli), name).get_short_help_str(limit=200) == told


def test_the_page_of_the_commands_is_that_of_their_help():
    assert PAGE.read_text() == page(), "make commands"


def test_a_command_that_is_not_there_is_a_wrong_usage():
    answer = run("fly")
    assert answer.exit_code == 2
    assert "No such command 'fly'" in answer.output


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_of_a_shell_is_printed(shell):
    answer = run("completion", shell)
    assert answer.exit_code == 0
    assert "_PGLAMBDA_COMPLETE" in answer.output


def test_commands_are_completed_without_being_imported():
    completed = cli.shell_complete(click.Context(cli), "s")
    assert [(each.value, each.help) for each in completed][:2] == [
        ("serve", "Serve the HTTP API until Ctrl-C or SIGTERM."),
        ("selftest", "Attack this host's sandbox by every known way out."),
    ]


def test_help_imports_no_command():
    asked = (
        "import sys; from entrypoints.cli.main import cli; cli(['--help'], standalone_mode=False); print(*sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True, cwd=ROOT)
    modules = set(told.stdout.splitlines()[-1].split())
    assert modules.isdisjoint({"asyncio", "structlog", "msgspec", "psycopg", "entrypoints.settings.settings"})


@define
class Commands:
    """Stands for the command where `main` is looked at: it ends as a test says."""

    ends: object
    told: dict = field(factory=dict)

    def main(self, **told):
        self.told = told
        if isinstance(self.ends, BaseException):
            raise self.ends
        return self.ends


@pytest.mark.parametrize(
    ("ends", "status"),
    [
        (None, None),
        (1, 1),
        (click.ClickException("no"), 1),
        (click.UsageError("no"), 2),
        (click.Abort(), INTERRUPTED),
    ],
)
def test_how_a_command_ends_is_the_exit_status(ends, status):
    with pytest.raises(SystemExit) as ended:
        main(Commands(ends))
    assert ended.value.code == status


@pytest.mark.parametrize(("wanted", "colour"), [("1", False), ("", None)])
def test_who_wants_no_colours_gets_none(monkeypatch, wanted, colour):
    monkeypatch.setenv("NO_COLOR", wanted)
    command = Commands(None)
    with pytest.raises(SystemExit):
        main(command)
    assert command.told["color"] is colour


@pytest.mark.parametrize("command", [("serve",), ("runtime-host",), ("migrate", "up"), ("config", "show")])
def test_wrong_settings_are_told_without_a_traceback(command):
    answer = run(*command, env={**ENV, "PORT": "x", "WEB_CONCURRENCY": "0"})
    assert answer.exit_code == 2
    assert answer.output.startswith("Error: PORT: 'x' is not valid")
    assert "\nWEB_CONCURRENCY: " in answer.output


def test_settings_are_shown_with_secrets_masked():
    answer = run("config", "show", env={**ENV, "RUNTIME_TOKEN": "hush"})
    assert "RUNTIME_TOKEN=********\n" in answer.output
    assert "# " not in answer.output
    assert "# Address to listen on.\nHOST=127.0.0.1\n" in run("config", "show", "--describe").output


def test_settings_are_told_as_json():
    told = json.loads(run("config", "show", "--output", "json", env={**ENV, "RUNTIME_TOKEN": "hush"}).output)
    assert told["PORT"] == {"value": 8080, "description": "TCP port to listen on. 0 takes a free port."}
    assert told["RUNTIME_TOKEN"]["value"] == "********"
    assert (told["JWT_ISSUER"]["value"], told["CORS_ORIGINS"]["value"]) == (None, [])
    assert told["ISOLATION"]["value"] == "session"


def test_what_is_missing_is_applied_and_told():
    migrations = ManualMigrations(names=("0001_sessions", "0002_history"))
    answer = run("migrate", "up", migrations=migrations)
    assert answer.output == "went up: 0001_sessions\nwent up: 0002_history\n"
    assert migrations.asked == [("up", None, False)]


def test_steps_are_told_as_json():
    told = json.loads(run("migrate", "up", "--dry-run", "--output", "json").output)
    assert told == {"direction": "up", "dry_run": True, "migrations": ["0001_sessions"]}
    assert json.loads(run("migrate", "down", "--output", "json").output)["direction"] == "down"


def test_a_dry_run_says_what_would_be_done():
    migrations = ManualMigrations()
    assert run("migrate", "up", "--to", "1", "--dry-run", migrations=migrations).output == (
        "would go up: 0001_sessions\n"
    )
    assert migrations.asked == [("up", 1, True)]


FUNCTIONS = Destruction("functions", {"functions": 37, "versions": 52, "session_pins": 1})
BACK = (PlannedDown("0003_functions", [FUNCTIONS]), PlannedDown("0002_history", []))


def test_the_way_down_deletes_no_data_unless_the_kind_of_data_is_named():
    migrations = ManualMigrations()
    run("migrate", "down", migrations=migrations)
    run("migrate", "down", "--to", "0", "--destroy-sessions", "--destroy-shortened-days", migrations=migrations)
    assert migrations.asked == [("down", None, False, set()), ("down", 0, False, {"sessions", "shortened-days"})]


def test_every_kind_of_data_that_a_migration_deletes_has_its_option():
    declared = {kind for step in load_migrations() for kind in step.down_migration.counts}
    assert set(DESTROYED) == declared
    described = run("migrate", "down", "--help").output, (ROOT / "docs/operations.md").read_text()
    assert all(f"--destroy-{kind}" in text for kind in declared for text in described)


def test_a_dry_run_down_says_what_each_step_would_delete_and_which_option_is_missing():
    migrations = ManualMigrations(back=BACK)
    steps = (
        "0003_functions: would delete 37 functions (52 versions, 1 session pin)\n0002_history: would delete no data\n"
    )
    answer = run("migrate", "down", "--to", "1", "--dry-run", migrations=migrations)
    assert answer.output == f"{steps}To allow this, add --destroy-functions\n"
    answer = run("migrate", "down", "--to", "1", "--dry-run", "--destroy-functions", migrations=migrations)
    assert answer.output == steps


def test_the_way_down_says_what_each_step_deleted():
    assert run("migrate", "down", "--destroy-functions", migrations=ManualMigrations(back=BACK)).output == (
        "0003_functions: went down, deleted 37 functions (52 versions, 1 session pin)\n"
        "0002_history: went down, deleted no data\n"
    )


def test_what_is_deleted_is_told_as_json():
    told = json.loads(run("migrate", "down", "--output", "json", migrations=ManualMigrations(back=BACK)).output)
    assert told == {
        "direction": "down",
        "dry_run": False,
        "migrations": ["0003_functions", "0002_history"],
        "deletes": [
            {
                "migration": "0003_functions",
                "kind": "functions",
                "option": "--destroy-functions",
                "counts": {"functions": 37, "versions": 52, "session_pins": 1},
            }
        ],
    }


def test_nothing_to_do_is_said():
    assert run("migrate", "up", migrations=ManualMigrations(names=())).output == "Nothing to do.\n"
    assert run("migrate", "down", migrations=ManualMigrations(back=())).output == "Nothing to do.\n"


def test_migrations_are_listed_with_their_instants():
    assert run("migrate", "status").output == "0001_sessions  2026-01-02T00:00:00+00:00\n0002_history  not applied\n"


def test_migrations_are_listed_as_json():
    assert json.loads(run("migrate", "status", "--output", "json").output) == [
        {"name": "0001_sessions", "applied_at": "2026-01-02T00:00:00+00:00"},
        {"name": "0002_history", "applied_at": None},
    ]


@pytest.mark.parametrize(
    ("failure", "more"),
    [(RuntimeError("sessions exist"), ""), (StorageUnavailable(), " Run `pglambda doctor` to see why.")],
)
def test_a_migration_that_fails_is_told_in_one_line(failure, more):
    answer = run("migrate", "up", migrations=ManualMigrations(failure))
    assert answer.exit_code == 1
    assert answer.output == f"Error: {failure}{more}\n"


@pytest.mark.parametrize(
    ("failure", "status"),
    [(None, DONE), (StorageUnavailable(), DATABASE_AWAY), (RuntimeError("it differs"), REFUSED)],
)
async def test_the_supervisors_migration_says_how_it_went(failure, status, capsys):
    assert await bring_up(ManualMigrations(failure)) == status
    assert capsys.readouterr().err == (f"{failure}\n" if failure else "")
