"""The faults of a database behind the errors of the driver."""

from collections.abc import Mapping

import psycopg

from adapters.postgres.connections.errors import NO_CONNECTION, RetryDecision
from adapters.postgres.connections.inspection import obstacle_of
from domain.inspection import Obstacle
from domain.storage.faults import StorageFault

_BY_STATE: Mapping[str, StorageFault] = {
    "25006": StorageFault.READ_ONLY,  # read_only_sql_transaction
    "3F000": StorageFault.SCHEMA_MISSING,  # invalid_schema_name
    "42501": StorageFault.RIGHT_MISSING,  # insufficient_privilege
    "42703": StorageFault.SCHEMA_MISSING,  # undefined_column
    "42P01": StorageFault.SCHEMA_MISSING,  # undefined_table
    "53100": StorageFault.DISK_FULL,  # disk_full
    "53300": StorageFault.CONNECTIONS_EXHAUSTED,  # too_many_connections
    "57P03": StorageFault.STARTING,  # cannot_connect_now
}
_BY_OBSTACLE: Mapping[Obstacle, StorageFault | None] = {
    Obstacle.LOGIN: StorageFault.LOGIN_REJECTED,
    Obstacle.DATABASE: StorageFault.DATABASE_MISSING,
    Obstacle.FULL: StorageFault.CONNECTIONS_EXHAUSTED,
    Obstacle.STARTING: StorageFault.STARTING,
    Obstacle.SILENCE: None,
}


def fault_behind(decision: RetryDecision, cause: BaseException | None) -> StorageFault | None:
    """Return the fault behind a failed attempt; None if nothing responded in time, or the cause says nothing."""
    if not isinstance(cause, psycopg.Error):
        return None
    fault = _BY_STATE.get(cause.sqlstate or "")
    if fault is None and decision is NO_CONNECTION:
        return _BY_OBSTACLE.get(obstacle_of(str(cause)), StorageFault.UNREACHABLE)
    return fault


def detail_of(error: BaseException) -> str | None:
    """Return what the driver or the server said, in one line; it may name hosts, roles and databases."""
    return " ".join(str(error.__cause__).split()) if isinstance(error.__cause__, psycopg.Error) else None
