import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import click
import pytest
from attrs import define, field
from click.testing import CliRunner

from adapters.postgres.migrations.buckets import BucketSchema, BucketStatus
from adapters.postgres.migrations.down import Destruction, PlannedDown
from adapters.postgres.migrations.migration import MigrationStatus, load_migrations
from domain.errors import StorageUnavailable
from domain.inspection import BucketLocation, NodeFacts
from entrypoints.cli.main import INTERRUPTED, cli, main
from entrypoints.cli.migrate import DESTROYED
from entrypoints.cli.migration import DONE, FAILED, UNREACHABLE, bring_up
from entrypoints.version import VERSION
from tests.commands_page import PAGE, commands, page
from tests.support.commands import commands_with

ROOT = Path(__file__).parents[3]

ENV = {"DATABASE_URL": "postgresql://nobody/nothing", "HOST": None, "PORT": None}


@define
class ManualMigrations:
    """Migrations that record their calls."""

    failure: Exception | None = None
    names: tuple[str, ...] = ("0001_sessions",)
    back: tuple[PlannedDown, ...] = (PlannedDown("0001_sessions", []),)
    buckets: tuple[BucketStatus, ...] = ()
    nodes: tuple[NodeFacts, ...] = ()
    calls: list[tuple] = field(factory=list)

    async def status(self):
        return [
            MigrationStatus("0001_sessions", datetime(2026, 1, 2, tzinfo=UTC)),
            MigrationStatus("0002_history", None),
            MigrationStatus("0003_more", datetime(2026, 1, 2, tzinfo=UTC), is_newer=True),
        ]

    async def bucket_status(self):
        return self.buckets

    async def node_facts(self):
        return self.nodes

    async def up(self, to=None, *, dry_run=False):
        return self._called("up", to, dry_run)

    async def down(self, to=None, *, dry_run=False, destroy=()):
        self._called("down", to, dry_run, set(destroy))
        return self.back

    def _called(self, *call):
        self.calls.append(call)
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
    result = run(*name.split()[1:], "--help")
    assert result.exit_code == 0
    assert result.output.startswith("Usage: ")
    is_group = any(other.startswith(f"{name} ") for other in COMMANDS)
    assert is_group or "Examples:\n    " in COMMANDS[name]


def test_the_list_has_the_first_line_of_each_commands_help():
    for name, (_, help_text) in cli.deferred.items():
        assert cli.get_command(click.Context(cli), name).get_short_help_str(limit=200) == help_text


def test_the_page_of_the_commands_has_their_present_help():
    assert PAGE.read_text() == page(), "make commands"


def test_an_unknown_command_is_a_wrong_usage():
    result = run("fly")
    assert result.exit_code == 2
    assert "No such command 'fly'" in result.output


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_of_a_shell_is_printed(shell):
    result = run("completion", shell)
    assert result.exit_code == 0
    assert "_PGLAMBDA_COMPLETE" in result.output


def test_commands_are_completed_without_being_imported():
    completed = cli.shell_complete(click.Context(cli), "s")
    assert [(each.value, each.help) for each in completed][:2] == [
        ("serve", "Serve the HTTP API until Ctrl-C or SIGTERM."),
        ("selftest", "Try every known attack on this host's sandbox."),
    ]


def test_help_imports_no_command():
    program = (
        "import sys; from entrypoints.cli.main import cli; cli(['--help'], standalone_mode=False); print(*sys.modules)"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    modules = set(ended.stdout.splitlines()[-1].split())
    assert modules.isdisjoint({"asyncio", "structlog", "msgspec", "psycopg", "entrypoints.settings.settings"})


@define
class Commands:
    """A command that ends as a test says."""

    ends: object
    options: dict = field(factory=dict)

    def main(self, **options):
        self.options = options
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
def test_the_end_of_a_command_sets_the_exit_status(ends, status):
    with pytest.raises(SystemExit) as ended:
        main(Commands(ends))
    assert ended.value.code == status


@pytest.mark.parametrize(("wanted", "colour"), [("1", False), ("", None)])
def test_no_color_turns_colours_off(monkeypatch, wanted, colour):
    monkeypatch.setenv("NO_COLOR", wanted)
    command = Commands(None)
    with pytest.raises(SystemExit):
        main(command)
    assert command.options["color"] is colour


@pytest.mark.parametrize("command", [("serve",), ("runtime-host",), ("migrate", "up"), ("config", "show")])
def test_wrong_settings_are_a_message_without_a_traceback(command):
    result = run(*command, env={**ENV, "PORT": "x", "WEB_CONCURRENCY": "0"})
    assert result.exit_code == 2
    assert result.output.startswith("Error: PORT: 'x' is not valid")
    assert "\nWEB_CONCURRENCY: " in result.output


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("JWT_PUBLIC_KEY", "garbage", "it is not a public key in PEM. Set it to "),
        ("NODEJS_PATH", "/bin/true", "'/bin/true' is not Node.js 20 or newer (`--version` printed 'true (GNU "),
        ("NODEJS_PATH", "/etc/hostname", "'/etc/hostname' cannot be started: Permission denied. Set it to "),
        ("RUNTIME_MAPPINGS_FILE", "/etc/hostname", "'/etc/hostname' is not JSON: "),
        ("DATABASE_URL", "postgresql://h/d?sslmod=1", "it is not valid. Set it to postgresql://"),
    ],
)
@pytest.mark.parametrize("command", [("serve",), ("doctor",), ("config", "show"), ("keys", "list")], ids=" ".join)
def test_a_key_file_or_program_that_cannot_be_used_is_found_before_anything_starts(command, name, value, message):
    result = run(*command, env={**ENV, name: value})
    assert result.exit_code == 2
    assert result.output.startswith(f"Error: {name}: {message}")


def test_a_runtime_host_checks_its_interpreter():
    result = run("runtime-host", env={**ENV, "NODEJS_PATH": "/bin/true"})
    assert (result.exit_code, result.output.partition(" is")[0]) == (2, "Error: NODEJS_PATH: '/bin/true'")
    assert "\\n" not in result.output, "the message shows the first line that the program printed"


def test_the_settings_are_checked_without_a_start():
    result = run("config", "check")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "All settings are valid.\n", "")
    wrong = run("config", "check", env={**ENV, "JWT_PUBLIC_KEY": "garbage"})
    assert (wrong.exit_code, wrong.stdout) == (2, "")
    assert wrong.stderr.startswith("Error: JWT_PUBLIC_KEY: ")


def test_a_runtime_host_has_checks_of_its_own():
    open_to_all = {**ENV, "HOST": "0.0.0.0", "AUTH": "none"}
    assert run("config", "check", env=open_to_all).exit_code == 0
    result = run("config", "check", "--runtime-host", env=open_to_all)
    assert (result.exit_code, result.stderr.partition(": it")[0]) == (2, "Error: RUNTIME_TOKEN")


@pytest.mark.parametrize("command", ["check", "show"])
def test_a_variable_that_nearly_has_the_name_of_a_setting_is_a_warning(command):
    result = run("config", command, env={**ENV, "SCRIPT_TIMEOUT": "100"})
    assert result.exit_code == 0
    assert result.stderr == (
        "Warning: SCRIPT_TIMEOUT is not a setting, so it has no effect. Rename it to SCRIPT_TIMEOUT_MS, or unset it.\n"
    )


def test_settings_are_shown_with_secrets_masked():
    result = run("config", "show", env={**ENV, "RUNTIME_TOKEN": "hush"})
    assert "RUNTIME_TOKEN=********\n" in result.output
    assert "# " not in result.output
    assert "# Address to listen on.\nHOST=127.0.0.1\n" in run("config", "show", "--describe").output


def test_settings_as_json():
    document = json.loads(run("config", "show", "--output", "json", env={**ENV, "RUNTIME_TOKEN": "hush"}).output)
    assert document["PORT"] == {"value": 8080, "description": "TCP port to listen on. 0 takes a free port."}
    assert document["RUNTIME_TOKEN"]["value"] == "********"
    assert (document["JWT_ISSUER"]["value"], document["CORS_ORIGINS"]["value"]) == (None, [])
    assert document["ISOLATION"]["value"] == "session"


def test_pending_migrations_are_applied_and_listed():
    migrations = ManualMigrations(names=("0001_sessions", "0002_history"))
    result = run("migrate", "up", migrations=migrations)
    assert result.output == "Applied 0001_sessions.\nApplied 0002_history.\n"
    assert migrations.calls == [("up", None, False)]


def test_steps_as_json():
    document = json.loads(run("migrate", "up", "--dry-run", "--output", "json").output)
    assert document == {"direction": "up", "dry_run": True, "migrations": ["0001_sessions"]}
    assert json.loads(run("migrate", "down", "--output", "json").output)["direction"] == "down"


def test_a_dry_run_lists_what_it_would_apply():
    migrations = ManualMigrations()
    assert run("migrate", "up", "--to", "1", "--dry-run", migrations=migrations).output == (
        "Would apply 0001_sessions.\n"
    )
    assert migrations.calls == [("up", 1, True)]


FUNCTIONS = Destruction("functions", {"functions": 37, "versions": 52, "session_pins": 1})
BACK = (PlannedDown("0003_functions", [FUNCTIONS]), PlannedDown("0002_history", []))


def test_a_revert_deletes_only_the_kinds_of_data_that_are_named():
    migrations = ManualMigrations()
    run("migrate", "down", migrations=migrations)
    run("migrate", "down", "--to", "0", "--destroy-sessions", "--destroy-shortened-days", migrations=migrations)
    assert migrations.calls == [
        ("down", None, True, set()),
        ("down", None, False, set()),
        ("down", 0, True, set()),
        ("down", 0, False, {"sessions", "shortened-days"}),
    ]


def test_a_revert_without_the_option_of_a_kind_changes_nothing_and_names_the_option():
    migrations = ManualMigrations(back=BACK)
    result = run("migrate", "down", "--to", "1", migrations=migrations)
    assert result.exit_code == 2
    assert result.stderr == (
        "Error: Reverting 0003_functions deletes 37 functions (52 versions, 1 session pin).\n"
        "Nothing was changed. To allow this, add --destroy-functions.\n"
    )
    assert migrations.calls == [("down", 1, True, set())]


def test_every_kind_of_data_that_a_migration_deletes_has_its_option():
    declared = {kind for step in load_migrations() for kind in step.down_migration.counts}
    assert set(DESTROYED) == declared
    described = run("migrate", "down", "--help").output, (ROOT / "docs/operations.md").read_text()
    assert all(f"--destroy-{kind}" in text for kind in declared for text in described)


def test_a_dry_run_of_a_revert_lists_the_deletions_and_the_missing_options():
    migrations = ManualMigrations(back=BACK)
    steps = (
        "Would revert 0003_functions and delete 37 functions (52 versions, 1 session pin).\n"
        "Would revert 0002_history and delete no data.\n"
    )
    result = run("migrate", "down", "--to", "1", "--dry-run", migrations=migrations)
    assert result.output == f"{steps}To allow this, add --destroy-functions.\n"
    result = run("migrate", "down", "--to", "1", "--dry-run", "--destroy-functions", migrations=migrations)
    assert result.output == steps


def test_a_revert_lists_what_each_step_deleted():
    assert run("migrate", "down", "--destroy-functions", migrations=ManualMigrations(back=BACK)).output == (
        "Reverted 0003_functions, deleted 37 functions (52 versions, 1 session pin).\n"
        "Reverted 0002_history, deleted no data.\n"
    )


def test_deletions_as_json():
    allowed = ("migrate", "down", "--destroy-functions", "--output", "json")
    document = json.loads(run(*allowed, migrations=ManualMigrations(back=BACK)).output)
    assert document == {
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


def test_without_steps_there_is_nothing_to_do():
    assert run("migrate", "up", migrations=ManualMigrations(names=())).output == "Nothing to do.\n"
    assert run("migrate", "down", migrations=ManualMigrations(back=())).output == "Nothing to do.\n"


def test_migrations_are_listed_with_the_times_of_their_application():
    assert run("migrate", "status").output.splitlines() == [
        "0001_sessions  2026-01-02T00:00:00+00:00",
        "0002_history  not applied",
        "0003_more  2026-01-02T00:00:00+00:00  (of a newer release)",
    ]


def test_migrations_are_listed_as_json():
    assert json.loads(run("migrate", "status", "--output", "json").output) == [
        {"name": "0001_sessions", "applied_at": "2026-01-02T00:00:00+00:00", "newer": False},
        {"name": "0002_history", "applied_at": None, "newer": False},
        {"name": "0003_more", "applied_at": "2026-01-02T00:00:00+00:00", "newer": True},
    ]


def test_buckets_are_listed_after_the_migrations():
    begin = datetime(2026, 1, 2, tzinfo=UTC)
    buckets = (
        BucketStatus(BucketSchema(1, "bucket_1", begin), [], BucketLocation(["db1:5432"], 102040)),
        BucketStatus(BucketSchema(2, "bucket_2", begin), ["0002_history in bucket_2"]),
        BucketStatus(BucketSchema(3, "bucket_3", begin), [], BucketLocation(["db2:5432"], 102080), "no route"),
    )
    nodes = (NodeFacts("db1:5432", 90, -1500.0), NodeFacts("db2:5432", None, reason="no route"))
    migrations = ManualMigrations(buckets=buckets, nodes=nodes)
    assert run("migrate", "status", migrations=migrations).output.splitlines()[3:] == [
        "bucket_1  shard 102040 on db1:5432  from 2026-01-02T00:00:00+00:00  has all migrations",
        "bucket_2  on no node  from 2026-01-02T00:00:00+00:00  lacks 1 migrations",
        "bucket_3  shard 102080 on db2:5432  from 2026-01-02T00:00:00+00:00  away: no route",
        "node db1:5432  responds, its clock -1.50 s off the coordinator's",
        "node db2:5432  away: no route",
    ]
    listed = json.loads(run("migrate", "status", "--output", "json", migrations=migrations).output)
    assert [each["away"] for each in listed[3:]] == [None, None, "no route", None, "no route"]
    assert listed[7] == {"node": "db2:5432", "clock_ahead_ms": None, "away": "no route"}
    assert listed[5]["pending"] is None
    assert listed[4] == {
        "bucket": 2,
        "schema": "bucket_2",
        "nodes": [],
        "shard": None,
        "from_at": "2026-01-02T00:00:00+00:00",
        "pending": ["0002_history in bucket_2"],
        "away": None,
    }


@pytest.mark.parametrize(
    ("failure", "more"),
    [(RuntimeError("sessions exist"), ""), (StorageUnavailable(), " Run `pglambda doctor` to see why.")],
)
def test_a_failed_migration_is_one_line(failure, more):
    result = run("migrate", "up", migrations=ManualMigrations(failure))
    assert result.exit_code == 1
    assert result.output == f"Error: {failure}{more}\n"


@pytest.mark.parametrize(
    ("failure", "status"),
    [(None, DONE), (StorageUnavailable(), UNREACHABLE), (RuntimeError("it differs"), FAILED)],
)
async def test_the_supervisors_migration_has_an_exit_status_for_each_outcome(failure, status, capsys):
    assert await bring_up(ManualMigrations(failure)) == status
    assert capsys.readouterr().err == (f"{failure}\n" if failure else "")
