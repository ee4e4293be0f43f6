"""The headers of replies of workers, which are untrusted."""

from typing import Annotated, Literal, TypeAlias

import msgspec

from adapters.sandbox.protocol.failures import ReportedFailure
from adapters.sandbox.workers.channel import Frame, ProtocolBroken
from domain.scripts.dropped import DROPPED_MAX, NAME_SIZE_MAX, DroppedName
from domain.scripts.files import COUNT_MAX, PATH_SIZE_MAX, LeftFile


class ReportedFault(msgspec.Struct):
    """Why a script does not parse."""

    message: str
    line: int | None = None
    column: int | None = None
    of_modules: bool = False


ReportedFinding: TypeAlias = tuple[str, int, str]
"""A code, a line and a text."""


_ShortText = Annotated[str, msgspec.Meta(max_length=NAME_SIZE_MAX)]
ReportedNames: TypeAlias = Annotated[tuple[tuple[_ShortText, _ShortText], ...], msgspec.Meta(max_length=DROPPED_MAX)]


class WorkerReply(msgspec.Struct):
    """The header of a reply."""

    nonce: str
    kind: Literal["ready", "result", "failure", "checked", "examined"]
    reusable: bool = False
    state_size: int = 0
    """The bytes of the state, which stands at the end of the body."""
    dropped: ReportedNames = ()
    """Names that are no part of the state, with their types."""

    failure: ReportedFailure | None = None
    faults: tuple[ReportedFault | None, ...] = ()
    findings: tuple[tuple[ReportedFinding, ...], ...] = ()
    spent: bool = False
    """Whether a parser has failed, so that the process can check no further script."""

    events_in_context: tuple[int, ...] = ()
    """The places of checked scripts with the form EVENT_IN_CONTEXT."""


_LeftPath = Annotated[str, msgspec.Meta(max_length=PATH_SIZE_MAX + 1)]
"""With one character more than is allowed, by which the service sees that it is too long."""
LeftFiles: TypeAlias = Annotated[tuple[tuple[_LeftPath, int], ...], msgspec.Meta(max_length=COUNT_MAX + 1)]
"""Paths below /files/out with their sizes, which are negative for what is no regular file."""


class FileReply(msgspec.Struct):
    """The header of a reply to an operation on files."""

    nonce: str
    kind: Literal["stored", "listed", "read", "settled", "failed"]
    message: str = ""
    """Why it failed."""
    reusable: bool = False


REPLIES = msgspec.json.Decoder(WorkerReply)
_FILE_REPLIES = msgspec.json.Decoder(FileReply)
_LEFT_FILES = msgspec.json.Decoder(LeftFiles)


def dropped_names(frame: Frame) -> tuple[DroppedName, ...]:
    """Return the names that the script did not leave in the state; none of a reply that cannot be read."""
    try:
        return tuple(DroppedName(*each) for each in REPLIES.decode(frame.header).dropped)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ()


def read_file_reply(frame: Frame, nonce: str, kind: str) -> FileReply:
    """Return the header of a reply of this kind, or of one that failed; raises ProtocolBroken for any other."""
    try:
        reply = _FILE_REPLIES.decode(frame.header)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ProtocolBroken("a reply that cannot be read") from error
    if reply.nonce != nonce or reply.kind not in {kind, "failed"}:
        raise ProtocolBroken("a reply to no operation of the service")
    return reply


def read_left_files(body: bytes) -> list[LeftFile]:
    """Return what a script has left; raises ProtocolBroken if that cannot be read."""
    try:
        return [LeftFile(path, size if size >= 0 else None) for path, size in _LEFT_FILES.decode(body)]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ProtocolBroken("a list of files that cannot be read") from error
