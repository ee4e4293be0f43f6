"""The user of the embedded server, its programs and its socket folder."""

import os
from types import SimpleNamespace

import pytest

from adapters.embedded_postgres.account import Account, EmbeddedPostgresError, choose_account
from adapters.embedded_postgres.programs import find_programs
from adapters.embedded_postgres.server import make_socket_folder, remove_socket_folder

OWN = Account(os.geteuid(), os.getegid())


def acting_as(monkeypatch, uid):
    monkeypatch.setattr("os.geteuid", lambda: uid)


def passwd(monkeypatch, **uids):
    def entry(name):
        return SimpleNamespace(pw_uid=uids[name], pw_gid=uids[name])

    monkeypatch.setattr("pwd.getpwnam", entry)


def test_a_data_folder_of_another_user_is_an_error(tmp_path, monkeypatch):
    acting_as(monkeypatch, os.geteuid() + 4242)
    with pytest.raises(EmbeddedPostgresError, match="belongs to user id"):
        choose_account(tmp_path)


def test_a_user_without_a_passwd_entry_is_an_error(tmp_path, monkeypatch):
    acting_as(monkeypatch, 54321)
    with pytest.raises(EmbeddedPostgresError, match="User id 54321 has no passwd entry"):
        choose_account(tmp_path / "none")


def test_root_prefers_the_user_postgres_to_nobody(tmp_path, monkeypatch):
    acting_as(monkeypatch, 0)
    passwd(monkeypatch, postgres=101, nobody=65534)
    assert choose_account(tmp_path / "none") == Account(101, 101)


def test_a_user_with_uid_0_is_not_chosen(tmp_path, monkeypatch):
    acting_as(monkeypatch, 0)
    passwd(monkeypatch, postgres=0, nobody=65534)
    assert choose_account(tmp_path / "none") == Account(65534, 65534)


def test_root_without_an_unprivileged_user_is_an_error(tmp_path, monkeypatch):
    acting_as(monkeypatch, 0)
    passwd(monkeypatch)
    with pytest.raises(EmbeddedPostgresError, match="no user postgres or nobody"):
        choose_account(tmp_path / "none")


def test_the_own_user_changes_no_owner_and_needs_no_credentials(tmp_path):
    OWN.adopt(tmp_path)
    assert tmp_path.stat().st_uid == OWN.uid
    assert OWN.credentials is None
    assert Account(OWN.uid + 1, 7).credentials == (OWN.uid + 1, 7)


@pytest.mark.parametrize("package", ["no_such_package", "tests", "attrs"])
def test_missing_programs_are_an_error(package):
    with pytest.raises(EmbeddedPostgresError, match="is not installed"):
        find_programs(package)


def test_a_foreign_link_is_removed_and_its_target_stays(tmp_path):
    (tmp_path / "kept").mkdir()
    (tmp_path / "socket").symlink_to(tmp_path / "kept")
    folder = make_socket_folder(tmp_path / "socket", OWN)
    assert folder == tmp_path / "socket"
    assert (tmp_path / "kept").is_dir()
    remove_socket_folder(folder)
    assert not folder.exists()
