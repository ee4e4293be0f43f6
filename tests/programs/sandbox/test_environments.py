"""The sandbox works for a normal user, in a container, and under lowered limits."""

import os
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from adapters.sandbox.options import SandboxLevel
from tests.programs.sandbox.service_program import ROOT, SERVICE, service

NEW_PROCESSES = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")
# The process with id 2 has ended, as in a container whose runtime has used some ids before its first process.
CONTAINER = '/bin/true; exec "$@"'
HIDING = """
mount --make-rprivate / && mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys &&
mount --bind /dev/null /proc/uptime && exec "$@"
"""

USER = 12345
# The folders of root are seen by another name, because their own path may lead through private folders.
OTHER_USER = f"""
mount --bind "$1" "$3/root" && mount --bind "$2" "$3/packages" && cd "$3/root" && shift 3 &&
exec setpriv --reuid {USER} --regid {USER} --clear-groups "$@"
"""

SMALL_BUDGET = """
import asyncio, sys
from pathlib import Path
from adapters.sandbox.options import SandboxOptions
from adapters.sandbox.runner import SandboxScriptRunner
from domain.scripts.language import Language
from tests.contracts.script_runs import new_session, report_of, run_of

async def main():
    runner = SandboxScriptRunner(SandboxOptions(Path(sys.argv[1]), languages=[Language.PYTHON], memory_budget_mb=145))
    await runner.open()
    refs = [new_session() for _ in range(4)]
    reports = [await report_of(runner, run_of("result = 1", ref=ref)) for ref in refs * 2]
    print(*(report.cold_start for report in reports), flush=True)
    await runner.close(5)

asyncio.run(main())
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a container's view of /proc")
async def test_the_sandbox_works_if_parts_of_proc_are_hidden_and_read_only_on_a_host(runtimes_dir):
    inside = ("unshare", "--mount", "sh", "-c", HIDING, "sh", sys.executable)
    with service(runtimes_dir, python=inside) as process:
        assert [process.stdout.readline() for _ in range(2)] == ["42\n", "42\n"]
        process.stdin.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a container's view of /proc")
async def test_the_sandbox_works_among_the_processes_of_a_container(runtimes_dir):
    with service(runtimes_dir, python=(*NEW_PROCESSES, "sh", "-c", CONTAINER, "sh", sys.executable)) as process:
        assert [process.stdout.readline() for _ in range(2)] == ["42\n", "42\n"]
        process.stdin.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a container's view of /proc")
async def test_a_container_that_hides_parts_of_proc_has_no_sandbox_and_the_reason_names_the_option(runtimes_dir):
    inside = (*NEW_PROCESSES, "sh", "-c", HIDING, "sh", "sh", "-c", CONTAINER, "sh", sys.executable)
    with service(runtimes_dir, python=inside) as process:
        process.stdin.close()
        assert "--security-opt unmask=/proc/* (Podman)" in process.stdout.read()


async def test_a_service_that_was_started_with_lower_limits_has_a_working_sandbox(runtimes_dir):
    lowered = ("sh", "-c", 'ulimit -c 0 && ulimit -s 4096 && exec "$@"', "sh", sys.executable)
    with service(runtimes_dir, python=lowered) as process:
        assert [process.stdout.readline() for _ in range(2)] == ["42\n", "42\n"]
        process.stdin.close()


def python_for_others(folder):
    """Return an interpreter that every user can start: this one, or a copy if it lies in a home folder."""
    own = Path(sys.base_prefix) / "bin" / Path(shutil.__file__).parent.name
    if all(parent.stat().st_mode & stat.S_IXOTH for parent in own.parents):
        return own
    shutil.copytree(sys.base_prefix, folder / "python", ignore=shutil.ignore_patterns("site-packages", "test"))
    return folder / "python" / "bin" / own.name


@pytest.fixture
def as_user(runtimes_dir):
    """Starts a program as a user without rights, who finds the code and its packages in a folder that they may read."""
    with tempfile.TemporaryDirectory(dir=runtimes_dir) as name:
        folder = Path(name)
        folder.chmod(0o755)
        for below in ("root", "packages", "data"):
            (folder / below).mkdir()
        os.chown(folder / "data", USER, USER)
        python = python_for_others(folder)
        packages = next(entry for entry in sys.path if entry.endswith("site-packages"))
        variables = {"PYTHONPATH": f"{folder}/root:{folder}/packages", "LD_LIBRARY_PATH": f"{folder}/python/lib"}

        def start(level, program=SERVICE):
            mounted = ["unshare", "--mount", "sh", "-c", OTHER_USER, "sh", ROOT, packages, folder]
            return subprocess.Popen(
                [*mounted, python, "-c", program, str(folder / "data"), level],
                env={"PATH": os.environ["PATH"], **variables},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )

        yield start


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
async def test_a_normal_user_has_the_same_sandbox_under_its_own_uid(as_user):
    with as_user(SandboxLevel.STANDARD) as process:
        lines = [process.stdout.readline() for _ in range(4)]
        assert lines[:2] == ["42\n", "42\n"]
        assert "share the service's uid" in lines[2]
        process.stdin.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
async def test_a_normal_user_can_measure_what_its_workers_share(as_user):
    with as_user(SandboxLevel.STANDARD, SMALL_BUDGET) as process:
        assert process.stdout.readline() == "True True True True False False False False\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
async def test_a_normal_user_gets_an_error_for_a_separate_uid(as_user):
    with as_user(SandboxLevel.SEPARATE_UID) as process:
        assert "SANDBOX_LEVEL" in process.stdout.readline()
