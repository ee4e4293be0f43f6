"""Requests as parts of traces: the interface, and traces that are propagated without being recorded."""

from collections.abc import Mapping
from typing import Protocol

from attrs import frozen
from typing_extensions import override

from domain.scripts.ports import ScriptRun
from domain.scripts.report import ScriptReport
from entrypoints.telemetry.tracing.traceparent import TraceContext


class ExecutionSpan(Protocol):
    """The span of an execution in progress."""

    def ended(self, report: ScriptReport) -> None:
        """End the span with a result or a failure."""
        ...

    def failed(self, code: str) -> None:
        """End the span of an execution that did not start, or whose outcome is unknown."""
        ...


class Trace(Protocol):
    """The part of a trace that belongs to one request, from its head to its response."""

    @property
    def context(self) -> TraceContext:
        """The trace context of the request; its span id is the request's own."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers of a call that is made for this request now."""
        ...

    def waited(self, name: str, duration_s: float) -> None:
        """Record a wait for the database that has just ended."""
        ...

    def start_execution(self, run: ScriptRun) -> ExecutionSpan:
        """Begin the span of an execution."""
        ...


class Tracing(Protocol):
    """Begins and ends the traces of requests."""

    def begin(self, parent: bytes | None, state: bytes | None, method: str) -> Trace | None:
        """Return the trace of a request from its `traceparent` and `tracestate` headers.

        Returns None if neither the caller nor an operator traces it.
        """
        ...

    def end(self, trace: Trace, route: str | None, status: int) -> None:
        """End the trace of a request with the status of its response."""
        ...

    def close(self) -> None:
        """Send the remaining spans, within a limited time."""
        ...


class _NoSpan(ExecutionSpan):
    @override
    def ended(self, report: ScriptReport) -> None:
        return

    @override
    def failed(self, code: str) -> None:
        return


NO_SPAN: ExecutionSpan = _NoSpan()
"""The span of executions that are not recorded."""


@frozen
class PropagatedTrace(Trace):
    """A trace for the log and for calls to runtime hosts, which is not recorded."""

    context: TraceContext

    @property
    @override
    def headers(self) -> Mapping[str, str]:
        return self.context.headers

    @override
    def waited(self, name: str, duration_s: float) -> None:
        return

    @override
    def start_execution(self, run: ScriptRun) -> ExecutionSpan:
        return NO_SPAN


class Propagation(Tracing):
    """Continues the traces of callers; other requests have no trace."""

    @override
    def begin(self, parent: bytes | None, state: bytes | None, method: str) -> Trace | None:
        context = None if parent is None else TraceContext.read(parent, state)
        return None if context is None else PropagatedTrace(context.child())

    @override
    def end(self, trace: Trace, route: str | None, status: int) -> None:
        return

    @override
    def close(self) -> None:
        return
