"""The command `doctor`, and the report of its findings."""

import asyncio
import json
from contextlib import asynccontextmanager

import pytest
from attrs import define, field
from click.testing import CliRunner

from domain.inspection import DatabaseUnreachable, InspectionFailed, Obstacle
from entrypoints.cli.doctor.command import Check
from entrypoints.cli.doctor.report import Level, Subject, worst
from entrypoints.cli.main import cli
from entrypoints.server.data_dir import DataDir
from tests.support.commands import commands_with
from tests.unit.cli.doctor.facts import SCHEMA, ManualDatabase, ManualHost, changed

ENV = {"DATABASE_URL": "postgresql://app@db.example.com/x", "HOST": None, "PORT": None, "JWT_SECRET": None}


@define
class ManualServer:
    result: bool | Exception

    @property
    def exists(self):
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


@define
class World:
    database: ManualDatabase = field(factory=ManualDatabase)
    host: ManualHost = field(factory=ManualHost)
    failure: Exception | None = None
    is_made: bool | Exception = False

    @property
    def container(self):
        return commands_with(
            embedded_postgres=ManualServer(self.is_made),
            database_inspection=self.inspection(),
            host_inspector=self.host,
        )

    @asynccontextmanager
    async def inspection(self):
        if self.failure is not None:
            raise self.failure
        yield self.database


def run(world, *arguments, color=False, **env):
    return CliRunner().invoke(cli, ["doctor", *arguments], obj=world.container, env=ENV | env, color=color)


def findings(result):
    return [(each["subject"], each["status"]) for each in json.loads(result.stdout)["findings"]]


def test_a_healthy_installation_has_notes_only():
    result = run(World())
    assert result.exit_code == 0
    assert "ok        server       PostgreSQL 18.6, database pglambda, role app\n" in result.stdout
    assert result.stdout.endswith("ok, 2 notes.\n")


def test_a_problem_has_its_consequence_and_remedy_beneath_and_sets_the_exit_status():
    world = World(ManualDatabase({"schema": changed(SCHEMA, pending=["0009_more"])}))
    result = run(world)
    assert result.exit_code == 1
    lines = [line.strip() for line in result.stdout.splitlines()]
    found = lines.index("problem   schema       migrations are pending: 0009_more")
    assert lines[found + 1 : found + 3] == ["The service is not ready without them.", "-> pglambda migrate up"]
    assert "1 problem." in result.stdout
    assert "access" not in world.database.asked


def test_levels_have_colours_on_a_terminal():
    assert "\x1b[32mok" in run(World(), color=True).stdout
    assert "\x1b" not in run(World()).stdout


def test_the_json_output_has_every_finding():
    document = json.loads(run(World(), "--output", "json").stdout)
    assert document["status"] == "note"
    assert document["counts"]["problem"] == 0
    assert document["findings"][0] == {
        "subject": "database",
        "status": "ok",
        "seen": "connected to db.example.com, encrypted",
        "why": None,
        "remedy": None,
    }


def test_an_unreachable_database_does_not_stop_the_checks_of_the_host():
    result = run(World(failure=DatabaseUnreachable(Obstacle.LOGIN, "wrong password")), "--output", "json")
    assert result.exit_code == 1
    assert ("database", "problem") in findings(result)
    assert ("sandbox", "ok") in findings(result)


@pytest.mark.parametrize("failure", [InspectionFailed("permission denied"), ZeroDivisionError("a bug")])
def test_a_check_that_fails_is_a_warning_and_does_not_stop_the_others(failure):
    world = World(ManualDatabase({"tables": failure}), ManualHost({"sandbox": failure}))
    result = run(world, "--output", "json")
    assert result.exit_code == 0
    assert [each for each in findings(result) if each[1] == "warning"] == [
        ("tables", "warning"),
        ("sandbox", "warning"),
    ]
    assert str(failure) in result.stdout


def test_without_a_sandbox_the_report_says_where_languages_run():
    assert "every language runs on runtime hosts" in run(World(host=ManualHost({"sandbox": None}))).stdout


def test_wrong_settings_end_the_command_before_any_check():
    result = run(World(), PORT="x")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "PORT: 'x' is not valid" in result.stderr


def test_without_a_database_the_command_creates_nothing(tmp_path):
    folder = tmp_path / "data"
    result = run(World(), DATABASE_URL=None, DATA_DIR=str(folder))
    assert result.exit_code == 0
    assert f"there is no database under {folder} yet" in result.stdout
    assert not folder.exists()


def test_an_embedded_server_that_cannot_start_is_a_problem(tmp_path):
    unusable = tmp_path / "file"
    unusable.write_text("")
    result = run(World(is_made=True), DATABASE_URL=None, DATA_DIR=str(unusable))
    assert result.exit_code == 1
    assert f"DATA_DIR {unusable} cannot be used" in result.stdout


def test_a_folder_that_this_user_may_not_read_is_a_problem(tmp_path):
    foreign = PermissionError(13, "Permission denied", "/var/lib/pglambda/postgres")
    result = run(World(is_made=foreign), DATABASE_URL=None, DATA_DIR=str(tmp_path))
    assert result.exit_code == 1
    assert "may not read /var/lib/pglambda/postgres\n" in result.stdout
    assert "-> Run the command as the user of the service." in result.stdout


def test_the_database_of_a_running_service_is_checked(tmp_path):
    held = DataDir.hold(tmp_path)
    held.publish("postgresql:///pglambda?host=/there")
    assert run(World(is_made=True), DATABASE_URL=None, DATA_DIR=str(tmp_path)).exit_code == 0
    held.release()


async def test_a_check_ends_at_its_time_limit():
    async def forever():
        await asyncio.Event().wait()

    (finding,) = await Check(Subject("clock"), lambda _: [], [forever], timeout_s=0.01).findings()
    assert (finding.level, finding.seen) == (
        Level.WARNING,
        "could not be checked: the check did not end within 0.01 s",
    )


def test_without_findings_the_level_is_ok():
    assert worst([]) is Level.OK
