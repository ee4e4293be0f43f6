"""What is seen of an installation, before it is judged; sizes are in bytes."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from attrs import frozen


class Unseen(Exception):
    """A look at something gave nothing; the text says why."""


class DatabaseUnreached(Exception):
    """There is no connection to the database.

    `obstacle` says where the way ends: "address", "name", "network", "silence", "tls", "login", "database", "full",
    "options", "starting" or "refused"; the text is what the network or the server said.
    """

    def __init__(self, obstacle: str, told: str) -> None:
        super().__init__(told)
        self.obstacle = obstacle


@frozen
class ConnectionFacts:
    """A connection: where it leads, whether it can be listened to, whether a pooler is between."""

    host: str
    is_encrypted: bool
    is_pooled: bool
    keeps_prepared: bool
    """Whether the pooler was seen to keep prepared statements for its clients."""

    @property
    def is_near(self) -> bool:
        """Whether it stays on this machine."""
        return self.host.startswith(("/", "@", "127.")) or self.host in {"localhost", "::1"}


@frozen
class ServerFacts:
    """The server, as a connection of the service sees it; a limit below 0 is none, and 0 ms is no time limit."""

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
    """What the role may not do: the right, what it has to be granted on, and the table that lacks it, if it is one."""

    right: str
    of_what: str
    table: str


@frozen
class SchemaFacts:
    """The migrations: to be taken, taken otherwise than they are here, and not known here."""

    pending: Sequence[str]
    differing: Sequence[str]
    unknown: Sequence[str]
    taken: int
    other_owner: str | None = None
    """Whose the schema is, where this role has not the rights of that one."""


@frozen
class IndexFacts:
    """Indexes that the schema has, by name, and whether each can be used; those that it should have."""

    valid: Mapping[str, bool]
    expected: Sequence[str]


@frozen
class TableFacts:
    """The statistics that the server keeps of a table, since they were last reset."""

    name: str
    live_rows: int
    dead_rows: int
    updates: int
    hot_updates: int
    last_vacuum_at: datetime | None
    options: str


@frozen
class ClockFacts:
    """The database's time, by how much it is ahead of this host's clock, and how sure that is."""

    now: datetime
    offset_ms: float
    error_bound_ms: float
    round_trip_ms: float


@frozen
class StandbyFacts:
    """A standby and its mode; None when this role may not see it."""

    name: str
    mode: str | None


@frozen
class ReplicationFacts:
    """The standbys, and slots that nobody reads."""

    standbys: Sequence[StandbyFacts]
    idle_slots: Sequence[str]


@frozen
class AccessFacts:
    """How many sessions belong to nobody in particular (counted up to a bound), and whether there are API keys."""

    anonymous_sessions: int
    has_api_keys: bool


@frozen
class StoredFacts:
    """How much the schema takes."""

    size_bytes: int


@frozen
class LayerFacts:
    """A layer of the sandbox: whether it is there, whether scripts may run without it, and why it is not."""

    name: str
    is_there: bool
    is_needed: bool
    reason: str = ""


@frozen
class LanguageFacts:
    """A language that runs on this host: where its interpreter is, or why it cannot run."""

    language: str
    version: str
    program: str
    failure: str | None


@frozen
class SandboxFacts:
    """The sandbox of this host."""

    languages: Sequence[LanguageFacts]
    layers: Sequence[LayerFacts] = ()
    uid: int | None = None
    """Under which user id workers run; None: under the service's own."""
    account: str = ""
    """The account of this host whose user id that is."""


@frozen
class RuntimeHostFacts:
    """A runtime host, as it tells of itself."""

    url: str
    status: str
    languages: Sequence[str]
    reason: str = ""
    version: str = ""


@frozen
class HostFacts:
    """This machine: the folder of the service, the disk that it is on, and how many files a process may open."""

    data_dir: str
    disk_free_bytes: int
    disk_size_bytes: int
    descriptors_max: int | None
