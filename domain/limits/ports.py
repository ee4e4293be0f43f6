"""What controllers of one database tell each other of owners."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

from attrs import frozen

from domain.identity import Owner


@frozen
class RateCharge:
    """What calls of one kind of one owner cost since the last charge: `spent` in time, the first of them at `first_at`.

    A charge of nothing asks for the state alone.
    """

    owner: Owner
    policy: str
    first_at: datetime
    spent: timedelta


class RateStore(Protocol):
    """Adds up what all controllers of one database admit. Any method may raise StorageUnavailable or Overloaded."""

    async def settle(self, charges: Sequence[RateCharge]) -> Sequence[datetime]:
        """Add the charges, and return for each the instant at which its owner's whole quota is there again.

        That instant is what it was, or `first_at` if that is later, and `spent` on top. Concurrent charges are all
        added. Owner and policy of the charges are distinct.
        """
        ...

    async def forget(self, full_before: datetime, after: tuple[Owner, str] | None) -> tuple[Owner, str] | None:
        """Remove owners whose whole quota was there before `full_before`, in a bounded number that follow `after`.

        Returns where to go on, None when all have been seen.
        """
        ...


@frozen
class OwnerUsage:
    """What an owner has: sessions that are live, and bytes that all their sessions take."""

    live_sessions: int
    stored_bytes: int


class UsageReader(Protocol):
    """Counts what owners have. Any method may raise StorageUnavailable or Overloaded."""

    async def usage(self, owners: Sequence[Owner], now: datetime) -> Sequence[OwnerUsage]:
        """Return what each owner has at `now`.

        A bounded number of an owner's newest sessions is looked at; older ones are not counted.
        """
        ...

    async def open_executions(self, owners: Sequence[Owner], now: datetime) -> Sequence[int]:
        """Return how many executions of each owner are open in all controllers, those past their deadline left out."""
        ...
