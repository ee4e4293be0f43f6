"""Scripts are held to their CPU time, and those that compute rank behind others."""

import asyncio
import os
from pathlib import Path

import pytest

from adapters.sandbox.isolation.cpu_scheduling import all_processors, busy_processors, starting_processors
from adapters.sandbox.options import SandboxOptions
from adapters.sandbox.zygote.sandbox_builder import SandboxBuilder
from adapters.sandbox.zygote.zygote_pool import ZygotePool
from domain.scripts.language import Language
from domain.scripts.limits import Isolation, Limits
from domain.scripts.report import FailureCode
from tests.contracts.script_runs import failure_of, new_session, report_of, result_of, run_of
from tests.integration.sandbox.processes import pid_of
from tests.support.waiting import until

PYTHON = [Language.PYTHON]


async def test_a_worker_that_has_used_its_cpu_time_is_killed_by_the_kernel(opened):
    async with opened(languages=PYTHON, cpu_s_max=1) as runner:
        # On a busy machine a second of CPU takes a while.
        limits = Limits(60_000, 128, Isolation.SESSION)
        failure = await failure_of(runner, run_of("while True: pass", limits=limits))
        assert (failure.code, failure.limit) == (FailureCode.CPU_LIMIT, 1000)


async def test_threads_are_stopped_at_the_cpu_limit_of_one_execution(opened):
    source = """
import hashlib, threading
def burn():
    while True: hashlib.sha256(bytes(1 << 20)).digest()
for _ in range(4): threading.Thread(target=burn).start()
burn()
"""
    async with opened(languages=PYTHON, cpu_per_wall=0.004) as runner:
        report = await report_of(runner, run_of(source, limits=Limits(20_000, 128, Isolation.SESSION)))
        assert (report.failure.code, report.failure.limit) == (FailureCode.CPU_LIMIT, 80)
        assert report.failure.observed > 80
        assert report.execution_time_ms < 20_000


def processors_of(pid):
    threads = Path(f"/proc/{pid}/task").iterdir()
    return {frozenset(os.sched_getaffinity(int(thread.name))) for thread in threads}


def policies_of(pid):
    threads = Path(f"/proc/{pid}/task").iterdir()
    return {os.sched_getscheduler(int(thread.name)) for thread in threads}


def niceness_of(pid):
    threads = Path(f"/proc/{pid}/task").iterdir()
    return {int((thread / "stat").read_text().rpartition(")")[2].split()[16]) for thread in threads}


@pytest.mark.parametrize(
    ("source", "language"),
    [
        (
            "import threading\ndef burn():\n  while True: pass\nthreading.Thread(target=burn).start()\nburn()",
            Language.PYTHON,
        ),
        ("for (;;);", Language.NODEJS),
    ],
)
async def test_all_threads_of_a_script_that_computes_rank_behind_others(opened, source, language):
    async with opened(languages=[language]) as runner:
        worker = await runner.acquire(run_of(source, language=language))
        pid = pid_of(worker)
        assert niceness_of(pid) == {os.nice(0)}
        assert processors_of(pid) == {frozenset(all_processors())}
        assert policies_of(pid) == {os.SCHED_BATCH}
        running = asyncio.ensure_future(worker.run())
        await until(lambda: niceness_of(pid) == {min(os.nice(0) + 10, 19)})
        assert processors_of(pid) == {frozenset(busy_processors())}
        running.cancel()
        await asyncio.wait([running])
        await worker.release()


async def test_while_it_starts_a_worker_leaves_the_free_processor_to_others(runtimes_dir):
    builder, zygotes = SandboxBuilder(SandboxOptions(runtimes_dir)), ZygotePool()
    spec = builder.spec(Language.PYTHON)
    launched = await zygotes.zygote(spec).start(spec.order())
    expected = {frozenset(starting_processors(builder.uid))}, {os.SCHED_BATCH}
    await until(lambda: (processors_of(launched.pid), policies_of(launched.pid)) == expected)
    await zygotes.close(5)
    launched.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may raise a priority")
async def test_after_it_has_computed_a_worker_ranks_like_the_others(opened):
    async with opened(languages=PYTHON) as runner:
        ref, source = new_session(), "import time\nwhile time.process_time() < 0.3: pass"
        # On a busy machine a third of a second of CPU takes a while.
        await report_of(runner, run_of(source, ref=ref, limits=Limits(60_000, 128, Isolation.SESSION)))
        (pid,) = runner.debug_snapshot().idle_workers
        assert niceness_of(pid) == {os.nice(0)}
        assert processors_of(pid) == {frozenset(all_processors())}


async def test_waiting_uses_no_cpu_time(opened):
    async with opened(languages=PYTHON, cpu_per_wall=0.02) as runner:
        run = run_of("import time\ntime.sleep(0.5)\nresult = 1", limits=Limits(20_000, 128, Isolation.SESSION))
        assert await result_of(runner, run) == "1"


async def test_a_worker_is_retired_before_it_has_used_its_cpu_time(opened):
    async with opened(languages=PYTHON, cpu_s_max=1) as runner:
        ref, source = new_session(), "import time\nwhile time.process_time() < 0.6: pass"
        # On a busy machine half a second of CPU takes a while.
        await report_of(runner, run_of(source, ref=ref, limits=Limits(60_000, 128, Isolation.SESSION)))
        assert (await report_of(runner, run_of("result = 1", ref=ref))).cold_start is True
