"""Traces that OpenTelemetry records; needs the packages of the extra `otel`."""

import time
from collections.abc import Mapping

from attrs import define, field
from opentelemetry import trace as api
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
)
from typing_extensions import override

from domain.scripts.ports import ScriptRun
from domain.scripts.report import ScriptReport
from entrypoints.telemetry.tracing.trace import ExecutionSpan, Trace, Tracing
from entrypoints.telemetry.tracing.traceparent import TraceContext
from entrypoints.version import VERSION

_EXPORT_TIMEOUT_S = 2.0
_NS_PER_S = 1_000_000_000
_SERVER_ERROR = 500
_NOWHERE = Context()


def otlp_tracing() -> "OtelTracing":
    """Return tracing that sends spans by OTLP; the `OTEL_...` variables set the address, the sampling and the name."""
    resource = Resource({"service.name": "pglambda", "service.version": VERSION}).merge(OTELResourceDetector().detect())
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(timeout=_EXPORT_TIMEOUT_S)))
    return OtelTracing(provider)


@define(eq=False)
class OtelTracing(Tracing):
    """A span for each request, as a child of its caller's span if there is one, and child spans."""

    provider: TracerProvider
    _tracer: api.Tracer = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._tracer = self.provider.get_tracer("pglambda", VERSION)

    @override
    def begin(self, parent: bytes | None, state: bytes | None, method: str) -> Trace:
        caller = None if parent is None else TraceContext.read(parent, state)
        span = self._tracer.start_span(
            method,
            _NOWHERE if caller is None else _parent(_remote(caller)),
            SpanKind.SERVER,
            {"http.request.method": method},
        )
        return OtelTrace(self._tracer, span, method)

    @override
    def end(self, trace: Trace, route: str | None, status: int) -> None:
        assert isinstance(trace, OtelTrace)
        span = trace.span
        if route is not None:
            span.update_name(f"{trace.method} {route}")
            span.set_attribute("http.route", route)
        span.set_attribute("http.response.status_code", status)
        if status >= _SERVER_ERROR:
            span.set_status(Status(StatusCode.ERROR))
        span.end()

    @override
    def close(self) -> None:
        self.provider.shutdown()


@define(eq=False)
class OtelTrace(Trace):
    """The span of a request."""

    _tracer: api.Tracer
    span: Span
    method: str
    _innermost: Span = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._innermost = self.span

    @property
    @override
    def context(self) -> TraceContext:
        return _context_of(self.span)

    @property
    @override
    def headers(self) -> Mapping[str, str]:
        return _context_of(self._innermost).headers

    @override
    def waited(self, name: str, duration_s: float) -> None:
        if not self.span.is_recording():
            return
        ended_ns = time.time_ns()
        self._tracer.start_span(
            f"postgres {name}",
            _parent(self.span),
            SpanKind.CLIENT,
            {"db.system.name": "postgresql", "db.operation.name": name},
            start_time=ended_ns - int(duration_s * _NS_PER_S),
        ).end(ended_ns)

    @override
    def start_execution(self, run: ScriptRun) -> ExecutionSpan:
        attributes = {"pglambda.language": str(run.language), "pglambda.execution_id": str(run.execution_id)}
        self._innermost = self._tracer.start_span("execution", _parent(self.span), attributes=attributes)
        return OtelExecutionSpan(self._innermost)


@define(eq=False)
class OtelExecutionSpan(ExecutionSpan):
    """The span of an execution."""

    _span: Span

    @override
    def ended(self, report: ScriptReport) -> None:
        self._span.set_attribute("pglambda.outcome", report.status)
        if report.cold_start is not None:
            self._span.set_attribute("pglambda.cold_start", report.cold_start)
        if report.failure is not None:
            self._span.set_attribute("error.type", report.failure.code)
            self._span.set_status(Status(StatusCode.ERROR))
        self._span.end()

    @override
    def failed(self, code: str) -> None:
        self._span.set_attribute("error.type", code)
        self._span.set_status(Status(StatusCode.ERROR))
        self._span.end()


def _parent(span: Span) -> Context:
    return api.set_span_in_context(span, _NOWHERE)


def _remote(caller: TraceContext) -> Span:
    state = TraceState.from_header([caller.state]) if caller.state is not None else None
    flags = TraceFlags(caller.flags)
    ids = int(caller.trace_id, 16), int(caller.span_id, 16)
    return NonRecordingSpan(SpanContext(*ids, is_remote=True, trace_flags=flags, trace_state=state))


def _context_of(span: Span) -> TraceContext:
    found = span.get_span_context()
    state = found.trace_state.to_header() or None
    return TraceContext(f"{found.trace_id:032x}", f"{found.span_id:016x}", int(found.trace_flags), state)
