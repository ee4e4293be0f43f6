"""A buffer gives every reader every byte once, from any position, within its bounds."""

import asyncio
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import InvalidRequest
from domain.live.buffer import LiveBuffer
from domain.live.events import PIECE_SIZE_MAX, ExecutionEnded, Gap, KeptText, LiveEvent, LiveState, OutputPiece
from domain.live.position import OutputStream, Position
from domain.scripts.output import ScriptProgress

START = Position()


def texts_of(events: Sequence[LiveEvent], stream: OutputStream) -> str:
    return "".join(
        each.what.text for each in events if isinstance(each.what, OutputPiece) and each.what.stream is stream
    )


async def read_all(buffer: LiveBuffer, position: Position = START) -> list[LiveEvent]:
    """Read an ended buffer."""
    found: list[LiveEvent] = []
    while events := await buffer.next(found[-1].position if found else position):
        found += events
    return found


def cut(content: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(min(each, len(content)) for each in cuts), len(content)]
    return [content[start:end] for start, end in pairwise(edges)]


CONTENT = st.one_of(st.binary(max_size=200), st.text(max_size=100).map(lambda text: text.encode("utf-8", "replace")))
CUTS = st.lists(st.integers(0, 200), max_size=6)


@given(CONTENT, CONTENT, CUTS)
async def test_readers_get_the_text_of_the_report_whatever_the_pieces(stdout, stderr, cuts):
    buffer: LiveBuffer[str] = LiveBuffer()
    for piece in cut(stdout, cuts):
        buffer.on_stdout(piece)
    for piece in cut(stderr, cuts):
        buffer.on_stderr(piece)
    buffer.end("end")
    events = await read_all(buffer)
    report = [each.decode("utf-8", "replace").replace("\0", "\ufffd") for each in (stdout, stderr)]
    assert [texts_of(events, stream) for stream in OutputStream] == report
    assert (events[-1].position.is_end, events[-1].what) == (True, ExecutionEnded("end"))


@given(CONTENT, CUTS)
async def test_a_reader_that_resumes_at_any_event_gets_the_rest_once(content, cuts):
    buffer: LiveBuffer[str] = LiveBuffer(pause_s=0)
    position, text = Position(), ""
    for number, piece in enumerate(cut(content, cuts)):
        buffer.on_stdout(piece)
        buffer.on_progress(ScriptProgress(None, str(number)))
        events = await buffer.next(position)
        text += texts_of(events, OutputStream.STDOUT)
        position = Position.of(str(events[-1].position))
    buffer.end("end")
    text += texts_of(await read_all(buffer, position), OutputStream.STDOUT)
    assert text == texts_of(await read_all(buffer), OutputStream.STDOUT)


async def test_a_large_output_arrives_in_pieces_of_whole_characters():
    buffer: LiveBuffer[str] = LiveBuffer()
    buffer.on_stdout(b"x" + "漢".encode() * 50_000)
    buffer.end("end")
    pieces = [each.what for each in await read_all(buffer) if isinstance(each.what, OutputPiece)]
    assert "".join(piece.text for piece in pieces) == "x" + "漢" * 50_000
    assert all(len(piece.text.encode()) <= PIECE_SIZE_MAX for piece in pieces)
    assert len(pieces) == 3


async def test_output_beyond_the_bound_leaves_a_gap_that_is_told():
    buffer: LiveBuffer[str] = LiveBuffer(size_max=10, pause_s=0)
    buffer.on_stdout("é".encode() * 4)
    events = await buffer.next(Position())
    buffer.on_stdout(b"0123456")
    assert buffer.kept_bytes == 9
    gap, rest = await buffer.next(events[0].position.moved(OutputStream.STDOUT, 2))
    assert (gap.what, gap.position) == (Gap(OutputStream.STDOUT, 2, 6), Position(6))
    assert (rest.what, rest.position) == (OutputPiece(OutputStream.STDOUT, 6, "é0123456"), Position(15))


async def test_a_slow_reader_gets_the_newest_progress_only():
    buffer: LiveBuffer[str] = LiveBuffer()
    for number in range(5):
        buffer.on_progress(ScriptProgress(number / 5, f"step {number}"))
    (event,) = await buffer.next(Position())
    assert (event.what, event.position) == (ScriptProgress(0.8, "step 4"), Position(0, 0, 5))


async def test_many_readers_are_woken_by_one_piece():
    buffer: LiveBuffer[str] = LiveBuffer()
    readers = [asyncio.ensure_future(buffer.next(Position())) for _ in range(50)]
    await asyncio.sleep(0)
    buffer.on_stderr(b"now")
    assert {texts_of(events, OutputStream.STDERR) for events in await asyncio.gather(*readers)} == {"now"}


async def test_a_part_of_a_character_is_no_event():
    buffer: LiveBuffer[str] = LiveBuffer()
    reader = asyncio.ensure_future(buffer.next(Position()))
    for byte in "漢".encode():
        assert not reader.done()
        buffer.on_stdout(bytes([byte]))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert texts_of(await reader, OutputStream.STDOUT) == "漢"


async def test_a_buffer_that_breaks_off_has_no_end():
    buffer: LiveBuffer[str] = LiveBuffer()
    buffer.on_stdout(b"before\xe6")
    waiting = asyncio.ensure_future(buffer.next(Position(6)))
    await asyncio.sleep(0)
    buffer.break_off()
    assert texts_of(await waiting, OutputStream.STDOUT) == "\ufffd"
    assert [each.what for each in await read_all(buffer)] == [OutputPiece(OutputStream.STDOUT, 0, "before\ufffd")]


@pytest.mark.parametrize("cuts", range(1, 4))
async def test_a_reader_that_is_released_within_a_character_goes_on_elsewhere_without_a_fault(cuts):
    buffer: LiveBuffer[str] = LiveBuffer()
    content = "x漢y".encode()
    buffer.on_stdout(content[:cuts])
    buffer.release()
    before = await read_all(buffer)
    buffer.on_stdout(content[cuts:])
    buffer.end("end")
    text = texts_of([*before, *await read_all(buffer, before[-1].position)], OutputStream.STDOUT)
    assert text == content.decode()


async def test_after_the_end_there_is_nothing():
    buffer: LiveBuffer[str] = LiveBuffer()
    buffer.end("end")
    assert await buffer.next(Position(is_end=True)) == ()


class TestPositionsBeyond:
    @pytest.mark.parametrize("position", [Position(4), Position(0, 3), Position(0, 0, 2), Position(is_end=True)])
    def test_what_a_running_execution_has_not_written_is_refused(self, position):
        buffer: LiveBuffer[str] = LiveBuffer()
        buffer.on_stdout(b"out")
        buffer.on_stderr(b"er")
        buffer.on_progress(ScriptProgress())
        buffer.state.require(Position(3, 2, 1))
        with pytest.raises(InvalidRequest, match="beyond what this execution has written"):
            buffer.state.require(position)

    def test_a_reader_may_have_more_of_stderr_and_of_progress_than_the_record_has(self):
        state = LiveState(stderr=KeptText(b"er", 0, 2), ended=ExecutionEnded("end"))
        state.require(Position(0, 500, 3, is_end=True))
        (end,) = state.after(Position(0, 500, 3))
        assert (end.what, end.position) == (ExecutionEnded("end"), Position(0, 500, 3, is_end=True))
        with pytest.raises(InvalidRequest):
            state.require(Position(1))

    def test_a_position_within_a_character_is_refused(self):
        state: LiveState[str] = LiveState(KeptText("é".encode(), 0, 2))
        with pytest.raises(InvalidRequest, match="within a character"):
            state.after(Position(1))


def test_a_stored_text_that_is_cut_ends_with_a_gap():
    state = LiveState(stdout=KeptText(b"begin", 0, 100), ended=ExecutionEnded("end"))
    (piece,) = state.after(Position())
    assert (piece.what, piece.position) == (OutputPiece(OutputStream.STDOUT, 0, "begin"), Position(5))
    gap, end = state.after(piece.position)
    assert (gap.what, end.position) == (Gap(OutputStream.STDOUT, 5, 100), Position(100, is_end=True))
