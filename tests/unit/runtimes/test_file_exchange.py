"""The files of a run at a host that the test plays, which may lie about each of them."""

import asyncio
import json
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from attrs import define, field
from typing_extensions import override

from adapters.remote_runtime.connection import HostReply, HostSilent
from adapters.remote_runtime.files import PIECES_MAX, FileExchange
from adapters.remote_runtime.fleet import HostView, ignore_change
from adapters.remote_runtime.options import RuntimeOptions
from adapters.remote_runtime.replies import Uncertain
from adapters.remote_runtime.stream import HostStream
from adapters.runtime_files import STEP_SIZE_MAX, FileStep, offer_of, step_of, step_payload
from adapters.runtime_frames import BrokenStream, Kind, StreamFrame
from adapters.sandbox.selftest.files import TrialFiles, given_file
from domain.errors import Overloaded
from domain.files.file import FileNotFound
from domain.scripts.files import PIECE_SIZE, GivenFile, RunFiles
from domain.scripts.report import CANCELLED, ScriptReport
from tests.contracts.raw_streams import frame, welcome
from tests.support.waiting import until
from tests.unit.runtimes.test_host_stream import END, PlayedTransport

NEXT, PIECE, OFFER, TAKEN, COMPLETE, OVER = FileStep
CONTENT = bytes(300_000)
SUCCESS, STOPPED = ScriptReport("1", None, 1.0), ScriptReport(None, CANCELLED, 1.0)


def offer(path: str = "a.txt", size: int = 3) -> tuple[FileStep, bytes]:
    return OFFER, json.dumps({"path": path, "size": size}).encode()


def given_twice() -> RunFiles:
    """Return files of which one has two pieces, and a sink for those of one ending."""
    return RunFiles(1, (given_file("empty", b""), given_file("a", CONTENT)), TrialFiles(patterns=("*.txt",)))


def nothing_given() -> RunFiles:
    return RunFiles(1, sink=TrialFiles(patterns=("*.txt",)))


@define(eq=False)
class StepTransport(PlayedTransport):
    """Keeps the steps that are written too."""

    replies: list[tuple[FileStep, bytes]] = field(factory=list)

    @override
    def write(self, data: bytes) -> None:
        for each in self.frames.feed(data):
            step = step_of(each) if each.kind == Kind.FILE_TO_HOST else None
            if step is not None:
                self.replies.append(step)


@define(eq=False)
class PlayedHost:
    """A host on a transport that the test plays, with one run after another."""

    stream: HostStream
    transport: StepTransport
    runs: "list[asyncio.Task[HostReply]]" = field(factory=list)

    @classmethod
    def opened(cls) -> "PlayedHost":
        stream, transport = HostStream(HostView(), RuntimeOptions(), ignore_change), StepTransport()
        stream.link.connection_made(transport)
        stream.link.data_received(welcome())
        return cls(stream, transport)

    @property
    def replies(self) -> list[tuple[FileStep, bytes]]:
        return self.transport.replies

    async def begin(self, files: RunFiles | None) -> FileExchange:
        exchange = FileExchange(files or RunFiles(1))
        ends_at = asyncio.get_running_loop().time() + 60
        run = self.stream.run(uuid4(), b"{}", ends_at, None, exchange if files else None)
        self.runs.append(asyncio.ensure_future(run))
        for _ in range(3):  # it is written
            await asyncio.sleep(0)
        return exchange

    def say(self, step: int, content: bytes = b"", run_id: int = 1) -> None:
        payload = bytes([step]) + content
        self.stream.link.data_received(frame(Kind.FILE_FROM_HOST, run_id, payload))

    async def ask(self, step: int, content: bytes = b"", run_id: int = 1) -> tuple[FileStep, bytes]:
        """Say a step, and return the reply."""
        known = len(self.replies)
        self.say(step, content, run_id)
        await until(lambda: len(self.replies) > known)
        return self.replies[-1]

    async def end(self, body: bytes = END) -> HostReply:
        self.stream.link.data_received(frame(Kind.END, 1, body))
        return await self.runs[0]

    async def close(self) -> None:
        self.stream.link.connection_lost(None)
        for run in self.runs:
            run.cancel()
        await asyncio.gather(*self.runs, return_exceptions=True)


@pytest.fixture
async def host() -> AsyncIterator[PlayedHost]:
    host = PlayedHost.opened()
    yield host
    await host.close()


async def test_a_host_gets_the_bytes_that_it_asks_for_and_what_it_sends_is_kept_at_the_end(host: PlayedHost) -> None:
    files = given_twice()
    exchange = await host.begin(files)
    assert [await host.ask(NEXT), await host.ask(NEXT)] == [
        (PIECE, CONTENT[:PIECE_SIZE]),
        (PIECE, CONTENT[PIECE_SIZE:]),
    ]
    assert await host.ask(*offer("a.txt", PIECE_SIZE + 1)) == (NEXT, b"")
    assert await host.ask(PIECE, b"a" * PIECE_SIZE) == (NEXT, b"")
    assert await host.ask(PIECE, b"b") == (TAKEN, b"")
    assert await host.ask(*offer("b.txt", 0)) == (TAKEN, b"")
    host.say(COMPLETE)
    await host.end()
    assert isinstance(files.sink, TrialFiles)
    assert files.sink.kept == {}
    exchange.settle(SUCCESS)
    assert files.sink.kept == {"a.txt": b"a" * PIECE_SIZE + b"b", "b.txt": b""}
    assert not host.transport.is_aborted


LIES = {
    "no-step": [(b"", None)],
    "unknown-step": [(b"\x09", None)],
    "two-at-once": [(NEXT, None), (NEXT, None)],
    "early-offer": [(*offer(), None)],
    "early-complete": [(COMPLETE, None)],
    "piece-unasked": [(PIECE, b"abc")],
    "taken": [(TAKEN, None)],
    "end": [(OVER, None)],
    "large-step": [(PIECE, bytes(STEP_SIZE_MAX))],
}
LIES_BEHIND = {
    "more-than-given": [(NEXT,)],
    "parent": [offer("../a.txt")],
    "absolute": [offer("/etc/a.txt")],
    "control": [offer("a\n.txt")],
    "unwanted": [offer("a.bin")],
    "negative": [offer(size=-1)],
    "too-large": [offer(size=(1 << 20) + 1)],
    "no-json": [(OFFER, b"{")],
    "twice": [offer(size=0), offer(size=0)],
    "too-many": [offer(f"{number}.txt", 0) for number in range(65)],
    "long-piece": [offer(), (PIECE, b"abcd")],
    "short-piece": [offer(), (PIECE, b"ab")],
    "no-piece": [offer(), (TAKEN,)],
    "next-for-piece": [offer(), (NEXT,)],
    "more-than-said": [offer(), (PIECE, b"abc"), (PIECE, b"d")],
    "complete-amid": [offer(), (COMPLETE,)],
    "behind-complete": [(COMPLETE,), offer()],
    "complete-twice": [(COMPLETE,), (COMPLETE,)],
    "behind-abandoned": [offer(), (OVER,), offer("b.txt")],
}


@pytest.mark.parametrize("steps", LIES.values(), ids=LIES)
async def test_a_host_that_breaks_the_order_is_left(host: PlayedHost, steps: list[tuple[object, bytes | None]]) -> None:
    files = given_twice()
    await host.begin(files)
    for step, content, *_ in steps:
        payload = step if isinstance(step, bytes) else bytes([step])  # type: ignore[list-item]
        host.stream.link.data_received(frame(Kind.FILE_FROM_HOST, 1, payload + (content or b"")))
    assert host.transport.is_aborted
    assert host.stream.link.is_broken


@pytest.mark.parametrize("steps", LIES_BEHIND.values(), ids=LIES_BEHIND)
async def test_a_host_that_lies_about_what_a_script_left_is_left(
    host: PlayedHost, steps: list[tuple[int, ...]]
) -> None:
    files = nothing_given()
    await host.begin(files)
    *before, last = steps
    for each in before:
        known = len(host.replies)
        host.say(*each)  # type: ignore[arg-type]
        if each[0] not in (COMPLETE, OVER):
            await until(lambda known=known: len(host.replies) > known)  # type: ignore[misc]
    assert not host.transport.is_aborted
    host.say(*last)  # type: ignore[arg-type]
    assert host.transport.is_aborted
    host.stream.link.connection_lost(None)
    with pytest.raises(HostSilent):
        await host.runs[0]
    assert isinstance(files.sink, TrialFiles)
    assert files.sink.kept == {}


@pytest.mark.parametrize("run_id", [1, 2], ids=["without-files", "behind-its-end"])
async def test_steps_of_runs_without_files_break_the_stream(host: PlayedHost, run_id: int) -> None:
    await host.begin(None)
    host.say(COMPLETE, run_id=run_id)
    assert host.transport.is_aborted


async def test_a_script_without_a_sink_leaves_nothing(host: PlayedHost) -> None:
    exchange = await host.begin(RunFiles(1))
    await host.end()
    exchange.settle(SUCCESS)
    other = PlayedHost.opened()
    await other.begin(RunFiles(1))
    other.say(*offer())
    assert other.transport.is_aborted
    await other.close()


@pytest.mark.parametrize(
    ("files", "why"),
    [(given_twice(), "without all of its files"), (nothing_given(), "has not sent what the script left")],
    ids=["given", "left"],
)
async def test_a_success_without_all_files_is_unknown(host: PlayedHost, files: RunFiles, why: str) -> None:
    exchange = await host.begin(files)
    await host.end()
    with pytest.raises(Uncertain, match=why):
        exchange.settle(SUCCESS)
    exchange.settle(STOPPED)
    exchange.require_unused()


async def test_an_end_amid_a_file_is_unknown(host: PlayedHost) -> None:
    exchange = await host.begin(nothing_given())
    await host.ask(*offer())
    await host.end()
    with pytest.raises(Uncertain, match="on their way"):
        exchange.settle(STOPPED)
    with pytest.raises(Uncertain, match="says that it has started nothing"):
        exchange.require_unused()


async def test_a_file_that_cannot_be_read_ends_the_delivery_and_says_why(host: PlayedHost) -> None:
    async def lost() -> AsyncIterator[bytes]:
        raise FileNotFound
        yield b""

    exchange = await host.begin(RunFiles(1, (GivenFile("a", 5, lost),)))
    assert await host.ask(NEXT) == (OVER, b"")
    await host.end()
    with pytest.raises(FileNotFound):
        exchange.require_unused()
    with pytest.raises(Uncertain, match="on their way"):
        exchange.settle(SUCCESS)


async def test_a_file_that_the_host_cannot_read_on_is_not_kept_and_the_report_says_why(host: PlayedHost) -> None:
    files = nothing_given()
    exchange = await host.begin(files)
    await host.ask(*offer())
    host.say(OVER)
    await host.end()
    exchange.settle(STOPPED)
    with pytest.raises(Uncertain, match="has not sent"):
        exchange.settle(SUCCESS)
    assert isinstance(files.sink, TrialFiles)
    assert files.sink.kept == {}


async def test_steps_without_room_for_them_end_the_transfer(host: PlayedHost) -> None:
    exchange = await host.begin(nothing_given())
    await host.ask(*offer())
    exchange.on_frame(StreamFrame(Kind.FILE_FROM_HOST, 1, None, 4))
    await until(lambda: host.replies[-1][0] is OVER)
    assert isinstance(exchange.error, Overloaded)
    other = await host.begin(given_twice())
    other.on_frame(StreamFrame(Kind.FILE_FROM_HOST, 2, None, 1))
    assert isinstance(other.error, Overloaded)
    await until(lambda: host.replies[-2:] == [(OVER, b"")] * 2)


async def test_a_host_whose_caller_has_left_gets_the_end_and_may_send_one_step(host: PlayedHost) -> None:
    await host.begin(nothing_given())
    await host.ask(*offer())
    host.runs[0].cancel()
    await asyncio.wait(host.runs)
    assert await host.ask(PIECE, b"abc") == (OVER, b"")
    assert not host.transport.is_aborted
    host.say(NEXT)
    assert host.transport.is_aborted


async def test_a_host_that_waits_when_its_caller_leaves_gets_the_end(host: PlayedHost) -> None:
    never = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        await never.wait()
        yield b""

    await host.begin(RunFiles(1, (GivenFile("a", 5, endless),)))
    host.say(NEXT)
    await asyncio.sleep(0)
    host.runs[0].cancel()
    await until(lambda: host.replies == [(OVER, b"")])
    await asyncio.wait(host.runs)


async def test_so_many_pieces_of_a_stream_are_in_memory(host: PlayedHost) -> None:
    for number in range(PIECES_MAX + 4):
        await host.begin(nothing_given())
        host.say(*offer(), run_id=number + 1)
    await until(lambda: len(host.replies) == PIECES_MAX)
    for _ in range(10):
        await asyncio.sleep(0)
    assert host.replies == [(NEXT, b"")] * PIECES_MAX
    host.say(PIECE, b"abc", run_id=1)
    await until(lambda: len(host.replies) == PIECES_MAX + 2)
    assert sorted(step for step, _ in host.replies[-2:]) == [NEXT, TAKEN]


async def test_no_piece_is_read_while_the_host_takes_nothing(host: PlayedHost) -> None:
    reads = []

    async def read(number: int) -> AsyncIterator[bytes]:
        reads.append(number)
        yield bytes(PIECE_SIZE)

    host.stream.link.pause_writing()
    for number in range(8):
        await host.begin(RunFiles(1, (GivenFile("a", PIECE_SIZE, lambda number=number: read(number)),)))  # type: ignore[misc]
        host.say(NEXT, run_id=number + 1)
        for _ in range(5):
            await asyncio.sleep(0)
    assert len(reads) == 4, "of 256 KiB each"
    host.stream.link.resume_writing()
    await until(lambda: len(host.replies) == 8)
    assert len(reads) == 8
    assert host.replies[0] == (PIECE, bytes(PIECE_SIZE))


def test_an_offer_of_a_path_that_is_too_long_is_not_read() -> None:
    _, longest = offer("a" * 512)
    assert offer_of(longest).path == "a" * 512
    _, longer = offer("a" * 513)
    with pytest.raises(BrokenStream, match="cannot be read"):
        offer_of(longer)


def test_a_step_is_a_byte_and_its_content() -> None:
    assert step_of(StreamFrame(Kind.FILE_TO_HOST, 1, step_payload(PIECE, b"abc"), 4)) == (PIECE, b"abc")
