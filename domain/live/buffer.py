"""What one execution of this process has written, while it runs."""

import asyncio
import codecs
from collections.abc import Sequence
from typing import TypeVar

from attrs import Factory, define, field

from domain.concurrency.budget import call_later
from domain.live.events import CONTINUATION, ExecutionEnded, KeptText, LiveEvent, LiveState
from domain.live.ports import LiveSource
from domain.live.position import Position
from domain.scripts.output import ScriptProgress

STREAM_SIZE_MAX = 256 * 1024
"""Bytes of text that are kept of each stream. More exist only of a script that writes NUL or what is not UTF-8."""
PAUSE_S = 0.1
"""Between reads, while the script runs."""

End = TypeVar("End")

_Decoder = codecs.getincrementaldecoder("utf-8")  # a look-up takes longer than the text of most scripts


@define(eq=False)
class _StreamText:
    """The text of a stream, of which the last `size_max` bytes are kept.

    As in the report, bytes that are not UTF-8, and NUL, become U+FFFD.
    """

    size_max: int
    _decoder: codecs.IncrementalDecoder = field(factory=lambda: _Decoder("replace"))
    _content: bytearray = field(factory=bytearray)
    _start: int = 0

    @property
    def size(self) -> int:
        return self._start + len(self._content)

    @property
    def kept(self) -> KeptText:
        return KeptText(self._content, self._start, self.size)

    def add(self, piece: bytes, *, is_last: bool = False) -> None:
        self._content += self._decoder.decode(piece, is_last).replace("\0", "\ufffd").encode()
        excess = len(self._content) - self.size_max
        if excess > 0:
            while excess < len(self._content) and self._content[excess] in CONTINUATION:
                excess += 1
            del self._content[:excess]
            self._start += excess


@define(eq=False)
class LiveBuffer(LiveSource[End]):
    """Keeps what a running script writes, within a bound, for any number of readers. Belongs to one event loop.

    It is the OutputListener of the script. Its readers read together, at most once in `pause_s` until nothing more is
    written: so there is one timer for all of them, and those with the same position get the same events. Nothing is
    queued for a reader. A slow one gets larger pieces, and of several progress events the newest.

    What records the execution calls `end` once it is recorded, or `break_off` if it will not be, or not soon.
    """

    size_max: int = STREAM_SIZE_MAX
    pause_s: float = PAUSE_S
    _stdout: _StreamText = field(default=Factory(lambda self: _StreamText(self.size_max), takes_self=True), init=False)
    _stderr: _StreamText = field(default=Factory(lambda self: _StreamText(self.size_max), takes_self=True), init=False)
    _progress: ScriptProgress | None = field(default=None, init=False)
    _progress_count: int = field(default=0, init=False)
    _ended: ExecutionEnded[End] | None = field(default=None, init=False)
    _is_released: bool = field(default=False, init=False)
    _cut: tuple[Position, Sequence[LiveEvent[End]]] | None = field(default=None, init=False)
    """What follows the position that was read last, until something is written."""
    _turn: asyncio.Event = field(factory=asyncio.Event, init=False)
    _turn_at_s: float = field(default=0.0, init=False)
    """The earliest time of the next turn to read."""
    _timer: asyncio.TimerHandle | None = field(default=None, init=False)
    _waiting: int = field(default=0, init=False)

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
        self._on_change()

    def on_stderr(self, piece: bytes) -> None:
        """Add the next bytes of stderr."""
        self._stderr.add(piece)
        self._on_change()

    def on_progress(self, progress: ScriptProgress) -> None:
        """Replace the progress."""
        self._progress = progress
        self._progress_count += 1
        self._on_change()

    def end(self, end: End) -> None:
        """Give readers this end after everything else."""
        self._ended = ExecutionEnded(end)
        self.break_off()

    def break_off(self) -> None:
        """Give readers what there is, and no end unless there is one."""
        for stream in (self._stdout, self._stderr):
            stream.add(b"", is_last=True)
        self._cut = None
        self.release()

    def release(self) -> None:
        """Let no reader wait any longer, while more may be written."""
        self._is_released = True
        self._give_turn()

    async def next(self, position: Position) -> Sequence[LiveEvent[End]]:
        while not self._is_released:
            await self._next_turn(position)
            if events := self._after(position):
                return events
        return self._after(position)

    def _after(self, position: Position) -> Sequence[LiveEvent[End]]:
        if self._cut is None or self._cut[0] != position:
            self._cut = position, self.state.after(position)
        return self._cut[1]

    async def _next_turn(self, position: Position) -> None:
        self._waiting += 1
        try:
            if self._has_more_than(position):
                self._plan_turn()
            await self._turn.wait()
        finally:
            self._waiting -= 1

    def _has_more_than(self, position: Position) -> bool:
        has_more_output = position.stdout < self._stdout.size or position.stderr < self._stderr.size
        return has_more_output or position.progress < self._progress_count

    def _on_change(self) -> None:
        self._cut = None
        if self._waiting:
            self._plan_turn()

    def _plan_turn(self) -> None:
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = call_later(loop, self._turn_at_s - loop.time(), self._give_turn)

    def _give_turn(self) -> None:
        """Wake those that wait now, and nobody who waits later."""
        self._timer, self._turn_at_s = None, asyncio.get_running_loop().time() + self.pause_s
        self._turn.set()
        self._turn.clear()
