"""The meaning of PostgreSQL's errors for the gateway, by SQLSTATE."""

from collections.abc import Mapping
from enum import Enum

import psycopg
from attrs import define, frozen

from domain.errors import StorageUnavailable


class StatementRefused(Exception):
    """PostgreSQL will never accept these values; nothing was stored. The cause is the driver's error."""

    @property
    def message(self) -> str:
        """What PostgreSQL says, without its details, which may contain the values."""
        cause = self.__cause__
        if not isinstance(cause, psycopg.Error) or cause.sqlstate is None:
            return "The driver refused a value."
        return f"PostgreSQL refused a statement: {cause.diag.message_primary} ({cause.sqlstate})"


@define(eq=False)
class StillLocked(StorageUnavailable):
    """A statement did not get a lock in time; nothing was stored. The row may be polled every `pause_s`."""

    stored: str | None = "no"
    pause_s: float = 0.0


class TookTooLong(StorageUnavailable):
    """The server ended a statement of several calls at its time limit; nothing was stored. Parts of it may succeed."""

    def __init__(self) -> None:
        super().__init__(stored="no")


class Category(Enum):
    """How to handle a failure."""

    RETRYABLE = "retryable"
    TIMEOUT = "timeout"
    REFUSED = "refused"
    BUG = "bug"


@frozen
class RetryDecision:
    """How to handle a failure.

    `sent` is whether the server may have executed the statement. `connection_spent` is whether the connection is
    unusable, `server_left` whether the other connections of its pool are unusable too.
    """

    category: Category
    sent: bool
    connection_spent: bool = False
    server_left: bool = False

    @property
    def passing(self) -> bool:
        """Whether the same statement may succeed later."""
        return self.category in (Category.RETRYABLE, Category.TIMEOUT)

    @property
    def refused(self) -> bool:
        """Whether the values are wrong."""
        return self.category is Category.REFUSED


class AttemptFailed(Exception):
    """One attempt at a statement failed; its cause is the driver's error."""

    def __init__(self, decision: RetryDecision) -> None:
        super().__init__(decision)
        self.decision = decision


_ROLLED_BACK = RetryDecision(Category.RETRYABLE, sent=False)
_LOST = RetryDecision(Category.RETRYABLE, sent=True, connection_spent=True)
_TIMED_OUT = RetryDecision(Category.TIMEOUT, sent=False)
_REPLAN = RetryDecision(Category.RETRYABLE, sent=False, connection_spent=True)
_MOVED = RetryDecision(Category.RETRYABLE, sent=False, connection_spent=True, server_left=True)
_FORBIDDEN = RetryDecision(Category.RETRYABLE, sent=False)
_UNMIGRATED = RetryDecision(Category.RETRYABLE, sent=False)
_REFUSED = RetryDecision(Category.REFUSED, sent=False)
_BUG = RetryDecision(Category.BUG, sent=False)

CUT = RetryDecision(Category.TIMEOUT, sent=True, connection_spent=True, server_left=True)
"""The socket deadline passed, and the server had not responded."""

CUT_SHORT = RetryDecision(Category.TIMEOUT, sent=True, connection_spent=True)
"""The caller's own, shorter time was over; the server may be healthy."""

NO_CONNECTION = RetryDecision(Category.RETRYABLE, sent=False)
"""No connection was available."""

BUCKET_MOVED = "PGL01"
"""The SQLSTATE of a hold whose bucket is not on this node; see sql/buckets.sql."""

_BY_CODE: Mapping[str, RetryDecision] = {
    "25006": _MOVED,  # read_only_sql_transaction: the primary is elsewhere now
    "25P04": _LOST,  # transaction_timeout
    "26000": _REPLAN,  # invalid_sql_statement_name: a pooler has changed the backend
    "3F000": _UNMIGRATED,  # invalid_schema_name: migrations are pending, as readiness shows
    "40001": _ROLLED_BACK,  # serialization_failure
    "40P01": _ROLLED_BACK,  # deadlock_detected
    "40003": _LOST,  # statement_completion_unknown
    "42501": _FORBIDDEN,  # insufficient_privilege: a right may be granted at any time
    "42703": _UNMIGRATED,  # undefined_column
    "42P01": _UNMIGRATED,  # undefined_table
    "42P05": _REPLAN,  # duplicate_prepared_statement
    "55P03": _TIMED_OUT,  # lock_not_available
    "57014": _TIMED_OUT,  # query_canceled: statement_timeout
    "57P01": _LOST,  # admin_shutdown; a wait for a standby may have been cut after the commit
    "57P02": _LOST,  # crash_shutdown
    "57P03": _MOVED,  # cannot_connect_now
    "57P04": _LOST,  # database_dropped
    "57P05": _LOST,  # idle_session_timeout
    BUCKET_MOVED: _ROLLED_BACK,
}

_BY_CLASS: Mapping[str, RetryDecision] = {
    "08": _LOST,  # connection exception
    "0A": _REFUSED,  # feature not supported
    "22": _REFUSED,  # data exception
    "23": _REFUSED,  # integrity constraint violation
    "53": _ROLLED_BACK,  # insufficient resources: disk full, out of memory, too many connections
    "54": _REFUSED,  # program limit exceeded
    "58": _LOST,  # system error: an input or output error at the server
}


def judge(error: Exception) -> RetryDecision:
    """Return how to handle a failure of a statement on an established connection."""
    if isinstance(error, psycopg.Error):
        return _judge_state(error) if error.sqlstate else _judge_stateless(error)
    # The driver encodes text itself; a lone surrogate fails there.
    return _REFUSED if isinstance(error, UnicodeEncodeError) else _BUG


def _judge_state(error: psycopg.Error) -> RetryDecision:
    if error.diag.source_function == "RevalidateCachedQuery":
        return _REPLAN  # "cached plan must not change result type", after a migration
    state = error.sqlstate or ""
    return _BY_CODE.get(state) or _BY_CLASS.get(state[:2], _BUG)


def _judge_stateless(error: psycopg.Error) -> RetryDecision:
    if isinstance(error, psycopg.DataError):
        return _REFUSED  # found by the driver: NUL in text
    return _LOST if isinstance(error, psycopg.OperationalError) else _BUG


def missing_right(error: Exception) -> str | None:
    """Return PostgreSQL's text about a right that the role lacks, if that caused the error; None otherwise."""
    cause = error.__cause__
    return cause.diag.message_primary if isinstance(cause, psycopg.errors.InsufficientPrivilege) else None
