"""A service that ends in any way, at any moment and for any user, leaves no process behind."""

import asyncio
import os
import signal
import subprocess
import sys

import pytest

from adapters.sandbox.zygote.sandbox_spec import ZYGOTE_PROCESSES
from domain.scripts.language import Language
from tests.contracts.script_runs import report_of, run_of
from tests.integration.sandbox.processes import is_running, mentioning, running_as
from tests.programs.sandbox.service_program import ROOT, service
from tests.support.waiting import until

PYTHON = [Language.PYTHON]


async def test_a_service_that_is_killed_leaves_no_orphan(runtimes_dir):
    with service(runtimes_dir) as process:
        lines = [process.stdout.readline() for _ in range(4)]
        pids = [int(pid) for pid in lines[3].split()]
        assert lines[:2] == ["42\n", "42\n"]
        assert len(pids) >= 8
        process.kill()
    await until(lambda: not any(map(is_running, pids)))


LAUNCH_AND_DIE = """
import os, signal, socket, sys, threading
from pathlib import Path
from adapters.sandbox.zygote.launch import start_zygote
from adapters.sandbox.options import SandboxOptions
from adapters.sandbox.zygote.sandbox_builder import SandboxBuilder
from domain.scripts.language import Language

spec = SandboxBuilder(SandboxOptions(Path(sys.argv[1]))).spec(Language.PYTHON)
controls = [socket.socketpair() for _ in range(4)]
started = [start_zygote(spec, theirs.fileno(), 2) for _, theirs in controls]
print(os.getpid(), flush=True)
threading.Event().wait(float(sys.argv[2]))
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("after_ms", [0, 1, 2, 3, 4, 6, 8, 10])
async def test_a_service_that_is_killed_while_it_starts_workers_leaves_no_orphan(runtimes_dir, after_ms):
    folder = another_name(runtimes_dir, f"killed-{after_ms}")
    arguments = [sys.executable, "-c", LAUNCH_AND_DIE, str(folder), str(after_ms / 1000)]
    environment = {"PYTHONPATH": str(ROOT)}
    process = await asyncio.create_subprocess_exec(*arguments, cwd=ROOT, env=environment, stdout=subprocess.PIPE)
    assert await process.stdout.readline(), "it has started workers"
    assert await process.wait() == -signal.SIGKILL
    await until(lambda: not mentioning(str(folder)))
    folder.unlink()


def another_name(folder, name):
    """Return the folder under a name that is seen in the command lines of one test only."""
    link = folder.with_name(f"{folder.name}-{name}")
    link.unlink(missing_ok=True)
    link.symlink_to(folder)
    return link


ORDER_AND_DIE = """
import asyncio, os, signal, sys, threading
from pathlib import Path
from adapters.sandbox.options import SandboxOptions
from adapters.sandbox.zygote.sandbox_builder import SandboxBuilder
from adapters.sandbox.runner import SandboxScriptRunner
from domain.scripts.language import Language
from tests.contracts.script_runs import run_of

async def main():
    folder, uid, after_s = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    runner = SandboxScriptRunner(SandboxOptions(folder, [Language.PYTHON], uid, prewarmed=0, starting_max=8))
    await runner.open()
    await runner.acquire(run_of("result = 1"))
    threading.Timer(after_s, os.kill, (os.getpid(), signal.SIGKILL)).start()
    await asyncio.gather(*(runner.acquire(run_of("result = 1")) for _ in range(16)))
    print("all have been started", flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives workers a uid by which they can be found")
@pytest.mark.parametrize("after_ms", [1, 5, 10, 20])
async def test_a_service_that_is_killed_while_a_zygote_forks_leaves_no_orphan(runtimes_dir, after_ms):
    uid = 61_000 + after_ms
    arguments = [sys.executable, "-c", ORDER_AND_DIE, str(runtimes_dir), str(uid), str(after_ms / 1000)]
    process = await asyncio.create_subprocess_exec(*arguments, cwd=ROOT, env={"PYTHONPATH": str(ROOT)})
    assert await process.wait() == -signal.SIGKILL
    await until(lambda: not running_as(uid))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives workers a uid by which they can be found")
async def test_a_zygote_that_is_killed_while_it_forks_leaves_no_orphan_and_another_one_completes_the_starts(opened):
    uid = 61_100
    async with opened(languages=PYTHON, prewarmed=0, starting_max=8, sandbox_uid=uid) as runner:
        await report_of(runner, run_of("result = 1"))
        (zygote,) = runner.debug_snapshot().zygotes
        starts = [asyncio.ensure_future(runner.acquire(run_of("result = 1"))) for _ in range(8)]
        while not runner.debug_snapshot().zygotes[0].orders:  # noqa: ASYNC110  # orders are open for some turns
            await asyncio.sleep(0)
        os.kill(zygote.pid, signal.SIGKILL)
        for worker in await asyncio.gather(*starts):
            # A worker that was ready before the kill has died with its zygote.
            if worker.process.is_alive:
                assert (await worker.run()).result == "1"
            await worker.release()
        assert (await report_of(runner, run_of("result = 2"))).result == "2"
        # What is left is the new zygote with its launchers and workers.
        await until(lambda: len(running_as(uid)) == runner.debug_snapshot().zygotes[0].workers + ZYGOTE_PROCESSES)
        assert len(runner.debug_snapshot().zygotes) == 1
    await until(lambda: not running_as(uid))


async def test_a_start_that_times_out_at_any_moment_leaves_no_orphan(opened, runtimes_dir):
    for n in range(8):
        folder = another_name(runtimes_dir, f"given-up-{n}")
        async with opened(runtimes_dir=folder, languages=PYTHON, start_timeout_s=0.002 * (n + 1)):
            pass
        await until(lambda folder=folder: not mentioning(str(folder)))
        folder.unlink()
