"""The command that measures a service: what it makes of answers, and of their absence."""

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
from entrypoints.cli.bench import bench
from entrypoints.cli.benchmark.connection import MeasuredConnection, MeasuredResponse, NoResponse
from entrypoints.cli.benchmark.measurement import Measurement
from entrypoints.cli.benchmark.run import _RUN_SESSIONS, Benchmark, CannotMeasure, Plan
from entrypoints.cli.main import cli

OK, NO_CONTENT = "200 OK", "204 No Content"


@define
class ManualService:
    """Answers on a port of this machine as a test says, and notes what it was asked."""

    answer: Callable[[str, str, int], tuple[str, bytes] | bytes | None]
    asked: list[tuple[str, str, str]] = field(factory=list)
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
            while (said := self._said(*await _request(reader))) is not None:
                writer.write(said if isinstance(said, bytes) else _framed(*said))
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    def _said(self, method, path, head):
        self.asked.append((method, path, head))
        return self.answer(method, path, len(self.asked))


async def _request(reader):
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    method, path, _ = head.split(" ", 2)
    size = next(int(line.split(":")[1]) for line in head.split("\r\n") if line.startswith("Content-Length"))
    await reader.readexactly(size)
    return method, path, head


def _framed(status, body):
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def well(method, path, number):
    if method == "DELETE":
        return NO_CONTENT, b""
    return OK, json.dumps({"request_id": f"id-{number}"}).encode()


def plan_of(service, **changed):
    given = {"token": None, "seconds": 0.05, "connections": 2, "languages": [Language.PYTHON]}
    return Plan(service.url, **given | changed)


async def measure(service, **changed):
    told = []
    found = await Benchmark(plan_of(service, **changed), told.append).run()
    return {each.name: each for each in found}, told


async def test_each_kind_of_call_is_measured_and_every_session_is_closed():
    async with ManualService(well) as service:
        found, told = await measure(service)
    assert list(found) == ["initialize", "get", "execute python"]
    assert told == [*found, "closing sessions"]
    assert all(each.durations_s and not each.failures for each in found.values())
    made = [path for method, path, _ in service.asked if path == "/api/v1/initialize"]
    closed = [path for method, path, _ in service.asked if method == "DELETE"]
    assert len(closed) == len(set(closed)) == len(made)


async def test_the_token_goes_with_each_call():
    async with ManualService(well) as service:
        await measure(service, token="secret")
    assert all("Authorization: Bearer secret\r\n" in head for _, _, head in service.asked)


async def test_refused_calls_are_counted_by_reason_and_given_up():
    def busy(method, path, number):
        if path.startswith("/api/v1/execute"):
            return "429 Too Many Requests", b'{"error": {"code": "RATE_LIMITED"}}'
        return well(method, path, number)

    async with ManualService(busy) as service:
        found, _ = await measure(service, seconds=0.5)
    assert found["execute python"].durations_s == []
    assert set(found["execute python"].failures) == {"429 RATE_LIMITED"}
    assert found["execute python"].failures.total() <= 100


async def test_a_connection_that_breaks_is_counted():
    def breaking(method, path, number):
        return None if method == "GET" else well(method, path, number)

    async with ManualService(breaking) as service:
        found, _ = await measure(service)
    assert found["get"].failures.total() == 2
    assert next(iter(found["get"].failures)).startswith("the connection broke")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (("401 Unauthorized", b'{"error": {"message": "Show a token."}}'), "was answered 401: Show a token."),
        (("500 Oops", b"<html>"), "was answered 500: it does not say why"),
        (("500 Oops", b'{"error": "x"}'), "was answered 500: it does not say why"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "its answer has no length"),
        (b"nonsense\r\n\r\n", "the connection broke"),
        (None, "the connection broke"),
    ],
)
async def test_a_service_that_refuses_to_begin_is_told(answer, said):
    async with ManualService(lambda *_: answer) as service:
        with pytest.raises(CannotMeasure, match=said):
            await measure(service)


async def test_a_service_that_is_not_there_is_told():
    async with ManualService(well) as service:
        pass
    with pytest.raises(CannotMeasure, match=r"cannot connect to 127\.0\.0\.1 port"):
        await measure(service)


async def test_sessions_that_cannot_be_closed_are_left_to_expire():
    def leaving(method, path, number):
        return None if method == "DELETE" else well(method, path, number)

    async with ManualService(leaving) as service:
        found, _ = await measure(service)
    assert not found["get"].failures


async def test_no_answer_within_the_time_is_told():
    async with ManualService(lambda *_: b"") as service:
        connection = await MeasuredConnection.to(service.url, None, timeout_s=30)
        connection._timeout_s = 0.02
        with pytest.raises(NoResponse, match=r"no answer within 0\.02 s"):
            await connection.send("GET", "/")
        await connection.close()


def test_rates_and_percentiles():
    measured = Measurement("get", elapsed_s=2.0, durations_s=[n / 1000 for n in range(100, 0, -1)])
    assert measured.rate == 50
    assert measured.percentile_ms(0.5) == 51
    assert measured.percentile_ms(0.99) == 100
    assert (Measurement("get").rate, Measurement("get").percentile_ms(0.5)) == (0.0, None)


def test_an_answer_that_is_no_document_is_an_empty_one():
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
def test_what_is_no_url_is_a_wrong_usage(url):
    answer = run("--url", url)
    assert (answer.exit_code, "must be like http://127.0.0.1:8080" in answer.stderr) == (2, True)


@pytest.fixture
def served():
    """A service in a thread of its own: the command has a loop of its own too."""
    service, started, ends = ManualService(well), threading.Event(), []

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


def test_figures_are_a_table_or_json(served):
    arguments = ["--url", served.url.geturl(), "--seconds", "0.1", "--connections", "1", "--language", "nodejs"]
    table = run(*arguments)
    assert table.exit_code == 0
    assert [line.split()[0] for line in table.stdout.splitlines()] == ["calls", "initialize", "get", "execute"]
    document = json.loads(run(*arguments, "--output", "json").stdout)
    assert (document["seconds"], document["connections"]) == (0.1, 1)
    assert document["calls"][0]["failures"] == {}


def test_failed_calls_are_the_exit_status(served):
    def busy(method, path, number):
        return well(method, path, number) if number <= _RUN_SESSIONS or method == "DELETE" else ("503 Busy", b"")

    served.answer = busy
    # Failures end each kind of call, not its time.
    arguments = ["--url", served.url.geturl(), "--seconds", "30", "--connections", "1", "--language", "python"]
    answer = run(*arguments)
    assert answer.exit_code == 1
    assert "get: 50 x 503 " in answer.stdout
    assert bench.name == "bench"
