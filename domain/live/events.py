"""Live events, and which of them follow a position: the same for every source of them."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Generic, TypeAlias, TypeVar
from uuid import UUID

from attrs import evolve, field, frozen

from domain.live.position import OutputStream, Position, invalid_id
from domain.scripts.output import ScriptProgress

PIECE_SIZE_MAX = 64 * 1024
"""Bytes of text in one event."""
End = TypeVar("End")

CONTINUATION = range(0x80, 0xC0)
"""Bytes of UTF-8 that do not begin a character."""


@frozen
class OutputPiece:
    """Text of a stream, and the number of bytes before it."""

    stream: OutputStream
    offset: int
    text: str


@frozen
class Gap:
    """Bytes of a stream that are no longer kept: from `start` up to, but not including, `end`."""

    stream: OutputStream
    start: int
    end: int


@frozen
class ExecutionEnded(Generic[End]):
    """The end of the execution, as it was recorded."""

    end: End


What: TypeAlias = OutputPiece | Gap | ScriptProgress | ExecutionEnded[End]


@frozen
class LiveEvent(Generic[End]):
    """An event, and the position of a reader that has received it.

    `written` has what formats made of it, by their names: readers of one execution share the event.
    """

    position: Position
    what: What[End]
    written: dict[bytes, bytes] = field(factory=dict, init=False, eq=False, repr=False)


@frozen
class KeptText:
    """The part of a stream that is kept, as UTF-8: it begins at byte `start` of the `size` bytes that were written."""

    content: bytes | bytearray = b""
    start: int = 0
    size: int = 0

    @classmethod
    def of(cls, text: str) -> "KeptText":
        """Return a whole text."""
        content = text.encode(errors="replace")
        return cls(content, 0, len(content))

    @classmethod
    def continued(cls, offset: int, pieces: Iterable[tuple[int, str]]) -> "KeptText":
        """Return what pieces of a stream, with their offsets, have from this byte on without a gap."""
        content = bytearray()
        for start, text in pieces:
            piece, known = text.encode(errors="replace"), offset + len(content) - start
            if 0 <= known < len(piece):
                content += piece[known:]
        return cls(content, offset, offset + len(content))

    def gap_at(self, offset: int) -> int | None:
        """Return where the kept text goes on, or the stream ends, if the byte at this offset is not kept."""
        if offset < self.start:
            return self.start
        return self.size if self.start + len(self.content) <= offset < self.size else None

    def piece(self, offset: int) -> bytes:
        """Return the text from this offset on, whole characters, at most PIECE_SIZE_MAX bytes; raises ValueError."""
        begin = offset - self.start
        end = min(begin + PIECE_SIZE_MAX, len(self.content))
        if begin < len(self.content) and self.content[begin] in CONTINUATION:
            raise ValueError("the offset is within a character")
        while end < len(self.content) and self.content[end] in CONTINUATION:
            end -= 1
        return bytes(self.content[begin:end])


@frozen
class OutputPart:
    """What an execution has written since its part before: text of both streams, and the newest progress.

    Parts are numbered from 1. Offsets are as in OutputPiece.
    """

    session_id: UUID
    execution_id: UUID
    number: int
    stdout: OutputPiece
    stderr: OutputPiece
    progress: ScriptProgress | None = None
    progress_count: int = 0


@frozen
class LiveState(Generic[End]):
    """What is known of an execution: what is kept of its output, its progress, and its recorded end if there is one."""

    stdout: KeptText = field(factory=KeptText)
    stderr: KeptText = field(factory=KeptText)
    progress: ScriptProgress | None = None
    progress_count: int = 0
    ended: ExecutionEnded[End] | None = None

    def require(self, position: Position) -> None:
        """Raise InvalidRequest if the position is beyond what exists.

        Only a state that is complete may judge that. The record of an ended execution has no progress, and may have
        less of stderr than was live.
        """
        is_beyond = position.stdout > self.stdout.size
        if self.ended is None:
            more = position.stderr > self.stderr.size or position.progress > self.progress_count
            is_beyond = is_beyond or more or position.is_end
        if is_beyond:
            raise invalid_id(str(position), "is beyond what this execution has written")

    def after(self, position: Position) -> Sequence[LiveEvent[End]]:
        """Return the next events: at most one piece of each stream, the newest progress, and the end after all else.

        Raises InvalidRequest for a position within a character.
        """
        if position.is_end:
            return ()
        events = [*self._outputs(position)]
        position = events[-1].position if events else position
        if self.progress is not None and position.progress < self.progress_count:
            position = evolve(position, progress=self.progress_count)
            events.append(LiveEvent(position, self.progress))
        if self.ended is not None and not self._is_behind(position):
            events.append(LiveEvent(evolve(position, is_end=True), self.ended))
        return events

    def _outputs(self, position: Position) -> Iterator[LiveEvent[End]]:
        for stream, kept in ((OutputStream.STDOUT, self.stdout), (OutputStream.STDERR, self.stderr)):
            offset = position.offset(stream)
            if (end := kept.gap_at(offset)) is not None:
                position = position.moved(stream, end)
                yield LiveEvent(position, Gap(stream, offset, end))
                offset = end
            try:
                piece = kept.piece(offset)
            except ValueError as error:
                raise invalid_id(str(position), "is within a character of the output") from error
            if piece:
                position = position.moved(stream, offset + len(piece))
                yield LiveEvent(position, OutputPiece(stream, offset, piece.decode()))

    def _is_behind(self, position: Position) -> bool:
        return position.stdout < self.stdout.size or position.stderr < self.stderr.size
