"""Traces that OpenTelemetry records."""

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind, StatusCode

from domain.scripts.report import Failure, FailureCode, ScriptReport
from entrypoints.composition.telemetry import tracing_of
from entrypoints.settings.loading import load_settings
from entrypoints.telemetry.tracing.otel import OtelTracing, otlp_tracing
from entrypoints.telemetry.tracing.trace import Propagation
from entrypoints.telemetry.tracing.traceparent import TraceContext
from tests.contracts.script_runs import run_of

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = f"00-{TRACE}-{SPAN}-01".encode()
FAILED = ScriptReport(None, Failure(FailureCode.MEMORY_LIMIT, "too much"), 5.0)


@pytest.fixture
def exporter():
    return InMemorySpanExporter()


@pytest.fixture
def tracing(exporter):
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing = OtelTracing(provider)
    yield tracing
    tracing.close()


def spans(exporter):
    return {span.name: span for span in exporter.get_finished_spans()}


def test_a_request_is_a_child_of_its_callers_span(tracing, exporter):
    trace = tracing.begin(PARENT, b"vendor=1", "GET")
    tracing.end(trace, "/things/{thing}", 200)
    span = spans(exporter)["GET /things/{thing}"]
    assert span.kind is SpanKind.SERVER
    assert f"{span.context.trace_id:032x}" == TRACE
    assert f"{span.parent.span_id:016x}" == SPAN
    assert dict(span.attributes) == {
        "http.request.method": "GET",
        "http.route": "/things/{thing}",
        "http.response.status_code": 200,
    }
    assert trace.context == TraceContext(TRACE, f"{span.context.span_id:016x}", 1, "vendor=1")


@pytest.mark.parametrize("parent", [None, b"rubbish"])
def test_a_request_without_a_trace_begins_one(tracing, exporter, parent):
    tracing.end(tracing.begin(parent, None, "GET"), None, 404)
    span = spans(exporter)["GET"]
    assert span.parent is None
    assert span.status.status_code is StatusCode.UNSET


def test_a_server_error_is_an_error_of_the_span(tracing, exporter):
    tracing.end(tracing.begin(None, None, "GET"), "/x", 503)
    assert spans(exporter)["GET /x"].status.status_code is StatusCode.ERROR


def test_waits_for_the_database_are_spans(tracing, exporter):
    trace = tracing.begin(None, None, "GET")
    trace.waited("get", 0.25)
    tracing.end(trace, "/x", 200)
    wait, request = spans(exporter)["postgres get"], spans(exporter)["GET /x"]
    assert wait.kind is SpanKind.CLIENT
    assert wait.parent.span_id == request.context.span_id
    assert wait.end_time - wait.start_time == 250_000_000
    assert dict(wait.attributes) == {"db.system.name": "postgresql", "db.operation.name": "get"}


def test_an_execution_is_a_span_and_its_calls_are_children(tracing, exporter):
    trace, run = tracing.begin(PARENT, None, "POST"), run_of("result = 1")
    span = trace.start_execution(run)
    sent = trace.headers["traceparent"]
    span.ended(ScriptReport("1", None, 5.0, cold_start=True))
    tracing.end(trace, "/x", 200)
    execution, request = spans(exporter)["execution"], spans(exporter)["POST /x"]
    assert execution.parent.span_id == request.context.span_id
    assert sent == f"00-{TRACE}-{execution.context.span_id:016x}-01"
    assert dict(execution.attributes) == {
        "pglambda.language": "python",
        "pglambda.execution_id": str(run.execution_id),
        "pglambda.outcome": "succeeded",
        "pglambda.cold_start": True,
    }


def test_a_failed_execution_has_its_error_code(tracing, exporter):
    trace = tracing.begin(None, None, "POST")
    trace.start_execution(run_of("result = 1")).ended(FAILED)
    trace.start_execution(run_of("result = 1")).failed("OVERLOADED")
    failed, rejected = exporter.get_finished_spans()
    assert failed.attributes["error.type"] == "MEMORY_LIMIT"
    assert rejected.attributes["error.type"] == "OVERLOADED"
    assert {failed.status.status_code, rejected.status.status_code} == {StatusCode.ERROR}


def test_an_unsampled_trace_is_propagated_and_not_recorded(exporter):
    provider = TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing = OtelTracing(provider)
    trace = tracing.begin(PARENT, None, "GET")
    trace.waited("get", 0.25)
    sent = TraceContext.read(trace.headers["traceparent"].encode(), None)
    tracing.end(trace, "/x", 200)
    tracing.close()
    assert (sent.trace_id, sent.flags) == (TRACE, 0)
    assert exporter.get_finished_spans() == ()


def test_spans_have_the_name_of_the_service_unless_the_environment_sets_another(monkeypatch):
    tracing = otlp_tracing()
    assert tracing.provider.resource.attributes["service.name"] == "pglambda"
    tracing.close()
    monkeypatch.setenv("OTEL_SERVICE_NAME", "mine")
    named = otlp_tracing()
    assert named.provider.resource.attributes["service.name"] == "mine"
    named.close()


@pytest.mark.parametrize(("traces", "kind"), [("none", Propagation), ("otlp", OtelTracing)])
def test_the_setting_decides_whether_spans_are_recorded(traces, kind, tmp_path):
    tracing = tracing_of(load_settings({"TRACES": traces, "DATA_DIR": str(tmp_path)}))
    assert isinstance(tracing, kind)
    tracing.close()
