"""A script runner with metrics of its executions, and spans if the request is traced."""

from collections.abc import Callable, Mapping
from typing import Protocol
from uuid import UUID

from attrs import define
from typing_extensions import override

from domain.errors import DomainError
from domain.identity import Owner
from domain.scripts.convention import Convention
from domain.scripts.language import Language
from domain.scripts.ports import ScriptRun, ScriptRunner, Worker
from domain.scripts.report import ExecutionStatus, ExecutionUnknown, ScriptReport
from domain.scripts.script import InputForm, Script
from domain.scripts.syntax import Syntax
from entrypoints.telemetry.metrics.instruments import Collectors, Counts, Histograms, counter, histogram
from entrypoints.telemetry.tracing.trace import NO_SPAN, ExecutionSpan, Trace

_RUN_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_QUEUE_BOUNDS = (0.0001, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_ENDED = "Executions that reached a worker. The code names the error of a failed one; else it is empty."
_REJECTED = "Executions that no worker accepted, by error code. No script was started."
_COLD = "Executions that ran on a worker that was new to their session."
_RUNS = "Wall time of scripts, without the wait for a worker."
_QUEUED = "Time that executions waited for a worker."


class ExecutionMetrics(Collectors):
    """Counts and measures executions; the names of its metrics begin with `prefix`."""

    def __init__(self, prefix: str = "pglambda") -> None:
        self._ended = Counts(counter(f"{prefix}_executions_total", _ENDED, "language", "outcome", "code"))
        self._rejected = Counts(counter(f"{prefix}_execution_rejections_total", _REJECTED, "language", "code"))
        self._cold = Counts(counter(f"{prefix}_execution_cold_starts_total", _COLD, "language"))
        duration = histogram(f"{prefix}_execution_duration_seconds", _RUNS, "language", bounds=_RUN_BOUNDS)
        self._runs = Histograms(duration)
        queue = histogram(f"{prefix}_execution_queue_duration_seconds", _QUEUED, "language", bounds=_QUEUE_BOUNDS)
        self._queued = Histograms(queue)
        self._cpu_s = Counts(counter(f"{prefix}_execution_cpu_seconds_total", "CPU time of scripts.", "language"))
        super().__init__(self._ended, self._rejected, self._cold, self._runs, self._queued, self._cpu_s)
        for language in Language:
            self._ended.start(language, ExecutionStatus.UNKNOWN, "")
            self._cpu_s.start(language)

    def ended(self, language: Language, report: ScriptReport) -> None:
        """Count an execution with a result or a failure."""
        self._ended.add(language, report.status, report.failure.code if report.failure else "")
        self._runs.add(report.execution_time_ms / 1000, language)
        if report.queue_time_ms is not None:
            self._queued.add(report.queue_time_ms / 1000, language)
        if report.cpu_time_ms is not None:
            self._cpu_s.add(language, amount=report.cpu_time_ms / 1000)
        if report.cold_start:
            self._cold.add(language)

    def unknown(self, language: Language) -> None:
        """Count an execution with an unknown outcome."""
        self._ended.add(language, ExecutionStatus.UNKNOWN, "")

    def rejected(self, language: Language, error: DomainError) -> None:
        """Count an execution that was not started."""
        self._rejected.add(language, error.code)


class RunCaller(Protocol):
    """The request that an execution belongs to."""

    @property
    def trace(self) -> Trace | None:
        """The trace of the request, if it has one."""
        ...

    def record_run(self, run: ScriptRun) -> None:
        """Record the execution that is about to run."""
        ...


@define(eq=False)
class ObservedRunner(ScriptRunner):
    """Passes all calls to `inner` and counts executions; `caller` returns the current request, if there is one."""

    _inner: ScriptRunner
    _metrics: ExecutionMetrics
    _caller: Callable[[], RunCaller | None]

    @override
    async def acquire(self, run: ScriptRun) -> Worker:
        caller = self._caller()
        if caller is not None:
            caller.record_run(run)
        try:
            worker = await self._inner.acquire(run)
        except DomainError as error:
            self._metrics.rejected(run.language, error)
            raise
        return ObservedWorker(worker, run, self._metrics, caller)

    @override
    async def check(
        self,
        language: Language,
        script: Script,
        owner: Owner,
        convention: Convention = Convention.OWN,
        syntax: Syntax | None = None,
    ) -> InputForm | None:
        return await self._inner.check(language, script, owner, convention, syntax)

    @override
    async def evict(self, session_id: UUID) -> None:
        await self._inner.evict(session_id)

    @override
    async def health(self) -> Mapping[str, object]:
        return await self._inner.health()


@define(eq=False)
class ObservedWorker(Worker):
    """Counts and traces one execution."""

    _inner: Worker
    _run: ScriptRun
    _metrics: ExecutionMetrics
    _caller: RunCaller | None

    @override
    async def run(self) -> ScriptReport:
        span = self._span()
        try:
            report = await self._inner.run()
        except DomainError as error:
            self._failed(span, error)
            raise
        except BaseException:  # a timeout, or the service stops: the outcome is unknown
            self._metrics.unknown(self._run.language)
            span.failed("CANCELLED")
            raise
        self._metrics.ended(self._run.language, report)
        span.ended(report)
        return report

    @override
    async def stop(self) -> bool:
        return await self._inner.stop()

    @override
    async def release(self) -> None:
        await self._inner.release()

    def _span(self) -> ExecutionSpan:
        caller = self._caller
        return NO_SPAN if caller is None or caller.trace is None else caller.trace.start_execution(self._run)

    def _failed(self, span: ExecutionSpan, error: DomainError) -> None:
        if isinstance(error, ExecutionUnknown):
            self._metrics.unknown(self._run.language)
        else:
            self._metrics.rejected(self._run.language, error)
        span.failed(error.code)
