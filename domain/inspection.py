"""Facts about an installation, as an inspection finds them; sizes are in bytes."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from attrs import frozen

from domain.takeover.stages import Stage


class Obstacle(StrEnum):
    """Why a database cannot be reached."""

    ADDRESS = "address"
    NAME = "name"
    NETWORK = "network"
    SILENCE = "silence"
    TLS = "tls"
    LOGIN = "login"
    DATABASE = "database"
    FULL = "full"
    OPTIONS = "options"
    STARTING = "starting"
    REFUSED = "refused"


class DatabaseUnreachable(Exception):
    """There is no connection to the database; the text is what the network or the server said."""

    def __init__(self, obstacle: Obstacle, text: str) -> None:
        super().__init__(text)
        self.obstacle = obstacle


class InspectionFailed(Exception):
    """An inspection gave no facts; the text says why."""


@frozen
class ConnectionFacts:
    """Where a connection leads, whether it is encrypted, and whether a pooler is between."""

    host: str
    is_encrypted: bool
    is_pooled: bool
    keeps_prepared: bool
    """Whether the pooler keeps prepared statements for its clients, as far as the connection shows."""

    @property
    def is_local(self) -> bool:
        """Whether the connection stays on this machine."""
        return self.host.startswith(("/", "@", "127.")) or self.host in {"localhost", "::1"}


@frozen
class ServerFacts:
    """The server's settings and state for this role; a limit below 0 means no limit, and 0 ms no time limit."""

    version: str
    version_number: int
    encoding: str
    role: str
    database: str
    process_id: int
    connections_max: int
    role_connections_max: int
    database_connections_max: int
    connections: int
    lock_timeout_ms: int
    statement_timeout_ms: int
    is_standby: bool
    is_read_only: bool
    has_fsync: bool
    has_full_page_writes: bool
    synchronous_commit: str
    waits_for_standbys: bool
    has_autovacuum: bool
    transactions_unfrozen: int
    size_bytes: int


@frozen
class MissingRight:
    """A right that the role lacks, the object to grant it on, and the table that lacks it (empty for other objects)."""

    right: str
    on: str
    table: str


@frozen
class SchemaFacts:
    """Names of migrations: pending, applied with another text, and applied but unknown to this release.

    `newer` are those of newer releases, beside which this release works; `unknown` are the others.
    """

    pending: Sequence[str]
    differing: Sequence[str]
    unknown: Sequence[str]
    applied: int
    newer: Sequence[str] = ()
    other_owner: str | None = None
    """The role that owns the schema, if this role lacks the rights of that role."""


@frozen
class IndexFacts:
    """Whether each index of the schema is valid, by name, and the names of the indexes that the schema should have."""

    valid: Mapping[str, bool]
    expected: Sequence[str]


@frozen
class TableFacts:
    """The server's statistics of one table since their last reset."""

    name: str
    live_rows: int
    dead_rows: int
    updates: int
    hot_updates: int
    last_vacuum_at: datetime | None
    options: str


@frozen
class HorizonHolder:
    """What keeps dead rows of the database from being removed: a process, a prepared transaction, a slot or a standby.

    `name` is a process id, or the name of a transaction or slot. `since` is None if it is not known. `transactions` is
    how many have begun since then.
    """

    kind: str
    name: str
    application: str
    state: str
    since: datetime | None
    transactions: int


@frozen
class QueueLanguageFacts:
    """The queue of one language: entries (counted up to a bound), when the oldest was due, and executions that run."""

    language: str
    queued: int
    due_at: datetime | None
    running: int


@frozen
class WebhookFacts:
    """Webhooks that were disabled because they failed, and enabled ones whose secrets follow from another WEBHOOK_KEY.

    `due_at` is since when the message that waits longest could be sent.
    """

    disabled: int = 0
    unsignable: int = 0
    due_at: datetime | None = None


@frozen
class ScheduleFacts:
    """Schedules that are late (counted up to a bound), when the first was due, and those whose timing is not known."""

    late: int
    first_due_at: datetime | None
    unreadable: int


@frozen
class ClockFacts:
    """The database's time, how far it is ahead of this host's clock, and the bound of the error."""

    now: datetime
    offset_ms: float
    error_bound_ms: float
    round_trip_ms: float


@frozen
class StandbyFacts:
    """A standby and its mode; the mode is None if this role may not see it."""

    name: str
    mode: str | None


@frozen
class ReplicationFacts:
    """The standbys, and the names of replication slots without a reader."""

    standbys: Sequence[StandbyFacts]
    idle_slots: Sequence[str]


@frozen
class ArchiveFacts:
    """Whether the server archives its WAL, and what became of it; the failures are those since the last reset."""

    is_on: bool
    last_archived_at: datetime | None
    last_failed_at: datetime | None
    failures: int

    @property
    def is_failing(self) -> bool:
        """Whether the last attempt failed."""
        archived_at, failed_at = self.last_archived_at, self.last_failed_at
        return self.is_on and failed_at is not None and (archived_at is None or archived_at < failed_at)


@frozen
class TakeoverFacts:
    """Sessions that neither side of a takeover serves, its stage, and until when a command holds it."""

    unserved: int
    stage: Stage
    stage_at: datetime
    held_until: datetime | None


@frozen
class RecordingFacts:
    """Calls of the origin's clients that are stored for a rehearsal, and until when fronts record, if they do."""

    calls: int
    oldest_at: datetime | None
    until: datetime | None


@frozen
class Contents:
    """What a database holds: sessions, executions in the history, versions of functions, and API keys.

    `newest_id` is the UUIDv7 of the newest session, execution or key; None if there is none. The numbers of what is
    newer count those with a greater id than the one that was given. `foreign_sessions` are those whose ids do not show
    when they were stored, because another service made them; they do not count as newer.
    """

    sessions: int
    executions: int
    functions: int
    api_keys: int
    newest_id: UUID | None
    newer_sessions: int
    newer_executions: int
    newer_api_keys: int
    foreign_sessions: int = 0


@frozen
class AccessFacts:
    """The number of sessions of `anonymous` (counted up to a bound), and of API keys that are valid.

    Of these, `keys_expiring` end soon, and `keys_unused` have not been used for long.
    """

    anonymous_sessions: int
    api_keys: int
    keys_expiring: int = 0
    keys_unused: int = 0


@frozen
class LayerFacts:
    """A layer of the sandbox: whether it is active, whether scripts need it, and why it is inactive."""

    name: str
    is_active: bool
    is_required: bool
    reason: str = ""


@frozen
class LanguageFacts:
    """A language of this host: its version, the path of its interpreter, and why it cannot run.

    `why_executed` says why its workers are not forks; empty if they are.
    """

    language: str
    version: str
    program: str
    failure: str | None
    why_executed: str = ""


@frozen
class SandboxFacts:
    """The sandbox of this host."""

    languages: Sequence[LanguageFacts]
    layers: Sequence[LayerFacts] = ()
    uid: int | None = None
    """The user id of the workers; None if they have the service's own."""
    account: str = ""
    """The name of this host's account with that user id; empty if there is none."""


@frozen
class OriginFacts:
    """The origin, to which calls are passed on; `reason` says why it does not respond as it should, None if it does."""

    url: str
    reason: str | None


@frozen
class RuntimeHostFacts:
    """A runtime host: its health, the languages that it serves, and its release."""

    url: str
    status: str
    languages: Sequence[str]
    reason: str = ""
    version: str = ""
