"""Why the database does not serve, in words for callers: they name no host, role or database."""

from enum import StrEnum

_LATER_MS = 1000
_REPAIR_MS = 5000
"""An operator has to act first, so callers need not repeat their calls every second."""


class StorageFault(StrEnum):
    """A fault of the database, or of the way to it, that the driver or the server has reported."""

    UNREACHABLE = "unreachable"
    STARTING = "starting"
    CONNECTIONS_EXHAUSTED = "connections_exhausted"
    LOGIN_REJECTED = "login_rejected"
    DATABASE_MISSING = "database_missing"
    SCHEMA_MISSING = "schema_missing"
    RIGHT_MISSING = "right_missing"
    NODES_UNKNOWN = "nodes_unknown"
    READ_ONLY = "read_only"
    DISK_FULL = "disk_full"

    @property
    def message(self) -> str:
        """What is wrong, and what to do."""
        return _MESSAGES[self]

    @property
    def passes(self) -> bool:
        """Whether the fault usually ends without an operator."""
        return self in _PASSING

    @property
    def retry_after_ms(self) -> int:
        """When a call may be repeated."""
        return _LATER_MS if self.passes else _REPAIR_MS


_PASSING = {StorageFault.UNREACHABLE, StorageFault.STARTING, StorageFault.CONNECTIONS_EXHAUSTED}

_MESSAGES = {
    StorageFault.UNREACHABLE: "The service cannot connect to its database. Repeat the call after a moment.",
    StorageFault.STARTING: "The database is starting or stopping. Repeat the call after a moment.",
    StorageFault.CONNECTIONS_EXHAUSTED: (
        "The database grants the service no further connection. Repeat the call after a moment."
    ),
    StorageFault.LOGIN_REJECTED: (
        "The database rejects the login of the service. The operator has to correct the role or its password."
    ),
    StorageFault.DATABASE_MISSING: (
        "The database of the service does not exist. The operator has to create it, or to correct its name."
    ),
    StorageFault.SCHEMA_MISSING: (
        "The database lacks the schema of this release. The operator has to run `pglambda migrate up`."
    ),
    StorageFault.RIGHT_MISSING: (
        "The service lacks a right in its database. The operator has to grant it; `pglambda doctor` names it."
    ),
    StorageFault.NODES_UNKNOWN: (
        "The database is divided into buckets, and DATABASE_NODES is not set, so this process cannot find their rows. "
        "The operator has to set it to auto, and to start the process again."
    ),
    StorageFault.READ_ONLY: (
        "The database accepts no writes: it is a standby, or read-only. The operator has to connect the service to a "
        "writable one."
    ),
    StorageFault.DISK_FULL: "The disk of the database is full. The operator has to make room on it.",
}
