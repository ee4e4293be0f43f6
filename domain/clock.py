"""The instant, and the ids that carry it."""

from datetime import datetime
from typing import Protocol
from uuid import UUID


class Clock(Protocol):
    """Tells the time that every controller of one database agrees on."""

    def now(self) -> datetime:
        """Return the instant, aware and in UTC; never earlier than one returned before.

        Raises StorageUnavailable as long as the common time is not known.
        """
        ...


class IdGenerator(Protocol):
    """Makes the ids of sessions and executions."""

    def new(self, now: datetime) -> UUID:
        """Return a UUIDv7 that nobody else has, with `now` inside (see `domain.identity.uuid7_at`)."""
        ...
