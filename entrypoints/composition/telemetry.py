"""What watches a controller: figures, and traces of requests."""

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
    """Return the request on whose behalf this is asked."""
    caller = CALLER.get()
    return caller if isinstance(caller, Request) else None


def trace_headers() -> Mapping[str, str]:
    """Return what a call to a runtime host carries; a request without a trace begins one here."""
    request = current_request()
    if request is None:
        return {}
    if request.trace is None:
        request.trace = PropagatedTrace(TraceContext.new())
    return request.trace.headers


def observed(runners: Mapping[Language, ScriptRunner], metrics: ExecutionMetrics) -> Mapping[Language, ScriptRunner]:
    """Return runners that tell how runs end."""
    return {language: ObservedRunner(runner, metrics, current_request) for language, runner in runners.items()}


def tracing_of(settings: Settings) -> Tracing:
    """Return what the setting asks for; what records traces is imported only where they are recorded."""
    if settings.traces is Traces.NONE:
        return Propagation()
    from entrypoints.telemetry.tracing.otel import otlp_tracing  # noqa: PLC0415  # its packages are an extra

    return otlp_tracing()


class Telemetry(containers.DeclarativeContainer):
    """Who is told what happens in a controller."""

    settings = providers.Dependency(instance_of=Settings)

    statements = providers.Singleton(StatementMetrics)
    executions = providers.Singleton(ExecutionMetrics)
    tracing = providers.Singleton(tracing_of, settings)
    requests = providers.Singleton(RequestTraces, tracing, providers.Object(CALLER.set))
