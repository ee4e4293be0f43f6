"""Ports to time, ids and randomness."""

from datetime import datetime
from typing import Protocol
from uuid import UUID


class Clock(Protocol):
    """Returns the time that all controllers of one database share."""

    def now(self) -> datetime:
        """Return the present instant, aware and in UTC. It is never earlier than an instant returned before.

        Raises StorageUnavailable while the common time is unknown.
        """
        ...


class MonotonicClock(Protocol):
    """Measures time within one process. Values of two processes cannot be compared."""

    def __call__(self) -> int:
        """Return nanoseconds since a fixed instant; never less than a value returned before."""
        ...


class Jitter(Protocol):
    """Spreads pauses at random, so that controllers do not act in step."""

    def __call__(self, shortest_s: float, longest_s: float, /) -> float:
        """Return a random number of seconds between the two."""
        ...


class IdGenerator(Protocol):
    """Makes the ids of sessions and executions."""

    def new(self, now: datetime) -> UUID:
        """Return a unique UUIDv7 with the instant `now` inside (see `domain.identity.uuid7_at`).

        Its last BUCKET_BITS bits are zero: bucket 0, the only one of a database that is not distributed.
        """
        ...
