"""The ids of live events: how much of each stream a reader has."""

import re
from enum import StrEnum

from attrs import evolve, frozen

from domain.errors import InvalidRequest, Problem

_COUNT = "(0|[1-9][0-9]{0,14})"
EVENT_ID_PATTERN = rf"^{_COUNT}\.{_COUNT}\.{_COUNT}(\.end)?$"
_ID = re.compile(EVENT_ID_PATTERN, re.ASCII)
_SHOWN_MAX = 60


class OutputStream(StrEnum):
    """An output stream of a script."""

    STDOUT = "stdout"
    STDERR = "stderr"


@frozen
class Position:
    """What a reader has received: bytes of stdout, bytes of stderr, progress events, and whether the end.

    Bytes are those of the text in UTF-8, as the report has it. So every process reads on from a position, whatever it
    reads from. Its text is the id of an event: `12.0.1`, or `12.0.1.end`.
    """

    stdout: int = 0
    stderr: int = 0
    progress: int = 0
    is_end: bool = False

    def __str__(self) -> str:
        return f"{self.stdout}.{self.stderr}.{self.progress}{'.end' if self.is_end else ''}"

    @classmethod
    def of(cls, event_id: str) -> "Position":
        """Return the position of an event id; raises InvalidRequest."""
        found = _ID.fullmatch(event_id)
        if found is None:
            raise invalid_id(event_id, "is not the id of an event, which is like 12.0.1")
        stdout, stderr, progress, end = found.groups()
        return cls(int(stdout), int(stderr), int(progress), end is not None)

    def offset(self, stream: OutputStream) -> int:
        """Return how many bytes of this stream are before the position."""
        return self.stdout if stream is OutputStream.STDOUT else self.stderr

    def moved(self, stream: OutputStream, offset: int) -> "Position":
        """Return the position behind these bytes of a stream."""
        return evolve(self, stdout=offset) if stream is OutputStream.STDOUT else evolve(self, stderr=offset)


def invalid_id(event_id: str, why: str) -> InvalidRequest:
    """Return the error of an event id that this service has not sent for the execution; its one problem is the id."""
    advice = "Send the id of the last event that you have received, or none to read from the start"
    problem = Problem("/event_id", f"{event_id[:_SHOWN_MAX]!r} {why}. {advice}")
    return InvalidRequest((problem,))  # type: ignore[arg-type]  # attrs' plugin cannot type a generic converter
