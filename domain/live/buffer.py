"""What one execution of this process has written, while it runs."""

import asyncio
import codecs
from collections.abc import Sequence
from typing import Generic, TypeVar

from attrs import Factory, define, field

from domain.live.events import CONTINUATION, ExecutionEnded, KeptText, LiveEvent, LiveState
from domain.live.position import Position
from domain.scripts.output import ScriptProgress

STREAM_SIZE_MAX = 256 * 1024
"""Bytes of text that are kept of each stream. More exist only of a script that writes NUL or what is not UTF-8."""

End = TypeVar("End")


@define(eq=False)
class _StreamText:
    """The text of a stream, of which the last `size_max` bytes are kept.

    As in the report, bytes that are not UTF-8, and NUL, become U+FFFD.
    """

    size_max: int
    _decoder: codecs.IncrementalDecoder = field(factory=lambda: codecs.getincrementaldecoder("utf-8")("replace"))
    _content: bytearray = field(factory=bytearray)
    _start: int = 0

    @property
    def kept(self) -> KeptText:
        return KeptText(self._content, self._start, self._start + len(self._content))

    def add(self, piece: bytes, *, is_last: bool = False) -> None:
        self._content += self._decoder.decode(piece, is_last).replace("\0", "\ufffd").encode()
        excess = len(self._content) - self.size_max
        if excess > 0:
            while excess < len(self._content) and self._content[excess] in CONTINUATION:
                excess += 1
            del self._content[:excess]
            self._start += excess


@define(eq=False)
class LiveBuffer(Generic[End]):
    """Keeps what a running script writes, within a bound, for any number of readers. Belongs to one event loop.

    It is the OutputListener of the script, and a LiveSource. Whoever records the execution calls `end` once it is
    recorded, or `break_off` if it will not be, or not soon.
    """

    size_max: int = STREAM_SIZE_MAX
    _stdout: _StreamText = field(default=Factory(lambda self: _StreamText(self.size_max), takes_self=True), init=False)
    _stderr: _StreamText = field(default=Factory(lambda self: _StreamText(self.size_max), takes_self=True), init=False)
    _progress: ScriptProgress | None = field(default=None, init=False)
    _progress_count: int = field(default=0, init=False)
    _ended: ExecutionEnded[End] | None = field(default=None, init=False)
    _changed: asyncio.Event = field(factory=asyncio.Event, init=False)
    _over: asyncio.Event = field(factory=asyncio.Event, init=False)

    @property
    def state(self) -> LiveState[End]:
        """What is known now; the texts in it change later."""
        return LiveState(self._stdout.kept, self._stderr.kept, self._progress, self._progress_count, self._ended)

    @property
    def kept_bytes(self) -> int:
        """The bytes of text that it keeps."""
        return len(self._stdout.kept.content) + len(self._stderr.kept.content)

    def on_stdout(self, piece: bytes) -> None:
        """Add the next bytes of stdout."""
        self._stdout.add(piece)
        self._wake()

    def on_stderr(self, piece: bytes) -> None:
        """Add the next bytes of stderr."""
        self._stderr.add(piece)
        self._wake()

    def on_progress(self, progress: ScriptProgress) -> None:
        """Replace the progress."""
        self._progress = progress
        self._progress_count += 1
        self._wake()

    def end(self, end: End) -> None:
        """Give readers this end after everything else."""
        self._ended = ExecutionEnded(end)
        self.break_off()

    def break_off(self) -> None:
        """Give readers what there is, and no end unless there is one."""
        for stream in (self._stdout, self._stderr):
            stream.add(b"", is_last=True)
        self.release()

    def release(self) -> None:
        """Let no reader wait any longer, while more may be written."""
        self._over.set()
        self._wake()

    async def next(self, position: Position) -> Sequence[LiveEvent[End]]:
        """Wait for the events that follow the position, and return them; raises InvalidRequest."""
        while not (events := self.state.after(position)) and not self._over.is_set():
            await self._changed.wait()
        return events

    async def over(self) -> None:
        """Wait for the end, or until it breaks off."""
        await self._over.wait()

    def _wake(self) -> None:
        # Wakes those that wait now, and nobody who waits later.
        self._changed.set()
        self._changed.clear()
