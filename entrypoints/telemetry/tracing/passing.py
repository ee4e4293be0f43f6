"""Traces that are passed on and not recorded."""

from collections.abc import Mapping

from attrs import frozen
from typing_extensions import override

from domain.scripts.ports import ScriptRun
from domain.scripts.report import ScriptReport
from entrypoints.telemetry.tracing.trace import ExecutionSpan, Trace, Tracing
from entrypoints.telemetry.tracing.traceparent import TraceContext


class _NoSpan(ExecutionSpan):
    @override
    def ended(self, report: ScriptReport) -> None:
        return

    @override
    def failed(self, code: str) -> None:
        return


NO_SPAN: ExecutionSpan = _NoSpan()
"""What stands in for a span where nothing is recorded."""


@frozen
class PassedTrace(Trace):
    """A place that is told to those who are called, and to the log."""

    context: TraceContext

    @property
    @override
    def headers(self) -> Mapping[str, str]:
        return self.context.headers

    @override
    def waited(self, name: str, duration_s: float) -> None:
        return

    @override
    def executing(self, run: ScriptRun) -> ExecutionSpan:
        return NO_SPAN


class Passing(Tracing):
    """Goes on with the traces of callers; who sends none has none."""

    @override
    def begin(self, parent: bytes | None, state: bytes | None, method: str) -> Trace | None:
        context = None if parent is None else TraceContext.read(parent, state)
        return None if context is None else PassedTrace(context.below())

    @override
    def end(self, trace: Trace, route: str | None, status: int) -> None:
        return

    @override
    def close(self) -> None:
        return
