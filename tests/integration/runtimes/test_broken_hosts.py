"""Hosts that break the protocol on the wire: the outcome is unknown or unavailable, and nothing is sent twice."""

import asyncio
import gzip
import socket
from contextlib import asynccontextmanager

import pytest

from adapters.remote_runtime.options import RuntimeOptions
from adapters.remote_runtime.script_runner import HttpScriptRunner
from domain.errors import RuntimeUnavailable
from domain.identity import ANONYMOUS
from domain.scripts.language import Language
from domain.scripts.limits import Isolation, Limits
from domain.scripts.report import ExecutionUnknown
from tests.contracts.script_runs import Heard, new_session, report_of, run_of, script_of
from tests.support.ports import free_port
from tests.support.waiting import until
from tests.unit.runtimes.replies import own

SHORT = Limits(timeout_ms=50, memory_mb=128, isolation=Isolation.SESSION)
OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"


class RawHost:
    """Replies to every request with the same bytes and closes; with None it stays silent. Counts complete requests."""

    def __init__(self, reply: bytes | None) -> None:
        self.reply = reply
        self.requests = 0
        self.closed = asyncio.Event()
        self.serving: set[asyncio.Task[None] | None] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.serving.add(asyncio.current_task())
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:  # a dial that was given up
            writer.close()
            return
        if head.startswith(b"GET /stream "):
            writer.write(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")
            writer.close()
            return
        declared = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        await reader.readexactly(int(declared[0].split(b":")[1]) if declared else 0)
        self.requests += 1
        if self.reply is None:
            await reader.read()
        else:
            writer.write(self.reply)
        writer.close()
        await writer.wait_closed()
        self.closed.set()


@asynccontextmanager
async def raw_host(reply: bytes | None):
    host = RawHost(reply)
    server = await asyncio.start_server(host.serve, "127.0.0.1", 0)
    try:
        yield host, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        await server.wait_closed()
        await asyncio.gather(*host.serving)


@asynccontextmanager
async def runner_of(*urls: str, **options):
    runner = HttpScriptRunner(RuntimeOptions(**{"runtime_timeout_s": 0.2} | options), {Language.PYTHON: urls})
    await runner.open()
    try:
        yield runner
    finally:
        await runner.close()


@pytest.mark.parametrize(
    "reply",
    [
        None,
        b"",
        b"not HTTP at all\r\n\r\n",
        b"HTTP/1.1 200",
        OK + b"content-length: 100\r\n\r\n" + b'{"result": 1',
        OK + b"transfer-encoding: chunked\r\n\r\n5\r\n{",
        OK + b"transfer-encoding: chunked\r\n\r\nzz\r\n",
        OK + b"content-length: many\r\n\r\n{}",
        OK + b"content-encoding: gzip\r\n\r\n" + gzip.compress(b'{"result": 1}'),
    ],
    ids=["silent", "closed", "not-http", "half-head", "half-body", "half-chunk", "bad-chunk", "bad-length", "encoded"],
)
async def test_an_execution_without_a_complete_reply_is_unknown_and_sent_once(reply):
    async with raw_host(reply) as (host, url), runner_of(url, url.replace("127.0.0.1", "localhost")) as runner:
        async with asyncio.timeout(RuntimeOptions().runtime_timeout_s):
            with pytest.raises(ExecutionUnknown):
                await report_of(runner, run_of("result = 1", limits=SHORT))
        await until(lambda: host.requests)  # a busy machine may read it after the limit of the script
        assert host.requests == 1


@pytest.mark.parametrize("url", ["http://127.0.0.1:{port}", "http://no-such-host.invalid", "unix:{folder}/none.sock"])
async def test_a_host_that_does_not_exist_is_unavailable(tmp_path, url):
    async with runner_of(url.format(port=free_port(), folder=tmp_path), queue_timeout_s=0.1) as runner:
        with pytest.raises(RuntimeUnavailable, match="cannot be reached"):
            await report_of(runner, run_of("result = 1"))


async def test_a_host_that_accepts_no_connection_is_unavailable_in_time():
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        async with runner_of(
            f"http://127.0.0.1:{full.getsockname()[1]}", connect_timeout_s=0.1, queue_timeout_s=0.3
        ) as runner:
            with pytest.raises(RuntimeUnavailable, match="ConnectTimeout"):
                await report_of(runner, run_of("result = 1"))
        for filler in fillers:
            filler.close()


async def test_a_cancelled_run_closes_its_connection():
    async with raw_host(None) as (host, url), runner_of(url, runtime_timeout_s=30) as runner:
        running = asyncio.ensure_future(report_of(runner, run_of("result = 1")))
        await until(lambda: host.requests)
        running.cancel()
        await asyncio.wait_for(host.closed.wait(), 5)
        await asyncio.wait([running])
        assert running.cancelled()


async def test_health_of_a_silent_host_ends_within_a_second():
    assert RuntimeOptions().health_timeout_s < 1
    async with raw_host(None) as (_, url), runner_of(url) as runner, asyncio.timeout(10):
        assert (await runner.health())["status"] == "failing"


async def test_checks_and_evictions_of_a_silent_host_end_in_time():
    async with raw_host(None) as (_, url), runner_of(url, check_timeout_s=0.1, evict_timeout_s=0.1) as runner:
        with pytest.raises(RuntimeUnavailable, match="in time"):
            await runner.check(Language.PYTHON, script_of("x"), ANONYMOUS)
        await runner.evict(new_session().session_id)


async def test_a_host_of_an_earlier_release_runs_over_http_and_tells_nothing_before_the_report():
    heard, body = Heard(), own()
    async with raw_host(OK + b"content-length: %d\r\n\r\n%b" % (len(body), body)) as (_, url), runner_of(url) as runner:
        worker = await runner.acquire(run_of("result = 1", listener=heard))
        assert (await worker.run()).result == "8"
        assert not await worker.stop()
        await worker.release()
        (host,) = (await runner.health())["languages"]["python"]["hosts"]
    assert (heard.stdout, host["stream"]["state"]) == (b"", "http")
