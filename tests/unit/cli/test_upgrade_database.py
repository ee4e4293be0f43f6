"""The command `upgrade-database` over an upgrade that the test drives."""

import json
from pathlib import Path

import pytest
from attrs import define, field
from click.testing import CliRunner

from adapters.embedded_postgres.programs import PostgresPrograms
from adapters.embedded_postgres.upgrade import KeptFolder, UpgradePlan
from entrypoints.cli.main import cli
from entrypoints.server.data_dir import DataDir
from tests.support.commands import commands_with

MIB = 1024 * 1024
KEPT = KeptFolder(Path("/data/postgres-17"), 17, 30 * MIB)
PLAN = UpgradePlan(PostgresPrograms(Path("/17"), "17.9"), PostgresPrograms(Path("/18"), "18.6"), 100 * MIB, 900 * MIB)


@define
class ManualUpgrade:
    """An upgrade that records what was done."""

    major: str | None = "17"
    kept: list[KeptFolder] = field(factory=list)
    done: list[object] = field(factory=list)
    target: str = "18"

    def settle(self):
        self.done.append("settle")

    def plan(self, programs):
        self.done.append(programs)
        return PLAN

    def run(self, plan, report, *, check_only):
        report("dumping", plan.size_bytes)
        self.done.append("check" if check_only else "run")
        if not check_only:
            self.kept = [KEPT]

    def way_back(self):
        return KEPT

    def back(self):
        self.done.append("back")
        return Path("/data/postgres-18")

    def finish(self):
        self.done.append("finish")


@pytest.fixture
def run(tmp_path):
    def run(*options, upgrade, **environ):
        env = {"DATA_DIR": str(tmp_path), "DATABASE_URL": None} | environ
        return CliRunner().invoke(
            cli, ["upgrade-database", *options], obj=commands_with(database_upgrade=upgrade), env=env
        )

    return run


def test_it_settles_interrupted_runs_and_upgrades(run):
    upgrade = ManualUpgrade()
    result = run("--old-programs", "/usr", upgrade=upgrade)
    assert (result.exit_code, upgrade.done) == (0, ["settle", Path("/usr"), "run"])
    assert "Upgraded from PostgreSQL 17.9 to 18.6. /data/postgres-17 (30 MiB) is kept." in result.output


def test_a_dry_run_reports_the_space_as_json(run):
    upgrade = ManualUpgrade()
    result = run("--dry-run", "--output", "json", upgrade=upgrade)
    report = json.loads(result.stdout)
    assert upgrade.done[-1] == "check"
    assert (report["action"], report["needed_bytes"], report["free_bytes"]) == ("check", 456 * MIB, 900 * MIB)
    assert report["message"].endswith("It needs 456 MiB, and 900 MiB are free.")


@pytest.mark.parametrize(("kept", "said"), [([], "Nothing to do"), ([KEPT], "--finish removes it")])
def test_a_data_folder_of_this_release_is_left_alone(run, kept, said):
    upgrade = ManualUpgrade("18", kept)
    assert said in run(upgrade=upgrade).output
    assert upgrade.done == ["settle"]


@pytest.mark.parametrize(
    ("option", "done", "said"),
    [("--back", "back", "Start the release that has PostgreSQL 17"), ("--finish", "finish", "Removed")],
)
def test_what_loses_something_needs_consent(run, option, done, said):
    upgrade = ManualUpgrade("18", [KEPT])
    refused = run(option, upgrade=upgrade)
    assert (refused.exit_code, upgrade.done) == (2, ["settle"])
    assert "Nothing was changed. To allow this, add --yes." in refused.output
    assert "Would" in run(option, "--dry-run", upgrade=upgrade).output
    assert done not in upgrade.done
    assert said in run(option, "--yes", upgrade=upgrade).output
    assert upgrade.done[-1] == done


def test_without_a_kept_folder_there_is_nothing_to_finish(run):
    assert "Nothing to do" in run("--finish", "--yes", upgrade=ManualUpgrade("18")).output


def test_it_refuses_what_it_cannot_upgrade(run, tmp_path):
    upgrade = ManualUpgrade()
    assert run("--back", "--finish", upgrade=upgrade).exit_code == 2
    foreign = run(upgrade=upgrade, DATABASE_URL="postgresql://db.example.com/x")
    assert (foreign.exit_code, "a server of your own" in foreign.output) == (1, True)
    missing = run(upgrade=upgrade, DATA_DIR=str(tmp_path / "none"))
    assert (missing.exit_code, "There is no data folder" in missing.output) == (1, True)
    held = DataDir.hold(tmp_path)
    try:
        assert "is in use by the running pglambda" in run(upgrade=upgrade).output
    finally:
        held.release()
    assert upgrade.done == []
