"""Who is told of the work that is done for them, and of how it went."""

from collections.abc import Callable
from contextvars import ContextVar
from typing import Protocol

import psycopg

from adapters.postgres.connections.errors import CUT, CUT_SHORT, RetryDecision

StatementObserver = Callable[[str, float, str | None], None]
"""Is told each statement's name, its duration in seconds, and the class of its failure, if it failed."""


class DatabaseWaiter(Protocol):
    """A request that waits for the database now and then."""

    def waited(self, name: str, duration_s: float) -> None:
        """Take note of a wait that has ended, for a kind of calls or for a statement."""
        ...


CALLER: ContextVar[DatabaseWaiter | None] = ContextVar("caller", default=None)
"""Who calls; nobody in work that belongs to many callers, or to none."""


def tell_caller(name: str, duration_s: float) -> None:
    """Tell the caller, if there is one, how long they have waited."""
    caller = CALLER.get()
    if caller is not None:
        caller.waited(name, duration_s)


def failure_class(error: Exception, verdict: RetryDecision) -> str:
    """Return the class of the error's SQLSTATE, or what stands in for one."""
    if verdict in (CUT, CUT_SHORT):
        return "deadline"
    state = error.sqlstate if isinstance(error, psycopg.Error) else None
    return state[:2] if state else "driver"
