"""A script runner with metrics of its executions, and spans if the request is traced."""

from collections.abc import Callable, Mapping
from typing import Protocol
from uuid import UUID

from attrs import define
from typing_extensions import override

from domain.errors import DomainError
from domain.identity import Owner
from domain.scripts.language import Language
from domain.scripts.ports import ScriptRun, ScriptRunner, Worker
from domain.scripts.report import ExecutionUnknown, ScriptReport
from domain.scripts.script import Script
from entrypoints.telemetry.metrics.executions import ExecutionMetrics
from entrypoints.telemetry.tracing.trace import NO_SPAN, ExecutionSpan, Trace


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
    async def check(self, language: Language, script: Script, owner: Owner) -> bool:
        return await self._inner.check(language, script, owner)

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
