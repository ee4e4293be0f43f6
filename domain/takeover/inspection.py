"""Facts about the database of the origin; sizes are in bytes."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum

from attrs import frozen

from domain.takeover.source import SourceRefused
from domain.takeover.source_session import SourceSession

SESSIONS = "sessions"
FUNCTIONS = "functions"
SCRIPTS = "scripts"
USERS = "users"
_SHA256_SINCE = 110000


class Variant(StrEnum):
    """The four ways in which operators came to a table of sessions.

    A: the migrations. B: the documented schema, with a reference to users and two triggers. C: the controller of one
    branch, B without the reference. D: a script, with nine columns and instants without a zone.
    """

    A = "a"
    B = "b"
    C = "c"
    D = "d"


@frozen
class SourceServer:
    """The server, the database and the role of a connection; `system_identifier` is None if the role may not see it."""

    schema: str
    system_identifier: str | None
    version_number: int
    role: str
    database: str
    database_oid: str
    started_at: datetime
    is_standby: bool

    @property
    def major_version(self) -> str:
        """The version as PostgreSQL names it: 9.6, 10, 17."""
        major, minor = divmod(self.version_number // 100, 100)
        return f"{major}.{minor}" if major < 10 else str(major)

    @property
    def has_sha256(self) -> bool:
        """Whether it can compute the digests of a comparison."""
        return self.version_number >= _SHA256_SINCE

    def require_sha256(self) -> None:
        """Raise SourceRefused if it cannot compute the digests of a comparison."""
        if not self.has_sha256:
            raise SourceRefused(
                f"The origin runs on PostgreSQL {self.major_version}, and verify needs sha256 of PostgreSQL 11.",
                remedy="Restore a dump of the origin on a newer server, point the origin there, and name that server. "
                "Every other command works without it.",
            )

    @property
    def fingerprint(self) -> Mapping[str, str]:
        """What identifies the source at every start of a command; no address, because that may change."""
        facts = {"system_identifier": self.system_identifier, "database_oid": self.database_oid}
        facts |= {"database": self.database, "schema": self.schema}
        return {name: fact for name, fact in facts.items() if fact is not None}

    def same_database(self, other: "SourceServer") -> bool:
        """Return whether both are one database, as far as the roles may see."""
        if self.system_identifier is None or other.system_identifier is None:
            return (self.started_at, self.database_oid) == (other.started_at, other.database_oid)
        return (self.system_identifier, self.database_oid) == (other.system_identifier, other.database_oid)


@frozen
class SourceTable:
    """A table of the origin, or what stands in its place, and what the role may do with it."""

    name: str
    kind: str
    """As in `pg_class`: r is a table, p a partitioned one, v a view."""
    hides_rows: bool
    rows_estimated: int
    table_bytes: int
    index_bytes: int
    indexes: int
    can_use: bool
    can_select: bool
    can_insert: bool
    can_update: bool
    can_fence: bool


@frozen
class SourceColumn:
    """A column of the sessions; `is_required` if an insert must give it a value."""

    name: str
    type: str
    is_required: bool


@frozen
class SourceConstraint:
    """A constraint of the sessions: `kind` is p, u, f or c, and `definition` as PostgreSQL writes it."""

    name: str
    kind: str
    definition: str


@frozen
class SourceSchema:
    """The schema of the origin, as it is found. `triggers` and `rules` are those that are on, by name."""

    tables: Mapping[str, SourceTable]
    columns: Mapping[str, SourceColumn]
    constraints: Sequence[SourceConstraint]
    triggers: Sequence[str]
    rules: Sequence[str]

    @property
    def sessions(self) -> SourceTable | None:
        """The table of sessions, if it is one of the origin."""
        return self.tables.get(SESSIONS) if "language_title" in self.columns else None

    @property
    def variant(self) -> Variant:
        """The variant that is nearest to what is found."""
        if self.lacks_zone or "execution_count" not in self.columns:
            return Variant.D
        if self.refers_to_users:
            return Variant.B
        return Variant.C if UPDATE_TRIGGER in self.triggers else Variant.A

    @property
    def lacks_zone(self) -> bool:
        """Whether instants have no time zone."""
        return self.columns["expires_at"].type == "timestamp without time zone"

    @property
    def unreadable(self) -> Sequence[str]:
        """The columns that every variant has and this table lacks, or has with another type."""
        types = {name: column.type for name, column in self.columns.items()}
        return [name for name, known in _COLUMNS.items() if types.get(name) not in known]

    @property
    def missing(self) -> Sequence[str]:
        """The columns of the variants A to C that this table lacks."""
        return [name for name in _LATER_COLUMNS if name not in self.columns]

    @property
    def required(self) -> Sequence[str]:
        """The columns that the origin does not know, and an insert must give a value."""
        known = {*_COLUMNS, *_LATER_COLUMNS}
        return [name for name, column in self.columns.items() if column.is_required and name not in known]

    @property
    def refers_to_users(self) -> bool:
        """Whether each user_id must be in the table of users."""
        return any(each.kind == "f" and "user_id" in each.definition for each in self.constraints)

    @property
    def has_key(self) -> bool:
        """Whether ids are unique, and found by an index."""
        return any(each.kind in {"p", "u"} and "(request_id)" in each.definition for each in self.constraints)


_TEXTS = frozenset({"character varying", "text", "character"})
_INSTANTS = frozenset({"timestamp with time zone", "timestamp without time zone"})
_COLUMNS: Mapping[str, frozenset[str]] = {
    "request_id": _TEXTS,
    "language_title": _TEXTS,
    "user_id": _TEXTS,
    "created_at": _INSTANTS,
    "expires_at": _INSTANTS,
    "status": _TEXTS,
    "context": frozenset({"jsonb"}),
    "script_content": _TEXTS,
    "compile_options": frozenset({"jsonb"}),
}
_LATER_COLUMNS = (
    "last_executed_at",
    "execution_count",
    "script_hash",
    "compiled_artifact",
    "compile_status",
    "compile_error",
    "metadata",
)

UPDATE_TRIGGER = "update_session_on_execute"
"""The trigger of the variants B and C that adds one to a count that has grown, once more."""

HASH_TRIGGER = "calculate_script_hash"
"""The trigger of the variants B and C that fails for a script with a backslash."""


@frozen
class SourceCounts:
    """Sessions by the origin's clock: live, expired within the retention, and hidden by a takeover.

    `last_live` is the time until the last live one expires; None without one, or if it never does.
    """

    live: int
    retained: int
    fenced: int
    last_live: timedelta | None


@frozen
class SessionHead:
    """A session without its bodies, for which `row` has stand-ins; sizes in bytes are 0 for what is missing.

    `script_digest` is equal for equal scripts; None without a script. `hash_differs` is whether the origin has stored
    another hash than that of the script.
    """

    row: SourceSession
    script_bytes: int
    context_bytes: int
    script_digest: str | None
    hash_differs: bool = False


@frozen
class SourceFunction:
    """A registered function of the origin."""

    language_title: str
    language: str
    is_active: bool
    has_script: bool


@frozen
class ReadSpeed:
    """How long it took to read some whole rows."""

    size_bytes: int
    elapsed_s: float
