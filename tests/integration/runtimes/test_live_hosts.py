"""Live output through a runtime host: streams that break have no end, and hosts of both releases are understood."""

import asyncio
import json
import os
import signal
import sys
from contextlib import asynccontextmanager

import pytest

from adapters.memory.script_runner import MemoryScriptRunner
from adapters.remote_runtime.options import RuntimeOptions
from adapters.remote_runtime.script_runner import HttpScriptRunner
from domain.scripts.language import Language
from domain.scripts.output import ScriptProgress
from domain.scripts.report import ExecutionUnknown, FailureCode
from entrypoints.runtime_host.application import HostApi
from entrypoints.runtime_host.options import RuntimeHostOptions
from tests.contracts.script_runs import Heard, report_of, run_of
from tests.contracts.served_hosts import served
from tests.integration.runtimes.test_broken_hosts import raw_host, runner_of
from tests.support.ports import free_port, loopback_socket
from tests.support.waiting import until
from tests.unit.runtimes.replies import own

NDJSON = b"HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\ntransfer-encoding: chunked\r\n\r\n"
HOST = """
import sys
import uvicorn
from adapters.memory.script_runner import MemoryScriptRunner
from entrypoints.runtime_host.application import HostApi
from entrypoints.runtime_host.options import RuntimeHostOptions
app = HostApi(MemoryScriptRunner(), RuntimeHostOptions()).app()
uvicorn.run(app, port=int(sys.argv[1]), lifespan="off", log_level="warning")
"""
ENDLESS = "import asyncio\nasync def handler():\n  print('begun')\n  await asyncio.sleep(60)"


def chunks(*lines: object) -> bytes:
    encoded = [json.dumps(line).encode() + b"\n" for line in lines]
    return b"".join(b"%x\r\n%s\r\n" % (len(line), line) for line in encoded)


END = {"status": 200, "reply": json.loads(own())}
LAST = b"0\r\n\r\n"


@pytest.mark.parametrize(
    "rest",
    [
        b"",
        LAST,
        chunks({"status": 200})[:-10],
        chunks({"progress": {"value": 7, "message": ""}}) + LAST,
        chunks({"stdout": 5}) + LAST,
        chunks({"status": 200, "reply": {}}) + LAST,
        b"3\r\nno\n\r\n" + LAST,
    ],
    ids=["broken", "ended", "half", "bad-progress", "bad-line", "bad-reply", "no-json"],
)
async def test_a_stream_without_a_report_is_unknown_and_what_came_is_heard(rest):
    heard = Heard()
    async with raw_host(NDJSON + chunks({"stdout": "so far"}) + rest) as (host, url), runner_of(url) as runner:
        with pytest.raises(ExecutionUnknown):
            await report_of(runner, run_of("result = 1", listener=heard))
        assert (heard.stdout, host.requests) == (b"so far", 1)


async def test_a_stream_is_heard_line_by_line_before_its_report():
    lines = [{"stdout": "é", "stderr": "err"}, {"progress": {"value": None, "message": "m"}}, END]
    heard = Heard()
    async with raw_host(NDJSON + chunks(*lines) + LAST) as (_, url), runner_of(url) as runner:
        report = await report_of(runner, run_of("result = 1", listener=heard))
    assert (heard.stdout.decode(), heard.stderr, heard.progress) == ("é", b"err", [ScriptProgress(None, "m")])
    assert (report.result, report.stdout) == ("8", "out")


async def test_a_line_without_an_end_is_bounded():
    endless = NDJSON + b"%x\r\n%s\r\n" % (1 << 20, b"x" * (1 << 20)) * 8
    async with raw_host(endless) as (_, url), runner_of(url) as runner:
        report = await report_of(runner, run_of("result = 1", listener=Heard()))
    assert report.failure is not None
    assert report.failure.code is FailureCode.RESULT_TOO_LARGE


async def test_a_host_of_an_earlier_release_answers_without_a_stream_and_cannot_cancel():
    heard = Heard()
    reply = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s"
    body = own()
    async with raw_host(reply % (len(body), body)) as (_, url), runner_of(url) as runner:
        worker = await runner.acquire(run_of("result = 1", listener=heard))
        assert (await worker.run()).result == "8"
        assert not await worker.stop()
        await worker.release()
    assert heard.stdout == b""


async def _is_up(runner: HttpScriptRunner) -> bool:
    return (await runner.health())["status"] == "ok"


@asynccontextmanager
async def host_process():
    """Serve a host in a process of its own."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", HOST, str(port))
    url = f"http://127.0.0.1:{port}"
    runner = HttpScriptRunner(RuntimeOptions(), {Language.PYTHON: [url]})
    await runner.open()
    try:
        await until(lambda: _is_up(runner), timeout_s=30)
        yield process, runner
    finally:
        await runner.close()
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_a_host_that_is_killed_within_a_stream_leaves_the_end_unknown():
    heard = Heard()
    async with host_process() as (process, runner):
        running = asyncio.ensure_future(report_of(runner, run_of(ENDLESS, listener=heard)))
        async with asyncio.timeout(10):
            await heard.first.wait()
        os.kill(process.pid, signal.SIGKILL)
        with pytest.raises(ExecutionUnknown):
            await running
    assert heard.stdout == b"begun\n"


@asynccontextmanager
async def served_runner(host: HostApi):
    listening, url = loopback_socket()
    async with served(host.app(), listening):
        runner = HttpScriptRunner(RuntimeOptions(), {Language.PYTHON: [url]})
        await runner.open()
        yield runner
        await runner.close()


async def test_an_execution_continues_when_the_reader_of_its_stream_is_gone():
    behind, heard = MemoryScriptRunner(), Heard()
    async with served_runner(HostApi(behind, RuntimeHostOptions())) as runner:
        source = "import asyncio\nasync def handler():\n  print('begun')\n  await asyncio.sleep(0.2)\n  return 1"
        running = asyncio.ensure_future(report_of(runner, run_of(source, listener=heard)))
        async with asyncio.timeout(10):
            await heard.first.wait()
        running.cancel()
        await asyncio.wait([running])
        assert behind.running == 1
        await until(lambda: not behind.running)
        report = await report_of(runner, run_of("result = 2"))
        assert (report.result, len(behind.ran)) == ("2", 2)
