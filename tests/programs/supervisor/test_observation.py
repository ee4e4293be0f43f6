"""Metrics, logs and traces of a service of several processes."""

import contextlib
import fcntl
import json
import os
import signal
import socket
from pathlib import Path

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families as parse

from tests.integration.embedded.conftest import seed
from tests.programs.supervisor.conftest import RUNTIMES_ELSEWHERE, Service, processes, wait_until
from tests.programs.supervisor.test_registered_hosts import as_url
from tests.programs.supervisor.test_serve import execute, initialize
from tests.support.folders import quick_parent, shared_folder
from tests.support.ports import free_port, loopback_socket

SECRET = "swordfish"
TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}


@pytest.fixture
def command(folder, made):
    seed(made, folder)
    started = []

    def begin(name="serve", **settings):
        started.append(Service(folder, program=("entrypoints", name), **settings))
        return started[-1]

    yield begin
    for each in started:
        each.end()


def samples(url):
    # To load certificates takes longer than a request, and metrics are polled.
    response = httpx2.get(f"{url}/metrics", timeout=10, verify=False)
    assert response.status_code == 200, response.text
    return [sample for family in parse(response.text) for sample in family.samples]


def up(found):
    return {each.labels["process"]: each.value for each in found if each.name == "pglambda_process_up"}


def everything(url):
    """Return the samples of all processes once each of them has responded: on a busy machine one may be too slow."""

    def complete():
        found = samples(url)
        return found if up(found) == dict.fromkeys(("0", "1", "runtime-host", "supervisor"), 1) else None

    return wait_until(complete)


def total(url, name, **labels):
    """Return the sum of a metric over all processes."""
    found = [each.value for each in everything(url) if each.name == name and labels.items() <= each.labels.items()]
    return sum(found) if found else None


def a_worker(service):
    """Return the id of an HTTP worker, which is the only Python child without children."""
    everyone = processes()
    parents = {parent for parent, _ in everyone.values()}
    childless = [pid for pid, (parent, _) in everyone.items() if parent == service.program.pid and pid not in parents]
    return next(pid for pid in childless if "server.child" in Path(f"/proc/{pid}/cmdline").read_text())


@pytest.fixture(scope="module")
def shared(made):
    """One service for all tests of the module, because it takes seconds to start. The last test stops it."""
    port = free_port()
    with shared_folder(quick_parent()) as folder:
        seed(made, folder)
        settings = {"WEB_CONCURRENCY": "2", "METRICS_PORT": str(port), "LOG_FORMAT": "json"}
        service = Service(folder, program=("entrypoints", "serve"), **settings)
        service.metrics = f"http://127.0.0.1:{port}"
        try:
            yield service.ready()
        finally:
            service.end()


@pytest.fixture
def service(shared):
    everything(shared.metrics)
    return shared


def test_any_process_returns_the_metrics_of_all(service):
    counted = {
        "pglambda_executions_total": ({"outcome": "succeeded"}, 12),
        "pglambda_runtime_host_executions_total": ({"outcome": "succeeded"}, 12),
        "pglambda_session_operations_total": ({"operation": "initialize"}, 1),
        "pglambda_execution_cold_starts_total": ({}, 1),
    }
    before = {name: total(service.url, name, **labels) or 0 for name, (labels, _) in counted.items()}
    adds = initialize(service, "nodejs-calculator", "return event.params.a + event.params.b;")
    for number in range(12):
        # A connection for each call, so that both workers have some.
        assert execute(service, adds, a=number, b=1)[0] == number + 1
    for url in (service.metrics, service.url, service.url):
        for name, (labels, added) in counted.items():
            assert total(url, name, **labels) == before[name] + added, name
        assert total(url, "pglambda_sandbox_available", process="runtime-host") == 2
        assert total(url, "pglambda_child_restarts_total", process="supervisor") is not None
    assert httpx2.get(f"{service.metrics}/livez", timeout=5).status_code == 404


def test_rejections_before_a_request_are_counted(service):
    with socket.create_connection(("127.0.0.1", service.port), timeout=10) as client:
        client.sendall(b"nonsense\r\n\r\n")
        assert client.recv(1000).startswith(b"HTTP/1.1 400 ")
    assert total(service.metrics, "pglambda_http_rejections_total", status="400") == 1
    assert total(service.metrics, "pglambda_http_rejections_total", status="503", process="runtime-host") == 0
    assert total(service.metrics, "pglambda_http_connections_max", process="0") == 4096
    assert total(service.metrics, "pglambda_http_connections") is not None


def test_silent_connections_to_the_metrics_port_do_not_keep_prometheus_out(service):
    with contextlib.ExitStack() as stack:
        for _ in range(40):
            stack.enter_context(socket.create_connection(("127.0.0.1", httpx2.URL(service.metrics).port), timeout=10))
        assert samples(service.metrics)


def test_a_killed_worker_restarts_with_new_counts(service):
    initialize(service, "python-a", "result = 1")
    os.kill(a_worker(service), signal.SIGKILL)
    wait_until(lambda: total(service.metrics, "pglambda_child_restarts_total") == 1)
    started = [each.value for each in everything(service.metrics) if each.name == "process_start_time_seconds"]
    assert len(started) == 4


def test_a_stuck_worker_is_down_within_a_second(service):
    def is_down():
        found = up(samples(service.metrics))
        return (found["0"] + found["1"], found["runtime-host"], found["supervisor"]) == (1, 1, 1)

    stuck = a_worker(service)
    os.kill(stuck, signal.SIGSTOP)
    try:
        wait_until(is_down)
    finally:
        os.kill(stuck, signal.SIGCONT)
    everything(service.metrics)


def test_each_execution_has_one_log_line_with_its_trace_and_no_line_has_a_payload(service):
    headers = {"Language-Title": "python-a", "Authorization": f"Bearer {SECRET}"}
    script = {"script_content": f"result = params['{SECRET}']", "context": {"a": SECRET}}
    made = httpx2.post(f"{service.url}/api/v1/initialize", json=script, headers=headers, timeout=10).json()
    url = f"{service.url}/api/v1/execute/{made['request_id']}"
    responses = [
        httpx2.post(url, json={"params": params}, headers=headers | PARENT, timeout=10)
        for params in ({SECRET: SECRET}, {"other": SECRET})
    ]
    assert [response.status_code for response in responses] == [200, 422]

    def lines():
        return [line for line in service.lines() if line.get("trace_id") == TRACE]

    wait_until(lambda: len(lines()) >= 2)
    assert sorted((line["logger"], line["route"], line["status"]) for line in lines()) == [
        ("http.access", "/api/v1/execute/{request_id}", 200),
        ("http.access", "/api/v1/execute/{request_id}", 422),
    ]
    for line in lines():
        assert line["request_id"] == made["request_id"]
    executions = [line["execution_id"] for line in lines()]
    assert len(set(executions)) == 2
    service.send_signal(signal.SIGTERM)
    assert service.ended() == 0
    assert "host.access" not in service.output
    assert SECRET not in service.output
    for line in service.output.splitlines():
        if line.startswith("{"):
            json.loads(line)


def test_a_runtime_host_returns_its_own_metrics(command):
    service = command("runtime-host", RUNTIME_TOKEN="s3cret")
    wait_until(lambda: service.status("/health") == 401)
    assert service.status("/metrics") == 401
    response = httpx2.get(f"{service.url}/metrics", headers={"Authorization": "Bearer s3cret"}, timeout=5)
    assert 'pglambda_runtime_host_requests_total{process="0",route="/metrics",status="401"} 1.0' in response.text
    assert "pglambda_sandbox_available" in response.text


def test_a_metrics_port_in_use_ends_the_start_and_is_named(command):
    listening, url = loopback_socket()
    with listening:
        listening.listen()
        service = command(METRICS_PORT=str(httpx2.URL(url).port), DATABASE_URL="postgresql://127.0.0.1:1/none")
        assert service.ended() == 1
    assert "set METRICS_PORT to another port" in service.output


@pytest.mark.parametrize(("look", "gone"), [("json", False), ("console", True)], ids=["is stuck", "has gone"])
def test_a_service_without_a_log_reader_works_and_stops_normally(command, database_url, look, gone):
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    try:
        service = command(stderr=writer, LOG_FORMAT=look, DATABASE_URL=as_url(database_url), **RUNTIMES_ELSEWHERE)
        os.close(writer)
        service.ready()
        if gone:
            os.close(reader)
        for _ in range(50):  # some 10 KB of lines
            assert service.status("/livez") == 200
        service.send_signal(signal.SIGTERM)
        assert service.ended() == 0
    finally:
        if not gone:
            os.close(reader)
