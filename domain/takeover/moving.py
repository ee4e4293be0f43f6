"""What is stored here about a takeover: its state, copies of the origin's sessions, and who owns which session."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from attrs import field, frozen

from domain.audit import Act
from domain.identity import Owner
from domain.json_text import JsonText
from domain.scripts.script import Script
from domain.sessions.session import Session
from domain.takeover.stages import Stage

REPORT_OF = "report of "


@frozen
class ReportSeal:
    """The SHA-256 of a report, how many lines it has, and the instant of its end in ISO 8601."""

    sha256: str
    lines: int
    written_at: str


@frozen
class Progress:
    """How far a command has come. `after` is its cursor; None before the first batch and after the last one.

    `began_at` is the instant at which its last pass began, in ISO 8601; None if that is not known. `seal` is that of a
    report, whose name is that of the command behind `REPORT_OF`.
    """

    after: JsonText | None = None
    passes: int = 0
    examined: int = 0
    size_bytes: int = 0
    began_at: str | None = None
    seal: ReportSeal | None = None


@frozen
class Takeover:
    """A takeover from one source. `source` identifies the source, and `options` say what is taken and how."""

    takeover_id: UUID
    source: Mapping[str, str]
    options: Mapping[str, object]
    stage: Stage
    stage_at: datetime
    progress: Mapping[str, Progress] = field(factory=dict)

    @property
    def seals(self) -> Mapping[str, ReportSeal]:
        """The seals of the last report of each command."""
        found = {name.removeprefix(REPORT_OF): each.seal for name, each in self.progress.items()}
        return {name: seal for name, seal in found.items() if seal is not None}


@frozen
class StageChange:
    """The act that changes the stage, and the numbers that are recorded with it."""

    act: Act
    details: Mapping[str, object]


@frozen
class Original:
    """What a session of the origin has that a session here has no place for; needed for answers and the way back.

    `leftovers` is a JSON object by the names of the origin's columns, without its null values.
    """

    spelled_title: str
    user_id: str | None
    leftovers: JsonText


@frozen
class InboundSession:
    """A session of the origin as it will be stored here; its owner is not yet, or no longer, this service."""

    session: Session
    script: Script | None
    original: Original


class TakenState(StrEnum):
    """Where a session is that moves between the two sides; the values are those of `Holding`, but OWNED."""

    FENCING = "fencing"
    OWNED = "owned"
    RETURNING = "returning"
    RETURNED = "returned"


@frozen
class TakenSession:
    """A session that has begun to move here.

    `expires_at` is its end when it was taken, or when it was returned. `count_at_fence` is the origin's count then;
    None while it is not known. `late_count` is how many executions were added that the origin ended later; None until
    that was looked at.
    """

    session_id: UUID
    owner: Owner
    state: TakenState
    original: Original
    expires_at: datetime
    count_at_fence: int | None = None
    late_count: int | None = None
    fenced_at: datetime | None = None
    owned_at: datetime | None = None
    returned_at: datetime | None = None


@frozen
class Received:
    """The numbers of a batch of copies: written, equal to what is stored, and left because they are taken already."""

    written: int = 0
    unchanged: int = 0
    taken: int = 0

    def plus(self, other: "Received") -> "Received":
        """Return the numbers of both."""
        return Received(self.written + other.written, self.unchanged + other.unchanged, self.taken + other.taken)
