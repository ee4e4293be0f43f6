"""What an operator sees of the real application."""

import json
from pathlib import Path

import pytest
import structlog
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client.parser import text_string_to_metric_families as parse

from entrypoints.composition.controller import Controller, create_controller
from entrypoints.telemetry.tracing.otel import OtelTracing
from tests.integration.application.conftest import Api, serving, settings_for

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = {"traceparent": f"00-{TRACE}-{SPAN}-01"}


async def scraped(api: Api) -> dict[tuple[str, ...], float]:
    """Return each sample by its name and the values of its labels, save the worker's."""
    response = await api.client.get("/metrics")
    assert response.status_code == 200
    return {
        (sample.name, *(value for name, value in sorted(sample.labels.items()) if name != "process")): sample.value
        for family in parse(response.text)
        for sample in family.samples
    }


async def test_what_is_done_is_counted(api: Api) -> None:
    session_id = await api.initialize("python-sum", "result = params['a'] + 1")
    await api.execute(session_id, a=1)
    await api.execute(session_id)
    await api.session(session_id)
    patched = await api.client.patch(f"/api/v1/sessions/{session_id}", json={"metadata": {"a": 1}})
    assert patched.status_code == 200
    assert (await api.session("01a2101f-9ff2-79ec-8000-000000000001")).status_code == 404
    for _ in range(2):
        assert (await api.client.delete(f"/api/v1/sessions/{session_id}")).status_code == 204
    for _ in range(2):
        keyed = {"Language-Title": "python-sum", "Idempotency-Key": "once"}
        again = await api.client.post("/api/v1/initialize", headers=keyed, json={"script_content": "result = 1"})
        assert again.status_code == 200
    metrics = await scraped(api)
    route = "/api/v1/sessions/{request_id}"
    expected = {
        ("pglambda_http_requests_total", "GET", route, "200"): 1,
        ("pglambda_http_requests_total", "GET", route, "404"): 1,
        ("pglambda_http_requests_total", "DELETE", route, "204"): 2,
        ("pglambda_http_request_duration_seconds_count", "GET", route): 2,
        ("pglambda_session_operations_total", "initialize"): 2,
        ("pglambda_session_operations_total", "patch"): 1,
        ("pglambda_session_operations_total", "close"): 1,
        ("pglambda_executions_total", "", "python", "succeeded"): 1,
        ("pglambda_executions_total", "SCRIPT_ERROR", "python", "failed"): 1,
        ("pglambda_execution_cold_starts_total", "python"): 1,
        ("pglambda_execution_duration_seconds_count", "python"): 2,
        ("pglambda_db_statement_duration_seconds_count", "insert_sessions"): 1,  # the other one came with its key
        ("pglambda_db_statement_duration_seconds_count", "begin_executions"): 2,
        ("pglambda_coalescer_calls_total", "finish"): 2,
        ("pglambda_coalescer_calls_total", "function"): 0,
        ("pglambda_coalescer_batch_calls_sum", "finish"): 2,
        ("pglambda_clock_ready",): 1,
        ("pglambda_sandbox_available", "python"): 1,
        ("pglambda_sandbox_evictions_total", "ended"): 1,
        ("pglambda_http_requests_rate_limited_total", "execute"): 0,
        ("pglambda_process_up",): 1,
    }
    assert {name: metrics.get(name) for name in expected} == expected
    assert sum(metrics[("pglambda_db_pool_connections", "normal", state)] for state in ("idle", "used")) >= 1
    assert metrics[("pglambda_sandbox_worker_starts_total", "python")] >= 1


async def test_a_statement_that_fails_is_counted_by_its_class(empty_database_url: str, data_dir: Path) -> None:
    async with serving(create_controller(settings_for(empty_database_url, data_dir))) as api:
        assert (await api.client.get("/api/v1/sessions")).status_code == 503
        metrics = await scraped(api)
    # In the order of their names: what went wrong, and where.
    assert metrics[("pglambda_db_statement_errors_total", "42", "select_session_page")] >= 1


async def test_a_line_shows_the_execution_and_the_time_in_the_database(api: Api) -> None:
    session_id = await api.initialize("python-sum", "result = 1")
    with structlog.testing.capture_logs() as lines:
        executed = await api.execute(session_id)
        failed = await api.client.post(f"/api/v1/execute/{session_id}", json={"params": {}}, headers=PARENT)
    assert failed.status_code == 200
    first, second = (line for line in lines if line["event"] == "request")
    assert first["execution_id"] == executed.json()["execution_id"]
    assert first["request_id"] == session_id
    assert 0 < first["db_ms"] < first["duration_ms"]
    assert second["trace_id"] == TRACE


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


async def test_a_request_its_waits_and_its_execution_are_spans_of_the_callers_trace(
    database_url: str, data_dir: Path, exporter: InMemorySpanExporter
) -> None:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    controller = Controller(settings=settings_for(database_url, data_dir))
    controller.telemetry.tracing.override(OtelTracing(provider))
    async with serving(controller.application()) as api:
        session_id = await api.initialize("python-sum", "result = 1")
        exporter.clear()
        await api.client.post(f"/api/v1/execute/{session_id}", json={"params": {}}, headers=PARENT)
        spans = {span.name: span for span in exporter.get_finished_spans()}
    request = spans["POST /api/v1/execute/{request_id}"]
    assert {"postgres begin", "execution", "postgres finish"} <= set(spans)
    assert {f"{span.context.trace_id:032x}" for span in spans.values()} == {TRACE}
    below = [span for name, span in spans.items() if span is not request]
    assert {span.parent.span_id for span in below} == {request.context.span_id}
    assert request.start_time <= spans["postgres begin"].start_time <= spans["execution"].start_time
    assert spans["execution"].attributes["pglambda.outcome"] == "succeeded"


async def test_no_payload_is_in_the_log_whatever_happens(api: Api) -> None:
    secret = "swordfish"  # it is looked for
    headers = {"Authorization": f"Bearer {secret}", "Cookie": secret, "Language-Title": "python-a"}
    with structlog.testing.capture_logs() as lines:
        for script in (f"result = '{secret}'", f"print('{secret}'); raise ValueError('{secret}')", f"{secret} ="):
            response = await api.client.post(
                "/api/v1/initialize",
                headers=headers,
                json={"script_content": script, "context": {"a": secret}, "metadata": {"b": secret}},
            )
            if response.status_code == 200:
                execute = f"/api/v1/execute/{response.json()['request_id']}"
                await api.client.post(execute, headers=headers, json={"params": {"c": secret}})
                await api.client.post(execute, headers=headers, content=f'{{"params": "{secret}\\u0000"}}')
        await api.client.post("/api/v1/initialize", headers=headers, content=secret)
        await api.client.get(f"/api/v1/sessions/{secret}?fields={secret}", headers=headers)
        await api.client.get(f"/{secret}", headers=headers)
    assert len([line for line in lines if line["event"] == "request"]) >= 8
    assert secret not in json.dumps(lines, default=str)
