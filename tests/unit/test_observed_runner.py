"""A script runner whose runs are counted and traced."""

import asyncio
import contextlib

import pytest
from attrs import define, field

from adapters.memory.script_runner import MemoryScriptRunner
from domain.errors import DomainError, Overloaded, RuntimeUnavailable
from domain.scripts.language import Language
from domain.scripts.ports import ScriptRunner, Worker
from domain.scripts.report import ExecutionUnknown, Failure, FailureCode, ScriptReport
from entrypoints.telemetry.metrics.executions import ExecutionMetrics
from entrypoints.telemetry.observed_runner import ObservedRunner, RunCaller
from entrypoints.telemetry.tracing.trace import ExecutionSpan, Trace
from tests.contracts.script_runs import new_session, run_of, script_of

FAILED = ScriptReport(None, Failure(FailureCode.CPU_LIMIT, "too long"), 2000.0, cpu_time_ms=1500.0)
DONE = ScriptReport("1", None, 5.0, cpu_time_ms=4.0, queue_time_ms=20.0, cold_start=True)


@define(eq=False)
class ManualWorker(Worker):
    outcome: object
    released: int = 0

    async def run(self):
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        return self.outcome

    async def release(self):
        self.released += 1


@define(eq=False)
class ManualRunner(MemoryScriptRunner):
    """Gives workers whose runs end as the test says."""

    outcome: object = DONE

    async def acquire(self, run):
        if isinstance(self.outcome, Overloaded):
            raise self.outcome
        return ManualWorker(self.outcome)


@define(eq=False)
class NotedSpan(ExecutionSpan):
    told: list = field(factory=list)

    def ended(self, report):
        self.told.append(report)

    def failed(self, code):
        self.told.append(code)


@define(eq=False)
class NotingTrace(Trace):
    span: NotedSpan = field(factory=NotedSpan)

    def executing(self, run):
        return self.span


@define(eq=False)
class NotingCaller(RunCaller):
    trace: NotingTrace | None = field(factory=NotingTrace)
    executions: list = field(factory=list)

    def noted(self, run):
        self.executions.append(run)


@pytest.fixture
def metrics():
    return ExecutionMetrics()


def told(metrics, name):
    return {
        tuple(sample.labels.values()): sample.value
        for metric in metrics.collect()
        for sample in metric.samples
        if sample.name == f"pglambda_{name}" and sample.value
    }


async def run(metrics, outcome, caller=None):
    runner = ObservedRunner(ManualRunner(outcome=outcome), metrics, lambda: caller)
    worker = await runner.acquire(run_of("result = 1"))
    try:
        return await worker.run()
    finally:
        await worker.release()
        assert worker._inner.released == 1


async def test_runs_are_counted_by_language_outcome_and_code(metrics):
    assert await run(metrics, DONE) is DONE
    assert await run(metrics, FAILED) is FAILED
    assert told(metrics, "executions_total") == {
        ("python", "succeeded", ""): 1,
        ("python", "failed", "CPU_LIMIT"): 1,
    }
    assert told(metrics, "execution_duration_seconds_sum") == {("python",): 2.005}
    assert told(metrics, "execution_queue_duration_seconds_sum") == {("python",): 0.02}
    assert told(metrics, "execution_cpu_seconds_total") == {("python",): pytest.approx(1.504)}
    assert told(metrics, "execution_cold_starts_total") == {("python",): 1}


@pytest.mark.parametrize("error", [ExecutionUnknown("gone"), asyncio.CancelledError()])
async def test_a_run_whose_end_nobody_knows_is_counted_as_that(metrics, error):
    with pytest.raises(type(error)):
        await run(metrics, error)
    assert told(metrics, "executions_total") == {("python", "unknown", ""): 1}


@pytest.mark.parametrize("error", [Overloaded("a worker"), RuntimeUnavailable(Language.PYTHON, "later")])
async def test_what_was_not_started_is_counted_apart(metrics, error):
    with pytest.raises(type(error)):
        await run(metrics, error)
    assert told(metrics, "execution_rejections_total") == {("python", error.code): 1}
    assert told(metrics, "executions_total") == {}


@pytest.mark.parametrize(
    ("outcome", "tells"),
    [
        (DONE, DONE),
        (FAILED, FAILED),
        (ExecutionUnknown("gone"), "RUNTIME_UNAVAILABLE"),
        (RuntimeUnavailable(Language.PYTHON, "later"), "RUNTIME_UNAVAILABLE"),
        (asyncio.CancelledError(), "CANCELLED"),
    ],
)
async def test_the_callers_trace_is_told_how_it_ended(metrics, outcome, tells):
    caller = NotingCaller()
    with contextlib.suppress(DomainError, asyncio.CancelledError):
        await run(metrics, outcome, caller)
    assert caller.trace.span.told == [tells]
    assert len(caller.executions) == 1


async def test_a_caller_without_a_trace_is_only_told_of_the_execution(metrics):
    caller = NotingCaller(trace=None)
    await run(metrics, DONE, caller)
    assert len(caller.executions) == 1


async def test_everything_else_is_the_runners_own():
    inner = MemoryScriptRunner()
    runner: ScriptRunner = ObservedRunner(inner, ExecutionMetrics(), lambda: None)
    key = new_session()
    assert await runner.check(Language.PYTHON, script_of("result = 1"), key.owner)
    await runner.evict(key.session_id)
    assert key.session_id in inner.evicted
    assert await runner.health() == await inner.health()


def test_hosts_count_under_names_of_their_own():
    names = {metric.family.name for metric in ExecutionMetrics("pglambda_runtime_host").collect()}
    assert "pglambda_runtime_host_executions_total" in names
    assert names.isdisjoint({metric.family.name for metric in ExecutionMetrics().collect()})
