"""A start that fails or is cancelled leaves no worker, and does not stop later starts."""

import asyncio
import errno
import os
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from adapters.sandbox.guest.python.zygote import ForkServer
from adapters.sandbox.options import SandboxOptions
from adapters.sandbox.workers.worker_factory import WorkerFactory
from adapters.sandbox.zygote.launch import LaunchFailed, ZygoteLost
from adapters.sandbox.zygote.sandbox_builder import SandboxBuilder
from adapters.sandbox.zygote.zygote_pool import ZygotePool
from domain.errors import RuntimeUnavailable
from domain.scripts.language import Language
from tests.contracts.script_runs import run_of
from tests.integration.sandbox.processes import exists
from tests.support.waiting import until

PYTHON = [Language.PYTHON]


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

    def only_the_first_is_left():
        snapshot = zygote.debug_snapshot()
        return (snapshot.orders, snapshot.workers) == (0, 1)

    await until(only_the_first_is_left)
    assert not launched.exited.done()
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


async def test_a_stuck_zygote_is_replaced_after_its_starts_have_timed_out(spec):
    factory = WorkerFactory(start_timeout_s=5)
    worker = await factory.start(spec)
    worker.kill()
    await worker.gone()
    (zygote,) = factory.zygotes.debug_snapshot()
    os.kill(zygote.pid, signal.SIGSTOP)
    factory.start_timeout_s = 0.2
    failures = await asyncio.gather(*(factory.start(spec) for _ in range(2)), return_exceptions=True)
    assert [type(failure) for failure in failures] == [LaunchFailed] * 2
    await until(lambda: not exists(zygote.launcher_pid))
    factory.start_timeout_s = 5
    assert (await factory.start(spec)).is_alive
    assert len(factory.zygotes.debug_snapshot()) == 1
    await factory.close(5)


class MuteForkServer(ForkServer):
    """A fork server that sends no descriptor; its workers are other programs, with networks of their own."""

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
            control.send(b'{"id": %d, "own_network": true}' % number)
            assert server.take_order() is None
        assert [(message["id"], "too many" in message["failed"]) for message in server.reported] == [
            (1, True),
            (2, True),
        ]
        assert server.workers == {}
        for worker in server.forked:
            assert not exists(worker.pid)
            worker.wait()
        os.close(server.own_fd)
        os.close(server.networks.home)


FAKE_BWRAP = """#!/usr/bin/python3
import json, os, socket, sys
control = socket.socket(fileno=int(sys.argv[-1]))
control.recv(65536)
socket.send_fds(control, [b'{"ready": true}'], [os.pidfd_open(os.getpid())])
while order := control.recv(65536):
    for reply in REPLIES:
        control.send(json.dumps({"id": json.loads(order)["id"], **reply}).encode())
"""


@pytest.mark.parametrize(
    ("replies", "reason"),
    [
        ([{"failed": "fork failed"}], "fork failed"),
        # As if the process descriptors had not arrived.
        ([{}, {"status": 0}], "no file descriptors left"),
    ],
)
@pytest.mark.skipif(not Path("/usr/bin/python3").exists(), reason="the double is a program for the system's Python")
async def test_a_zygote_in_which_no_worker_comes_up_goes_on(opened, runtimes_dir, replies, reason):
    fake = runtimes_dir / "fake-bwrap-that-fails"
    fake.write_text(FAKE_BWRAP.replace("REPLIES", repr(replies)))
    fake.chmod(0o755)
    async with opened(languages=PYTHON, bwrap_path=fake) as runner:
        assert reason in (await runner.health())["languages"]["python"]["reason"]
        for _ in range(2):
            with pytest.raises(RuntimeUnavailable, match=reason):
                await runner.acquire(run_of("result = 1"))
        await until(lambda: [zygote.orders for zygote in runner.debug_snapshot().zygotes] == [0])
