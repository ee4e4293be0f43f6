"""A script runner with metrics and spans."""

import asyncio
import contextlib

import pytest
from attrs import define, field

from adapters.memory.script_runner import MemoryScriptRunner
from domain.errors import DomainError, Overloaded, RuntimeUnavailable
from domain.scripts.language import Language
from domain.scripts.ports import ScriptRunner, Worker
from domain.scripts.report import ExecutionUnknown, Failure, FailureCode, ScriptReport
from entrypoints.telemetry.observed_runner import ExecutionMetrics, ObservedRunner, RunCaller
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
    """Returns workers whose executions end as the test sets."""

    outcome: object = DONE
    worker: ManualWorker | None = None

    async def acquire(self, run):
        if isinstance(self.outcome, Overloaded):
            raise self.outcome
        self.worker = ManualWorker(self.outcome)
        return self.worker


@define(eq=False)
class RecordedSpan(ExecutionSpan):
    ends: list = field(factory=list)

    def ended(self, report):
        self.ends.append(report)

    def failed(self, code):
        self.ends.append(code)


@define(eq=False)
class RecordingTrace(Trace):
    span: RecordedSpan = field(factory=RecordedSpan)

    def start_execution(self, run):
        return self.span


@define(eq=False)
class RecordingCaller(RunCaller):
    trace: RecordingTrace | None = field(factory=RecordingTrace)
    executions: list = field(factory=list)

    def record_run(self, run):
        self.executions.append(run)


@pytest.fixture
def metrics():
    return ExecutionMetrics()


def counted(metrics, name):
    return {
        tuple(sample.labels.values()): sample.value
        for metric in metrics.collect()
        for sample in metric.samples
        if sample.name == f"pglambda_{name}" and sample.value
    }


async def run(metrics, outcome, caller=None):
    inner = ManualRunner(outcome=outcome)
    worker = await ObservedRunner(inner, metrics, lambda: caller).acquire(run_of("result = 1"))
    try:
        return await worker.run()
    finally:
        await worker.release()
        assert inner.worker.released == 1


async def test_runs_are_counted_by_language_outcome_and_code(metrics):
    assert await run(metrics, DONE) is DONE
    assert await run(metrics, FAILED) is FAILED
    assert counted(metrics, "executions_total") == {
        ("python", "succeeded", ""): 1,
        ("python", "failed", "CPU_LIMIT"): 1,
    }
    assert counted(metrics, "execution_duration_seconds_sum") == {("python",): 2.005}
    assert counted(metrics, "execution_queue_duration_seconds_sum") == {("python",): 0.02}
    assert counted(metrics, "execution_cpu_seconds_total") == {("python",): pytest.approx(1.504)}
    assert counted(metrics, "execution_cold_starts_total") == {("python",): 1}


@pytest.mark.parametrize("error", [ExecutionUnknown("gone"), asyncio.CancelledError()])
async def test_an_unknown_outcome_is_counted(metrics, error):
    with pytest.raises(type(error)):
        await run(metrics, error)
    assert counted(metrics, "executions_total") == {("python", "unknown", ""): 1}


@pytest.mark.parametrize("error", [Overloaded("a worker"), RuntimeUnavailable(Language.PYTHON, "later")])
async def test_rejected_executions_are_counted_separately(metrics, error):
    with pytest.raises(type(error)):
        await run(metrics, error)
    assert counted(metrics, "execution_rejections_total") == {("python", error.code): 1}
    assert counted(metrics, "executions_total") == {}


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (DONE, DONE),
        (FAILED, FAILED),
        (ExecutionUnknown("gone"), "RUNTIME_UNAVAILABLE"),
        (RuntimeUnavailable(Language.PYTHON, "later"), "RUNTIME_UNAVAILABLE"),
        (asyncio.CancelledError(), "CANCELLED"),
    ],
)
async def test_the_span_ends_with_the_outcome(metrics, outcome, expected):
    caller = RecordingCaller()
    with contextlib.suppress(DomainError, asyncio.CancelledError):
        await run(metrics, outcome, caller)
    assert caller.trace.span.ends == [expected]
    assert len(caller.executions) == 1


async def test_a_request_without_a_trace_records_the_execution_only(metrics):
    caller = RecordingCaller(trace=None)
    await run(metrics, DONE, caller)
    assert len(caller.executions) == 1


async def test_other_calls_pass_to_the_inner_runner():
    inner = MemoryScriptRunner()
    runner: ScriptRunner = ObservedRunner(inner, ExecutionMetrics(), lambda: None)
    ref = new_session()
    assert await runner.check(Language.PYTHON, script_of("result = 1"), ref.owner)
    await runner.evict(ref.session_id)
    assert ref.session_id in inner.evicted
    assert await runner.health() == await inner.health()


def test_runtime_hosts_have_their_own_metric_names():
    names = {metric.family.name for metric in ExecutionMetrics("pglambda_runtime_host").collect()}
    assert "pglambda_runtime_host_executions_total" in names
    assert names.isdisjoint({metric.family.name for metric in ExecutionMetrics().collect()})
