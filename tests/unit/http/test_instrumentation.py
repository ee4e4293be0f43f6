"""Access log, metrics and traces of requests."""

import asyncio
import contextvars
import json
import logging
from contextvars import ContextVar

import pytest
from prometheus_client.parser import text_string_to_metric_families as parse

from adapters.postgres.gateway import CALLER
from domain.access.principal import ANYBODY
from domain.identity import Owner
from entrypoints.composition.telemetry import trace_headers
from entrypoints.http.app import Hooks
from entrypoints.http.instrumentation import RequestTraces, owner_hash
from entrypoints.http.pipeline import Guard, RequestObserver
from entrypoints.http.request import Request
from entrypoints.http.route import Access
from entrypoints.settings.choices import LogFormat, LogLevel
from entrypoints.telemetry.logs import configure_logs
from entrypoints.telemetry.tracing.trace import Propagation
from tests.contracts.script_runs import run_of
from tests.unit.http.world import Exchange, World, initialized

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = {"traceparent": f"00-{TRACE}-{SPAN}-01", "tracestate": "vendor=1"}


class Somebody(Guard):
    """Admits every caller as one owner."""

    async def admit(self, request, route):
        request.caller = type(ANYBODY)(Owner("alice@example.com"), ANYBODY.scopes)
        return ()


def line_of(lines):
    (line,) = [line for line in lines if line["event"] == "request"]
    return line


def configure(log_format):
    """Configure logs for the rest of the test; a fixture restores them."""
    handlers, level = logging.getLogger().handlers[:], logging.getLogger().level
    configure_logs(LogLevel.INFO, log_format)
    logging.getLogger().handlers[:] = handlers
    logging.getLogger().setLevel(level)


async def test_the_access_line_names_the_owner_by_a_hash_only(log_lines):
    world = World.of(hooks=Hooks(guards=[Somebody()]))
    async with world.client() as client:
        await client.get("/livez")
    line = line_of(log_lines)
    assert line["owner_hash"] == owner_hash(Owner("alice@example.com"))
    assert "alice" not in str(line)
    assert owner_hash(Owner("bob")) != line["owner_hash"]


def test_owner_hashes_are_cached_for_a_bounded_number_of_owners():
    hashes = {owner_hash(Owner(f"owner-{number}")) for number in range(5000)}
    assert len(hashes) == 5000
    assert owner_hash.cache_info().currsize <= 4096


async def test_the_access_line_has_the_execution_and_the_time_in_the_database(log_lines):
    class Waiting(RequestObserver):
        def on_request(self, request: Request):
            request.waited("begin", 0.25)
            request.waited("finish", 0.5)
            request.record_run(run_of("result = 1"))
            request.record_run(run_of("result = 1"))
            self.first = request.execution_id

        def on_response(self, *_):
            return

    waiting = Waiting()
    world = World.of(hooks=Hooks(observers=[waiting]))
    async with world.client() as client:
        await client.get("/livez")
    line = line_of(log_lines)
    assert line["db_ms"] == 750
    assert line["execution_id"] == str(waiting.first)


async def test_the_access_line_has_the_execution_in_the_path(client, log_lines):
    execution_id = "01a2101f-9ff2-79ec-8000-000000000009"
    await client.get(f"/api/v1/executions/{execution_id}")
    assert line_of(log_lines)["execution_id"] == execution_id


async def test_the_access_line_has_the_created_session(client, log_lines):
    session_id = await initialized(client)
    assert line_of(log_lines)["request_id"] == session_id


async def test_the_access_line_has_the_code_of_an_error(client, log_lines):
    await client.get("/livez")
    await client.get("/api/v1/sessions/01a2101f-9ff2-79ec-8000-000000000009")
    good, bad = log_lines
    assert "code" not in good
    assert (bad["status"], bad["code"]) == (404, "SESSION_NOT_FOUND")


async def test_the_access_line_has_the_code_of_an_internal_error(log_lines):
    class Broken(Guard):
        async def admit(self, request, route):
            raise ValueError

    async with World.of(hooks=Hooks(guards=[Broken()])).client() as client:
        await client.get("/livez")
    assert line_of(log_lines)["code"] == "INTERNAL_ERROR"


async def test_the_access_line_shows_a_disconnect_as_499(world, log_lines):
    exchange = Exchange(world.app, "POST", "/api/v1/initialize", [(b"content-type", b"application/json")])
    asking = asyncio.create_task(exchange.run())
    exchange.disconnect()
    await asking
    assert line_of(log_lines)["status"] == 499


async def test_a_json_access_line_has_the_same_fields(capsys):
    configure(LogFormat.JSON)
    world = World.of(hooks=Hooks(observers=[RequestTraces(Propagation(), lambda _: None)]))
    async with world.client() as client:
        session_id = await initialized(client)
        await client.get(f"/api/v1/sessions/{session_id}", headers={"X-Request-ID": "mine"} | PARENT)
    await asyncio.sleep(0)
    line = json.loads(capsys.readouterr().err.splitlines()[-1])
    assert line.pop("timestamp").endswith("Z")
    assert line.pop("duration_ms") >= 0
    assert line.pop("span_id") not in (SPAN, "")
    assert line == {
        "level": "info",
        "logger": "http.access",
        "event": "request",
        "method": "GET",
        "status": 200,
        "db_ms": 0.0,
        "x_request_id": "mine",
        "owner_hash": owner_hash(ANYBODY.owner),
        "route": "/api/v1/sessions/{request_id}",
        "client": "127.0.0.1",
        "request_id": session_id,
        "trace_id": TRACE,
    }


async def test_the_access_line_continues_the_trace_of_the_caller(log_lines):
    world = World.of(hooks=Hooks(observers=[RequestTraces(Propagation(), lambda _: None)]))
    async with world.client() as client:
        await client.get("/livez", headers=PARENT)
        await client.get("/readyz")
    traced, plain = (line for line in log_lines if line["event"] == "request")
    assert traced["trace_id"] == TRACE
    assert traced["span_id"] != SPAN
    assert {"trace_id", "span_id"}.isdisjoint(plain)


async def test_the_request_is_current_while_it_is_served():
    current = ContextVar("current", default=None)
    seen = []

    class Asking(Guard):
        async def admit(self, request, route):
            seen.append(current.get() is request)
            return ()

    hooks = Hooks(guards=[Asking()], observers=[RequestTraces(Propagation(), current.set)])
    async with World.of(hooks=hooks).client() as client:
        await client.get("/livez")
    assert seen == [True]


def samples_of(response):
    return {
        (sample.name, *(sample.labels[name] for name in ("route", "status") if name in sample.labels)): sample.value
        for family in parse(response.text)
        for sample in family.samples
    }


async def test_metrics_have_the_prometheus_format(client):
    await client.get("/livez")
    await client.get("/nowhere")
    response = await client.get("/metrics")
    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    samples = samples_of(response)
    assert samples[("pglambda_http_requests_total", "/livez", "200")] == 1
    assert samples[("pglambda_http_requests_total", "unmatched", "404")] == 1
    assert samples[("pglambda_process_up",)] == 1
    assert samples[("process_resident_memory_bytes",)] > 0


async def test_metrics_are_available_as_openmetrics(client):
    response = await client.get("/metrics", headers={"Accept": "application/openmetrics-text;version=1.0.0"})
    assert response.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert response.text.endswith("# EOF\n")


async def test_metrics_are_for_admins_and_available_during_the_drain(client, world):
    await world.app.drain(0)
    assert (await client.get("/metrics")).status_code == 200
    (route,) = [each for each in world.app.routes if each.path == "/metrics"]
    assert (route.access, route.route_class) == (Access.ADMIN, None)


async def test_the_lag_of_the_event_loop_is_measured_while_the_application_runs(world, client):
    async with world.app.running():
        assert world.app.loop_lag.is_running
        assert ("pglambda_event_loop_lag_seconds_count",) in samples_of(await client.get("/metrics"))
    assert not world.app.loop_lag.is_running


@pytest.mark.parametrize("log_format", list(LogFormat))
async def test_no_access_line_is_lost_in_any_format(log_format, capsys):
    configure(log_format)
    async with World.of().client() as client:
        for _ in range(30):
            await client.get("/livez")
    await asyncio.sleep(0)
    assert capsys.readouterr().err.count("/livez") == 30


def test_a_call_to_a_runtime_host_begins_a_trace_if_the_caller_has_none():
    def headers_for(request):
        CALLER.set(request)
        return trace_headers()

    def in_its_own_context(request):
        return contextvars.Context().run(headers_for, request)

    request = Request({"headers": []}, None)
    sent = in_its_own_context(request)
    assert sent == {"traceparent": f"00-{request.trace.context.trace_id}-{request.trace.context.span_id}-02"}
    assert in_its_own_context(request) == sent
    assert in_its_own_context(None) == {}
