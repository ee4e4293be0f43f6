"""Statements that the database did not carry out for reasons of its own, told in the log now and then."""

import time
from collections.abc import Callable

import psycopg
import structlog
from attrs import define, field
from structlog.typing import FilteringBoundLogger

from adapters.postgres.connections.errors import CUT, CUT_SHORT, RetryDecision

_INTERVAL_S = 10.0
_ORDINARY = frozenset({"0A000", "26000", "40001", "40P01", "42P05", "55P03"})
"""What becomes of racing writes, rows that others hold, poolers and migrations: it is tried again, and nobody need know."""


@define
class _Kind:
    """Failures of one kind: when one was told last, and how many have come since."""

    told_at_s: float = float("-inf")
    count: int = 0


@define(eq=False)
class FailureLog:
    """Tells one of each kind (statement and SQLSTATE) in `interval_s` seconds, and how many there were.

    What a caller's values have caused is theirs to hear, and may have the values in it; a bug has its line where it is
    answered.
    """

    interval_s: float = _INTERVAL_S
    _monotonic: Callable[[], float] = time.monotonic
    _kinds: dict[tuple[str, str | None], _Kind] = field(factory=dict, init=False)
    _log: FilteringBoundLogger = field(factory=lambda: structlog.get_logger(__name__), init=False)

    def note(self, statement: str, error: Exception, verdict: RetryDecision) -> None:
        """Take note of a statement's failure."""
        state = error.sqlstate if isinstance(error, psycopg.Error) else None
        if not verdict.passing or verdict is CUT_SHORT or state in _ORDINARY:
            return
        kind = self._kinds.setdefault((statement, state), _Kind())
        kind.count += 1
        now_s = self._monotonic()
        if now_s - kind.told_at_s >= self.interval_s:
            self._log.warning(
                "statement_failed",
                statement=statement,
                sqlstate=state,
                reason=_reason(error, verdict),
                count=kind.count,
            )
            kind.told_at_s, kind.count = now_s, 0


def _reason(error: Exception, verdict: RetryDecision) -> str:
    if verdict is CUT:
        return "the server kept silent"
    told = error.diag.message_primary if isinstance(error, psycopg.Error) else None
    return told or str(error).partition("\n")[0]
