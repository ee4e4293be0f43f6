"""The commands `backup` and `restore`: what they refuse, and what they say."""

import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click import ClickException
from click.testing import CliRunner

from adapters.embedded_postgres.unpacking import BackupLabel
from domain.inspection import SchemaFacts
from domain.stored_facts import Contents
from entrypoints.cli.main import cli
from entrypoints.cli.restore_report import Present, facts_of_restore, loss, text
from entrypoints.cli.staging import Staged, require_space
from entrypoints.server.data_dir import DataDir

ENV = {"DATABASE_URL": None, "WAL_ARCHIVE_DIR": None, "HOST": None, "PORT": None, "JWT_SECRET": None, "AUTH": None}
COUNTS = {"sessions": 120, "executions": 1500, "functions": 2, "api_keys": 1}
FACTS = {
    "backup_began_at": "2026-11-27T14:30:00+00:00",
    "made_by": "pglambda 0.2.0",
    "until": None,
    "newest_at": "2026-11-27T14:30:01+00:00",
    "restored": COUNTS,
    "present": {**COUNTS, "sessions": 135},
    "lost": {"sessions": 15, "executions": 40, "api_keys": 0},
    "pending_migrations": [],
    "dry_run": False,
    "former_folder": "/data/postgres.old-1",
}


@pytest.fixture
def backup_file(tmp_path):
    file = tmp_path / "backup.tar.gz"
    file.touch()
    return str(file)


def run(*arguments, **env):
    return CliRunner().invoke(cli, arguments, env={**ENV, **env})


@pytest.mark.parametrize("command", ["backup", "restore"])
def test_a_server_of_others_is_refused_with_a_guide(command, backup_file, tmp_path):
    result = run(command, backup_file, DATABASE_URL="postgresql://db/x", DATA_DIR=str(tmp_path))
    assert result.exit_code == 1
    assert "this command works on the embedded server only" in result.stderr
    assert "docs/backup.md" in result.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may write in the folders of others")
@pytest.mark.parametrize("owned", ["lock", "."])
@pytest.mark.parametrize("command", ["backup", "restore"])
def test_root_makes_no_files_in_the_data_folder_of_another_user(command, owned, backup_file, tmp_path):
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    (data_dir / owned).touch()
    os.chown(data_dir / owned, 65534, 65534)
    before = list(data_dir.iterdir())
    result = run(command, backup_file, DATA_DIR=str(data_dir))
    assert result.exit_code == 1
    assert "Run the command as that user: sudo -u '#65534'" in result.stderr
    assert list(data_dir.iterdir()) == before


@pytest.mark.parametrize("command", ["backup", "restore"])
def test_the_help_says_that_a_backup_is_sensitive(command):
    assert {"backup": "contains secrets", "restore": "that you trust"}[command] in " ".join(
        run(command, "--help").stdout.split()
    )


def test_a_backup_without_a_database_is_a_clear_error(tmp_path):
    result = run("backup", str(tmp_path / "new.tar.gz"), DATA_DIR=str(tmp_path / "nothing"))
    assert result.exit_code == 1
    assert "There is no database under" in result.stderr
    assert not (tmp_path / "new.tar.gz").exists()


@pytest.mark.parametrize("time", ["yesterday", "2026-11-27T14:30:00", "14:30"])
def test_a_time_needs_a_date_and_a_zone(time, backup_file, tmp_path):
    result = run("restore", backup_file, "--until", time, DATA_DIR=str(tmp_path))
    assert result.exit_code == 2
    assert "is not a time with its zone; write 2026-11-27T14:30:00Z, or latest" in " ".join(result.stderr.split())


@pytest.mark.parametrize("until", ["latest", "2026-11-27T14:30:00Z"])
def test_a_point_in_time_needs_the_archive(until, backup_file, tmp_path):
    result = run("restore", backup_file, "--until", until, DATA_DIR=str(tmp_path))
    assert result.exit_code == 2
    assert "Set WAL_ARCHIVE_DIR as for the service" in result.stderr


def test_a_restore_while_the_service_runs_is_refused(backup_file, tmp_path):
    held = DataDir.hold(tmp_path / "data")
    result = run("restore", backup_file, DATA_DIR=str(tmp_path / "data"))
    held.release()
    assert result.exit_code == 1
    assert "a restore replaces its database. Stop it first. Nothing was changed." in result.stderr


def test_a_second_restore_or_check_waits_for_the_first(backup_file, tmp_path):
    held = DataDir.hold(tmp_path / "data/scratch")
    result = run("restore", backup_file, DATA_DIR=str(tmp_path / "data"))
    held.release()
    assert result.exit_code == 1
    assert f"A backup or a restore with process id {os.getpid()} uses" in result.stderr


def test_a_disk_needs_room_for_all_that_is_written_to_it(tmp_path):
    first, second = tmp_path / "a", tmp_path / "b"
    for folder in (first, second):
        folder.mkdir()
    require_space({first: 1, second: 1})
    free = shutil.disk_usage(tmp_path).free
    with pytest.raises(ClickException, match=r"The disk of .*a and .*b has [\d,]+ free bytes, and [\d,]+ are needed"):
        require_space({first: free * 2 // 3, second: free * 2 // 3})


class TestTheReport:
    @pytest.mark.parametrize(("foreign_now", "lost"), [(7, 3 + 2), (5, 3), (4, 3)])
    def test_sessions_of_another_service_count_as_lost_if_the_backup_has_fewer(self, foreign_now, lost):
        label = BackupLabel(datetime(2026, 11, 27, tzinfo=UTC), "0" * 24, "pglambda 0.2.0", 1)
        backup = Contents(10, 0, 0, 0, None, 10, 0, 0, foreign_sessions=5)
        present = Present(Contents(20, 0, 0, 0, None, 3, 0, 0, foreign_sessions=foreign_now))
        facts = facts_of_restore(Staged(None, label, SchemaFacts((), (), (), 17), backup), present, None)
        assert facts["lost"] == {"sessions": lost, "executions": 0, "api_keys": 0}

    def test_consent_is_asked_with_all_numbers(self):
        asked = loss(FACTS, Present(None), Path("/data"))
        assert "(135 sessions, 1,500 executions, 2 versions of functions, 1 API key) by a backup with 120" in asked
        assert "Newer than the backup (the newest is of 2026-11-27T14:30:01+00:00): 15 sessions, 40 exec" in asked
        assert "40 executions, 0 API keys. A restore loses them." in asked
        assert asked.endswith("The present data folder is kept as /data/postgres.old-N.")

    def test_a_database_that_cannot_be_read_is_named(self):
        asked = loss({**FACTS, "present": None, "lost": None}, Present(None, "PostgreSQL ended"), Path("/data"))
        assert "which cannot be read (PostgreSQL ended), by a backup with 120 sessions" in asked

    def test_a_restore_says_what_is_lost_and_where_the_former_folder_is(self):
        lines = text(FACTS).splitlines()
        assert lines[0].startswith("Restored the backup of 2026-11-27T14:30:00+00:00: 120 sessions")
        assert lines[1].endswith("15 sessions, 40 executions, 0 API keys. A restore loses them.")
        assert lines[2].startswith("The former data folder is /data/postgres.old-1.")
        assert lines[3] == "Start the service, and make a new backup."

    def test_a_dry_run_says_what_it_would_do(self):
        until = datetime(2026, 11, 27, 15, tzinfo=UTC).isoformat()
        shown = text(
            {**FACTS, "dry_run": True, "former_folder": None, "until": until, "pending_migrations": ["0014_x"]}
        )
        assert shown.startswith("Would restore the backup of 2026-11-27T14:30:00+00:00, recovered until 2026-11-27T15")
        assert "The next start applies 0014_x." in shown
        assert "Start the service" not in shown

    def test_a_restore_where_there_was_no_database_loses_nothing(self):
        shown = text({**FACTS, "present": None, "lost": None, "former_folder": None})
        assert "loses" not in shown

    def test_a_database_that_could_not_be_read_was_not_counted(self):
        shown = text({**FACTS, "present": None, "lost": None})
        assert "What was stored after the backup is lost; it cannot be counted." in shown
