"""The telemetry of a controller: metrics, and traces of requests."""

from collections.abc import Mapping

from dependency_injector import containers, providers

from adapters.postgres.gateway import CALLER
from domain.scripts.language import Language
from domain.scripts.ports import ScriptRunner
from entrypoints.http.instrumentation import RequestTraces
from entrypoints.http.request import Request
from entrypoints.settings.choices import Traces
from entrypoints.settings.settings import Settings
from entrypoints.telemetry.metrics.statements import StatementMetrics
from entrypoints.telemetry.observed_runner import ExecutionMetrics, ObservedRunner
from entrypoints.telemetry.tracing.trace import PropagatedTrace, Propagation, Tracing
from entrypoints.telemetry.tracing.traceparent import TraceContext


def current_request() -> Request | None:
    """Return the request that the current task serves, if it serves one."""
    caller = CALLER.get()
    return caller if isinstance(caller, Request) else None


def trace_headers() -> Mapping[str, str]:
    """Return the trace headers of a call to a runtime host; a request without a trace begins one here."""
    request = current_request()
    if request is None:
        return {}
    if request.trace is None:
        request.trace = PropagatedTrace(TraceContext.new())
    return request.trace.headers


def observed(runners: Mapping[Language, ScriptRunner], metrics: ExecutionMetrics) -> Mapping[Language, ScriptRunner]:
    """Return runners that measure executions."""
    return {language: ObservedRunner(runner, metrics, current_request) for language, runner in runners.items()}


def tracing_of(settings: Settings) -> Tracing:
    """Return the tracing that TRACES names; OpenTelemetry is imported only if it is needed."""
    if settings.traces is Traces.NONE:
        return Propagation()
    from entrypoints.telemetry.tracing.otel import otlp_tracing  # noqa: PLC0415  # its packages are an extra

    return otlp_tracing()


class Telemetry(containers.DeclarativeContainer):
    """The metrics and the tracing of a controller."""

    settings = providers.Dependency(instance_of=Settings)

    statements = providers.Singleton(StatementMetrics)
    executions = providers.Singleton(ExecutionMetrics)
    tracing = providers.Singleton(tracing_of, settings)
    requests = providers.Singleton(RequestTraces, tracing, providers.Object(CALLER.set))
