"""Observation of statements: the hook for metrics, and logs of failures at bounded rates."""

import logging
import time
from collections.abc import Callable, Mapping

import psycopg
import structlog
from attrs import define, field
from structlog.typing import FilteringBoundLogger
from typing_extensions import override

from adapters.postgres.connections.errors import BUCKET_MOVED, CUT, CUT_SHORT, RetryDecision

StatementObserver = Callable[[str, float, str | None], None]
"""Gets each statement's name, its duration in seconds, and the class of its failure, if it failed."""

_LOG_INTERVAL_S = 10.0
_KINDS_MAX = 64
_EXPECTED = frozenset({"0A000", "26000", "40001", "40P01", "42P05", "55P03", BUCKET_MOVED})
"""SQLSTATEs of racing writes, locked rows, poolers, migrations and moves. They are retried, and need no attention."""


def failure_class(error: Exception, decision: RetryDecision) -> str:
    """Return the class of the error's SQLSTATE, or a word that replaces it."""
    if decision in (CUT, CUT_SHORT):
        return "deadline"
    state = error.sqlstate if isinstance(error, psycopg.Error) else None
    return state[:2] if state else "driver"


@define
class _FailureKind:
    logged_at_s: float = float("-inf")
    count: int = 0


@define(eq=False)
class FailureLog:
    """Logs failures that lie with the database: one per kind (statement and SQLSTATE) in `interval_s`, with the count.

    A failure that a caller's values caused is reported to the caller alone, because it may contain the values. A bug is
    logged where its error response is made. Each line has the `facts` too.
    """

    facts: Mapping[str, object] = field(factory=dict)
    interval_s: float = _LOG_INTERVAL_S
    _monotonic: Callable[[], float] = time.monotonic
    _kinds: dict[tuple[str, str | None], _FailureKind] = field(factory=dict, init=False)
    _log: FilteringBoundLogger = field(factory=lambda: structlog.get_logger(__name__), init=False)

    def note(self, statement: str, error: Exception, decision: RetryDecision) -> None:
        """Note a statement's failure, and log it if it is time."""
        state = error.sqlstate if isinstance(error, psycopg.Error) else None
        if not decision.passing or decision is CUT_SHORT or state in _EXPECTED:
            return
        kind = self._kinds.setdefault((statement, state), _FailureKind())
        kind.count += 1
        now_s = self._monotonic()
        if now_s - kind.logged_at_s >= self.interval_s:
            self._log.warning(
                "statement_failed",
                statement=statement,
                sqlstate=state,
                reason=_reason(error, decision),
                count=kind.count,
                **self.facts,
            )
            kind.logged_at_s, kind.count = now_s, 0


def _reason(error: Exception, decision: RetryDecision) -> str:
    if decision is CUT:
        return "the server did not respond in time"
    primary = error.diag.message_primary if isinstance(error, psycopg.Error) else None
    return primary or str(error).partition("\n")[0]


class LogRateLimit(logging.Filter):
    """Passes one message of each kind (the text before its arguments) in `interval_s` seconds."""

    def __init__(self, interval_s: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._interval_s = interval_s
        self._monotonic = monotonic
        self._passed_at_s: dict[str, float] = {}

    def __len__(self) -> int:
        """Return how many kinds are remembered."""
        return len(self._passed_at_s)

    @override
    def filter(self, record: logging.LogRecord) -> bool:
        now_s = self._monotonic()
        if now_s - self._passed_at_s.get(str(record.msg), float("-inf")) < self._interval_s:
            return False
        if len(self._passed_at_s) >= _KINDS_MAX:
            self._passed_at_s.clear()
        self._passed_at_s[str(record.msg)] = now_s
        return True


_POOL_LOG_LIMIT = LogRateLimit(_LOG_INTERVAL_S)


def limit_pool_log() -> None:
    """Limit the rate of the connection pool's own log, which has a line per attempt; calling it again is no error."""
    logging.getLogger("psycopg.pool").addFilter(_POOL_LOG_LIMIT)
