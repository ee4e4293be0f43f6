"""Log, metrics and traces of a runtime host."""

import json
from contextvars import ContextVar

import httpx2
import pytest
import structlog
from prometheus_client.parser import text_string_to_metric_families as parse

from adapters.memory.script_runner import MemoryScriptRunner
from adapters.remote_runtime.options import RuntimeOptions
from adapters.remote_runtime.script_runner import HttpScriptRunner
from domain.scripts.language import Language
from entrypoints.composition.runtime_host import create_runtime_host
from entrypoints.http.instrumentation import AccessLog, RequestTraces
from entrypoints.runtime_host.application import HostApi
from entrypoints.runtime_host.options import RuntimeHostOptions
from entrypoints.runtime_host.telemetry import HostMetrics
from entrypoints.settings.loading import load_settings
from entrypoints.telemetry.observed_runner import ExecutionMetrics, ObservedRunner
from entrypoints.telemetry.tracing.trace import Propagation
from tests.contracts.script_runs import run_of
from tests.unit.runtimes.conftest import HOST, over_http
from tests.unit.runtimes.replies import own
from tests.unit.runtimes.test_runtime_host import execute_body

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01"


@pytest.fixture
def metrics():
    return HostMetrics()


@pytest.fixture
async def client(metrics):
    current = ContextVar("current", default=None)
    host = HostApi(ObservedRunner(MemoryScriptRunner(), ExecutionMetrics(), current.get), RuntimeHostOptions())
    access_log = AccessLog(structlog.get_logger(), "host.access", has_owners=False)
    transport = httpx2.ASGITransport(host.app([metrics, access_log, RequestTraces(Propagation(), current.set)]))
    async with httpx2.AsyncClient(transport=transport, base_url="http://host") as client:
        yield client


async def test_each_request_leaves_one_line_with_its_ids_and_its_trace(client):
    body = execute_body()
    with structlog.testing.capture_logs() as lines:
        response = await client.post("/execute", json=body, headers={"traceparent": PARENT})
        assert response.status_code == 200
        await client.get("/health")
    executed, health = lines
    assert executed.pop("duration_ms") >= 0
    assert executed.pop("span_id") != PARENT.split("-")[2]
    assert executed == {
        "event": "request",
        "log_level": "info",
        "logger": "host.access",
        "client": "127.0.0.1",
        "method": "POST",
        "route": "/execute",
        "status": 200,
        "request_id": body["request_id"],
        "execution_id": body["execution_id"],
        "trace_id": TRACE,
    }
    assert {"trace_id", "execution_id"}.isdisjoint(health)


async def test_the_line_of_a_rejected_execution_has_its_ids_and_the_code(client):
    body = execute_body(script_content=None)
    with structlog.testing.capture_logs() as lines:
        await client.post("/execute", json=body)
    (line,) = lines
    assert (line["status"], line["code"], line["execution_id"]) == (409, "SCRIPT_NEEDED", body["execution_id"])


async def test_requests_are_counted_by_path_and_unknown_paths_as_one(client, metrics):
    for path in ("/health", "/execute", "/a", "/b"):
        await client.get(path)
    requests, durations = metrics.collect()
    assert {tuple(each.labels.values()): each.value for each in requests.samples} == {
        ("/health", "200"): 1,
        ("/execute", "405"): 1,
        ("unmatched", "404"): 2,
    }
    counts = [each for each in durations.samples if each.name.endswith("_count")]
    assert {each.labels["route"]: each.value for each in counts} == {"/health": 1, "/execute": 1, "unmatched": 2}


async def test_metrics_need_the_token_of_the_host(tmp_path):
    settings = load_settings({"DATA_DIR": str(tmp_path), "RUNTIME_TOKEN": "s3cret"})
    transport = httpx2.ASGITransport(app=create_runtime_host(settings))
    async with httpx2.AsyncClient(transport=transport, base_url="http://host") as client:
        assert (await client.get("/metrics")).status_code == 401
        exposition = await client.get("/metrics", headers={"Authorization": "Bearer s3cret"})
    names = {family.name for family in parse(exposition.text)}
    assert {"pglambda_runtime_host_requests", "pglambda_sandbox_available", "pglambda_process_up"} <= names


async def test_a_request_to_a_host_has_the_callers_trace_headers(httpx2_mock):
    httpx2_mock.route().respond(content=own())
    headers = {"traceparent": PARENT, "tracestate": "vendor=1"}
    runner = HttpScriptRunner(
        RuntimeOptions(token="s3cret"), {Language.PYTHON: [HOST]}, lambda: headers, dial=over_http
    )
    await runner.open()
    worker = await runner.acquire(run_of("result = 1"))
    await worker.run()
    await worker.release()
    await runner.close()
    sent = httpx2_mock.calls[0].request
    assert {name: sent.headers[name] for name in headers} == headers
    assert sent.headers["authorization"] == "Bearer s3cret"
    assert json.loads(sent.content)["language"] == "python"
