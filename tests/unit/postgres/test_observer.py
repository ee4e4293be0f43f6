"""Statements that failed are logged at a bounded rate, and so is the connection pool."""

import logging

import psycopg
import pytest
import structlog
from psycopg import errors

from adapters.postgres.connections.errors import CUT, CUT_SHORT, judge
from adapters.postgres.connections.observer import FailureLog, LogRateLimit, limit_pool_log


@pytest.fixture
def failures(seconds):
    return FailureLog(interval_s=10.0, monotonic=seconds)


@pytest.fixture
def lines():
    with structlog.testing.capture_logs() as lines:
        yield lines


def facts(lines):
    return [(line["statement"], line["sqlstate"], line["reason"], line["count"]) for line in lines]


def test_a_failed_statement_is_logged_with_its_reason(failures, lines):
    error = errors.UndefinedColumn('column "version" does not exist\nLINE 1: SELECT version')
    failures.note("select_functions", error, judge(error))
    assert facts(lines) == [("select_functions", "42703", 'column "version" does not exist', 1)]
    assert (lines[0]["event"], lines[0]["log_level"]) == ("statement_failed", "warning")


def test_the_line_says_which_bucket_failed(lines):
    error = errors.DiskFull("no space left")
    FailureLog({"bucket": 3}).note("select_session", error, judge(error))
    assert [line["bucket"] for line in lines] == [3]


def test_a_silent_or_lost_server_is_logged(failures, lines):
    failures.note("a", errors.QueryCanceled("canceling statement"), CUT)
    gone = psycopg.OperationalError("server closed the connection unexpectedly\n\tThis probably means")
    failures.note("b", gone, judge(gone))
    assert facts(lines) == [
        ("a", "57014", "the server did not respond in time", 1),
        ("b", None, "server closed the connection unexpectedly", 1),
    ]


def test_one_failure_of_a_kind_is_logged_per_interval_with_the_count(failures, seconds, lines):
    full = errors.DiskFull("no space left")
    for _ in range(3):
        failures.note("a", full, judge(full))
    failures.note("b", full, judge(full))
    seconds.now += 10.0
    failures.note("a", full, judge(full))
    assert [(line["statement"], line["count"]) for line in lines] == [("a", 1), ("b", 1), ("a", 3)]


@pytest.mark.parametrize(
    "error",
    [
        errors.UniqueViolation("Key (owner)=(alice) exists"),
        errors.InvalidTextRepresentation('invalid input: "swordfish"'),
        errors.SerializationFailure("could not serialize"),
        errors.LockNotAvailable("lock timeout"),
        errors.UndefinedFunction("no such function"),
        ValueError("a bug"),
    ],
)
def test_failures_by_values_races_and_bugs_are_not_logged(failures, lines, error):
    failures.note("a", error, judge(error))
    assert lines == []


def test_a_caller_without_time_is_no_failure_of_the_database(failures, lines):
    failures.note("a", errors.QueryCanceled("cut"), CUT_SHORT)
    assert lines == []


def record(text):
    return logging.LogRecord("psycopg.pool", logging.WARNING, __file__, 1, text, None, None)


def test_a_message_of_one_kind_passes_once_in_the_interval(seconds):
    limit = LogRateLimit(10.0, seconds)
    assert limit.filter(record("error connecting in %r: %s"))
    assert not limit.filter(record("error connecting in %r: %s"))
    assert limit.filter(record("discarding closed connection: %s"))
    seconds.now += 10.0
    assert limit.filter(record("error connecting in %r: %s"))


def test_the_kinds_that_a_rate_limit_remembers_are_bounded(seconds):
    limit = LogRateLimit(10.0, seconds)
    for number in range(1000):
        limit.filter(record(f"kind {number}"))
    assert len(limit) <= 64


def test_limiting_the_pools_log_twice_adds_one_filter():
    limit_pool_log()
    before = len(logging.getLogger("psycopg.pool").filters)
    limit_pool_log()
    assert len(logging.getLogger("psycopg.pool").filters) == before
