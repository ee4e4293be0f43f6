"""The data of live events."""

from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType

from domain.live.position import OutputStream
from domain.scripts.output import PROGRESS_MESSAGE_LENGTH_MAX
from entrypoints.http.schemas import asynchronous, fields

_EVENTS = "execution, stdout, stderr, progress, gap, end, reconnect or keep-alive."
_DATA = (
    "execution: execution_id, request_id and status at the begin of the stream. stdout and stderr: text, and offset, "
    "the bytes of UTF-8 before it. progress: value and message. gap: stream, and the bytes from start to before end, "
    "which are no longer kept. end: status, and the members of the response or error that execute has; status 404 or "
    "409 if it was erased meanwhile. reconnect: message."
)


class EventLine(Struct, omit_defaults=True):
    """A live event of an execution."""

    event: Annotated[str, Meta(description=f"What the event is: {_EVENTS}")]
    id: Annotated[
        str | UnsetType,
        Meta(description="What the reader has received with it: bytes of stdout, bytes of stderr, progress events."),
    ] = UNSET
    data: Annotated[dict[str, Any] | UnsetType, Meta(description=_DATA)] = UNSET


class ExecutionData(Struct, frozen=True):
    """The execution that a stream follows."""

    execution_id: fields.ExecutionId
    request_id: fields.RequestId
    status: asynchronous.Status


class OutputData(Struct, frozen=True):
    """Text that a script has written."""

    text: Annotated[str, Meta(description="The text. Bytes that are not UTF-8, and NUL, are U+FFFD.")]
    offset: Annotated[int, Meta(ge=0, description="The bytes of this stream, as UTF-8, before the text.")]


class ProgressData(Struct, frozen=True):
    """How far a script says it is."""

    value: Annotated[float | None, Meta(description="A share from 0 to 1; null if the script does not know.")]
    message: Annotated[
        str, Meta(max_length=PROGRESS_MESSAGE_LENGTH_MAX, description="What the script says about it; may be empty.")
    ]


class GapData(Struct, frozen=True):
    """Output that is no longer kept."""

    stream: Annotated[OutputStream, Meta(description="The stream that lacks it.")]
    start: Annotated[int, Meta(ge=0, description="The first missing byte.")]
    end: Annotated[int, Meta(ge=0, description="The first byte after the missing ones.")]


class ReconnectData(Struct, frozen=True):
    """Why the stream ends before the execution."""

    message: Annotated[str, Meta(description="What to do next.")]
