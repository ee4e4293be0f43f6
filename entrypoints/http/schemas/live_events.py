"""The data of live events."""

from typing import Annotated

from msgspec import Meta, Struct

from domain.live.position import OutputStream
from domain.scripts.output import PROGRESS_MESSAGE_LENGTH_MAX


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
