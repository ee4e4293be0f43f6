"""The files of a run on its stream: steps, one at a time. Whoever needs a piece asks for it.

A step is the payload of a frame: a byte for its kind, and its content.

| step | from | the reply |
|---|---|---|
| NEXT | host | PIECE with the next bytes of the given files, in their order; END if they cannot be read |
| OFFER, a LeftOffer as JSON | host | NEXT as long as bytes are missing, then TAKEN; END if the file is not taken |
| NEXT | controller | PIECE of PIECE_SIZE bytes, or of those that are left; END if they cannot be read |
| COMPLETE | host | none: each file that the script has left was taken |

No step follows END or COMPLETE. A controller that has left says END at the next step of the host.
"""

from enum import IntEnum
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from adapters.runtime_frames import BrokenStream, StreamFrame
from domain.scripts.files import PATH_SIZE_MAX, PIECE_SIZE

FEATURE = "files"
"""What the welcome of a host that gives scripts files names."""
STEP_SIZE_MAX = PIECE_SIZE + 1


class FileStep(IntEnum):
    """The kind of a step."""

    NEXT = 1
    PIECE = 2
    OFFER = 3
    TAKEN = 4
    COMPLETE = 5
    END = 6


class LeftOffer(Struct, frozen=True):
    """A file that the script has left."""

    path: Annotated[str, Meta(max_length=PATH_SIZE_MAX)]
    size: Annotated[int, Meta(ge=0, le=1 << 40)]


def step_payload(step: FileStep, content: bytes = b"") -> bytes:
    """Return the payload of a frame."""
    return b"%c%b" % (step, content)


def step_of(frame: StreamFrame) -> tuple[FileStep, bytes] | None:
    """Return the step of a frame; None if the reader had no room for it. Raises BrokenStream."""
    if frame.size > STEP_SIZE_MAX:
        raise BrokenStream(f"a step of {frame.size} bytes, and {STEP_SIZE_MAX} are allowed")
    if frame.payload is None:
        return None
    try:
        return FileStep(frame.payload[0]), frame.payload[1:]
    except (IndexError, ValueError):
        raise BrokenStream("a step of files of no known kind") from None


def offer_of(content: bytes) -> LeftOffer:
    """Return the offer of a step; raises BrokenStream."""
    try:
        return msgspec.json.decode(content, type=LeftOffer)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BrokenStream(f"an offer of a file that cannot be read: {error}") from error
