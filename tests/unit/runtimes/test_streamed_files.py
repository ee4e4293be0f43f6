"""The files of a run on a runtime host, whose controller the test plays."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from attrs import define, field
from typing_extensions import override

from adapters.runtime_files import FileStep, step_of, step_payload
from adapters.runtime_frames import BrokenStream, FrameParser, Kind, StreamFrame
from adapters.runtime_link import FrameLink, FrameReceiver
from adapters.runtime_protocol import FilesFields, GivenFields
from domain.errors import Overloaded, RuntimeUnavailable
from domain.scripts.files import GivenFile, LeftFile
from domain.scripts.language import Language
from entrypoints.runtime_host.files import StreamedFiles
from tests.contracts.raw_streams import SIZES_MAX
from tests.unit.runtimes.test_host_stream import PlayedTransport

NEXT, PIECE, OFFER, TAKEN, COMPLETE, OVER = FileStep
FIELDS = FilesFields(1, (GivenFields("a", 5), GivenFields("empty", 0)), collects=True)
LEFT = LeftFile("out/a", 5)


@define(eq=False)
class PlayedController(PlayedTransport, FrameReceiver):
    """Replies to each step with the next of its own, if there is one; None stands for a step that found no room."""

    replies: list[tuple[FileStep, bytes] | None] = field(factory=list)
    heard: list[tuple[FileStep, bytes]] = field(factory=list)
    files: StreamedFiles | None = None

    @override
    def write(self, data: bytes) -> None:
        for each in self.frames.feed(data):
            step = step_of(each)
            assert step is not None
            self.heard.append(step)
            if self.replies:
                reply = self.replies.pop(0)
                self.say(None if reply is None else step_payload(*reply))

    def say(self, payload: bytes | None) -> None:
        assert self.files is not None
        self.files.on_frame(StreamFrame(Kind.FILE_TO_HOST, 1, payload, len(payload or b"")))

    def on_frame(self, frame: StreamFrame) -> None:
        """Nothing arrives on the link."""

    def on_lost(self, reason: str) -> None:
        """It is not lost."""


def controller(*replies: tuple[FileStep, bytes] | None, left_s: float = 60) -> PlayedController:
    played = PlayedController(replies=list(replies))
    link = FrameLink(FrameParser(SIZES_MAX), played)
    link.connection_made(played)
    played.files = StreamedFiles(FIELDS, link, 1, asyncio.get_running_loop().time() + left_s)
    return played


def files_of(played: PlayedController) -> StreamedFiles:
    assert played.files is not None
    return played.files


async def read(file: GivenFile) -> list[bytes]:
    return [piece async for piece in file.pieces()]


def given(played: PlayedController) -> tuple[GivenFile, ...]:
    return files_of(played).of_run(Language.PYTHON).given


async def pieces(*contents: bytes) -> AsyncIterator[bytes]:
    for each in contents:
        yield each


async def test_given_files_are_asked_for_piece_by_piece() -> None:
    played = controller((PIECE, b"abc"), (PIECE, b"de"))
    assert [await read(each) for each in given(played)] == [[b"abc", b"de"], []]
    assert played.heard == [(NEXT, b"")] * 2


@pytest.mark.parametrize("reply", [(OVER, b""), (TAKEN, b""), (PIECE, b""), (PIECE, b"abcdef")])
async def test_a_controller_that_does_not_send_a_file_starts_nothing(reply: tuple[FileStep, bytes]) -> None:
    with pytest.raises(RuntimeUnavailable, match="was not sent all files"):
        await read(given(controller(reply))[0])


async def test_a_piece_without_room_for_it_starts_nothing() -> None:
    with pytest.raises(Overloaded):
        await read(given(controller(None))[0])


async def test_left_files_are_offered_and_sent_when_asked_for() -> None:
    played = controller((NEXT, b""), (NEXT, b""), (TAKEN, b""), (TAKEN, b""))
    sink = files_of(played).of_run(Language.PYTHON).sink
    assert sink is not None
    assert await sink.take(LEFT, pieces(b"abc", b"de"))
    assert await sink.take(LeftFile("empty", 0), pieces())
    sink.complete()
    await asyncio.sleep(0)
    heard = [(step, json.loads(content) if step is OFFER else content) for step, content in played.heard]
    assert heard == [
        (OFFER, {"path": "out/a", "size": 5}),
        (PIECE, b"abc"),
        (PIECE, b"de"),
        (OFFER, {"path": "empty", "size": 0}),
        (COMPLETE, b""),
    ]


@pytest.mark.parametrize("replies", [[(OVER, b"")], [(NEXT, b""), (OVER, b"")], [None], [(TAKEN, b"")]])
async def test_a_file_that_is_not_asked_for_to_its_end_is_not_taken(
    replies: list[tuple[FileStep, bytes] | None],
) -> None:
    assert not await files_of(controller(*replies)).take(LEFT, pieces(b"abc", b"de"))


async def test_a_file_that_cannot_be_read_on_is_abandoned() -> None:
    async def failing() -> AsyncIterator[bytes]:
        yield b"abc"
        raise OSError("gone")

    played = controller((NEXT, b""), (NEXT, b""))
    with pytest.raises(OSError, match="gone"):
        await files_of(played).take(LEFT, failing())
    await asyncio.sleep(0)
    assert played.heard[1:] == [(PIECE, b"abc"), (OVER, b"")]


async def test_a_controller_without_time_left_gets_and_gives_nothing() -> None:
    played = controller(left_s=-1)
    assert not await files_of(played).take(LEFT, pieces(b"abc", b"de"))
    played.say(step_payload(NEXT))
    assert not await files_of(played).take(LEFT, pieces(b"abc", b"de"))
    with pytest.raises(RuntimeUnavailable):
        await read(given(played)[0])
    files_of(played).complete()
    await asyncio.sleep(0)
    assert [step for step, _ in played.heard] == [OFFER]


async def test_a_controller_that_leaves_ends_the_wait_for_its_step() -> None:
    played = controller()
    taking = asyncio.ensure_future(files_of(played).take(LEFT, pieces(b"abc", b"de")))
    await asyncio.sleep(0)
    files_of(played).close()
    assert not await taking
    files_of(played).close()


async def test_a_step_that_nobody_has_asked_for_breaks_the_stream() -> None:
    played = controller()
    with pytest.raises(BrokenStream, match="nobody has asked for"):
        played.say(step_payload(NEXT))
    played.say(step_payload(OVER))
