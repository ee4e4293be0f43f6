"""What is stored about one id, and what can be told apart by it."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from attrs import field, frozen

from domain.executions.execution import Execution
from domain.identity import Owner, SessionRef, uuid7_time
from domain.scripts.report import Outcome
from domain.sessions.session import Session
from domain.storage.storage import ShortenedDay


@frozen
class ClockReading:
    """The database's time, how sure it is, and by how much it is ahead of this host's clock."""

    now: datetime
    error_bound_ms: float
    offset_ms: float

    @property
    def error_bound(self) -> timedelta:
        """How far the time may be from what is said."""
        return timedelta(milliseconds=self.error_bound_ms)

    @property
    def told(self) -> "Evidence":
        """By which clock a story was judged."""
        ahead = "ahead of" if self.offset_ms >= 0 else "behind"
        text = (
            f"All this is judged by the database's clock, which says {written(self.now)}, known to "
            f"{self.error_bound_ms:.1f} ms. It is {abs(self.offset_ms):.1f} ms {ahead} this host's clock."
        )
        return Evidence("clock", text, Source.CLOCK, self.now)


@frozen
class RetentionTimes:
    """How long what has ended is kept, and how long a session may live."""

    sessions: timedelta
    history_days: int
    lifetime_max: timedelta


@frozen
class KeyTrace:
    """An idempotency key that is remembered: which call has it, by its id, and whether its answer is kept."""

    name: str
    winner: UUID
    deadline_at: datetime
    expires_at: datetime
    is_answered: bool


@frozen
class HistoryTrace:
    """The executions of a session that the history holds."""

    counts: Mapping[Outcome, int] = field(factory=dict)
    owner: Owner | None = None
    first: UUID | None = None
    last: UUID | None = None

    @property
    def total(self) -> int:
        """How many there are."""
        return sum(self.counts.values())

    @property
    def last_at(self) -> datetime | None:
        """When the latest of them was admitted."""
        return None if self.last is None else uuid7_time(self.last)

    @property
    def told(self) -> str:
        """What they are, in a sentence; there is one at least."""
        assert self.first is not None
        assert self.last is not None
        outcomes = ", ".join(f"{number} {outcome}" for outcome, number in self.counts.items())
        first, last = written(uuid7_time(self.first)), written(uuid7_time(self.last))
        return f"The history keeps {self.total} of its executions, admitted from {first} to {last}: {outcomes}."


@frozen
class FunctionTrace:
    """The present state of the function that a session is pinned to a version of."""

    version: int
    deactivated_at: datetime | None


@frozen
class OpenTrace:
    """An open record: its execution runs, or is overdue."""

    ref: SessionRef
    execution_id: UUID
    deadline_at: datetime

    @property
    def started_at(self) -> datetime:
        """The instant of admission, which is in the execution's id."""
        return uuid7_time(self.execution_id)


@frozen
class ExecutionTrace:
    """An execution: its open record or its row in the history, and the partition of that row."""

    partition: int
    open: OpenTrace | None = None
    ended: Execution | None = None


@frozen
class Timeline:
    """Everything that is stored about an id, as seen within a moment.

    `session` and `execution` say what the id is; `history`, `open` and `keys` are those of the session with the id,
    `taken` is the key that the call had which made the id.
    """

    identifier: UUID
    clock: ClockReading
    session: Session | None = None
    execution: ExecutionTrace | None = None
    history: HistoryTrace = field(factory=HistoryTrace)
    open: Sequence[OpenTrace] = ()
    keys: Sequence[KeyTrace] = ()
    taken: KeyTrace | None = None
    function: FunctionTrace | None = None
    shortened: Sequence[ShortenedDay] = ()

    @property
    def made_at(self) -> datetime:
        """The instant in the id, which is a UUIDv7."""
        return uuid7_time(self.identifier)


class TimelineReader(Protocol):
    """Reads what is stored about ids; changes nothing."""

    async def read(self, identifier: UUID) -> Timeline:
        """Return what is stored about a UUIDv7; raises StorageUnavailable or Overloaded."""
        ...


class ExplainedState(StrEnum):
    """What an id stands for, in a word."""

    ACTIVE = "active"
    EXPIRED = "expired"
    CLOSED = "closed"
    REMOVED = "removed"
    REMOVED_OR_NEVER_HERE = "removed-or-never-here"
    NEVER_HERE = "never-here"
    FOREIGN = "foreign"
    UNDER_WAY = "under-way"
    ENDED = "ended"
    UNKNOWN = "unknown"


class Source(StrEnum):
    """Where a statement has its facts from."""

    ID = "the id"
    SESSION = "the session's row"
    OPEN = "the open records"
    HISTORY = "the history"
    KEYS = "the idempotency keys"
    FUNCTION = "the function's row"
    CLOCK = "the clocks"
    RETENTION = "the retention that is set"


@frozen
class Evidence:
    """One sentence or two, what they are about, and where the facts are from; `at` is the instant that they tell of."""

    topic: str
    text: str
    source: Source
    at: datetime | None = None


@frozen
class Explanation:
    """The story of an id: a verdict, a summary, and the statements that prove it."""

    verdict: ExplainedState
    summary: str
    statements: Sequence[Evidence] = ()


def written(at: datetime) -> str:
    """Return an instant in UTC, to the microsecond, for people."""
    return f"{at:%Y-%m-%d %H:%M:%S.%f}Z"


def counted(number: int, noun: str) -> str:
    """Return a number of things, in English."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def span(length: timedelta) -> str:
    """Return a length of time, for people: its two largest units."""
    seconds = abs(length.total_seconds())
    for unit_s, name, smaller_s, smaller in _UNITS:
        if seconds >= unit_s:
            whole, rest = divmod(seconds, unit_s)
            return f"{whole:.0f} {name} {rest // smaller_s:.0f} {smaller}"
    return f"{seconds:.3f} s"


_UNITS = ((86_400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s"))
