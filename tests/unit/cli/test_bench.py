"""The command `bench`: responses, failures, and its output."""

import asyncio
import contextlib
import json
import threading
from collections.abc import Callable
from functools import partial
from urllib.parse import urlsplit

import pytest
from attrs import define, field
from click.testing import CliRunner

from domain.scripts.language import Language
from entrypoints.cli.bench.command import bench
from entrypoints.cli.bench.connection import MeasuredConnection, MeasuredResponse, NoResponse
from entrypoints.cli.bench.run import RUN_SESSIONS, Benchmark, CannotMeasure, Measurement, Plan
from entrypoints.cli.main import cli

OK, NO_CONTENT = "200 OK", "204 No Content"


@define
class ManualService:
    """Responds on a port of this machine as a test says, and records the requests."""

    respond: Callable[[str, str, int], tuple[str, bytes] | bytes | None]
    requests: list[tuple[str, str, str]] = field(factory=list)
    port: int = 0
    _server: asyncio.Server | None = None
    _serving: set[asyncio.Task] = field(factory=set)
    _writers: set[asyncio.StreamWriter] = field(factory=set)

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.gather(*self._serving)

    @property
    def url(self):
        return urlsplit(f"http://127.0.0.1:{self.port}")

    async def _serve(self, reader, writer):
        self._serving.add(asyncio.current_task())
        self._writers.add(writer)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while (response := self._respond(*await _request(reader))) is not None:
                writer.write(response if isinstance(response, bytes) else _framed(*response))
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    def _respond(self, method, path, head):
        self.requests.append((method, path, head))
        return self.respond(method, path, len(self.requests))


async def _request(reader):
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    method, path, _ = head.split(" ", 2)
    size = next(int(line.split(":")[1]) for line in head.split("\r\n") if line.startswith("Content-Length"))
    await reader.readexactly(size)
    return method, path, head


def _framed(status, body):
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def healthy(method, path, number):
    if method == "DELETE":
        return NO_CONTENT, b""
    return OK, json.dumps({"request_id": f"id-{number}"}).encode()


def plan_of(service, **changed):
    given = {"token": None, "seconds": 0.05, "connections": 2, "languages": [Language.PYTHON]}
    return Plan(service.url, **given | changed)


async def measure(service, **changed):
    progress = []
    found = await Benchmark(plan_of(service, **changed), progress.append).run()
    return {each.name: each for each in found}, progress


async def test_each_kind_of_call_is_measured_and_every_session_is_closed():
    async with ManualService(healthy) as service:
        found, progress = await measure(service)
    assert list(found) == ["initialize", "get", "execute python"]
    assert progress == [*found, "closing sessions"]
    assert all(each.durations_s and not each.failures for each in found.values())
    made = [path for method, path, _ in service.requests if path == "/api/v1/initialize"]
    closed = [path for method, path, _ in service.requests if method == "DELETE"]
    assert len(closed) == len(set(closed)) == len(made)


async def test_the_token_goes_with_each_call():
    async with ManualService(healthy) as service:
        await measure(service, token="secret")
    assert all("Authorization: Bearer secret\r\n" in head for _, _, head in service.requests)


async def test_rejected_calls_are_counted_by_reason_up_to_a_limit():
    def busy(method, path, number):
        if path.startswith("/api/v1/execute"):
            return "429 Too Many Requests", b'{"error": {"code": "RATE_LIMITED"}}'
        return healthy(method, path, number)

    async with ManualService(busy) as service:
        found, _ = await measure(service, seconds=0.5)
    assert found["execute python"].durations_s == []
    assert set(found["execute python"].failures) == {"429 RATE_LIMITED"}
    assert found["execute python"].failures.total() <= 100


async def test_a_failed_connection_is_counted():
    def breaking(method, path, number):
        return None if method == "GET" else healthy(method, path, number)

    async with ManualService(breaking) as service:
        found, _ = await measure(service)
    assert found["get"].failures.total() == 2
    assert next(iter(found["get"].failures)).startswith("the connection failed")


@pytest.mark.parametrize(
    ("response", "message"),
    [
        (("401 Unauthorized", b'{"error": {"message": "Show a token."}}'), "got status 401: Show a token."),
        (("500 Oops", b"<html>"), "got status 500: the response has no message"),
        (("500 Oops", b'{"error": "x"}'), "got status 500: the response has no message"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "the response has no length"),
        (b"nonsense\r\n\r\n", "the connection failed"),
        (None, "the connection failed"),
    ],
)
async def test_a_service_that_rejects_the_first_calls_is_an_error(response, message):
    async with ManualService(lambda *_: response) as service:
        with pytest.raises(CannotMeasure, match=message):
            await measure(service)


async def test_an_unreachable_service_is_an_error():
    async with ManualService(healthy) as service:
        pass
    with pytest.raises(CannotMeasure, match=r"cannot connect to 127\.0\.0\.1 port"):
        await measure(service)


async def test_sessions_that_cannot_be_closed_are_left_to_expire():
    def leaving(method, path, number):
        return None if method == "DELETE" else healthy(method, path, number)

    async with ManualService(leaving) as service:
        found, _ = await measure(service)
    assert not found["get"].failures


async def test_a_call_without_a_response_ends_at_its_time_limit():
    async with ManualService(lambda *_: b"") as service:
        connection = await MeasuredConnection.to(service.url, None, timeout_s=0.1)
        with pytest.raises(NoResponse, match=r"no response within 0\.1 s"):
            await connection.send("GET", "/")
        await connection.close()


def test_rates_and_percentiles():
    measured = Measurement("get", elapsed_s=2.0, durations_s=[n / 1000 for n in range(100, 0, -1)])
    assert measured.rate == 50
    assert measured.percentile_ms(0.5) == 51
    assert measured.percentile_ms(0.99) == 100
    assert (Measurement("get").rate, Measurement("get").percentile_ms(0.5)) == (0.0, None)


def test_a_body_that_is_not_an_object_is_an_empty_document():
    assert MeasuredResponse(200, b"[]").document == {}


def run(*arguments, **env):
    return CliRunner().invoke(
        cli, ["bench", *arguments], env={"HOST": None, "PORT": "1", "PGLAMBDA_TOKEN": None, **env}
    )


def test_without_a_url_the_service_of_the_settings_is_measured():
    assert "Error: cannot connect to 127.0.0.1 port 1" in run().stderr
    assert "Error: cannot connect to ::1 port 1" in run(HOST="::1").stderr
    assert "Error: cannot connect to 127.0.0.1 port 1" in run(HOST="0.0.0.0", AUTH="none").stderr
    assert run().exit_code == 1


@pytest.mark.parametrize("url", ["ftp://x", "nonsense", "http://"])
def test_a_text_that_is_not_a_url_is_a_wrong_usage(url):
    result = run("--url", url)
    assert (result.exit_code, "is not a URL such as http://127.0.0.1:8080" in result.stderr) == (2, True)


@pytest.fixture
def served():
    """A service in a thread of its own: the command has a loop of its own too."""
    service, started, ends = ManualService(healthy), threading.Event(), []

    async def serve():
        ended = asyncio.Event()
        ends.append(partial(asyncio.get_running_loop().call_soon_threadsafe, ended.set))
        async with service:
            started.set()
            await ended.wait()

    thread = threading.Thread(target=asyncio.run, args=[serve()])
    thread.start()
    assert started.wait(5)
    yield service
    ends[0]()
    thread.join(5)


def test_the_result_is_a_table_or_json(served):
    arguments = ["--url", served.url.geturl(), "--seconds", "0.1", "--connections", "1", "--language", "nodejs"]
    table = run(*arguments)
    assert table.exit_code == 0
    assert [line.split()[0] for line in table.stdout.splitlines()] == ["call", "initialize", "get", "execute"]
    document = json.loads(run(*arguments, "--output", "json").stdout)
    assert (document["seconds"], document["connections"]) == (0.1, 1)
    assert document["calls"][0]["failures"] == {}


def test_failed_calls_set_the_exit_status(served):
    def busy(method, path, number):
        return healthy(method, path, number) if number <= RUN_SESSIONS or method == "DELETE" else ("503 Busy", b"")

    served.respond = busy
    # Failures end each kind of call, not its time.
    arguments = ["--url", served.url.geturl(), "--seconds", "30", "--connections", "1", "--language", "python"]
    result = run(*arguments)
    assert result.exit_code == 1
    assert "get: 50 x 503 " in result.stdout
    assert bench.name == "bench"
