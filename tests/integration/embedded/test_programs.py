"""The PostgreSQL programs, and the user that runs them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from adapters.embedded_postgres.account import Account, EmbeddedPostgresError, choose_account
from adapters.embedded_postgres.programs import PostgresPrograms, ProgramRunner, find_programs
from entrypoints.server.process import launch
from tests.integration.embedded.conftest import TIMEOUT_S, as_root

OWN = Account(os.geteuid(), os.getegid())
NOBODY = Account(65534, 65534)


def test_the_programs_come_from_the_wheel():
    programs = find_programs()
    assert programs.major == "18"
    version = subprocess.run([programs.path("postgres"), "-V"], capture_output=True, text=True, check=True)
    assert "18." in version.stdout


def test_the_error_of_a_failed_program_has_its_output():
    with pytest.raises(EmbeddedPostgresError, match=r"failed with status 3\. .*\nno luck"):
        ProgramRunner(launch, OWN, TIMEOUT_S).run(sys.executable, "-c", "import sys; print('no luck'); sys.exit(3)")


def test_a_program_that_does_not_end_is_killed():
    with pytest.raises(EmbeddedPostgresError, match=r"did not end within 0 s"):
        ProgramRunner(launch, OWN, 0.05).run(sys.executable, "-c", "import time; time.sleep(60)")


def test_reachable_programs_are_not_copied(folder):
    assert find_programs().reachable_by(OWN, folder) == find_programs()


@as_root
def test_unreachable_programs_are_copied_once(folder):
    private = folder / "private"
    private.mkdir(mode=0o700)
    (private / "pginstall").symlink_to(find_programs().folder)
    hidden = PostgresPrograms(private / "pginstall", "18.6")
    copy = hidden.reachable_by(NOBODY, folder)
    assert copy.folder == folder / "postgres-18.6-programs"
    made_at = copy.folder.stat().st_ctime_ns
    subprocess.run([copy.path("postgres"), "-V"], user=65534, group=65534, extra_groups=[], check=True)
    assert hidden.reachable_by(NOBODY, folder) == copy
    assert copy.folder.stat().st_ctime_ns == made_at


@as_root
def test_the_server_of_root_runs_as_an_unprivileged_user(folder):
    assert choose_account(folder / "postgres").uid != 0


@as_root
def test_the_owner_of_a_data_folder_runs_its_server(folder):
    os.chown(folder, 65534, 65534)
    assert choose_account(folder) == NOBODY


@as_root
@pytest.mark.parametrize(("uid", "reason"), [(0, "never runs as root"), (54321, "no passwd entry")])
def test_a_data_folder_whose_owner_cannot_run_a_server_is_an_error(folder, uid, reason):
    os.chown(folder, uid, uid)
    with pytest.raises(EmbeddedPostgresError, match=reason):
        choose_account(folder)


@as_root
@pytest.mark.parametrize(
    ("mode", "uid", "gid", "may"),
    [
        (0o711, 0, 0, True),
        (0o710, 0, 0, False),
        (0o710, 0, 65534, True),
        (0o701, 0, 65534, False),
        (0o700, 65534, 0, True),
        (0o077, 65534, 65534, False),
    ],
)
def test_the_modes_of_a_folder_decide_who_may_enter_it(folder: Path, mode, uid, gid, may):
    os.chown(folder, uid, gid)
    folder.chmod(mode)
    assert NOBODY.can_enter(folder) is may
