"""Facts about the database of an installation, as an inspection finds them; sizes are in bytes."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum

from attrs import frozen


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
    tcp_user_timeout_ms: int
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

    @property
    def schema(self) -> str:
        """The schema of a table."""
        return self.on.rpartition(" ")[2]

    @property
    def is_of_bucket(self) -> bool:
        """Whether a bucket of a distributed database lacks it."""
        return " bucket_" in self.on


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
class BucketLocation:
    """The addresses of the nodes that have tables of a bucket, of which there should be one, and its shard.

    A table is a shard of its own. `shard` is the number that Citus gave the one of sessions; None if there is none.
    """

    nodes: Sequence[str] = ()
    shard: int | None = None

    def __str__(self) -> str:
        where = " and ".join(self.nodes) or "no node"
        return f"on {where}" if self.shard is None else f"shard {self.shard} on {where}"


NOWHERE = BucketLocation()


@frozen
class BucketFacts:
    """A bucket: where its tables lie, and the names of the migrations that it lacks."""

    schema: str
    location: BucketLocation
    pending: Sequence[str]


@frozen
class NodeFacts:
    """A node of the cluster: connections that clients can still open; None if the coordinator does not reach it.

    `reason` is why it does not. `clock_ahead_ms` is how far its clock is ahead of the coordinator's, to some 10 ms.
    """

    address: str
    free_connections: int | None
    clock_ahead_ms: float | None = None
    reason: str = ""

    @property
    def is_away(self) -> bool:
        """Whether the coordinator does not reach it."""
        return self.free_connections is None


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
class ClockFacts:
    """The database's time, how far it is ahead of this host's clock, and the bound of the error.

    `correction_ms` is what the service adds to the clock of the server since a failover.
    """

    now: datetime
    offset_ms: float
    error_bound_ms: float
    round_trip_ms: float
    correction_ms: float = 0.0


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
