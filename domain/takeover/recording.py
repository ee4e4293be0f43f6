"""Calls that the front records for a rehearsal, and where they are stored."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from attrs import field, frozen

from domain.json_text import JsonText
from domain.takeover.judgement import Judgement

BODY_SIZE_MAX = 64 * 1024
"""Limit of the body of a request, and of its reply, in bytes; a larger call is not recorded."""

RECORDINGS_KEPT = timedelta(hours=24)
"""Recorded calls are removed after this time. They are payloads of callers."""


@frozen
class RecordingLimits:
    """How much is recorded: the calls in all, their bytes in all, and the calls of each script.

    Each process may exceed the limits by the calls of one second.
    """

    calls_max: int = 5000
    size_max_bytes: int = 64 * 1024**2
    script_calls_max: int = 20

    def script_share(self, calls: int) -> int:
        """Return how many calls of one script are kept if there are so many of all: fewer as the room is used up."""
        return 1 + (self.script_calls_max - 1) * max(self.calls_max - calls, 0) // self.calls_max


@frozen
class RecordedCall:
    """An execution that was passed on. `result` is what the origin returned; None if the execution failed there."""

    call_id: UUID
    session_id: UUID
    params: JsonText = field(repr=False)
    result: JsonText | None = field(repr=False)

    @property
    def size_bytes(self) -> int:
        """The bytes of the texts in UTF-8."""
        return len(self.params.encode()) + len((self.result or "").encode())


class Unrecorded(StrEnum):
    """Why a sampled call is not recorded.

    UNCOPIED: its session was not copied, or has no script. TOO_LARGE: a body exceeds BODY_SIZE_MAX. UNREADABLE: a body
    is compressed in a way that is not read here, or is not what an execution sends.
    """

    UNCOPIED = "uncopied"
    TOO_LARGE = "too_large"
    UNREADABLE = "unreadable"


@frozen
class Recording:
    """Until when calls are recorded, and how many sampled calls were not, by reason."""

    until: datetime
    unrecorded: Mapping[Unrecorded, int] = field(factory=dict)


@frozen
class Recorded:
    """What became of the calls of one process: until when to go on, and of which sessions no more calls are wanted."""

    until: datetime | None
    unwanted: frozenset[UUID] = frozenset()


@frozen
class RecordedCounts:
    """The numbers of calls that are stored, of those that were judged, and of different scripts."""

    calls: int
    judged: int
    scripts: int


class RecordingStore(Protocol):
    """Stores recorded calls for a day at most, and how each ended in the sandbox.

    Every method may raise StorageUnavailable or Overloaded. A purge of an owner or of a session removes its calls. The
    end of a takeover removes everything. A crash of the database may lose the calls, and nothing else.
    """

    async def recording(self) -> Recording | None:
        """Return the recording that is going on, or the last one; None if there is none, or it was discarded."""
        ...

    async def start(self, now: datetime, until: datetime) -> Recording | None:
        """Let the fronts record until an instant, or until a later one if a recording is going on; return it.

        A new recording keeps the calls of the last one, and counts anew. Without a takeover, or with a finished one, it
        does nothing and returns None.
        """
        ...

    async def record(
        self, calls: Sequence[RecordedCall], unrecorded: Mapping[Unrecorded, int], limits: RecordingLimits
    ) -> Recorded:
        """Store calls within the limits, and count those that were not recorded.

        A call is stored if a copy of its session with a script is stored. It is not wanted if its script has enough
        calls, or the limits are reached. Nothing is stored if there is no recording.
        """
        ...

    async def unjudged(self, after: UUID | None, size: int) -> Sequence[RecordedCall]:
        """Return at most `size` calls without a judgement, in the order of their ids, greater than `after`."""
        ...

    async def judge(self, judgements: Sequence[Judgement]) -> None:
        """Store how calls ended here; one whose call was removed is left out."""
        ...

    async def judgements(self, after: UUID | None, size: int) -> Sequence[Judgement]:
        """Return at most `size` judgements, in the order of the ids of their calls, greater than `after`."""
        ...

    async def forget_judgements(self) -> None:
        """Remove all judgements, so that the calls are run again."""
        ...

    async def counts(self) -> RecordedCounts:
        """Return how many calls are stored."""
        ...

    async def discard(self) -> int:
        """End the recording, and remove all calls; return how many there were."""
        ...
