"""Ports to the rates, the usage and the quotas of owners."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime, timedelta
from typing import Protocol

from attrs import frozen

from domain.identity import Owner
from domain.limits.reservation import Proposal, Reserved


@frozen
class RateCharge:
    """The cost of an owner's calls under one policy since the last charge.

    `spent` is the cost as a time, `first_at` the instant of the first call. A charge of zero only reads the state.
    """

    owner: Owner
    policy: str
    first_at: datetime
    spent: timedelta


class RateStore(Protocol):
    """Adds up the calls that all controllers of one database admit.

    Every method may raise StorageUnavailable or Overloaded.
    """

    async def settle(self, charges: Sequence[RateCharge]) -> Sequence[datetime]:
        """Add the charges; return for each the instant at which its owner's whole quota is available again.

        The new instant is the stored one, or `first_at` if that is later, plus `spent`. Concurrent charges are all
        added. No two charges have the same owner and policy.
        """
        ...

    async def balances(self, owners: Sequence[Owner]) -> Mapping[tuple[Owner, str], datetime]:
        """Return the stored instants of these owners, by owner and policy; an owner that did not call has none."""
        ...

    async def forget(self, full_before: datetime, after: tuple[Owner, str] | None) -> tuple[Owner, str] | None:
        """Remove owners whose whole quota was available before `full_before`, in a bounded number that follow `after`.

        Returns the place to continue from; None at the end.
        """
        ...


@frozen
class ReservationChange:
    """What shall be stored as reserved of a limit of an owner."""

    owner: Owner
    limit: str
    proposal: Proposal


class ReservationStore(Protocol):
    """Keeps what processes have reserved of the limits of owners; may raise StorageUnavailable or Overloaded."""

    async def reserve(self, changes: Sequence[ReservationChange]) -> Sequence[Reserved]:
        """Store each proposal whose `replaced` is the stored version, or of whose limit nothing is stored.

        Returns for each what is stored then; another change may have replaced that already. Repeating the call changes
        nothing. No two changes have the same owner and limit. What expired a minute ago may be removed.
        """
        ...


@frozen
class OwnerUsage:
    """An owner's live sessions without hidden ones, and the bytes that it has stored.

    The bytes are those of all their sessions, of params and responses of executions that run later, and of messages to
    webhooks. It is not `complete` if the owner may have more of them than were examined.
    """

    live_sessions: int
    stored_bytes: int
    complete: bool = True


@frozen
class OwnerHoldings:
    """How many schedules, webhooks and queued executions an owner has."""

    schedules: int = 0
    webhooks: int = 0
    queued_executions: int = 0


class UsageReader(Protocol):
    """Counts what owners have stored and what they run. Every method may raise StorageUnavailable or Overloaded."""

    async def usage(
        self, owners: Sequence[Owner], now: datetime, examined_max: int | None = None
    ) -> Sequence[OwnerUsage]:
        """Return the usage of each owner at `now`.

        It covers at most `examined_max` of the owner's newest sessions, as many executions that run later, and as many
        messages; older ones are not counted. None stands for the adapter's own bound.
        """
        ...

    async def open_executions(self, owners: Sequence[Owner], now: datetime) -> Sequence[int]:
        """Return how many executions of each owner are open in all controllers, without those past their deadline."""
        ...

    async def holdings(self, owners: Sequence[Owner], queued_max: int) -> Sequence[OwnerHoldings]:
        """Return the holdings of each owner; at most `queued_max` of its queued executions are counted."""
        ...


class Quotas(Protocol):
    """Holds owners to their quotas of sessions and bytes."""

    async def require_capacity(self, owner: Owner, size: int, *, hidden: bool = False) -> None:
        """Raise QuotaReached unless the owner may have one more session, of about `size` bytes.

        Of a hidden session only the bytes count.
        """
        ...

    def adding(self, owner: Owner, size: int, *, hidden: bool = False) -> AbstractContextManager[None]:
        """Return a context to make the session in. The session counts from entry on, unless making it fails."""
        ...

    def added(self, owner: Owner, size: int) -> None:
        """Note that about `size` bytes beside sessions were stored."""
        ...

    def closed(self, owner: Owner) -> None:
        """Note that one of the owner's sessions is no longer live."""
        ...


class Unlimited(Quotas):
    """Has no quotas."""

    async def require_capacity(self, owner: Owner, size: int, *, hidden: bool = False) -> None:  # noqa: ARG002  # no quota
        return

    def adding(self, owner: Owner, size: int, *, hidden: bool = False) -> AbstractContextManager[None]:  # noqa: ARG002  # no quota
        return nullcontext()

    def added(self, owner: Owner, size: int) -> None:  # noqa: ARG002  # nothing is counted
        return

    def closed(self, owner: Owner) -> None:  # noqa: ARG002  # nothing is counted
        return
