"""Workers are forks of a zygote, isolated from it and from each other, and end with it."""

import asyncio
import contextlib
import errno
import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from adapters.sandbox.isolation.layers import shared_namespaces
from adapters.sandbox.options import NodeStart
from adapters.sandbox.zygote.zygote_pool import ZYGOTES_MAX
from domain.scripts.language import Language
from domain.scripts.limits import Isolation, Limits
from domain.scripts.report import ExecutionUnknown
from tests.contracts.script_runs import new_session, report_of, result_of, run_of
from tests.integration.sandbox.processes import exists, pid_of, processes_of
from tests.support.waiting import until

PYTHON = [Language.PYTHON]
RANDOM = """
import random, ssl, uuid
result = [random.random(), ssl.RAND_bytes(8).hex(), str(uuid.uuid4()), str(uuid.uuid1())]
"""


def zygotes_of(runner):
    return runner.debug_snapshot().zygotes


def kernel_text(pid, name):
    return Path(f"/proc/{pid}/{name}").read_text()


FORKED = pytest.mark.parametrize(
    ("language", "source"), [(Language.PYTHON, "result = 1"), (Language.NODEJS, "return 1")]
)


def forking(opened, language):
    return opened(languages=[language], node_start=NodeStart.FORK)


@FORKED
async def test_a_worker_shares_no_namespace(opened, language, source):
    async with forking(opened, language) as runner:
        workers = [await runner.acquire(run_of(source, language=language)) for _ in range(2)]
        (zygote,) = zygotes_of(runner)
        first, second = map(pid_of, workers)
        assert shared_namespaces(first, zygote.pid) == ()
        assert shared_namespaces(first, second) == ()
        assert set(shared_namespaces(first, first)) == {"user", "pid", "mnt", "net", "ipc", "uts", "cgroup"}
        for worker in workers:
            await worker.release()


@FORKED
async def test_nothing_of_the_zygote_is_mounted_in_a_worker(opened, language, source):
    async with forking(opened, language) as runner:
        worker = await runner.acquire(run_of(source, language=language))
        lines = kernel_text(pid_of(worker), "mountinfo").splitlines()
        mounted = {line.split()[4]: line.split()[5].split(",") for line in lines}
        assert "/proc" not in mounted
        assert not any(path.startswith(("/worker", "/pglambda")) for path in mounted)
        assert {path for path, options in mounted.items() if "rw" in options} == {"/tmp"}
        await worker.release()


INSIDE = """
import ctypes, json, os, sys
libc = ctypes.CDLL(None, use_errno=True)
pid, in_root = sys.argv[1:]
mounts = open("/proc/self/mountinfo")
root, mnt, user = (os.open(f"/proc/{pid}/{name}", os.O_RDONLY) for name in ("root", "ns/mnt", "ns/user"))
assert libc.setns(mnt, 0) == 0
if in_root == "True":
    os.fchdir(root)
    os.chroot(".")
assert libc.setns(user, 0) == 0
os.setgid(65534)
os.setuid(65534)
"""


async def seen_without_a_filter(pid, action, in_root):
    """Return what this code writes in a process with the mounts and the user of a worker, in its root or above it."""
    program = (sys.executable, "-c", f"{INSIDE}{action}", str(pid), str(in_root))
    process = await asyncio.create_subprocess_exec(*program, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env={})
    output, _ = await process.communicate()
    return output.decode().strip()


@FORKED
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can enter a worker's namespaces")
async def test_the_kernel_makes_no_user_namespace_in_a_workers_root_even_without_its_filter(opened, language, source):
    make = "print(libc.unshare(0x10000000), ctypes.get_errno())"
    async with forking(opened, language) as runner:
        worker = await runner.acquire(run_of(source, language=language))
        pid = pid_of(worker)
        assert await seen_without_a_filter(pid, make, in_root=True) == f"-1 {errno.EPERM}"
        assert await seen_without_a_filter(pid, make, in_root=False) == "0 0"
        await worker.release()


@FORKED
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can enter a worker's namespaces")
async def test_above_a_workers_root_nothing_can_be_read_but_files_of_interpreters_and_nothing_written(
    opened, language, source
):
    look = """
def is_written(folder):
    try:
        os.close(os.open(folder + "/mark", os.O_CREAT | os.O_WRONLY))
    except OSError:
        return False
    return True
print(json.dumps([os.listdir("/"), os.listdir("/proc"), [folder for folder, _, _ in os.walk("/") if is_written(folder)]]))
"""
    async with forking(opened, language) as runner:
        worker = await runner.acquire(run_of(source, language=language))
        above, proc, written = json.loads(await seen_without_a_filter(pid_of(worker), look, in_root=False))
        assert set(above) <= {"worker", "proc", "pglambda", "usr", "lib", "lib64", "opt", "home", "root", "work", "tmp"}
        assert (proc, written) == ([], ["/worker/tmp"])
        await worker.release()


async def test_forks_of_one_interpreter_have_random_numbers_of_their_own(opened):
    async with opened(languages=PYTHON) as runner:
        drawn = [json.loads(await result_of(runner, run_of(RANDOM))) for _ in range(3)]
        assert all(len(set(numbers)) == 3 for numbers in zip(*drawn, strict=True))


USES_UP_LIMITS_BY_USER = """
import ctypes, os, signal, threading, time
signal.pthread_sigmask(signal.SIG_BLOCK, [40])
ending = threading.Event()
threads = 0
try:
    while True:
        threading.Thread(target=ending.wait, args=(10,)).start()
        threads += 1
except RuntimeError:
    pass
libc = ctypes.CDLL(None)
signals = 0
while libc.sigqueue(os.getpid(), 40, ctypes.c_void_p()) == 0:
    signals += 1
time.sleep(params)
ending.set()
result = [threads, signals]
"""


async def test_limits_that_the_kernel_counts_by_user_are_counted_for_each_worker(opened):
    async with opened(languages=PYTHON, prewarmed=0) as runner:
        # Threads reserve more memory than they use.
        limits = Limits(10_000, 1024, Isolation.SESSION)
        alone, *together = [run_of(USES_UP_LIMITS_BY_USER, text, limits=limits) for text in "0111"]
        expected = await result_of(runner, alone)
        assert json.loads(expected) == [runner.options.processes_max - 1, runner.options.processes_max]
        assert await asyncio.gather(*(result_of(runner, run) for run in together)) == [expected] * 3


async def test_when_memory_is_short_workers_are_killed_before_zygotes_and_the_service(opened):
    async with opened(languages=PYTHON) as runner:
        worker = await runner.acquire(run_of("result = 1"))
        pids = ("self", zygotes_of(runner)[0].pid, pid_of(worker))
        service, zygote, inside = (int(kernel_text(pid, "oom_score_adj")) for pid in pids)
        assert inside > max(service, zygote)
        await worker.release()


async def test_a_zygote_that_dies_ends_its_workers_and_is_replaced(opened):
    async with opened(languages=PYTHON) as runner:
        ref = new_session()
        worker = await runner.acquire(run_of("import time; time.sleep(60)"))
        await report_of(runner, run_of("result = 1", ref=ref))
        pids = runner.debug_snapshot().workers
        running = asyncio.ensure_future(worker.run())
        await asyncio.sleep(0)
        os.kill(zygotes_of(runner)[0].pid, signal.SIGKILL)
        with pytest.raises(ExecutionUnknown):
            await running
        await worker.release()
        await until(lambda: not any(map(exists, pids)) and not set(pids) & set(runner.debug_snapshot().workers))
        assert (await report_of(runner, run_of("result = 2", ref=ref))).cold_start is True


async def test_a_launcher_that_is_killed_ends_its_zygote_and_all_workers(opened):
    async with opened(languages=PYTHON) as runner:
        await report_of(runner, run_of("result = 1"))
        (zygote,), pids = zygotes_of(runner), processes_of(runner)
        os.kill(zygote.launcher_pid, signal.SIGKILL)
        await until(lambda: not any(map(exists, pids)) and not set(pids) & set(processes_of(runner)))
        assert await result_of(runner, run_of("result = 2")) == "2"


async def test_a_worker_starts_although_its_zygote_has_just_ended_unnoticed(opened):
    async with opened(languages=PYTHON, prewarmed=0) as runner:
        await report_of(runner, run_of("result = 1"))
        (zygote,) = zygotes_of(runner)
        launcher_fd = os.pidfd_open(zygote.launcher_pid)
        os.kill(zygote.pid, signal.SIGKILL)
        # Waits outside the event loop, which would notice.
        assert select.select([launcher_fd], [], [], 30)[0]
        os.close(launcher_fd)
        assert await result_of(runner, run_of("result = 2")) == "2"


async def test_a_zygote_is_replaced_after_its_last_fork_and_ends_with_its_last_worker(opened):
    async with opened(languages=PYTHON, prewarmed=0, forks_max=2) as runner:
        refs = [new_session() for _ in range(3)]
        for ref in refs:
            await report_of(runner, run_of("result = 1", ref=ref))
        first, second = zygotes_of(runner)
        assert (first.started, second.started) == (2, 1)
        assert (await report_of(runner, run_of("result = 1", ref=refs[0]))).cold_start is False
        for ref in refs:
            await runner.evict(ref.session_id)
        await until(lambda: [zygote.pid for zygote in zygotes_of(runner)] == [second.pid])


@FORKED
async def test_a_successor_has_started_before_the_last_fork_of_a_zygote(opened, language, source):
    async with opened(languages=[language], node_start=NodeStart.FORK, prewarmed=0, forks_max=20) as runner:
        while len(zygotes_of(runner)) < 2:
            await report_of(runner, run_of(source, language=language))
        first, successor = zygotes_of(runner)
        assert (first.started < 20, successor.started) == (True, 0)
        await until(lambda: zygotes_of(runner)[-1].pid is not None)
        while zygotes_of(runner)[-1].workers == 0:
            await report_of(runner, run_of(source, language=language))
        assert zygotes_of(runner)[-1].launcher_pid == successor.launcher_pid


async def test_the_number_of_zygotes_is_limited_however_long_workers_live(opened):
    async with opened(languages=PYTHON, prewarmed=0, forks_max=1) as runner:
        for _ in range(ZYGOTES_MAX + 2):
            await report_of(runner, run_of("result = 1"))
        assert len(zygotes_of(runner)) == ZYGOTES_MAX


async def test_descriptors_of_zygotes_and_workers_are_not_inherited_by_other_programs(opened):
    before = inheritable_descriptors()
    async with opened(languages=PYTHON) as runner:
        worker = await runner.acquire(run_of("result = 1"))
        assert inheritable_descriptors() == before
        await worker.release()


def inheritable_descriptors():
    found = set()
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # the listing's own
            if os.get_inheritable(int(descriptor.name)):
                found.add(int(descriptor.name))
    return found
