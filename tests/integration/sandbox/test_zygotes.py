"""Rooms: workers are forks of a keeper, apart from each other and from it, and end with it."""

import asyncio
import errno
import json
import os
import select
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from adapters.sandbox.guest.python.zygote import ForkServer
from adapters.sandbox.isolation.layers import shared_namespaces
from adapters.sandbox.options import SandboxOptions
from adapters.sandbox.zygote.launch import ZygoteLost
from adapters.sandbox.zygote.sandbox_builder import SandboxBuilder
from adapters.sandbox.zygote.zygote_pool import ZYGOTES_MAX, ZygotePool
from domain.errors import RuntimeUnavailable
from domain.scripts.language import Language
from domain.scripts.limits import Isolation, Limits
from domain.scripts.report import ExecutionUnknown
from tests.contracts.script_runs import new_session, report_of, result_of, run_of
from tests.support.waiting import until

PYTHON = [Language.PYTHON]
RANDOM = """
import random, ssl, uuid
result = [random.random(), ssl.RAND_bytes(8).hex(), str(uuid.uuid4()), str(uuid.uuid1())]
"""


def zygotes_of(runner):
    return list(runner._factory.zygotes._living)


def is_there(pid):
    return Path(f"/proc/{pid}").exists()


def told_of(pid, name):
    return Path(f"/proc/{pid}/{name}").read_text()


@pytest.mark.parametrize(("language", "source"), [(Language.PYTHON, "result = 1"), (Language.NODEJS, "return 1")])
async def test_a_worker_has_every_namespace_for_itself(opened, language, source):
    async with opened(languages=[language]) as runner:
        workers = [await runner.acquire(run_of(source, language=language)) for _ in range(2)]
        (zygote,) = zygotes_of(runner)
        first, second = (worker._process.launched.pid for worker in workers)
        assert shared_namespaces(first, zygote.pid) == ()
        assert shared_namespaces(first, second) == ()
        assert set(shared_namespaces(first, first)) == {"user", "pid", "mnt", "net", "ipc", "uts", "cgroup"}
        for worker in workers:
            await worker.release()


async def test_nothing_of_the_zygote_is_mounted_in_a_worker(opened):
    async with opened(languages=PYTHON) as runner:
        worker = await runner.acquire(run_of("result = 1"))
        lines = told_of(worker._process.launched.pid, "mountinfo").splitlines()
        mounted = {line.split()[4]: line.split()[5].split(",") for line in lines}
        assert "/proc" not in mounted
        assert not any(path.startswith(("/worker", "/pglambda")) for path in mounted)
        assert {path for path, options in mounted.items() if "rw" in options} == {"/tmp"}
        await worker.release()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can enter a worker's user namespace")
async def test_no_user_namespace_can_be_made_in_a_workers_whatever_its_filter_says(opened):
    async with opened(languages=PYTHON) as runner:
        worker = await runner.acquire(run_of("result = 1"))
        enter = ("nsenter", "--target", str(worker._process.launched.pid), "--user", "--preserve-credentials")
        tried = await asyncio.create_subprocess_exec(*enter, "unshare", "--user", "true", stderr=subprocess.PIPE)
        _, said = await tried.communicate()
        assert b"No space left on device" in said
        await worker.release()


async def test_forks_of_one_interpreter_have_random_numbers_of_their_own(opened):
    async with opened(languages=PYTHON) as runner:
        drawn = [json.loads(await result_of(runner, run_of(RANDOM))) for _ in range(3)]
        assert all(len(set(numbers)) == 3 for numbers in zip(*drawn, strict=True))


TAKES_WHAT_IS_COUNTED_BY_USER = """
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


async def test_what_the_kernel_counts_by_user_is_each_workers_own(opened):
    async with opened(languages=PYTHON, prewarmed=0) as runner:
        # Threads reserve more memory than they use.
        limits = Limits(10_000, 1024, Isolation.SESSION)
        alone, *together = [run_of(TAKES_WHAT_IS_COUNTED_BY_USER, text, limits=limits) for text in "0111"]
        expected = await result_of(runner, alone)
        assert json.loads(expected) == [runner.options.processes_max - 1, runner.options.processes_max]
        assert await asyncio.gather(*(result_of(runner, run) for run in together)) == [expected] * 3


async def test_when_memory_is_short_workers_go_before_keepers_and_the_service(opened):
    async with opened(languages=PYTHON) as runner:
        worker = await runner.acquire(run_of("result = 1"))
        own, inside, keeper = (
            int(told_of(pid, "oom_score_adj"))
            for pid in ("self", worker._process.launched.pid, zygotes_of(runner)[0].pid)
        )
        assert inside > max(own, keeper)
        await worker.release()


async def test_a_keeper_that_dies_takes_its_workers_along_and_is_replaced(opened):
    async with opened(languages=PYTHON) as runner:
        key = new_session()
        worker = await runner.acquire(run_of("import time; time.sleep(60)"))
        await report_of(runner, run_of("result = 1", key=key))
        workers = list(runner._factory._living)
        pids = [process.launched.pid for process in workers]
        running = asyncio.ensure_future(worker.run())
        await asyncio.sleep(0)
        os.kill(zygotes_of(runner)[0].pid, signal.SIGKILL)
        with pytest.raises(ExecutionUnknown):
            await running
        await worker.release()
        await until(lambda: not any(map(is_there, pids)) and not any(each.is_alive for each in workers))
        assert (await report_of(runner, run_of("result = 2", key=key))).cold_start is True


async def test_a_launcher_that_is_killed_takes_the_whole_zygote_along(opened):
    async with opened(languages=PYTHON) as runner:
        await report_of(runner, run_of("result = 1"))
        (zygote,), workers = zygotes_of(runner), list(runner._factory._living)
        pids = [zygote.pid, *(process.launched.pid for process in workers)]
        os.kill(zygote._launcher.pid, signal.SIGKILL)
        await until(lambda: not any(map(is_there, pids)) and not any(each.is_alive for each in workers))
        assert await result_of(runner, run_of("result = 2")) == "2"


async def test_a_zygote_whose_end_has_not_been_noticed_yet_costs_nobody_their_worker(opened):
    async with opened(languages=PYTHON, prewarmed=0) as runner:
        await report_of(runner, run_of("result = 1"))
        (zygote,) = zygotes_of(runner)
        os.kill(zygote.pid, signal.SIGKILL)
        # Waits outside the event loop, which would notice.
        assert select.select([zygote._launcher_fd], [], [], 30)[0]
        assert await result_of(runner, run_of("result = 2")) == "2"


async def test_after_so_many_forks_there_is_a_new_zygote_and_the_old_one_ends_with_its_last_worker(opened):
    async with opened(languages=PYTHON, prewarmed=0, forks_max=2) as runner:
        keys = [new_session() for _ in range(3)]
        for key in keys:
            await report_of(runner, run_of("result = 1", key=key))
        first, second = zygotes_of(runner)
        assert (first.started, second.started) == (2, 1)
        assert (await report_of(runner, run_of("result = 1", key=keys[0]))).cold_start is False
        for key in keys:
            await runner.evict(key.session_id)
        await until(lambda: zygotes_of(runner) == [second])


async def test_there_are_only_so_many_zygotes_however_long_workers_live(opened):
    async with opened(languages=PYTHON, prewarmed=0, forks_max=1) as runner:
        for _ in range(ZYGOTES_MAX + 2):
            await report_of(runner, run_of("result = 1"))
        assert len(zygotes_of(runner)) == ZYGOTES_MAX


@pytest.fixture
def spec(runtimes_dir):
    return SandboxBuilder(SandboxOptions(runtimes_dir)).spec(Language.PYTHON)


async def test_a_start_that_is_given_up_leaves_no_worker(spec):
    zygotes = ZygotePool()
    zygote = zygotes.zygote(spec)
    launched = await zygote.start(spec.order())
    for turns in range(4):
        start = asyncio.ensure_future(zygote.start(spec.order()))
        for _ in range(turns):
            await asyncio.sleep(0)
        start.cancel()
        await asyncio.wait([start])
    await until(lambda: not zygote._orders and set(zygote._workers.values()) == {launched})
    await zygotes.close(5)
    assert launched.exited.done()
    launched.close()


async def test_a_start_in_a_zygote_that_has_ended_may_be_made_in_another(spec):
    zygotes = ZygotePool()
    zygote = zygotes.zygote(spec)
    await zygote.ready
    zygote.close()
    await zygote.gone
    with pytest.raises(ZygoteLost):
        await zygote.start(spec.order())
    assert zygotes.zygote(spec) is not zygote
    await zygotes.close(5)


async def test_starts_that_are_given_up_do_not_keep_a_zygote_whose_keeper_is_stuck(opened):
    async with opened(languages=PYTHON, prewarmed=0, start_timeout_s=5) as runner:
        key = new_session()
        await report_of(runner, run_of("result = 1", key=key))
        (zygote,) = zygotes_of(runner)
        await runner.evict(key.session_id)
        await until(lambda: not zygote._workers)
        runner._factory.start_timeout_s = 0.2
        os.kill(zygote.pid, signal.SIGSTOP)
        starts = [runner.acquire(run_of("result = 1")) for _ in range(2)]
        refusals = await asyncio.gather(*starts, return_exceptions=True)
        assert all(isinstance(refused, RuntimeUnavailable) for refused in refusals)
        await until(zygote.gone.done)
        runner._factory.start_timeout_s = 5
        assert await result_of(runner, run_of("result = 2")) == "2"
        assert len(zygotes_of(runner)) == 1


async def test_what_a_zygote_hands_out_is_not_inherited_by_other_programs(opened):
    async with opened(languages=PYTHON) as runner:
        worker = await runner.acquire(run_of("result = 1"))
        launched, (zygote,) = worker._process.launched, zygotes_of(runner)
        held = (launched.pid_fd, launched.stdout, launched.stderr, launched.channel.fileno(), zygote._pid_fd)
        assert not any(map(os.get_inheritable, held))
        await worker.release()


class MuteForkServer(ForkServer):
    """A fork server that sends no descriptor; its workers are other programs."""

    def __init__(self, control):
        super().__init__(control)
        self.forked, self.reported = [], []

    def fork(self):
        self.forked.append(subprocess.Popen(["/bin/sleep", "60"]))
        return self.forked[-1].pid

    def report(self, message, *descriptors):
        if descriptors:
            raise OSError(errno.ETOOMANYREFS, "too many are on their way")
        self.reported.append(message)


def test_a_worker_whose_start_cannot_be_reported_is_ended():
    control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with control, theirs:
        server = MuteForkServer(theirs)
        for number in (1, 2):
            control.send(b'{"id": %d}' % number)
            assert server.take_order() is None
        assert [(message["id"], "too many" in message["failed"]) for message in server.reported] == [
            (1, True),
            (2, True),
        ]
        assert server.workers == {}
        for worker in server.forked:
            assert not is_there(worker.pid)
            worker.wait()
        os.close(server.own_fd)


FAKE_BWRAP = """#!/usr/bin/python3
import json, os, socket, sys
control = socket.socket(fileno=int(sys.argv[-1]))
control.recv(65536)
socket.send_fds(control, [b'{"ready": true}'], [os.pidfd_open(os.getpid())])
while order := control.recv(65536):
    for answer in ANSWERS:
        control.send(json.dumps({"id": json.loads(order)["id"], **answer}).encode())
"""


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ([{"failed": "fork failed"}], "fork failed"),
        # As if the descriptors that came along had not been let in.
        ([{}, {"status": 0}], "no descriptors left"),
    ],
)
@pytest.mark.skipif(not Path("/usr/bin/python3").exists(), reason="the double is a program for the system's Python")
async def test_a_zygote_in_which_no_worker_comes_up_goes_on(opened, runtimes_dir, answers, said):
    fake = runtimes_dir / "fake-bwrap-that-fails"
    fake.write_text(FAKE_BWRAP.replace("ANSWERS", repr(answers)))
    fake.chmod(0o755)
    async with opened(languages=PYTHON, bwrap_path=fake) as runner:
        assert said in (await runner.health())["languages"]["python"]["reason"]
        for _ in range(2):
            with pytest.raises(RuntimeUnavailable, match=said):
                await runner.acquire(run_of("result = 1"))
        (zygote,) = zygotes_of(runner)
        await until(lambda: not zygote._orders)
