"""How a server archives its WAL, and how a restored one reads it."""

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from adapters.embedded_postgres.archive import archive_parameters, fetch_command
from adapters.embedded_postgres.backup import url_as
from adapters.embedded_postgres.passfile import Passfile
from adapters.embedded_postgres.restoration import LATEST, RecoveryTarget

ARCHIVE = Path("/mnt/wal")


def test_without_a_folder_the_server_archives_nothing():
    assert archive_parameters(None) == {}


def test_a_server_archives_by_a_library_that_syncs_and_overwrites_nothing():
    assert archive_parameters(ARCHIVE) == {
        "archive_mode": "on",
        "archive_library": "basic_archive",
        "basic_archive.archive_directory": "/mnt/wal",
        "archive_timeout": "300s",
    }


@pytest.mark.parametrize("name", ["wal", 'it\'s a "wal" $HOME `id` 100%f %%'])
def test_a_segment_is_fetched_from_a_folder_with_any_name(name, tmp_path):
    folder = tmp_path / name
    folder.mkdir()
    (folder / "00000001").write_text("segment")
    command = fetch_command(folder).replace("%%", "\0").replace("%f", "00000001").replace("%p", str(tmp_path / "to"))
    subprocess.run(["/bin/sh", "-c", command.replace("\0", "%")], check=True)
    assert (tmp_path / "to").read_text() == "segment"


def test_without_an_archive_no_segment_is_found():
    assert subprocess.run(["/bin/sh", "-c", fetch_command(None)], check=False).returncode == 1


@pytest.mark.parametrize(
    ("until", "parameters"),
    [
        (None, {"recovery_target": "immediate", "recovery_target_timeline": "current"}),
        (LATEST, {}),
        (
            datetime(2026, 11, 27, 16, 30, tzinfo=UTC),
            {"recovery_target_time": "2026-11-27T16:30:00+00:00"},
        ),
    ],
)
def test_a_target_sets_where_the_replay_stops(until, parameters):
    found = RecoveryTarget(until).parameters(ARCHIVE)
    common = {"restore_command", "recovery_target_action", "hot_standby", "recovery_init_sync_method"}
    assert {name: value for name, value in found.items() if name not in common} == parameters
    assert common <= set(found)


def test_a_role_connects_by_the_same_url():
    url = "postgresql:///pglambda?host=%2Fa+b&port=5432&user=pglambda&passfile=%2Fa+b%2Fpgpass"
    assert url_as(url, "other") == url.replace("user=pglambda", "user=other")


def test_passwords_are_written_and_read(tmp_path):
    passfile = Passfile(tmp_path / "pgpass")
    assert passfile.read() == {}
    passfile.write({"a": "1", "b": "2"})
    passfile.write({"a": "3"})
    assert passfile.read() == {"a": "3"}
    assert passfile.path.stat().st_mode & 0o777 == 0o600


def test_a_password_file_of_an_earlier_release_is_read(tmp_path):
    (tmp_path / "pgpass").write_text("*:*:pglambda:pglambda:secret\n")
    assert Passfile(tmp_path / "pgpass").read() == {"pglambda": "secret"}
