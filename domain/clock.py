"""Ports to time, ids and randomness."""

from datetime import datetime
from typing import Protocol
from uuid import UUID

from domain.identity import Owner


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
    """Makes unique UUIDv7 with an instant inside (see `domain.identity.uuid7_at`).

    Their last BUCKET_BITS bits are the bucket in which the rows lie: 0 in a database that is not distributed.
    """

    def new(self, now: datetime, like: UUID | None = None) -> UUID:
        """Return an id for what lies beside `like`, such as an execution beside its session.

        Without `like` it is in bucket 0, where everything is that belongs to no session.
        """
        ...

    def new_placed(self, now: datetime, owner: Owner, found_by: str | None = None) -> UUID:
        """Return an id for a new session, or for what is beside no session yet, and choose its bucket.

        What the owner finds by one `found_by`, such as an idempotency key, is in one of its buckets. Else any of these
        is taken.
        """
        ...
