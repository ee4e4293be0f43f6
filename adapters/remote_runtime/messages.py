"""The messages of a runtime host on a stream, read: its replies, and what scripts write while they run."""

from typing import TypeVar

from msgspec import Struct

from adapters.remote_runtime.connection import HostReply
from adapters.runtime_frames import BrokenStream, StreamFrame
from adapters.runtime_protocol import ErrorReply, HostErrorCode, Line, MalformedMessage, ProgressFields, decode
from domain.scripts.output import OutputListener, ScriptProgress

_NO_TIME = frozenset({HostErrorCode.OVERLOADED, HostErrorCode.DEADLINE_PASSED})
_Message = TypeVar("_Message", bound=Struct)


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
