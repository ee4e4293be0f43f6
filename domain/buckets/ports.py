"""The port to what a database knows of its buckets."""

from datetime import datetime
from typing import Protocol

from domain.buckets.bucket_map import BucketMap, OwnerMove
from domain.identity import Owner


class BucketRegister(Protocol):
    """Knows the buckets, and the moves of owners. Every method may raise StorageUnavailable or Overloaded."""

    async def read(self) -> BucketMap:
        """Return all buckets, those that are announced among them, and all moves."""
        ...

    async def announce(self, source: Owner, target: Owner, now: datetime) -> datetime:
        """Store a move between two owners, last at `now`; return the instant at which the first of theirs was stored.

        A move that was forgotten counts as none.
        """
        ...

    async def forget(self, move: OwnerMove) -> None:
        """Remove a move, unless it was repeated since it was read."""
        ...
