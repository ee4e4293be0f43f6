"""The complete service with the converted settings of the origin, whose API it serves on a second port."""

import asyncio
import re
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest
from click.testing import CliRunner

from entrypoints.cli.main import cli
from entrypoints.server.listener import listen, url_of
from tests.contracts.origin_api import TITLE, OriginApiContract, execute, initialized
from tests.integration.embedded.conftest import seed
from tests.programs.supervisor.conftest import Service, gone, wait_until
from tests.programs.supervisor.test_registered_hosts import as_url
from tests.support.folders import quick_parent, shared_folder
from tests.support.ports import free_port
from tests.unit.takeover.test_settings import SAMPLE

PATIENT = {"REQUEST_TIMEOUT_MS": "10000", "QUEUE_TIMEOUT_MS": "10000"}


def converted(folder: Path) -> dict[str, str]:
    """Return the settings that `takeover config` prints for the sample of the origin, with ports that are free."""
    old, new = folder / ".env", folder / "pglambda.env"
    old.write_text("".join(f"{name}={value}\n" for name, value in {**SAMPLE, "PORT": str(free_port())}.items()))
    mappings, mapped = folder / "old.json", folder / "new.json"
    mappings.write_text('[{"pattern": "ml", "runtime_type": "python", "is_regex": false}]')
    options = ["--mappings", str(mappings), "--mappings-out", str(mapped), "--port", str(free_port())]
    done = CliRunner().invoke(cli, ["takeover", "config", "--env", str(old), "--out", str(new), *options])
    assert done.exit_code == 0, done.output
    settings = dict(line.partition("=")[::2] for line in new.read_text().splitlines())
    assert settings["RUNTIME_MAPPINGS_FILE"] == str(mapped)
    return {name: value.strip("'") for name, value in settings.items()}


@pytest.fixture(scope="module")
def both(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, str]]:
    """A service of two HTTP workers, and the URL of its origin's API. It has the settings of the origin, converted."""
    given = converted(tmp_path_factory.mktemp("origin"))
    with shared_folder(quick_parent()) as folder:
        seed(made, folder)
        settings = {**given, **PATIENT, "HOST": "127.0.0.1", "WEB_CONCURRENCY": "2"}
        service = Service(folder, program=("entrypoints", "serve"), **settings)
        try:
            yield service.ready(), f"http://127.0.0.1:{given['ORIGIN_PORT']}"
        finally:
            service.end()


@pytest.fixture
async def client(both: tuple[Service, str]) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=both[1], timeout=60) as client:
        yield client


class TestOriginApi(OriginApiContract):
    @pytest.fixture
    async def client(self, both: tuple[Service, str]) -> AsyncIterator[httpx2.AsyncClient]:
        async with httpx2.AsyncClient(base_url=both[1], timeout=60) as client:
            yield client


def test_the_banner_names_both_ports(both):
    service, url = both
    assert f"pglambda serves on {service.url}\nClients of lambda-microservice call {url}\n" in service.output


async def test_both_ports_serve_the_same_sessions(both, client):
    request_id = await initialized(client)
    async with httpx2.AsyncClient(base_url=both[0].url, timeout=60) as own:
        shown = (await own.get(f"/api/v1/sessions/{request_id}")).json()
        assert (shown["language_title"], shown["convention"]) == ("python-test", "origin")
        ran = (await own.post(f"/api/v1/execute/{request_id}", json={"params": {"a": 1, "b": 2}})).json()
        assert (ran["result"], ran["execution_count"]) == (3, 1)
        assert (await own.delete(f"/api/v1/sessions/{request_id}")).status_code == 204
    assert (await execute(client, request_id)).json() == {"error": "Session not found or expired"}


@pytest.mark.parametrize(
    ("title", "script", "result"),
    [
        ("python-a", "def handle(x):\n    return {x['a'], 1}", [1, 2]),
        ("nodejs-a", "let module = event.params.a; return [module, new Map(), NaN];", [2, {}, None]),
    ],
)
async def test_scripts_are_called_as_the_origin_calls_them(client, title, script, result):
    body = {"context": {}, "script_content": script}
    made = await client.post("/api/v1/initialize", json=body, headers={"Language-Title": title})
    assert (await execute(client, made.json()["request_id"], a=2)).json()["result"] == result


async def test_a_context_and_params_may_take_two_mebibytes(client):
    large = "x" * (2**21 - 2)
    request_id = await initialized(client, "result = params", context=large)
    response = await client.post(f"/api/v1/execute/{request_id}", json={"params": large})
    assert response.json()["result"] == large


async def test_metrics_tell_the_routes_of_both_apis_apart(both, client):
    await client.get("/health")
    exposed = both[0].get("/metrics").text
    for labels in ('method="GET",process="[01]",route="origin:/health",status="200"', 'route="/api/v1/initialize"'):
        assert re.search(f"pglambda_http_requests_total{{.*{labels}", exposed)


def test_what_is_no_request_gets_an_error_text(both):
    with socket.create_connection(("127.0.0.1", int(both[1].rpartition(":")[2])), timeout=30) as caller:
        caller.sendall(b"NOT HTTP\r\n\r\n")
        received = caller.makefile("rb").read()
    assert received.startswith(b"HTTP/1.1 400 ")
    assert b'{"error":"The request is not valid HTTP/1.1.' in received


async def test_a_client_that_has_ended_its_side_gets_the_reply(both, client):
    request_id = await initialized(client, "import time; time.sleep(0.3); result = params")
    host, port = both[1].removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = f"POST /api/v1/execute/{request_id} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
    writer.write(f'{head}Content-Length: 12\r\n\r\n{{"params":7}}'.encode())
    writer.write_eof()
    async with asyncio.timeout(60):
        received = await reader.read()
    writer.close()
    assert received.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b'{"result":7,' in received


def test_systemd_may_pass_the_second_socket_too_and_a_stop_lets_its_calls_end(service, database_url):
    with listen("127.0.0.1", 0) as own, listen("127.0.0.1", 0) as origin:
        url = url_of(origin)
        settings = PATIENT | {"DATABASE_URL": as_url(database_url)}
        started = service(program=("entrypoints", "serve"), activated=own, origin=origin, **settings).ready()
        assert f"Clients of lambda-microservice call {url}" in started.output
        with ThreadPoolExecutor(1) as pool, httpx2.Client(base_url=url, timeout=60) as caller:
            assert list(caller.get("/health").json()) == ["status", "version"]
            body = {"context": {}, "script_content": "import time\ntime.sleep(1)\nresult = 7"}
            made = caller.post("/api/v1/initialize", json=body, headers=TITLE).json()
            call = pool.submit(caller.post, f"/api/v1/execute/{made['request_id']}", json={"params": {}})
            wait_until(lambda: 'pglambda_http_requests_in_flight{process="0"} 1.0' in started.get("/metrics").text)
            family = started.family()
            started.send_signal(signal.SIGTERM)
            assert call.result().json()["result"] == 7
        assert started.ended() == 0
    assert gone(family)
