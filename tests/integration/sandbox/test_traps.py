"""Mistakes that sandboxes of this kind often have, each shown to be absent.

More of them are in other files: orphans of a start that dies, activity after the reply, threads that cannot be counted
(test_orphans.py, test_background_activity.py), the environment of launchers (test_isolation.py), and what forks share
(test_zygotes.py, and the attacks sessions/shared-streams and floods/).
"""

import asyncio
import os
from pathlib import Path

import pytest

from domain.scripts.language import Language
from tests.contracts.script_runs import report_of, result_of, run_of
from tests.integration.sandbox.processes import pid_of
from tests.integration.sandbox.test_isolation import value_of

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.skipif(os.geteuid() != 0, reason="for a normal user no uid inside is root outside")
async def test_the_user_inside_is_not_root_outside(shared):
    worker = await shared.acquire(run_of("result = 1"))
    try:
        inner = Path(f"/proc/{pid_of(worker)}")
        inside, outside, count = map(int, (inner / "uid_map").read_text().split())
        assert (inside, count) == (65534, 1)
        assert outside == shared.options.sandbox_uid != 0
        assert {line.split()[1] for line in (inner / "status").read_text().splitlines() if line.startswith("Uid")} == {
            str(shared.options.sandbox_uid)
        }
    finally:
        await worker.release()


async def test_process_one_shows_no_environment_and_no_path_of_the_host(shared):
    source = """
import os
result = [name for name in ('/proc', '/proc/1/environ', '/proc/1/cmdline', '/proc/self/mountinfo') if os.path.exists(name)]
"""
    assert await value_of(shared, source) == []


async def test_the_interpreter_is_process_one_and_has_no_parent_with_descriptors(shared):
    assert await value_of(shared, "import os\nresult = [os.getpid(), os.getppid()]") == [1, 0]


async def test_only_the_limited_scratch_folder_can_be_written(shared):
    source = """
import os
result = []
for folder, folders, _ in os.walk('/'):
    try:
        os.close(os.open(folder + '/mark', os.O_CREAT | os.O_WRONLY))
        result.append([folder, os.statvfs(folder).f_blocks * os.statvfs(folder).f_frsize, os.statvfs(folder).f_files])
    except OSError:
        pass
"""
    options = shared.options
    assert await value_of(shared, source) == [["/tmp", options.tmp_size_max, options.tmp_files_max]]


async def test_workers_outlive_the_threads_that_prepared_them(opened):
    async with opened(languages=[Language.PYTHON]) as runner:
        await asyncio.get_running_loop().shutdown_default_executor()
        assert await result_of(runner, run_of("result = 1")) == "1"


@pytest.mark.parametrize("module", ["fs", "nowhere-to-be-found"])
async def test_a_script_that_misuses_a_dynamic_import_changes_no_other_session(shared, module):
    source = f"""
let given;
try {{ given = await import('{module}'); }} catch (error) {{ given = error; }}
const host = (given.default?.readFileSync ?? given.constructor).constructor;
host('Object.prototype.polluted = Array.prototype.polluted = 1; globalThis.polluted = 1')();
return null;
"""
    await report_of(shared, run_of(source, language=Language.NODEJS))
    second = "return [{}.polluted, [].polluted, globalThis.polluted, require('path').parse('/').polluted]"
    assert await value_of(shared, second, Language.NODEJS) == [None] * 4


async def test_empty_files_fill_the_scratch_folder(shared):
    source = """
result = 0
try:
    while True:
        open(f'/tmp/{result}', 'w').close()
        result += 1
except OSError:
    pass
"""
    assert await value_of(shared, source) < shared.options.tmp_files_max


@pytest.mark.parametrize(
    "source",
    [
        "import mmap\nheld = []\nwhile True:\n  held.append(mmap.mmap(-1, 1 << 24, flags=33))",
        "import os\nos.memfd_create('x')",
        "import os\nfile = os.open('/tmp/x', os.O_RDWR | os.O_CREAT)\nos.ftruncate(file, 1 << 30)",
    ],
    ids=["shared mappings", "memory files", "sparse files"],
)
async def test_memory_that_the_data_limit_does_not_count_is_limited_or_refused(shared, source):
    report = await report_of(shared, run_of(source))
    assert report.failure is not None
    assert report.memory_usage_bytes < 256 << 20


async def test_a_fork_is_refused_so_limits_of_a_process_limit_the_worker(shared):
    source = """
import os
try:
    result = os.fork()
except OSError as error:
    result = error.errno
"""
    assert await value_of(shared, source) == 11
