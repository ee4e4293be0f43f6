"""The traces that the database has of one id."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from attrs import field, frozen

from domain.audit import AuditEntry
from domain.executions.execution import Execution
from domain.files.file import StoredFile
from domain.identity import Owner, SessionRef, uuid7_time
from domain.schedules.firing import Firing
from domain.schedules.schedule import Schedule
from domain.scripts.report import ExecutionStatus
from domain.sessions.session import Session
from domain.storage.storage import ShortenedDay
from domain.takeover.moving import TakenState
from domain.webhooks.delivery import Delivery, DeliveryState
from domain.webhooks.webhook import Webhook


@frozen
class ClockReading:
    """The database's time, the bound of its error, and how far it is ahead of this host's clock."""

    now: datetime
    error_bound_ms: float
    offset_ms: float

    @property
    def error_bound(self) -> timedelta:
        """The bound of the error."""
        return timedelta(milliseconds=self.error_bound_ms)


@frozen
class RetentionTimes:
    """How long ended sessions and the history are kept, and how long a session may live."""

    sessions: timedelta
    history_days: int
    lifetime_max: timedelta


@frozen
class KeyTrace:
    """A stored idempotency key: the id that its call made, and whether its response is stored."""

    name: str
    winner: UUID
    deadline_at: datetime
    expires_at: datetime
    is_answered: bool

    @property
    def is_given(self) -> bool:
        """Whether a caller gave it: the key of an execution that has run later else begins with a space."""
        return not self.name.startswith(" ")


@frozen
class HistoryTrace:
    """The executions of a session in the history."""

    counts: Mapping[ExecutionStatus, int] = field(factory=dict)
    owner: Owner | None = None
    first: UUID | None = None
    last: UUID | None = None

    @property
    def total(self) -> int:
        """The number of executions."""
        return sum(self.counts.values())

    @property
    def last_at(self) -> datetime | None:
        """The admission of the latest one."""
        return None if self.last is None else uuid7_time(self.last)


@frozen
class FunctionTrace:
    """The present state of the function that a session uses a version of, and who registered that version when.

    `registered_at` is None if the version is no longer stored, `author` also if it is not recorded.
    """

    owner: Owner
    version: int
    deactivated_at: datetime | None
    registered_at: datetime | None
    author: Owner | None


@frozen
class MoveTrace:
    """Where a session of the origin is, or one that moved there; `state` is None while it is copied only."""

    state: TakenState | None
    spelled_title: str
    count_at_fence: int | None = None
    late_count: int | None = None
    owned_at: datetime | None = None
    returned_at: datetime | None = None


@frozen
class StateTrace:
    """The stored state of a session: its version, its size, when it was saved, and the execution that took it last."""

    version: int
    size: int
    saved_at: datetime
    writer: UUID | None = None


@frozen
class TreeTrace:
    """A build of the environment of a session: its platform, its status, and the digest of its tree if it is ready."""

    platform: str
    status: str
    digest: str | None


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
class AcceptedTrace:
    """An execution that was accepted to run later, while its result is kept.

    `status` is None while it is queued or runs, `may_start_at` None unless it is queued. `schedule_id` names the
    schedule that has started it. `is_erased` says that its params and its result were erased. `name` is the key that
    the caller gave; None if it gave none.
    """

    ref: SessionRef
    execution_id: UUID
    name: str | None
    attempt: int
    retry_of: UUID | None
    next_attempt: UUID | None
    not_before: datetime
    expires_at: datetime
    kept_until: datetime
    status: ExecutionStatus | None = None
    may_start_at: datetime | None = None
    schedule_id: UUID | None = None
    is_erased: bool = False


@frozen
class ScheduleTrace:
    """A schedule, and the newest of its firings, newest first."""

    schedule: Schedule
    firings: Sequence[Firing] = ()


@frozen
class ExecutionTrace:
    """An execution: its open record or its row in the history, and the partition of that row.

    `accepted` says what it was accepted with if it was to run later. One that is queued has neither record nor row.
    `messages` are those to webhooks about it, by their states.
    """

    partition: int
    open: OpenTrace | None = None
    ended: Execution | None = None
    accepted: AcceptedTrace | None = None
    messages: Mapping[DeliveryState, int] = field(factory=dict)

    @property
    def ref(self) -> SessionRef:
        """The session."""
        known = self.open or self.ended or self.accepted
        assert known is not None
        return known.ref


@frozen
class Timeline:
    """Everything that is stored about an id, read within a moment.

    `session` and `execution` say what the id is; `history`, `open`, `state`, `trees`, `queued`, `schedules` and `keys`
    are those of the session with the id, `taken` is the key that the call had which made the id. `purge` is the latest
    act that erased the session's content. `move` is what a takeover has stored about the session, and `recorded_calls`
    counts its stored calls.
    `delivery`, `schedule`, `webhook` or `file` is set if the id is that of a message to a webhook, a schedule, a
    webhook or a complete file.
    `bucket` is the bucket of the id; None if the database is not distributed.
    """

    identifier: UUID
    clock: ClockReading
    session: Session | None = None
    execution: ExecutionTrace | None = None
    history: HistoryTrace = field(factory=HistoryTrace)
    open: Sequence[OpenTrace] = ()
    state: StateTrace | None = None
    trees: Sequence[TreeTrace] = ()
    queued: int = 0
    schedules: int = 0
    keys: Sequence[KeyTrace] = ()
    taken: KeyTrace | None = None
    function: FunctionTrace | None = None
    purge: AuditEntry | None = None
    move: MoveTrace | None = None
    recorded_calls: int = 0
    shortened: Sequence[ShortenedDay] = ()
    delivery: Delivery | None = None
    schedule: ScheduleTrace | None = None
    webhook: Webhook | None = None
    file: StoredFile | None = None
    bucket: int | None = None

    @property
    def made_at(self) -> datetime:
        """The instant in the id; without meaning for an id that this service has not made."""
        return uuid7_time(self.identifier)


class TimelineReader(Protocol):
    """Reads what is stored about ids; changes nothing."""

    async def read(self, identifier: UUID) -> Timeline:
        """Return what is stored about an id, of whatever version; raises StorageUnavailable or Overloaded."""
        ...
