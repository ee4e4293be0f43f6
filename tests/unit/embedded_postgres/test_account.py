import os
from types import SimpleNamespace

import pytest

from adapters.embedded_postgres.account import Account, choose_account
from adapters.embedded_postgres.binaries import find_binaries
from adapters.embedded_postgres.errors import EmbeddedPostgresError
from adapters.embedded_postgres.socket_folder import make_socket_folder, remove_socket_folder

OWN = Account(os.geteuid(), os.getegid())


def acting_as(monkeypatch, uid):
    monkeypatch.setattr("os.geteuid", lambda: uid)


def passwd(monkeypatch, **uids):
    def entry(name):
        return SimpleNamespace(pw_uid=uids[name], pw_gid=uids[name])

    monkeypatch.setattr("pwd.getpwnam", entry)


def test_a_data_folder_of_another_user_is_refused(tmp_path, monkeypatch):
    acting_as(monkeypatch, os.geteuid() + 4242)
    with pytest.raises(EmbeddedPostgresError, match="belongs to user id"):
        choose_account(tmp_path)


def test_a_user_without_a_passwd_entry_is_refused(tmp_path, monkeypatch):
    acting_as(monkeypatch, 54321)
    with pytest.raises(EmbeddedPostgresError, match="User id 54321 has no passwd entry"):
        choose_account(tmp_path / "none")


def test_root_takes_the_user_postgres_before_nobody(tmp_path, monkeypatch):
    acting_as(monkeypatch, 0)
    passwd(monkeypatch, postgres=101, nobody=65534)
    assert choose_account(tmp_path / "none") == Account(101, 101)


def test_a_user_that_is_root_under_another_name_is_passed_over(tmp_path, monkeypatch):
    acting_as(monkeypatch, 0)
    passwd(monkeypatch, postgres=0, nobody=65534)
    assert choose_account(tmp_path / "none") == Account(65534, 65534)


def test_root_without_any_unprivileged_user_is_refused(tmp_path, monkeypatch):
    acting_as(monkeypatch, 0)
    passwd(monkeypatch)
    with pytest.raises(EmbeddedPostgresError, match="no user postgres or nobody"):
        choose_account(tmp_path / "none")


def test_what_is_ones_own_stays_ones_own(tmp_path):
    OWN.adopt(tmp_path)
    assert tmp_path.stat().st_uid == OWN.uid
    assert OWN.credentials is None
    assert Account(OWN.uid + 1, 7).credentials == (OWN.uid + 1, 7)


@pytest.mark.parametrize("package", ["no_such_package", "tests", "attrs"])
def test_programs_that_are_not_installed_are_told(package):
    with pytest.raises(EmbeddedPostgresError, match="is not installed"):
        find_binaries(package)


def test_a_link_to_somewhere_else_is_removed_and_its_target_left(tmp_path):
    (tmp_path / "kept").mkdir()
    (tmp_path / "socket").symlink_to(tmp_path / "kept")
    folder = make_socket_folder(tmp_path / "socket", OWN)
    assert folder == tmp_path / "socket"
    assert (tmp_path / "kept").is_dir()
    remove_socket_folder(folder)
    assert not folder.exists()
