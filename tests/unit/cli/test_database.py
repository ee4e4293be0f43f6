import threading

import pytest

from entrypoints.cli.database import command_database
from entrypoints.composition.commands import Commands
from entrypoints.server.data_dir import DataDir, DataDirError
from entrypoints.settings.loading import load_settings


def test_a_command_waits_for_a_service_that_starts(tmp_path):
    held = DataDir.hold(tmp_path)
    settings = load_settings({"DATA_DIR": str(tmp_path)})
    starting = threading.Timer(0.02, held.publish, ["postgresql://here"])
    starting.start()
    with command_database(Commands, settings) as commands:
        assert commands.settings().database_url.reveal() == "postgresql://here"
    starting.join()
    held.release()


def test_a_service_whose_database_accepts_no_connections_is_an_error(tmp_path):
    held = DataDir.hold(tmp_path)
    settings = load_settings({"DATA_DIR": str(tmp_path)})
    with (
        pytest.raises(
            DataDirError, match=r"did not accept connections within 0 s\. .* Read the end of .*/postgres\.log"
        ),
        command_database(Commands, settings, start_timeout_s=0),
    ):
        raise AssertionError("there is no database")
    held.release()


def test_a_command_that_only_reads_creates_no_database(tmp_path):
    settings = load_settings({"DATA_DIR": str(tmp_path)})
    with (
        pytest.raises(DataDirError, match=r"^There is no database under .*set DATA_DIR"),
        command_database(Commands, settings),
    ):
        raise AssertionError("there is no database")
    DataDir.hold(tmp_path).release()
