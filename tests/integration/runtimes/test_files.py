"""Files of scripts at hosts of other releases, and at hosts that die or lie, over real sockets."""

import json

import pytest

from adapters.memory.script_runner import MemoryScriptRunner
from adapters.runtime_files import FEATURE, FileStep, step_payload
from adapters.runtime_frames import Kind
from adapters.sandbox.selftest.files import TrialFiles, given_file
from domain.errors import RuntimeUnavailable
from domain.scripts.files import RunFiles
from domain.scripts.report import ExecutionUnknown
from entrypoints.runtime_host.application import HostApi
from entrypoints.runtime_host.options import RuntimeHostOptions
from tests.contracts.raw_streams import RawPeer, frame, raw_controller, raw_stream_host, request, switched, welcome
from tests.contracts.script_runs import report_of, result_of, run_of
from tests.contracts.served_hosts import served
from tests.integration.runtimes.test_streams import END, runner_of, served_host
from tests.support.ports import loopback_socket
from tests.support.waiting import until
from tests.unit.runtimes.test_runtime_host import execute_body

FILES = RunFiles(1, (given_file("a", b"content"),))


async def old_host(peer: RawPeer) -> None:
    peer.writer.write(welcome())
    while True:
        await peer.next(Kind.PING)


async def test_a_host_of_an_earlier_release_gets_no_run_with_files_and_the_answer_names_the_release() -> None:
    async with raw_stream_host(old_host) as url, runner_of(url) as runner:
        with pytest.raises(RuntimeUnavailable, match=r"it runs release '0\.0\.0', which gives scripts no files"):
            await report_of(runner, run_of("result = 1", files=FILES))


async def test_a_host_without_streams_gets_no_run_with_files() -> None:
    listening, url = loopback_socket()
    app = HostApi(MemoryScriptRunner(), RuntimeHostOptions()).app()
    async with served(app, listening, has_streams=False), runner_of(url) as runner:
        with pytest.raises(RuntimeUnavailable, match="it has no stream, which gives scripts no files"):
            await report_of(runner, run_of("result = 1", files=FILES))


async def test_another_host_is_chosen_for_a_run_with_files() -> None:
    behind = MemoryScriptRunner()
    async with raw_stream_host(old_host) as old, served_host(behind) as (_, new), runner_of(old, new) as runner:
        await until(lambda: runner.stats().states["ready"] == 2)
        for _ in range(8):  # each in a session of its own, so either host would be the first
            assert await result_of(runner, run_of("result = 1", files=FILES)) == "1"
        assert len(behind.ran) == 8
        assert runner.stats().messages["run"] == 8


def step(kind: FileStep, content: bytes = b"") -> bytes:
    return frame(Kind.FILE_FROM_HOST, 1, step_payload(kind, content))


OFFERED = step(FileStep.OFFER, b'{"path":"a","size":3}')
DIES = {"in-delivery": [step(FileStep.NEXT)], "in-collection": [step(FileStep.NEXT), OFFERED]}


@pytest.mark.parametrize("steps", DIES.values(), ids=DIES)
async def test_the_end_of_a_run_is_unknown_if_its_host_dies_amid_its_files(steps: list[bytes]) -> None:
    async def serve(peer: RawPeer) -> None:
        peer.writer.write(welcome(features=[FEATURE]))
        await peer.next(Kind.RUN)
        for each in steps:
            peer.writer.write(each)
            await peer.next(Kind.FILE_TO_HOST)

    sink = TrialFiles()
    async with raw_stream_host(serve) as url, runner_of(url) as runner:
        with pytest.raises(ExecutionUnknown, match="its stream ended"):
            await report_of(runner, run_of("result = 1", files=RunFiles(1, FILES.given, sink)))
    assert sink.kept == {}


LIES = {
    "escapes": ([step(FileStep.OFFER, b'{"path":"../a","size":3}')], "an offer of a file that nobody wants"),
    "more-than-said": ([OFFERED, step(FileStep.PIECE, b"abcd")], "a piece of 3 is due"),
    "counted-without": ([END], "it has not sent what the script left"),
    "behind-the-end": ([END, step(FileStep.COMPLETE)], "it has not sent what the script left"),
}


@pytest.mark.parametrize(("frames", "why"), LIES.values(), ids=LIES)
async def test_a_lie_about_files_leaves_the_end_unknown_and_keeps_none(frames: list[bytes], why: str) -> None:
    async def serve(peer: RawPeer) -> None:
        peer.writer.write(welcome(features=[FEATURE]))
        await peer.next(Kind.RUN)
        first, *others = frames
        peer.writer.write(first)
        for each in others:
            if first == OFFERED:
                await peer.next(Kind.FILE_TO_HOST)
            peer.writer.write(each)
        await peer.is_closed()

    sink = TrialFiles()
    async with raw_stream_host(serve) as url, runner_of(url) as runner:
        with pytest.raises(ExecutionUnknown, match=why):
            await report_of(runner, run_of("result = 1", files=RunFiles(1, sink=sink)))
    assert sink.kept == {}


@pytest.mark.parametrize("payload", [step_payload(FileStep.NEXT), b"", b"\x09"], ids=["unasked", "empty", "unknown"])
async def test_a_controller_whose_steps_break_the_order_is_disconnected(payload: bytes) -> None:
    behind = MemoryScriptRunner()
    behind.hold()
    async with served_host(behind) as (_, url), raw_controller(url, request()) as peer:
        await switched(peer)
        body = execute_body(language="python+granted", grants={"files": {"size_mb": 1}})
        peer.writer.write(frame(Kind.RUN, 1, json.dumps(body).encode()))
        await until(lambda: behind.running)
        peer.writer.write(frame(Kind.FILE_TO_HOST, 1, payload))
        assert await peer.is_closed()
    behind.let_go()


async def test_a_given_file_with_a_path_outside_starts_nothing() -> None:
    behind = MemoryScriptRunner()
    async with served_host(behind) as (_, url), raw_controller(url, request()) as peer:
        await switched(peer)
        files = {"size_mb": 1, "given": [{"path": "../a", "size": 1}]}
        body = execute_body(language="python+granted", grants={"files": files})
        peer.writer.write(frame(Kind.RUN, 1, json.dumps(body).encode()))
        end = json.loads((await peer.next(Kind.END)).payload or b"")
    assert (end["status"], end["reply"]["error"]["code"], behind.ran) == (400, "INVALID_REQUEST", [])
