"""Streams over real sockets: live output, withdrawal, drains, lost hosts, and peers that break the protocol."""

import asyncio
import json
import sys
from contextlib import asynccontextmanager

import msgspec
import pytest
import structlog.testing
from attrs import define

from adapters.memory.script_runner import MemoryRunnerOptions, MemoryScriptRunner
from adapters.remote_runtime.options import RuntimeOptions
from adapters.remote_runtime.script_runner import HttpScriptRunner
from adapters.runtime_frames import PART_SIZE_MAX, RUN_ID_MAX, Kind
from domain.errors import Overloaded, RuntimeUnavailable
from domain.scripts.language import Language
from domain.scripts.limits import Isolation, Limits
from domain.scripts.output import ScriptProgress
from domain.scripts.ports import Worker
from domain.scripts.report import ExecutionUnknown, FailureCode
from entrypoints.runtime_host.application import HostApi
from entrypoints.runtime_host.options import RuntimeHostOptions
from entrypoints.runtime_host.stream import STREAMS_MAX
from tests.contracts.raw_streams import RawPeer, frame, raw_controller, raw_stream_host, request, switched, welcome
from tests.contracts.script_runs import Heard, new_session, report_of, run_of
from tests.contracts.served_hosts import served
from tests.support.ports import free_port, loopback_socket
from tests.support.waiting import until, within
from tests.unit.runtimes.replies import error_body, own
from tests.unit.runtimes.test_runtime_host import execute_body

SHORT = Limits(timeout_ms=50, memory_mb=128, isolation=Isolation.SESSION)
END = frame(Kind.END, 1, json.dumps({"status": 200, "reply": json.loads(own())}).encode())


@asynccontextmanager
async def runner_of(*urls: str, **options):
    runner = HttpScriptRunner(RuntimeOptions(**options), {Language.PYTHON: urls})
    await runner.open()
    try:
        yield runner
    finally:
        await runner.close()


@asynccontextmanager
async def served_host(behind: MemoryScriptRunner | None = None, **options):
    host = HostApi(behind or MemoryScriptRunner(), RuntimeHostOptions(**options))
    listening, url = loopback_socket()
    async with served(host.app(), listening):
        yield host, url


async def stream_of(runner: HttpScriptRunner) -> dict:
    (host,) = (await runner.health())["languages"]["python"]["hosts"]
    return host["stream"]


class TestController:
    """What a controller makes of a host's frames."""

    async def test_output_is_heard_frame_by_frame_before_the_report(self):
        lines = [{"stdout": "é", "stderr": "err"}, {"progress": {"value": None, "message": "m"}}]

        async def serve(peer: RawPeer) -> None:
            peer.writer.write(welcome())
            assert json.loads((await peer.next(Kind.RUN)).payload)["live"] is True
            for line in lines:
                peer.writer.write(frame(Kind.OUTPUT, 1, json.dumps(line).encode()))
            peer.writer.write(END)
            await peer.next(Kind.RUN)

        heard = Heard()
        async with raw_stream_host(serve) as url, runner_of(url) as runner:
            report = await report_of(runner, run_of("result = 1", listener=heard))
        assert (heard.stdout.decode(), heard.stderr, heard.progress) == ("é", b"err", [ScriptProgress(None, "m")])
        assert (report.result, report.stdout) == ("8", "out")

    @pytest.mark.parametrize(
        "frames",
        [
            frame(Kind.OUTPUT, 1, b'{"stdout": 5}'),
            frame(Kind.OUTPUT, 1, b'{"progress": {"value": 7, "message": ""}}'),
            frame(Kind.OUTPUT, 2, b'{"stdout": "x"}'),
            frame(Kind.END, 1, b'{"stdout": "no status"}'),
            frame(Kind.END, 1, b"no JSON"),
            frame(Kind.END, 2, b'{"status": 200, "reply": {}}'),
            frame(Kind.RUN, 1),
            frame(Kind.CAPACITY, 0, b'{"running": [-1], "queued": []}'),
            frame(Kind.CAPACITY, 0, b'{"running": [%d], "queued": []}' % (1 << 32)),
            b"\0" * 10,
            welcome(),
            b"\xff" * 10,
        ],
        ids=[
            *("bad-output", "bad-progress", "foreign-output", "no-status", "no-json", "foreign-end", "wrong-side"),
            *("negative", "huge", "garbage", "second-welcome", "4-gib"),
        ],
    )
    async def test_a_host_that_breaks_the_protocol_is_left_and_its_run_is_unknown(self, frames):
        runs = []

        async def serve(peer: RawPeer) -> None:
            peer.writer.write(welcome())
            runs.append(await peer.next(Kind.RUN))
            peer.writer.write(frames)
            assert await peer.is_closed()

        async with raw_stream_host(serve) as url, runner_of(url) as runner:
            with pytest.raises(ExecutionUnknown, match="it broke the protocol"):
                await report_of(runner, run_of("result = 1", listener=Heard()))
            with pytest.raises(RuntimeUnavailable, match="it is left for 30 s: it broke the protocol"):
                await report_of(runner, run_of("result = 1"))
        assert len(runs) == 1

    @pytest.mark.parametrize(
        "first",
        [
            b"",
            END,
            frame(Kind.WELCOME, 0, b"{}"),
            frame(Kind.WELCOME, 0, b"[" * 17_000),
        ],
        ids=["nothing", "an-end", "empty", "large"],
    )
    async def test_a_host_without_a_welcome_is_unavailable_and_gets_no_run(self, first):
        got = []

        async def serve(peer: RawPeer) -> None:
            peer.writer.write(first)
            got.append(await peer.next(Kind.RUN))

        async with raw_stream_host(serve) as url, runner_of(url, queue_timeout_s=0.1) as runner:
            with pytest.raises(RuntimeUnavailable):
                await report_of(runner, run_of("result = 1"))
        assert got == []

    async def test_a_reply_over_its_limit_means_that_the_result_is_too_large(self):
        async def serve(peer: RawPeer) -> None:
            peer.writer.write(welcome())
            await peer.next(Kind.RUN)
            reply = own(result="x" * 10_000_000)
            peer.writer.write(frame(Kind.END, 1, b'{"status": 200, "reply": %b}' % reply))
            await peer.next(Kind.RUN)

        async with raw_stream_host(serve) as url, runner_of(url) as runner:
            report = await report_of(runner, run_of("result = 1"))
            assert report.failure.code is FailureCode.RESULT_TOO_LARGE
            assert report.failure.observed > 10_000_000
            assert (await stream_of(runner))["in_flight"] == 0

    async def test_a_run_that_does_not_end_in_its_time_is_unknown_and_stays_in_flight(self):
        async def serve(peer: RawPeer) -> None:
            peer.writer.write(welcome())
            while True:
                got = await peer.next()
                if got.kind == Kind.PING:
                    peer.writer.write(frame(Kind.PONG, 0, got.payload))

        async with raw_stream_host(serve) as url, runner_of(url, runtime_timeout_s=0.1) as runner:
            for _ in range(3):
                with pytest.raises(ExecutionUnknown, match="did not reply in time"):
                    await report_of(runner, run_of("result = 1", limits=SHORT))
            assert (await stream_of(runner))["in_flight"] == 3
            with pytest.raises(RuntimeUnavailable, match=r"a tenth of its runs.* did not end in their time"):
                await report_of(runner, run_of("result = 1"))

    async def test_a_lone_host_gets_no_run_beyond_what_the_windows_of_both_languages_allow(self):
        async def serve(peer: RawPeer) -> None:
            peer.writer.write(welcome(runs_max=1))
            while True:
                got = await peer.next()
                if got.kind == Kind.PING:
                    peer.writer.write(frame(Kind.PONG, 0, got.payload))

        async with raw_stream_host(serve) as url, runner_of(url, runtime_timeout_s=0.1) as runner:
            for _ in Language:
                with pytest.raises(ExecutionUnknown, match="did not reply in time"):
                    await report_of(runner, run_of("result = 1", limits=SHORT))
            with pytest.raises(Overloaded):
                await report_of(runner, run_of("result = 1", limits=SHORT))
            assert (await stream_of(runner))["in_flight"] == len(Language)

    async def test_the_window_of_a_lone_host_bounds_the_turns(self):
        async with served_host(runs_max=1) as (_, url), runner_of(url, queue_timeout_s=0.01) as runner:
            await until(lambda: runner.stats().states["ready"])
            worker = await runner.acquire(run_of("result = 1"))
            with pytest.raises(Overloaded, match="runtime hosts"):
                await runner.acquire(run_of("result = 1"))
            await worker.release()

    async def test_a_silent_host_is_left_within_a_second_and_its_run_is_not_sent_again(self):
        async def serve(peer: RawPeer) -> None:
            peer.writer.write(welcome())
            await asyncio.Event().wait()

        async with raw_stream_host(serve) as url:
            async with runner_of(url, runtime_timeout_s=60) as runner:
                sent = asyncio.ensure_future(report_of(runner, run_of("result = 1")))
                with within(1.0):
                    await until(lambda: _state_is(runner, "silent"), timeout_s=5)
                with pytest.raises(RuntimeUnavailable, match="nothing was heard of it"):
                    await report_of(runner, run_of("result = 1"))
                assert not sent.done()
            with pytest.raises(ExecutionUnknown):
                await sent

    async def test_a_run_waits_for_a_frozen_host_until_it_is_heard_again(self):
        thawed, runs = asyncio.Event(), []

        async def serve(peer: RawPeer) -> None:
            peer.writer.write(welcome())
            ping = await peer.next(Kind.PING)
            await thawed.wait()
            peer.writer.write(frame(Kind.PONG, 0, ping.payload))
            runs.append(await peer.next(Kind.RUN))
            peer.writer.write(END)
            await peer.next(Kind.RUN)

        async with raw_stream_host(serve) as url, runner_of(url, queue_timeout_s=30) as runner:
            await until(lambda: runner.stats().states["silent"])
            running = asyncio.ensure_future(report_of(runner, run_of("result = 1")))
            await until(lambda: runner.stats().waiting)
            assert runs == []
            thawed.set()
            assert (await running).result == "8"
        assert len(runs) == 1

    async def test_refusals_for_lack_of_time_halve_the_window(self):
        async def serve(peer: RawPeer) -> None:
            peer.writer.write(welcome())
            while True:
                run = await peer.next(Kind.RUN)
                reply = error_body("OVERLOADED").decode()
                peer.writer.write(frame(Kind.END, run.id, b'{"status": 503, "reply": %b}' % reply.encode()))

        async with raw_stream_host(serve) as url, runner_of(url) as runner:
            for window in (4, 2, 1, 1):
                with pytest.raises(Overloaded):
                    await report_of(runner, run_of("result = 1"))
                assert (await stream_of(runner))["window"] == window

    async def test_a_run_goes_to_the_next_host_when_one_drains(self):
        async def draining(peer: RawPeer) -> None:
            peer.writer.write(welcome(draining=True))
            raise AssertionError(await peer.next(Kind.RUN))

        async with raw_stream_host(draining) as url, served_host() as (_, other), runner_of(url, other) as runner:
            for _ in range(8):
                assert (await report_of(runner, run_of("result = 2"))).result == "2"

    async def test_states_choices_and_hosts_that_were_left_are_counted(self):
        async with served_host() as (host, url), runner_of(url) as runner:
            ref = new_session()
            await until(lambda: runner.stats().states["ready"])
            for _ in range(2):
                await report_of(runner, run_of("result = 1", ref=ref))
            stats = runner.stats()
            assert (stats.states["ready"], stats.choices["first"], stats.choices["warm"]) == (1, 1, 1)
            await host.drain(timeout_s=1)
            await until(lambda: runner.stats().left["draining"])
            assert not runner.stats().states["ready"]

    async def test_a_host_that_is_back_is_dialled_when_a_run_needs_it(self):
        port = free_port()
        async with runner_of(f"http://127.0.0.1:{port}") as runner:
            with pytest.raises(RuntimeUnavailable, match="cannot be reached"):
                await report_of(runner, run_of("result = 1"))
            host = HostApi(MemoryScriptRunner(), RuntimeHostOptions())
            listening, _ = loopback_socket(port)
            async with served(host.app(), listening):
                assert (await report_of(runner, run_of("result = 1"))).result == "1"

    @pytest.mark.parametrize("upgrade", [b"", b"upgrade: websocket\r\n", b"x-upgrade: pglambda-runtime/1\r\n"])
    async def test_a_host_that_switches_to_another_protocol_is_unavailable(self, upgrade):
        async def switch(reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\n" + upgrade + b"\r\n" + welcome())
            await reader.read()
            writer.close()

        server = await asyncio.start_server(switch, "127.0.0.1", 0)
        async with (
            server,
            runner_of(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", queue_timeout_s=0.1) as runner,
        ):
            with pytest.raises(RuntimeUnavailable, match="it switched to another protocol"):
                await report_of(runner, run_of("result = 1"))

    async def test_a_name_that_dns_does_not_allow_is_unavailable_and_can_be_closed(self):
        async with runner_of(f"http://{'a' * 64}.example:8090", queue_timeout_s=0.1) as runner:
            for _ in range(2):
                with pytest.raises(RuntimeUnavailable, match="cannot be reached"):
                    await report_of(runner, run_of("result = 1"))
            assert await _state_is(runner, "unreached")

    @pytest.mark.parametrize(
        ("status", "reason"),
        [("401 Unauthorized", "refuses the token"), ("426 Upgrade Required", "no version of the protocol")],
    )
    async def test_a_host_that_refuses_the_stream_is_unavailable_with_a_remedy(self, status, reason):
        async def refuse(reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(f"HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n".encode())
            writer.close()

        server = await asyncio.start_server(refuse, "127.0.0.1", 0)
        async with (
            server,
            runner_of(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", queue_timeout_s=0.1) as runner,
        ):
            with pytest.raises(RuntimeUnavailable, match=reason):
                await report_of(runner, run_of("result = 1"))


async def _state_is(runner: HttpScriptRunner, state: str) -> bool:
    return (await stream_of(runner))["state"] == state


@define(eq=False)
class CountedWorker(Worker):
    """Takes note of each stop."""

    inner: Worker
    stops: list[str]

    async def run(self):
        return await self.inner.run()

    async def stop(self):
        self.stops.append("stop")
        return await self.inner.stop()

    async def release(self):
        await self.inner.release()


class CountedStops(MemoryScriptRunner):
    """Takes note of each stop of a worker."""

    def __init__(self):
        super().__init__()
        self.stops = []

    async def acquire(self, run):
        return CountedWorker(await super().acquire(run), self.stops)


HEADER_SIZE = 10


def run_frame(run_id: int, **changes) -> bytes:
    return frame(Kind.RUN, run_id, json.dumps(execute_body(**changes)).encode())


async def end_of(peer: RawPeer) -> tuple[int, int, dict]:
    end = await peer.next(Kind.END)
    line = json.loads(end.payload)
    return end.id, line["status"], line["reply"]


class TestHost:
    """What a host makes of a controller's frames."""

    @pytest.fixture
    def behind(self):
        return MemoryScriptRunner(MemoryRunnerOptions(workers_max=1, queue_max=8))

    @pytest.fixture
    async def url(self, behind):
        async with served_host(behind) as (_, url):
            yield url

    @pytest.fixture
    async def peer(self, url):
        async with raw_controller(url) as peer:
            assert b" 101 " in await switched(peer)
            await peer.next(Kind.WELCOME)
            yield peer

    async def test_many_runs_share_one_connection(self, peer):
        for run_id in range(1, 6):
            peer.writer.write(run_frame(run_id, source=f"result = {run_id}"))
        ends = sorted([await end_of(peer) for _ in range(5)])
        assert [(run_id, status, reply["result"]) for run_id, status, reply in ends] == [
            (run_id, 200, run_id) for run_id in range(1, 6)
        ]

    async def test_output_arrives_before_the_end(self, peer):
        source = "print('out é')\nprogress(0.5, 'half')\nresult = {'a': 1}"
        peer.writer.write(run_frame(1, source=source, live=True))
        output = json.loads((await peer.next()).payload)
        assert (output["stdout"], output["progress"]) == ("out é\n", {"value": 0.5, "message": "half"})
        assert (await end_of(peer))[2]["result"] == {"a": 1}

    @pytest.mark.parametrize(
        ("payload", "status", "code"),
        [
            (b"", 400, "INVALID_REQUEST"),
            (b"no JSON", 400, "INVALID_REQUEST"),
            (b"{}", 400, "INVALID_REQUEST"),
            (b" " * (RuntimeHostOptions().execute_body_size_max + 1), 413, "PAYLOAD_TOO_LARGE"),
        ],
        ids=["empty", "no-json", "no-fields", "large"],
    )
    async def test_a_run_that_cannot_be_read_is_refused_and_the_stream_stays(self, peer, payload, status, code):
        peer.writer.write(frame(Kind.RUN, 1, payload) + run_frame(2))
        ends = sorted([await end_of(peer) for _ in range(2)])
        assert (ends[0][1], ends[0][2]["error"]["code"]) == (status, code)
        assert (ends[1][1], ends[1][2]["result"]) == (200, 1)

    @pytest.mark.parametrize(
        "frames",
        [
            run_frame(2) + run_frame(2),
            run_frame(2) + run_frame(1),
            run_frame(0),
            run_frame(RUN_ID_MAX + 1),
            frame(Kind.CANCEL, 7),
            frame(Kind.WITHDRAW, 7),
            frame(Kind.CANCEL, 0),
            frame(Kind.EVICT, 0, b"{}"),
            frame(Kind.END, 1, b"{}"),
            frame(Kind.PING, 0, b"short"),
            b"\xff\xff\xff\xff" + b"\0" * 6,
            b"GET / HTTP/1.1\r\nhost: x\r\n\r\n",
        ],
        ids=[
            *("reused", "falling", "zero", "beyond", "foreign-cancel", "foreign-withdraw", "cancel-0", "bad-eviction"),
            *("wrong-side", "short-ping", "4-gib", "http"),
        ],
    )
    async def test_a_controller_that_breaks_the_protocol_is_disconnected(self, peer, behind, frames):
        behind.hold()
        peer.writer.write(frames)
        assert await peer.is_closed()
        assert behind.ran == []

    async def test_an_execution_runs_once_whatever_stream_it_comes_on(self, peer, url, behind):
        body = execute_body()
        peer.writer.write(run_frame(1, **body))
        assert (await end_of(peer))[1] == 200
        async with raw_controller(url) as other:
            await switched(other)
            other.writer.write(run_frame(1, **body))
            assert (await end_of(other))[2]["error"]["code"] == "EXECUTION_SEEN"
        assert len(behind.ran) == 1

    async def test_a_stream_carries_more_executions_than_a_host_remembers(self, behind):
        async with served_host(behind, executions_max=2) as (_, url), raw_controller(url) as peer:
            await switched(peer)
            for number in range(1, 6):
                peer.writer.write(run_frame(number))
                assert (await end_of(peer))[:2] == (number, 200)
            behind.hold()
            peer.writer.write(run_frame(6) + run_frame(7) + run_frame(8))
            assert (await end_of(peer))[2]["error"]["code"] == "OVERLOADED"
            behind.let_go()
            assert [(await end_of(peer))[1] for _ in range(2)] == [200, 200]
        assert len(behind.ran) == 7

    async def test_a_lost_stream_withdraws_queued_runs_and_lets_started_ones_end(self, url, behind):
        behind.hold()
        async with raw_controller(url) as peer:
            await switched(peer)
            peer.writer.write(run_frame(1) + run_frame(2))
            await until(lambda: behind.running and behind.queued)
        await until(lambda: not behind.queued)
        behind.let_go()
        await until(lambda: not behind.running)
        assert len(behind.ran) == 1

    async def test_a_withdrawn_run_ends_without_having_started(self, peer, behind):
        behind.hold()
        peer.writer.write(run_frame(1) + run_frame(2))
        await until(lambda: behind.running and behind.queued)
        peer.writer.write(frame(Kind.WITHDRAW, 1) + frame(Kind.WITHDRAW, 2))
        assert (await end_of(peer))[:2] == (2, 499)
        behind.let_go()
        assert (await end_of(peer))[:2] == (1, 200)
        peer.writer.write(frame(Kind.WITHDRAW, 1) + frame(Kind.CANCEL, 1) + run_frame(3))
        assert (await end_of(peer))[:2] == (3, 200)

    async def test_a_cancelled_run_reports_that(self, peer, behind):
        behind.hold()
        peer.writer.write(run_frame(1))
        await until(lambda: behind.running)
        peer.writer.write(frame(Kind.CANCEL, 1))
        assert (await end_of(peer))[2]["error"]["code"] == "EXECUTION_CANCELLED"

    async def test_a_run_is_cancelled_once_however_often_that_is_sent(self):
        behind = CountedStops()
        behind.hold()
        async with served_host(behind) as (_, url), raw_controller(url) as peer:
            await switched(peer)
            peer.writer.write(run_frame(1) + run_frame(2))
            await until(lambda: behind.running == 2)
            peer.writer.write(frame(Kind.CANCEL, 1) * 50 + frame(Kind.CANCEL, 2) * 50)
            assert {(await end_of(peer))[0] for _ in range(2)} == {1, 2}
        assert len(behind.stops) == 2

    async def test_evictions_reach_the_runner(self, peer, behind):
        session_id = execute_body()["request_id"]
        peer.writer.write(frame(Kind.EVICT, 0, json.dumps({"request_id": session_id}).encode()))
        await until(lambda: behind.evicted)
        assert [str(evicted) for evicted in behind.evicted] == [session_id]

    async def test_pings_are_answered_and_capacity_is_reported(self, peer, behind):
        peer.writer.write(frame(Kind.PING, 0, b"12345678"))
        assert (await peer.next(Kind.PONG)).payload == b"12345678"
        behind.hold()
        peer.writer.write(run_frame(1) + run_frame(2))
        capacity = msgspec.json.decode((await peer.next(Kind.CAPACITY)).payload)
        assert (sum(capacity["running"]), sum(capacity["queued"])) == (1, 1)
        behind.let_go()

    async def test_a_controller_that_reads_nothing_is_disconnected(self, behind):
        async with served_host(behind, stall_s=0.1) as (_, url), raw_controller(url, unread_max=4096) as peer:
            await switched(peer)
            for run_id in range(1, 9):
                peer.writer.write(run_frame(run_id, source="result = 'x' * 900_000"))
            async with runner_of(url) as runner:
                await until(lambda: _streams_are(runner, 1))

    async def test_a_large_run_and_a_large_reply_pass(self, url):
        async with runner_of(url) as runner:
            text = json.dumps("é" * 3 * PART_SIZE_MAX)
            assert (await report_of(runner, run_of("result = params", text))).result is not None

    async def test_the_token_and_a_version_are_required(self):
        async with served_host(token="s3cret") as (_, url):
            for head, status in [
                (request(), b" 401 "),
                (request("wrong"), b" 401 "),
                (request("s3cret", "pglambda-runtime/9"), b" 426 "),
                (request("s3cret", "websocket"), b" 426 "),
                (request("s3cret", "pglambda-runtime/2, pglambda-runtime/1"), b" 101 "),
            ]:
                async with raw_controller(url, head) as peer:
                    assert status in await switched(peer)

    async def test_streams_are_bounded(self):
        async with served_host() as (_, url):
            peers = [await asyncio.open_connection(*url.removeprefix("http://").split(":")) for _ in range(STREAMS_MAX)]
            for _, writer in peers:
                writer.write(request())
            for reader, _ in peers:
                assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
            async with raw_controller(url) as peer:
                assert b" 503 " in await switched(peer)
            for _, writer in peers:
                writer.close()

    async def test_a_drain_announces_itself_and_closes_streams_after_the_last_end(self, behind):
        behind.hold()
        async with served_host(behind) as (host, url), raw_controller(url) as peer:
            await switched(peer)
            peer.writer.write(run_frame(1))
            await until(lambda: behind.running)
            draining = asyncio.ensure_future(host.drain(timeout_s=10))
            await peer.next(Kind.DRAIN)
            peer.writer.write(run_frame(2))
            assert (await end_of(peer))[2]["error"]["code"] == "SHUTTING_DOWN"
            behind.let_go()
            assert (await end_of(peer))[:2] == (1, 200)
            assert await draining == 0
            assert await peer.is_closed()
            async with raw_controller(url) as late:
                assert b" 503 " in await switched(late)

    @pytest.mark.parametrize("size", [10, 2 * PART_SIZE_MAX], ids=["a small one", "one of several parts"])
    async def test_a_run_that_was_sent_before_the_controller_knew_of_the_drain_gets_an_end(self, size):
        async with served_host() as (host, url), raw_controller(url) as peer:
            await switched(peer)
            draining = asyncio.ensure_future(host.drain(timeout_s=10))
            await peer.next(Kind.DRAIN)
            ping = await peer.next(Kind.PING)
            run = run_frame(1, params="x" * size)
            first = run[: PART_SIZE_MAX + HEADER_SIZE]  # a pong takes its turn between the parts
            peer.writer.write(first + frame(Kind.PONG, 0, ping.payload) + run[len(first) :])
            peer.writer.write(frame(Kind.PONG, 0, ping.payload))
            assert (await end_of(peer))[2]["error"]["code"] == "SHUTTING_DOWN"
            assert await draining == 0

    async def test_the_drain_waits_for_ends_that_the_controller_has_not_read_yet(self):
        behind = MemoryScriptRunner(MemoryRunnerOptions(workers_max=8))
        behind.hold()
        async with served_host(behind) as (host, url), raw_controller(url, unread_max=4096) as peer:
            await switched(peer)
            for run_id in range(1, 9):
                peer.writer.write(run_frame(run_id, source="result = 'x' * 900_000"))
            await until(lambda: behind.running == 8)
            draining = asyncio.ensure_future(host.drain(timeout_s=10))
            behind.let_go()
            assert {(await end_of(peer))[:2] for _ in range(8)} == {(run_id, 200) for run_id in range(1, 9)}
            assert await draining == 0
            assert await peer.is_closed()

    async def test_a_run_that_outlasts_the_drain_is_unknown_and_goes_to_no_other_host(self):
        first, second = MemoryScriptRunner(), MemoryScriptRunner()
        first.hold()
        second.hold()
        async with (
            served_host(first) as (host, url),
            served_host(second) as (other, other_url),
            runner_of(url, other_url) as runner,
        ):
            running = asyncio.ensure_future(report_of(runner, run_of("result = 1")))
            await until(lambda: first.running or second.running)
            drained, idle = (host, second) if first.running else (other, first)
            idle.let_go()
            assert await drained.drain(timeout_s=0) == 1
            with pytest.raises(ExecutionUnknown):
                await running
        assert idle.ran == []


HOST = """
import sys
import uvicorn
from adapters.memory.script_runner import MemoryScriptRunner
from entrypoints.runtime_host.application import HostApi
from entrypoints.runtime_host.options import RuntimeHostOptions
from entrypoints.server.connection import BoundedConnection
app = HostApi(MemoryScriptRunner(), RuntimeHostOptions()).app()
uvicorn.run(app, port=int(sys.argv[1]), http=BoundedConnection, ws="none", lifespan="off", log_level="warning")
"""
ENDLESS = "import asyncio\nasync def handler():\n  print('begun')\n  await asyncio.sleep(60)"


async def test_a_host_that_is_killed_leaves_the_end_unknown_and_what_came_is_heard():
    heard, port = Heard(), free_port()
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", HOST, str(port))
    try:
        async with runner_of(f"http://127.0.0.1:{port}") as runner:
            await until(lambda: _state_is(runner, "ready"), timeout_s=30)
            running = asyncio.ensure_future(report_of(runner, run_of(ENDLESS, listener=heard)))
            async with asyncio.timeout(10):
                await heard.first.wait()
            process.kill()
            with pytest.raises(ExecutionUnknown):
                await running
        assert heard.stdout == b"begun\n"
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _streams_are(runner: HttpScriptRunner, count: int) -> bool:
    (host,) = (await runner.health())["languages"]["python"]["hosts"]
    return host["streams"] == count


class TestBrokenSandbox:
    """A host that is there and cannot run a language."""

    async def test_it_gets_no_run_as_long_as_another_host_can_and_returns_with_its_sandbox(self):
        broken, whole = MemoryScriptRunner(), MemoryScriptRunner()
        async with served_host(broken) as (_, one), served_host(whole) as (_, two), runner_of(one, two) as runner:
            await until(lambda: is_ready(runner, "ok"))
            broken.unavailable = "repair it"
            await until(lambda: is_ready(runner, "degraded"))
            for _ in range(20):
                assert (await report_of(runner, run_of("result = 1"))).result == "1"
            assert (len(broken.ran), len(whole.ran)) == (0, 20)
            whole.unavailable = "repair it too"
            await until(lambda: is_ready(runner, "failing"))
            with pytest.raises(RuntimeUnavailable, match="repair it"):
                await report_of(runner, run_of("result = 1"))
            broken.unavailable = None
            await until(lambda: is_ready(runner, "degraded"))
            assert (await report_of(runner, run_of("result = 1"))).result == "1"
            assert len(broken.ran) == 1

    async def test_a_host_that_starts_without_a_sandbox_is_no_choice_from_its_first_frame_on(self):
        async with served_host(MemoryScriptRunner(unavailable="repair it")) as (_, url), runner_of(url) as runner:
            ready = await runner.readiness(Language.PYTHON)
            assert ready["status"] == "failing"
            assert "its sandbox cannot run nodejs, python now" in ready["reason"]


async def is_ready(runner: HttpScriptRunner, status: str) -> bool:
    return (await runner.readiness(Language.PYTHON))["status"] == status


async def test_what_a_stream_has_carried_and_lost_is_counted_and_logged_by_host():
    async def serve(peer: RawPeer) -> None:
        peer.writer.write(welcome())
        ping = await peer.next(Kind.PING)
        peer.writer.write(frame(Kind.PONG, 0, ping.payload))
        await peer.next(Kind.RUN)
        peer.writer.close()

    async with raw_stream_host(serve) as url, runner_of(url) as runner:
        await until(lambda: sum(runner.stats().pings_s.counts))
        run = run_of("result = 1")
        with structlog.testing.capture_logs() as lines, pytest.raises(ExecutionUnknown):
            await report_of(runner, run)
        stats = runner.stats()
        assert stats.unknown == {"lost": 1, "late": 0, "invalid": 0}
        assert (stats.messages["run"], stats.messages["ping"], stats.messages["pong"]) == (1, 1, 1)
        stream = await stream_of(runner)
    assert (stream["host"], stream["unknown"]) == ("raw", 1)
    assert stream["ping_ms"] < 1000
    (lost,) = [line for line in lines if line["event"] == "execution_unknown"]
    assert (lost["execution_id"], lost["host"], lost["url"]) == (run.execution_id, "raw", url)
