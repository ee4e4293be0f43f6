"""Which server is behind: after a failover a primary that has not learned of it still answers."""

import time
from collections.abc import Callable

import psycopg

from adapters.postgres.connections.statement import Statement

FORGOTTEN_S = 60.0
"""A newer server that has been silent for so long may be gone for good, as after a restore of an earlier state."""

READ_TIMELINE = Statement(
    "select_timeline",
    "SELECT CASE WHEN pg_is_in_recovery() THEN 0"
    " ELSE ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int END",
    prepare=False,
)
"""The timeline of a primary, which each promotion raises; 0 for a standby."""


class Timelines:
    """The newest timeline among the servers that have answered.

    A frozen primary that wakes up takes itself for the primary until its manager stops it. What it answers is old.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._newest = 0
        self._answered_at_s = float("-inf")

    def admits(self, timeline: int) -> bool:
        """Return whether no server of a newer timeline has answered lately; 0 is unknown, and admitted."""
        if timeline >= self._newest or not timeline:
            return True
        return self._monotonic() - self._answered_at_s > FORGOTTEN_S

    def require(self, timeline: int) -> None:
        """Note an answer of a server on this timeline; raises psycopg.OperationalError if it is behind."""
        if not self.admits(timeline):
            raise psycopg.OperationalError(
                f"the server is on timeline {timeline}, and one on timeline {self._newest} has taken its place"
            )
        if timeline:
            self._newest, self._answered_at_s = timeline, self._monotonic()
