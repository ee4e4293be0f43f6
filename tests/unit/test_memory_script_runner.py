"""The fake runner keeps the contract; its switches do what tests rely on."""

import asyncio

import pytest

from adapters.memory.script_runner import MemoryRunnerOptions, MemoryScriptRunner
from domain.errors import RuntimeUnavailable
from domain.identity import ANONYMOUS
from domain.scripts.language import Language
from domain.scripts.limits import Isolation, Limits
from domain.scripts.report import ExecutionUnknown
from tests.contracts.script_files import ScriptFilesContract
from tests.contracts.script_runner import ScriptRunnerContract
from tests.contracts.script_runs import failure_of, new_session, report_of, result_of, run_of, script_of
from tests.support.waiting import until


class TestMemoryScriptRunner(ScriptRunnerContract, ScriptFilesContract):
    @pytest.fixture
    def runner(self) -> MemoryScriptRunner:
        return MemoryScriptRunner(
            MemoryRunnerOptions(workers_max=self.workers_max, queue_max=self.queue_max, queue_timeout_s=0.2)
        )


class TestSwitches:
    @pytest.fixture
    def runner(self) -> MemoryScriptRunner:
        return MemoryScriptRunner()

    async def test_an_unavailable_runner_refuses_runs(self, runner):
        runner.unavailable = "it is switched off"
        with pytest.raises(RuntimeUnavailable, match="switched off"):
            await runner.acquire(run_of("result = 1"))
        with pytest.raises(RuntimeUnavailable):
            await runner.check(Language.PYTHON, script_of("1"), ANONYMOUS)
        assert (await runner.health())["status"] == "failing"
        assert runner.ran == []

    async def test_a_run_that_ends_unknown_has_run_once(self, runner):
        runner.unknown_next = "the wire was cut"
        run = run_of("result = 1")
        with pytest.raises(ExecutionUnknown, match="the wire was cut"):
            await report_of(runner, run)
        assert runner.ran == [run.execution_id]
        assert await result_of(runner, run_of("result = 2")) == "2"

    async def test_a_held_run_ends_after_its_release(self, runner):
        runner.hold()
        running = asyncio.ensure_future(result_of(runner, run_of("result = 1")))
        await until(lambda: runner.running)
        assert runner.ran == []
        runner.let_go()
        assert await running == "1"
        assert runner.running == 0

    async def test_a_node_script_runs_as_its_function(self, runner):
        runner.node_functions = {"return event.params.a;": lambda event: event["params"]["a"]}
        run = run_of("return event.params.a;", '{"a": 5}', language=Language.NODEJS)
        assert await result_of(runner, run) == "5"
        assert await runner.check(Language.NODEJS, script_of("return 1;"), ANONYMOUS) is None

    async def test_a_node_script_without_a_function_is_unavailable(self, runner):
        with pytest.raises(RuntimeUnavailable):
            await runner.acquire(run_of("return 1;", language=Language.NODEJS))

    async def test_isolation_by_process_is_cold_every_time(self, runner):
        ref, limits = new_session(), Limits(1000, 128, Isolation.PROCESS)
        reports = [await report_of(runner, run_of("result = 1", ref=ref, limits=limits)) for _ in range(2)]
        assert [report.cold_start for report in reports] == [True, True]

    async def test_evictions_are_listed(self, runner):
        ref = new_session()
        await runner.evict(ref.session_id)
        assert runner.evicted == [ref.session_id]

    async def test_a_script_that_does_not_parse_fails_with_its_line(self, runner):
        assert (await failure_of(runner, run_of("a = 1\nb = = 2"))).line == 2

    async def test_a_source_with_a_nul_does_not_parse(self, runner):
        with pytest.raises(Exception, match="has a syntax error"):
            await runner.check(Language.PYTHON, script_of("a\0b"), ANONYMOUS)
