"""The folder of the embedded server."""

import os
import stat

import pytest

from entrypoints.server.data_dir import DataDir, DataDirError, DataDirInUse, kept_key, published_url


def test_a_folder_is_created_and_held_by_one_process(tmp_path):
    held = DataDir.hold(tmp_path / "a" / "b")
    with pytest.raises(DataDirInUse, match=f"process id {os.getpid()}"):
        DataDir.hold(tmp_path / "a" / "b")
    held.release()
    DataDir.hold(tmp_path / "a" / "b").release()


def test_the_process_id_of_an_earlier_holder_is_overwritten(tmp_path):
    (tmp_path / "lock").write_text("9" * 19)
    held = DataDir.hold(tmp_path)
    assert (tmp_path / "lock").read_text() == str(os.getpid())
    held.release()


@pytest.mark.parametrize(("user", "mode"), [(0, 0o711), (1000, 0o700)])
def test_other_users_may_enter_a_new_folder_of_root_only(tmp_path, monkeypatch, user, mode):
    monkeypatch.setattr("os.geteuid", lambda: user)
    DataDir.hold(tmp_path / "new").release()
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == mode


def test_a_folder_that_cannot_be_created_is_an_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DataDirError, match=r"cannot be used: Not a directory\. Set DATA_DIR"):
        DataDir.hold(tmp_path / "file" / "below")


def test_the_url_of_the_running_server_is_published_until_the_release(tmp_path):
    held = DataDir.hold(tmp_path)
    assert published_url(tmp_path) is None
    held.publish("postgresql://here")
    assert published_url(tmp_path) == "postgresql://here"
    assert stat.S_IMODE((tmp_path / "server.url").stat().st_mode) == 0o600
    held.release()
    assert published_url(tmp_path) is None


@pytest.mark.parametrize(("name", "length"), [("webhook", 64), ("secrets", 44)])
def test_a_key_is_made_once_and_is_for_this_user_only(tmp_path, name, length):
    assert kept_key(tmp_path, name) is None
    held = DataDir.hold(tmp_path)
    key = held.key(name)
    assert len(key) == length
    assert held.key(name) == kept_key(tmp_path, name) == key
    assert stat.S_IMODE((tmp_path / f"{name}.key").stat().st_mode) == 0o600
    held.release()
