"""Workers that are killed: by their own limits, or by the host while they are within them."""

import asyncio
import os
import signal
from pathlib import Path

import pytest
from attrs import define

from adapters.sandbox.isolation.control_group import ControlGroup
from adapters.sandbox.options import MIB, SandboxOptions
from adapters.sandbox.workers.channel import Ending
from adapters.sandbox.workers.process import WorkerProcess
from adapters.sandbox.zygote.sandbox_builder import SandboxBuilder
from domain.scripts.language import Language
from domain.scripts.limits import Isolation, Limits
from domain.scripts.report import PROTOCOL_BROKEN, ExecutionUnknown, FailureCode
from tests.contracts.script_runs import new_session, report_of, result_of, run_of
from tests.integration.sandbox.processes import pid_of
from tests.integration.sandbox.unconfined import launched_bare
from tests.support.waiting import until

PYTHON = [Language.PYTHON]
_LIMIT_FILES = {1: "memory.limit_in_bytes", 2: "memory.max"}
_USE_FILES = {1: "memory.usage_in_bytes", 2: "memory.current"}

TAKES_100_MIB = """
import time
held = b"x" * (100 << 20)
time.sleep(60)
"""
TAKES_SHARED_MEMORY = """
import mmap, time
held = []
try:
    while True:
        held.append(mmap.mmap(-1, 1 << 20))
        held[-1].write(b"x" * (1 << 20))
except (OSError, MemoryError):
    pass
time.sleep(60)
"""


@define
class MemoryOfAll:
    """The memory limit of a control group, for tests to lower."""

    group: ControlGroup

    @property
    def _folder(self) -> Path:
        return self.group.folders[0]

    def leave(self, size: int) -> None:
        """Let the group have so many bytes beyond what it has now."""
        used = int((self._folder / _USE_FILES[self.group.version]).read_text())
        self._write(str(used + size))

    def lift(self) -> None:
        self._write("-1" if self.group.version == 1 else "max")

    def _write(self, limit: str) -> None:
        (self._folder / _LIMIT_FILES[self.group.version]).write_text(limit)


@pytest.mark.parametrize("together", [1, 2])
async def test_a_kill_for_lack_of_memory_on_the_host_is_no_failure_of_the_script(opened, together):
    async with opened(languages=PYTHON, prewarmed=0) as runner:
        if (group := runner.debug_snapshot().group) is None:
            assert (await runner.health())["layers"]["not_used"]["cgroup"]
            return
        ref, memory = new_session(), MemoryOfAll(group)
        await result_of(runner, run_of("result = 1", ref=ref))
        workers = [await runner.acquire(run_of(TAKES_100_MIB)) for _ in range(together)]
        # Less than one of them takes, so that the kernel kills them all.
        memory.leave(40 * MIB)
        for killed in await asyncio.gather(*(worker.run() for worker in workers), return_exceptions=True):
            assert isinstance(killed, ExecutionUnknown)
            assert "SANDBOX_MEMORY_MB" in killed.reason
            assert "of its 128 MiB" in killed.reason
            assert (killed.executed, killed.retry_after_ms) == ("unknown", None)
        memory.lift()
        for worker in workers:
            await worker.release()
        assert await result_of(runner, run_of("result = 2", ref=ref)) == "2"


@pytest.mark.parametrize(
    ("source", "memory_mb", "held_mb"), [(TAKES_SHARED_MEMORY, 16, 40), ("import time; time.sleep(60)", 128, 0)]
)
async def test_the_outcome_of_a_kill_depends_on_the_memory_that_the_worker_held(opened, source, memory_mb, held_mb):
    async with opened(languages=PYTHON, prewarmed=0) as runner:
        limits = Limits(60_000, memory_mb, Isolation.SESSION)
        worker = await runner.acquire(run_of(source, limits=limits))
        running = asyncio.ensure_future(worker.run())
        pid = pid_of(worker)
        await _until_it_holds(pid, held_mb * MIB)
        os.kill(pid, signal.SIGKILL)
        if held_mb < memory_mb:
            with pytest.raises(ExecutionUnknown, match="killed from outside"):
                await running
        else:
            failure = (await running).failure
            assert failure is not None
            assert (failure.code, failure.limit) == (FailureCode.MEMORY_LIMIT, memory_mb * MIB)
            assert failure.observed is not None
            assert failure.observed > memory_mb * MIB
        await worker.release()


async def _until_it_holds(pid, size):
    def holds():
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") >= size

    await until(holds)


CLOSES_ITS_CHANNEL = "import os, time\nos.close(3)\ntime.sleep(60)"
ITS_FIRST_THREAD_ENDS_BEFORE = """
import ctypes, os, threading, time
def later():
    time.sleep(0.1)
    os.close(3)
    time.sleep(60)
threading.Thread(target=later).start()
ctypes.CDLL(None).syscall({"x86_64": 60, "aarch64": 93}[os.uname().machine], 0)
"""


@pytest.mark.parametrize("source", [CLOSES_ITS_CHANNEL, ITS_FIRST_THREAD_ENDS_BEFORE])
async def test_a_script_that_closes_its_channel_breaks_the_protocol(opened, source):
    async with opened(languages=PYTHON, prewarmed=0) as runner:
        failure = (await report_of(runner, run_of(source))).failure
        assert failure is not None
        assert (failure.code, failure.name) == (FailureCode.SCRIPT_ERROR, PROTOCOL_BROKEN)


async def test_a_kill_before_an_operation_counts_for_the_operation(runtimes_dir, tmp_path):
    kills = tmp_path / "memory.events"
    kills.write_text("oom 5\noom_kill 3\n")
    spec = SandboxBuilder(SandboxOptions(runtimes_dir)).spec(Language.PYTHON)
    process = WorkerProcess(launched_bare(spec, tmp_path), 1000, 1000, 0.5, 1000, group=ControlGroup(2, (tmp_path,)))
    await process.start()
    kills.write_text("oom 6\noom_kill 4\n")
    os.kill(process.launched.pid, signal.SIGKILL)
    exchange = await process.exchange(b"", 30)
    assert exchange.ending is Ending.DIED
    assert exchange.death is not None
    assert (exchange.death.status, exchange.death.memory_was_short) == (-signal.SIGKILL, True)
