"""The egress process, in its sandbox and started plainly, keeps the contract of WayOut."""

import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from adapters.egress.client import EgressClient
from adapters.egress.control import Configure
from adapters.egress.launch import EgressSandbox
from adapters.sandbox.isolation.seccomp import egress_filter
from adapters.sandbox.runtimes.launchers import find_programs
from domain.errors import RuntimeUnavailable
from domain.identity import ANONYMOUS
from tests.contracts.way_out import Upstream, WayOutContract

_PLAIN = "import sys; from adapters.egress.process import main; main(int(sys.argv[1]))"
_ROOT = Path(__file__).parents[3]


class Started:
    """Starts processes, and remembers the last."""

    def __init__(self, start: Callable[[int], "subprocess.Popen[bytes]"]) -> None:
        self.start = start
        self.last: subprocess.Popen[bytes] | None = None

    def __call__(self, control: int) -> "subprocess.Popen[bytes]":
        self.last = self.start(control)
        return self.last


def configuration(filter_: bytes = b"") -> Configure:
    return Configure(16, 1 << 20, 1.0, ["127.0.0.0/8"], [], [], [], filter_)


def start_plainly(control: int) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-c", _PLAIN, str(control)]
    return subprocess.Popen(command, pass_fds=[control], stderr=subprocess.PIPE, cwd=_ROOT)


def test_errors_that_nobody_reads_do_not_stop_the_process():
    writes = "async def serve(_):\n    for _ in range(64):\n        os.write(2, b'e' * 4096)\n"
    program = f"import os, socket\nfrom adapters.egress import process\n{writes}process.serve = serve\n"
    ours, theirs = socket.socketpair()
    with ours, theirs:
        command = [sys.executable, "-c", f"{program}process.main({theirs.fileno()})"]
        ended = subprocess.Popen(command, pass_fds=[theirs.fileno()], stderr=subprocess.PIPE, cwd=_ROOT)
        with ended:
            try:
                assert ended.wait(timeout=30) == 1, "a write that would wait is an error"
            finally:
                ended.kill()


class TestPlainProcess(WayOutContract):
    @pytest.fixture
    def started(self) -> Started:
        return Started(start_plainly)

    @pytest_asyncio.fixture
    async def way_out(self, started: Started) -> AsyncIterator[EgressClient]:
        client = EgressClient(configuration(), started)
        yield client
        await client.close()

    @pytest.fixture
    def kill(self, started: Started) -> Callable[[], None]:
        def kill() -> None:
            assert started.last is not None
            started.last.kill()

        return kill


class TestSandboxedProcess(TestPlainProcess):
    @pytest.fixture
    def started(self) -> Started:
        bwrap = find_programs(None).bwrap
        uid = 64138 if os.geteuid() == 0 else None
        return Started(EgressSandbox(lambda: bwrap, uid))

    @pytest_asyncio.fixture
    async def way_out(self, started: Started) -> AsyncIterator[EgressClient]:
        client = EgressClient(configuration(egress_filter()), started)
        yield client
        await client.close()


async def test_a_process_that_does_not_start_is_an_error_with_its_words():
    def fail(control: int) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            ["/bin/sh", "-c", "echo no such bubblewrap >&2; exit 3"], pass_fds=[control], stderr=subprocess.PIPE
        )

    client, upstream = EgressClient(configuration(), fail), Upstream()
    await upstream.open()
    with pytest.raises(RuntimeUnavailable, match="did not start: no such bubblewrap"):
        await client.admit([upstream.listener()], {}, 16, ANONYMOUS)
    await upstream.close()
    await client.close()
