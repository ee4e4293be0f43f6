"""Workers start and end with their sessions, their limits and their service."""

import asyncio
import contextlib
import json
import os
import signal

import pytest
import uvloop

from adapters.sandbox.isolation.control_group import ControlGroup
from adapters.sandbox.options import NodeStart, SandboxOptions
from adapters.sandbox.runner import SandboxScriptRunner
from adapters.sandbox.zygote.launch import LaunchFailed
from adapters.sandbox.zygote.sandbox_builder import SandboxBuilder
from adapters.sandbox.zygote.zygote_pool import ZygotePool
from domain.errors import Overloaded, RuntimeUnavailable
from domain.identity import ANONYMOUS
from domain.scripts.language import Language
from domain.scripts.limits import Isolation, Limits
from domain.scripts.report import ExecutionUnknown, FailureCode
from tests.contracts.script_runs import failure_of, new_session, report_of, result_of, run_of, script_of
from tests.integration.sandbox.processes import exists, pid_of, processes_of
from tests.support.waiting import until

PYTHON = [Language.PYTHON]


async def test_closing_leaves_no_process(opened):
    async with opened(languages=PYTHON, prewarmed=2) as runner:
        running = asyncio.ensure_future(report_of(runner, run_of("while True: pass")))
        await report_of(runner, run_of("result = 1"))
        await runner.check(Language.PYTHON, script_of("a = 1"), ANONYMOUS)
        await until(lambda: runner.stats().processes >= 4)
        pids = processes_of(runner)
    assert len(pids) >= 6
    assert [pid for pid in pids if exists(pid)] == []
    with pytest.raises(ExecutionUnknown):
        await running


async def test_every_worker_is_in_the_services_control_group_if_there_is_one(opened):
    async with opened(languages=PYTHON) as runner:
        health = await runner.health()
        worker = await runner.acquire(run_of("result = 1"))
        pid, group = pid_of(worker), runner.debug_snapshot().group
        if group is None:
            assert health["layers"]["cgroup"] is False
            assert health["layers"]["not_used"]["cgroup"]
        else:
            assert health["layers"]["cgroup"] is True
            for folder in group.folders:
                assert str(pid) in (folder / "cgroup.procs").read_text().split()
        await worker.release()
    assert group is None or not any(folder.exists() for folder in group.folders)


async def test_no_zygote_starts_in_a_control_group_that_cannot_be_entered(runtimes_dir, tmp_path):
    spec = SandboxBuilder(SandboxOptions(runtimes_dir)).spec(Language.PYTHON)
    zygotes = ZygotePool(ControlGroup(1, (tmp_path / "gone",)))
    with pytest.raises(LaunchFailed, match="launcher cannot be started"):
        zygotes.zygote(spec)
    assert zygotes.debug_snapshot() == []


async def test_closing_ends_starts_that_are_in_progress(runtimes_dir):
    runner = SandboxScriptRunner(SandboxOptions(runtimes_dir, languages=PYTHON, prewarmed=4))
    await runner.open()
    await runner.close(5)
    assert runner.stats().processes == 0
    with pytest.raises(RuntimeUnavailable):
        await runner.acquire(run_of("result = 1"))


async def test_idle_workers_beyond_the_number_of_slots_are_evicted(opened):
    async with opened(languages=PYTHON, warm_workers_max=2) as runner:
        refs = [new_session() for _ in range(3)]
        for ref in refs:
            await report_of(runner, run_of("result = 1", ref=ref))
        again = [await report_of(runner, run_of("result = 1", ref=ref)) for ref in reversed(refs)]
        assert [report.cold_start for report in again] == [False, False, True]


async def test_sixteen_new_sessions_at_once_find_workers_that_were_started_ahead(opened):
    async with opened(languages=PYTHON, prewarmed=16) as runner:
        assert runner.stats().languages[Language.PYTHON].prewarmed <= 2
        await report_of(runner, run_of("result = 1"))
        await until(lambda: runner.stats().languages[Language.PYTHON].prewarmed == 16)
        (zygote,) = runner.debug_snapshot().zygotes
        os.kill(zygote.pid, signal.SIGSTOP)
        reports = await asyncio.gather(*(report_of(runner, run_of("result = 1")) for _ in range(16)))
        assert [report.result for report in reports] == ["1"] * 16


@pytest.mark.parametrize("language", Language)
async def test_workers_that_share_their_memory_stay_warm_within_a_small_budget(opened, language):
    options = {"languages": [language], "node_start": NodeStart.FORK, "memory_budget_mb": 152}
    async with opened(**options) as runner:
        refs = [new_session() for _ in range(4)]
        source = "result = 1" if language is Language.PYTHON else "return 1"
        reports = [await report_of(runner, run_of(source, language=language, ref=ref)) for ref in refs * 2]
        assert [report.cold_start for report in reports] == [True] * 4 + [False] * 4
        assert runner.stats().memory_bytes < 140 << 20


async def test_one_session_has_no_more_than_its_maximum_of_workers(opened):
    async with opened(languages=PYTHON, session_workers_max=2, queue_timeout_s=1.0) as runner:
        ref = new_session()
        workers = [await runner.acquire(run_of("result = 1", ref=ref)) for _ in range(2)]
        with pytest.raises(Overloaded):
            await runner.acquire(run_of("result = 1", ref=ref))
        assert await result_of(runner, run_of("result = 2")) == "2"
        for worker in workers:
            await worker.release()


async def test_more_workers_stay_warm_than_run_at_once(opened):
    async with opened(languages=PYTHON, warm_workers_max=3, running_max=1, queue_timeout_s=1.0) as runner:
        refs = [new_session() for _ in range(3)]
        for ref in refs:
            await report_of(runner, run_of("result = 1", ref=ref))
        running = await runner.acquire(run_of("result = 1", ref=refs[0]))
        with pytest.raises(Overloaded):
            await runner.acquire(run_of("result = 1", ref=refs[1]))
        assert runner.stats().running == runner.stats().running_max == 1
        assert (await runner.health())["workers"]["running_max"] == 1
        await running.release()
        again = [await report_of(runner, run_of("result = 1", ref=ref)) for ref in refs[1:]]
        assert [report.cold_start for report in again] == [False, False]


async def test_an_ended_session_leaves_no_worker(opened):
    async with opened(languages=PYTHON, prewarmed=0) as runner:
        ref = new_session()
        await report_of(runner, run_of("result = 1", ref=ref))
        pids = runner.debug_snapshot().workers
        await runner.evict(ref.session_id)
        await until(lambda: not any(map(exists, pids)))


async def test_a_worker_that_died_between_two_runs_is_replaced(opened):
    async with opened(languages=PYTHON) as runner:
        ref = new_session()
        await report_of(runner, run_of("result = 1", ref=ref))
        (pid,) = runner.debug_snapshot().idle_workers
        os.kill(pid, signal.SIGKILL)
        await until(lambda: runner.stats().idle == 0)
        assert (await report_of(runner, run_of("result = 2", ref=ref))).cold_start is True


async def test_the_memory_of_an_execution_does_not_include_that_of_earlier_ones(opened):
    async with opened(languages=PYTHON, prewarmed=0) as runner:
        ref = new_session()
        much = await report_of(runner, run_of("held = 'x' * (64 << 20)", ref=ref))
        little = await report_of(runner, run_of("result = 1", ref=ref))
        assert little.cold_start is False
        assert much.memory_usage_bytes > 63 << 20
        assert little.memory_usage_bytes < 63 << 20


async def test_a_worker_that_died_before_its_run_has_started_nothing(opened):
    async with opened(languages=PYTHON) as runner:
        worker = await runner.acquire(run_of("result = 1"))
        os.kill(pid_of(worker), signal.SIGKILL)
        await until(lambda: not worker.process.is_alive)
        with pytest.raises(RuntimeUnavailable):
            await worker.run()
        await worker.release()


async def test_a_run_that_is_cancelled_ends_its_worker(opened):
    async with opened(languages=PYTHON, prewarmed=0) as runner:
        worker = await runner.acquire(run_of("while True: pass"))
        pids = [pid_of(worker)]
        running = asyncio.ensure_future(worker.run())
        await asyncio.sleep(0)
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        await worker.release()
        await until(lambda: not any(map(exists, pids)))


async def test_sessions_with_other_memory_limits_have_workers_of_their_own(opened):
    async with opened() as runner:
        for language, source in ((Language.PYTHON, "result = 1"), (Language.NODEJS, "return 1")):
            for memory_mb in (16, 300):
                limits = Limits(5000, memory_mb, Isolation.SESSION)
                assert await result_of(runner, run_of(source, language=language, limits=limits)) == "1"


async def test_large_events_and_results_pass(opened):
    async with opened() as runner:
        text = json.dumps("x" * 900_000)
        assert await result_of(runner, run_of("result = params", text)) == text
        assert await result_of(runner, run_of("return event.params", text, language=Language.NODEJS)) == text


async def test_a_result_that_is_nested_too_deeply_for_the_service_is_refused(opened):
    async with opened(languages=[Language.NODEJS]) as runner:
        source = "let o = 1; for (let i = 0; i < 1100; i++) o = [o]; return o"
        failure = await failure_of(runner, run_of(source, language=Language.NODEJS))
        assert failure.code is FailureCode.RESULT_NOT_SERIALIZABLE


def test_the_sandbox_works_on_uvloop(runtimes_dir):
    async def run_both():
        runner = SandboxScriptRunner(SandboxOptions(runtimes_dir, prewarmed=1))
        await runner.open()
        try:
            ref = new_session()
            results = [await result_of(runner, run_of("result = 1", ref=ref)) for _ in range(2)]
            results.append(await result_of(runner, run_of("return 2", language=Language.NODEJS)))
            failure = await failure_of(runner, run_of("while True: pass", limits=Limits(200, 128, Isolation.SESSION)))
            pids = processes_of(runner)
        finally:
            await runner.close(5)
        return results, failure.code, [pid for pid in pids if exists(pid)]

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:
        assert loop.run(run_both()) == (["1", "1", "2"], FailureCode.EXECUTION_TIMEOUT, [])
