"""The messages of a runtime host on a stream, read and limited: its replies, and what scripts write while they run."""

from typing import TypeVar

from attrs import define, field
from msgspec import Struct

from adapters.remote_runtime.connection import HostReply
from adapters.runtime_frames import BrokenStream, StreamFrame
from adapters.runtime_protocol import MalformedMessage, decode
from adapters.runtime_replies import OUTPUT_LENGTH_MAX, ErrorReply, HostErrorCode, Line, ProgressFields
from domain.scripts.output import OutputListener, ScriptProgress

_NO_TIME = frozenset({HostErrorCode.OVERLOADED, HostErrorCode.DEADLINE_PASSED})
_Message = TypeVar("_Message", bound=Struct)
_DELAY_MAX_S = 30.0
"""Messages of so long a time may arrive at once, because the network or this process stood still."""


@define(eq=False)
class MessageRate:
    """How often a host may send messages of a kind; `interval_s` is half the pause that it makes between two."""

    _interval_s: float
    _due_at_s: float = field(default=float("-inf"), init=False)

    def note(self, kind: int, now_s: float) -> None:
        """Count a message; raises BrokenStream if there are too many."""
        self._due_at_s = max(self._due_at_s, now_s - _DELAY_MAX_S) + self._interval_s
        if self._due_at_s > now_s:
            raise BrokenStream(f"more than {1 / self._interval_s:g} frames of kind {kind} in a second")


@define(eq=False)
class OutputLimits:
    """How much a host may send of what one run writes: its frames in a second, and its text in all."""

    _rate: MessageRate = field(factory=lambda: MessageRate(0.01), init=False)
    _stdout: int = field(default=0, init=False)
    _stderr: int = field(default=0, init=False)

    def note(self, line: Line, kind: int, now_s: float) -> None:
        """Count a line; raises BrokenStream if it is too much."""
        self._rate.note(kind, now_s)
        self._stdout += len(line.stdout)
        self._stderr += len(line.stderr)
        if max(self._stdout, self._stderr) > OUTPUT_LENGTH_MAX:
            raise BrokenStream(f"more than {OUTPUT_LENGTH_MAX} characters that a run has written")


def reply_of(frame: StreamFrame) -> HostReply | None:
    """Return the reply at the end of a run, None if it is too large to be kept; raises BrokenStream."""
    if frame.payload is None:
        return None
    line = read_message(Line, frame)
    if line.status is None:
        raise BrokenStream("the end of a run without a status")
    return HostReply(line.status, bytes(line.reply))


def has_no_time(reply: HostReply) -> bool:
    """Return whether the host refused a run because it has too much to do."""
    try:
        return decode(ErrorReply, reply.body).error.code in _NO_TIME
    except MalformedMessage:
        return False


def read_message(message_type: type[_Message], frame: StreamFrame) -> _Message:
    """Return the message of a frame; raises BrokenStream."""
    try:
        return decode(message_type, frame.payload or b"")
    except MalformedMessage as error:
        raise BrokenStream(f"a frame of kind {frame.kind} that cannot be read: {error}") from error


def hear(listener: OutputListener, line: Line) -> None:
    """Give the listener what a script has written, and its progress; raises BrokenStream."""
    if line.stdout:
        listener.on_stdout(line.stdout.encode())
    if line.stderr:
        listener.on_stderr(line.stderr.encode())
    if line.progress is not None:
        listener.on_progress(_progress(line.progress))


def _progress(fields: ProgressFields) -> ScriptProgress:
    try:
        return ScriptProgress(fields.value, fields.message)
    except ValueError as error:
        raise BrokenStream(f"a progress that cannot be: {error}") from error
