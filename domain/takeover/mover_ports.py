"""Ports through which sessions move between the two sides; `ports.py` has those of copies and of the front."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from attrs import frozen

from domain.takeover.moving import InboundSession, TakenSession
from domain.takeover.ports import Holding


@frozen
class OriginSession:
    """A session that the origin has stored, whether it serves it or not.

    `stored_at` is the expiry as it is stored, which a fence has shifted. `is_live` is the origin's own judgement, and
    `would_live` its judgement of a hidden session without the fence. `inbound` is the session with its expiry before
    the fence, as it is stored here; None if it cannot be kept here.
    """

    session_id: UUID
    created_at: datetime
    stored_at: datetime
    is_live: bool
    would_live: bool
    execution_count: int
    last_executed_at: datetime | None
    inbound: InboundSession | None


class OriginSessions(Protocol):
    """Reads the sessions of the origin, and changes which of them it serves.

    Every method is one short transaction that may be repeated. It may raise SourceUnavailable, after which a write may
    be stored, or SourceRefused.
    """

    async def require_writable(self) -> None:
        """Raise what a change would raise now for want of a server or a right, and change nothing."""
        ...

    async def prepare(self) -> int:
        """Write a row for each session that the origin serves without one; return how many there were.

        Only afterwards, `live` finds all sessions, and a fence can hide them. It raises what `require_writable` does.
        """
        ...

    async def live(self, after: UUID | None, size: int) -> Sequence[UUID]:
        """Return at most `size` ids of sessions that the origin serves, in order, greater than `after`."""
        ...

    async def fenced(self, after: UUID | None, size: int) -> Sequence[UUID]:
        """Return ids as `live` does, of those that some takeover has hidden and that would be live otherwise."""
        ...

    async def look(self, ids: Sequence[UUID]) -> Sequence[OriginSession]:
        """Return what is stored of these ids, in no order; an id that the origin does not have is left out."""
        ...

    async def fence(self, ids: Sequence[UUID]) -> Sequence[OriginSession]:
        """Hide those of these sessions that are live; return them as the change left them.

        No read of the origin that begins afterwards finds them alive.
        """
        ...

    async def restore(self, sessions: Sequence[InboundSession]) -> Sequence[UUID]:
        """Write sessions to the origin, which serves them from then on until they expire; return their ids.

        A count that is greater there stays. A session that the origin's tables refuse is left out.
        """
        ...

    async def counts(self, ids: Sequence[UUID]) -> Mapping[UUID, int]:
        """Return what the origin has counted of these sessions; an id that it does not have is left out."""
        ...

    async def missing_users(self, user_ids: Collection[str]) -> Collection[str]:
        """Return those of these users whose sessions the origin refuses, because it has no such user."""
        ...

    async def unfence(self, sessions: Sequence[OriginSession]) -> None:
        """Take this takeover's fence away from sessions that are stored as they were seen."""
        ...


@frozen
class Held:
    """What is stored here about a session: its holding, and its expiry at the origin as this side knows it.

    The expiry is None for a session that was made here and has never moved, and for an unknown one.
    """

    holding: Holding
    known_at: datetime | None = None

    @property
    def is_made_here(self) -> bool:
        """Whether the session was made here and has never moved, so that the origin cannot know it."""
        return self.holding is Holding.SERVED and self.known_at is None


@frozen
class OutgoingSession:
    """A session that is RETURNING.

    It is not stored if it never came here. A stored one has no content if its owner has erased it.
    """

    session_id: UUID
    is_executing: bool
    is_stored: bool
    content: InboundSession | None


@frozen
class LateCount:
    """Executions that the origin ended after the fence."""

    session_id: UUID
    count: int
    last_executed_at: datetime | None


@frozen
class ReturnCensus:
    """The sessions that would return, and how many of them have what the origin cannot express.

    `made_here` did not come from the origin. `sliding` end at their present expiry. `pinned` follow a
    version of a function. `unlike` have scripts that the origin calls in another way. `nameless` have an owner that is
    too long for the origin. `capped` have a count beyond four bytes. `keyed` have responses under idempotency keys.
    `executing` have an execution in progress. `waiting` have entries in the queue, and `scheduled` have schedules.
    `granted` counts further live sessions: they have grants, which the origin lacks, and stay here until they expire.
    """

    sessions: int
    made_here: int
    sliding: int
    pinned: int
    unlike: int
    nameless: int
    capped: int
    keyed: int
    executing: int
    waiting: int
    scheduled: int
    granted: int


class ReturnStore(Protocol):
    """Stores which sessions return to the origin, and what the origin counted late.

    Every method may raise StorageUnavailable or Overloaded, is one transaction, and may be repeated.
    """

    async def held(self, ids: Sequence[UUID]) -> Mapping[UUID, Held]:
        """Return what is stored about each id, all as of one instant."""
        ...

    async def returnable(self, now: datetime, after: UUID | None, size: int) -> Sequence[UUID]:
        """Return at most `size` ids of sessions that are served here and live at `now`, in order, greater than `after`.

        Hidden sessions are not among them, nor those with grants, nor those whose late executions were not looked at.
        """
        ...

    async def user_ids(self, ids: Sequence[UUID]) -> Mapping[UUID, str]:
        """Return the user that each of these sessions has at the origin; one without a user is left out."""
        ...

    async def census(self, now: datetime) -> ReturnCensus:
        """Return the numbers of sessions that are `returnable`."""
        ...

    async def close(self, ids: Sequence[UUID], now: datetime) -> Sequence[UUID]:
        """Stop serving sessions that are `returnable`: they are closed and RETURNING, and keep their content.

        Returns the ids that are RETURNING now. An execution in progress still counts here.
        """
        ...

    async def divert(self, ids: Sequence[UUID], now: datetime) -> None:
        """Mark sessions that are INBOUND, FENCING or RETURNED as RETURNING, and forget their copies."""
        ...

    async def outgoing(self, ids: Sequence[UUID]) -> Sequence[OutgoingSession]:
        """Return those of these sessions that are RETURNING, each as of one instant, in no order.

        Waits for begins in progress: no execution of these sessions begins after this.
        """
        ...

    async def release(self, ids: Sequence[UUID], now: datetime) -> None:
        """Mark sessions that are RETURNING as RETURNED. Their content here stays until it is cleaned up."""
        ...

    async def reopen(self, ids: Sequence[UUID]) -> None:
        """Serve sessions again that are RETURNING or RETURNED and have content here; forget the other ones.

        Served again, they are OWNED, and nothing was counted late.
        """
        ...

    async def unsettled(self, owned_before: datetime, after: UUID | None, size: int) -> Sequence[TakenSession]:
        """Return at most `size` sessions that are OWNED since before the instant, with an unknown late count."""
        ...

    async def add_late(self, counts: Sequence[LateCount]) -> int:
        """Add late counts to sessions whose late count is unknown, once; return how many executions were added."""
        ...


@frozen
class TakeoverClaim:
    """The command that moves sessions, and the instant until which it does so without renewing its claim."""

    holder: str
    until: datetime


class TakeoverClaims(Protocol):
    """Lets one command at a time move the sessions of a takeover. Every method may raise StorageUnavailable."""

    async def hold(self, holder: str, now: datetime, until: datetime) -> TakeoverClaim | None:
        """Claim the takeover, or renew the claim; return the claim that holds now, None without a takeover.

        Another holder's claim holds until its end.
        """
        ...

    async def leave(self, holder: str) -> None:
        """End the claim of this holder, if it has one."""
        ...
