"""Readers of one script read together, and each gets every byte once, whatever they and the script do."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from itertools import pairwise
from typing import Any

from attrs import define, field
from hypothesis import given
from hypothesis import strategies as st

from domain.live.buffer import LiveBuffer
from domain.live.events import PIECE_SIZE_MAX, ExecutionEnded, Gap, LiveEvent, OutputPiece
from domain.live.position import OutputStream, Position
from domain.scripts.output import ScriptProgress
from tests.unit.sandbox.fakes import SimulatedLoop

PAUSE_S = 0.1
EARLY_S = 0.0002
"""What timers of the simulated loop may lack."""
PIECE = st.one_of(st.binary(max_size=9), st.sampled_from(("é漢".encode(), b"x" * 70_000, "漢".encode() * 30_000)))
SECONDS = st.sampled_from((0.0, 0.001, 0.03, 0.1, 0.25))
STEP = st.one_of(
    st.tuples(st.just("write"), st.sampled_from(OutputStream), PIECE),
    st.tuples(st.just("write"), st.sampled_from(OutputStream), PIECE),
    st.tuples(st.just("progress")),
    st.tuples(st.just("join"), SECONDS),
    st.tuples(st.just("resume"), st.integers(0, 4)),
    st.tuples(st.just("pass_time"), SECONDS),
)


def simulated(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run in a loop whose time passes only while every task waits."""
    with asyncio.Runner(loop_factory=SimulatedLoop) as runner:
        runner.run(main())


@define(eq=False)
class Reader:
    """Reads to the end. It takes `lag_s` for what it has read, and may break off and resume at any time."""

    buffer: LiveBuffer[str]
    lag_s: float = 0.0
    events: list[LiveEvent[str]] = field(factory=list)
    reads_s: list[float] = field(factory=list)
    _task: "asyncio.Task[None] | None" = None

    @property
    def position(self) -> Position:
        return self.events[-1].position if self.events else Position()

    def start(self) -> "Reader":
        self.reads_s = []
        self._task = asyncio.ensure_future(self._read())
        return self

    def resume(self) -> None:
        assert self._task is not None
        self._task.cancel()
        self.start()

    async def end(self) -> None:
        assert self._task is not None
        async with asyncio.timeout(600):
            await self._task

    async def _read(self) -> None:
        position = Position.of(str(self.position))
        while events := await self.buffer.next(position):
            self.events += events
            self.reads_s.append(asyncio.get_running_loop().time())
            position = events[-1].position
            await asyncio.sleep(self.lag_s)


@define(eq=False)
class Script:
    """Writes, while readers come and go."""

    buffer: LiveBuffer[str]
    written: dict[OutputStream, bytes] = field(factory=lambda: dict.fromkeys(OutputStream, b""))
    readers: list[Reader] = field(factory=list)

    async def take(self, step: Sequence[Any]) -> None:
        name, *arguments = step
        waiting = getattr(self, name)(*arguments)
        if waiting is not None:
            await waiting

    def write(self, stream: OutputStream, piece: bytes) -> None:
        self.written[stream] += piece
        on_piece = {OutputStream.STDOUT: self.buffer.on_stdout, OutputStream.STDERR: self.buffer.on_stderr}
        on_piece[stream](piece)

    def progress(self) -> None:
        self.buffer.on_progress(ScriptProgress(0.5))

    def join(self, lag_s: float) -> None:
        self.readers.append(Reader(self.buffer, lag_s).start())

    def resume(self, number: int) -> None:
        for reader in self.readers[number : number + 1]:
            reader.resume()

    def pass_time(self, seconds: float) -> Coroutine[Any, Any, None]:
        return asyncio.sleep(seconds)


def require_each_byte_once(events: Sequence[LiveEvent[str]], stream: OutputStream, written: bytes) -> None:
    """Fail unless pieces and gaps of a stream follow each other from its first byte to its last."""
    whole, offset = written.decode("utf-8", "replace").replace("\0", "\ufffd").encode(), 0
    for what in (each.what for each in events):
        if isinstance(what, Gap) and what.stream is stream:
            assert what.start == offset < what.end
            offset = what.end
        if isinstance(what, OutputPiece) and what.stream is stream:
            content = what.text.encode()
            assert (what.offset, len(content) <= PIECE_SIZE_MAX) == (offset, True)
            offset += len(content)
            assert whole[what.offset : offset] == content
    assert offset == len(whole)


@given(st.lists(STEP, min_size=3, max_size=30), st.sampled_from((20, 300_000)))
def test_each_byte_arrives_once_and_in_order_and_no_reader_reads_too_often(steps, size_max):
    async def live() -> None:
        script = Script(LiveBuffer(size_max, PAUSE_S))
        script.join(0.0)
        for step in steps:
            await script.take(step)
        paced = [list(reader.reads_s) for reader in script.readers]
        script.buffer.end("end")
        for reader in script.readers:
            await reader.end()
            for stream, written in script.written.items():
                require_each_byte_once(reader.events, stream, written)
            ends = [each for each in reader.events if each.position.is_end]
            assert [each.what for each in ends] == [ExecutionEnded("end")] == [reader.events[-1].what]
        pauses_s = [later - earlier for reads_s in paced for earlier, later in pairwise(reads_s)]
        assert min(pauses_s, default=PAUSE_S) >= PAUSE_S - EARLY_S

    simulated(live)


def test_pieces_within_the_pause_arrive_together():
    async def live() -> None:
        script = Script(LiveBuffer(pause_s=PAUSE_S))
        script.join(0.0)
        for number in range(10):
            script.write(OutputStream.STDOUT, b"%d" % number)
            await script.pass_time(0.03)
        script.buffer.end("end")
        (reader,) = script.readers
        await reader.end()
        texts = [each.what.text for each in reader.events if isinstance(each.what, OutputPiece)]
        assert texts == ["0", "123", "456", "789"]

    simulated(live)


def test_output_after_a_pause_arrives_at_once():
    async def live() -> None:
        script = Script(LiveBuffer(pause_s=PAUSE_S))
        script.join(0.0)
        for _ in range(3):
            await script.pass_time(1.0)
            written_at_s = asyncio.get_running_loop().time()
            script.write(OutputStream.STDOUT, b"x")
            await script.pass_time(0.01)
            assert script.readers[0].reads_s[-1] - written_at_s < 0.005

    simulated(live)


def test_readers_with_one_position_get_the_same_events():
    async def live() -> None:
        script = Script(LiveBuffer(pause_s=PAUSE_S))
        for _ in range(3):
            script.join(0.0)
        for _ in range(3):
            script.write(OutputStream.STDOUT, b"line\n")
            await script.pass_time(0.2)
        script.join(0.0)
        script.write(OutputStream.STDOUT, b"last\n")
        await script.pass_time(0.2)
        first, *others, late = [reader.events for reader in script.readers]
        assert len(first) == 4
        for events in others:
            assert all(one is other for one, other in zip(first, events, strict=True))
        assert [each.position for each in late] == [Position(20)]

    simulated(live)


def test_the_end_is_not_paced():
    async def live() -> None:
        script = Script(LiveBuffer(pause_s=3600))
        script.write(OutputStream.STDOUT, b"x")
        script.join(0.0)
        await script.pass_time(1.0)
        script.write(OutputStream.STDOUT, b"y" * 200_000)
        script.buffer.end("end")
        await script.readers[0].end()
        assert asyncio.get_running_loop().time() < 2
        require_each_byte_once(script.readers[0].events, OutputStream.STDOUT, b"x" + b"y" * 200_000)

    simulated(live)


async def test_a_cancelled_read_loses_nothing():
    buffer: LiveBuffer[str] = LiveBuffer(pause_s=0)
    reading = asyncio.ensure_future(buffer.next(Position()))
    await asyncio.sleep(0)
    buffer.on_stdout(b"kept")
    reading.cancel()
    await asyncio.wait([reading])
    (event,) = await buffer.next(Position())
    assert (event.what, event.position) == (OutputPiece(OutputStream.STDOUT, 0, "kept"), Position(4))


async def test_a_reader_of_a_buffer_that_broke_off_gets_nothing_more():
    buffer: LiveBuffer[str] = LiveBuffer()
    buffer.break_off()
    assert await buffer.next(Position()) == []
