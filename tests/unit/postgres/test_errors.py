"""Judging PostgreSQL's failures."""

import psycopg
import pytest
from psycopg import errors

from adapters.postgres.connections.errors import CUT, NO_CONNECTION, Category, judge
from adapters.postgres.connections.faults import fault_behind
from domain.storage.faults import StorageFault


@pytest.mark.parametrize(
    ("error", "category", "sent"),
    [
        (errors.SerializationFailure(), Category.RETRYABLE, False),
        (errors.DeadlockDetected(), Category.RETRYABLE, False),
        (errors.StatementCompletionUnknown(), Category.RETRYABLE, True),
        (errors.TooManyConnections(), Category.RETRYABLE, False),
        (errors.DiskFull(), Category.RETRYABLE, False),
        (errors.ReadOnlySqlTransaction(), Category.RETRYABLE, False),
        (errors.CannotConnectNow(), Category.RETRYABLE, False),
        (errors.AdminShutdown(), Category.RETRYABLE, True),
        (errors.TransactionTimeout(), Category.RETRYABLE, True),
        (errors.CrashShutdown(), Category.RETRYABLE, True),
        (errors.ConnectionFailure(), Category.RETRYABLE, True),
        (errors.IoError(), Category.RETRYABLE, True),
        (errors.InvalidSqlStatementName(), Category.RETRYABLE, False),
        (errors.LockNotAvailable(), Category.TIMEOUT, False),
        (errors.QueryCanceled(), Category.TIMEOUT, False),
        (errors.UntranslatableCharacter(), Category.REFUSED, False),
        (errors.NumericValueOutOfRange(), Category.REFUSED, False),
        (errors.UniqueViolation(), Category.REFUSED, False),
        (errors.ProgramLimitExceeded(), Category.REFUSED, False),
        (errors.FeatureNotSupported(), Category.REFUSED, False),
        (errors.UndefinedTable(), Category.RETRYABLE, False),
        (errors.InsufficientPrivilege(), Category.RETRYABLE, False),
        (errors.UndefinedFunction(), Category.BUG, False),
        (errors.SyntaxError(), Category.BUG, False),
        (psycopg.OperationalError("the connection is lost"), Category.RETRYABLE, True),
        (psycopg.DataError("PostgreSQL text fields cannot contain NUL"), Category.REFUSED, False),
        (psycopg.ProgrammingError("cannot adapt type"), Category.BUG, False),
        (UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed"), Category.REFUSED, False),
        (KeyError("name"), Category.BUG, False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_each_failure_has_a_category_and_says_whether_it_may_have_been_executed(error, category, sent):
    verdict = judge(error)
    assert (verdict.category, verdict.sent) == (category, sent)


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (errors.ReadOnlySqlTransaction(), StorageFault.READ_ONLY),
        (errors.InsufficientPrivilege(), StorageFault.RIGHT_MISSING),
        (errors.InvalidSchemaName(), StorageFault.SCHEMA_MISSING),
        (errors.UndefinedColumn(), StorageFault.SCHEMA_MISSING),
        (errors.UndefinedTable(), StorageFault.SCHEMA_MISSING),
        (errors.DiskFull(), StorageFault.DISK_FULL),
        (errors.TooManyConnections(), StorageFault.CONNECTIONS_EXHAUSTED),
        (errors.CannotConnectNow(), StorageFault.STARTING),
        (errors.AdminShutdown(), None),
        (psycopg.OperationalError("the connection is lost: no password"), None),
        (TimeoutError(), None),
        (None, None),
    ],
)
def test_a_failed_statement_has_the_fault_of_its_state(error, fault):
    assert fault_behind(judge(error) if isinstance(error, psycopg.Error) else CUT, error) is fault


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('FATAL: password authentication failed for user "app"', StorageFault.LOGIN_REJECTED),
        ('FATAL: database "app" does not exist', StorageFault.DATABASE_MISSING),
        ("FATAL: sorry, too many clients already", StorageFault.CONNECTIONS_EXHAUSTED),
        ("FATAL: the database system is starting up", StorageFault.STARTING),
        ("connection refused", StorageFault.UNREACHABLE),
        ("a text that nobody knows", StorageFault.UNREACHABLE),
        ("the server did not greet in time", None),
    ],
)
def test_a_failed_connection_has_the_fault_that_its_text_names(text, fault):
    assert fault_behind(NO_CONNECTION, psycopg.OperationalError(f"connection failed: {text}")) is fault


def test_a_connection_that_may_not_use_its_bucket_lacks_a_right():
    assert fault_behind(NO_CONNECTION, errors.InsufficientPrivilege("permission denied")) is StorageFault.RIGHT_MISSING


def test_only_a_passing_failure_may_succeed_later():
    assert judge(errors.DeadlockDetected()).passing
    assert judge(errors.LockNotAvailable()).passing
    assert not judge(errors.UniqueViolation()).passing
    assert not judge(errors.UndefinedFunction()).passing


def test_a_read_only_server_spends_all_of_its_connections():
    verdict = judge(errors.ReadOnlySqlTransaction())
    assert verdict.connection_spent
    assert verdict.server_left


def test_a_lost_connection_says_nothing_about_the_others():
    verdict = judge(psycopg.OperationalError("the connection is lost"))
    assert verdict.connection_spent
    assert not verdict.server_left


def test_a_deadlock_leaves_its_connection_in_use():
    assert not judge(errors.DeadlockDetected()).connection_spent
