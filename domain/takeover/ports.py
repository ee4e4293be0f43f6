"""Ports to the origin, and to what is stored here about a takeover."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from domain.audit import Act
from domain.takeover.moving import InboundSession, Progress, Received, StageChange, TakenSession, TakenState, Takeover
from domain.takeover.ordinary import OrdinaryRows
from domain.takeover.passing import Header, OriginRequest
from domain.takeover.stages import Stage


class Holding(StrEnum):
    """What is stored here about one session.

    SERVED: this service owns it, whether it lives or has ended. INBOUND: it is copied, and the origin owns it. FENCING:
    it moves here. RETURNING: it moves to the origin. RETURNED: the origin owns it again. UNKNOWN: nothing is stored, so
    it is the origin's or does not exist.
    """

    SERVED = "served"
    INBOUND = "inbound"
    FENCING = "fencing"
    RETURNING = "returning"
    RETURNED = "returned"
    UNKNOWN = "unknown"


class Ownership(Protocol):
    """Tells which side owns a session. Each session has exactly one owner at every instant.

    Every method may raise StorageUnavailable or Overloaded.
    """

    async def stage(self) -> Stage:
        """Return the stage that is stored now; LOOK if no takeover is stored."""
        ...

    async def of(self, session_id: UUID) -> Holding:
        """Return what is stored about a session of any owner, as of one instant.

        So a session that moves here is INBOUND, FENCING or SERVED at every instant, and never UNKNOWN in between.
        """
        ...

    async def settle(self, session_id: UUID) -> None:
        """Move one session on that is INBOUND in stage ADOPT, FENCING or RETURNING, as the commands do.

        The first touch of a session calls it, and a call that waits for a session whose command may be dead. It does
        nothing while a command or another process moves this session, and nothing for other sessions. If the origin
        turns out not to have the session alive, nothing is stored about it afterwards. It may also raise
        OriginUnavailable; a repetition then continues where it stopped.
        """
        ...


class TakeoverStore(Protocol):
    """Stores the takeover, the copies of the origin's sessions (inbound), and the sessions that were taken.

    Every method may raise StorageUnavailable or Overloaded; StorageUnavailable has `stored="unknown"` if a write may
    be stored. Every method is one transaction, and may be repeated. A session that is FENCING is inbound too.
    Any other one is inbound or taken, not both.
    """

    async def takeover(self) -> Takeover | None:
        """Return the stored takeover; None if there is none."""
        ...

    async def begin(self, takeover: Takeover) -> Takeover:
        """Store a takeover unless one is stored that is not over, and return the stored one.

        One is over if it is FINISHED, or if it is at LOOK, has another source, and no session is copied or
        moves.
        """
        ...

    async def change_stage(self, before: Stage, stage: Stage, now: datetime, change: StageChange | None = None) -> bool:
        """Change the stage if it is `before`; return whether it is `stage` now, with `now` if this call changed it.

        A call that changes it records the act. The change to LOOK or FINISHED removes what is recorded.
        """
        ...

    async def choose(self, options: Mapping[str, object]) -> None:
        """Replace the options and forget how far each command has come; without a takeover it does nothing."""
        ...

    async def follow(self, source: Mapping[str, str], act: Act) -> None:
        """Replace what identifies the source, and record the act with both if it differs.

        Without a takeover it does nothing.
        """
        ...

    async def note(self, command: str, progress: Progress) -> None:
        """Store how far a command has come; without a takeover it does nothing."""
        ...

    async def receive(self, sessions: Sequence[InboundSession], command: str, progress: Progress) -> Received:
        """Store copies and the progress of the command together. Each id occurs once.

        A copy that is stored with the same values is not written. A copy that differs is replaced. An id that is taken
        is left, unless it was returned: then the copy is stored, and the session is neither taken nor stored here.
        """
        ...

    async def receive_ordinary(
        self, rows: OrdinaryRows, copies: Sequence[InboundSession | None], command: str, progress: Progress
    ) -> Received:
        """Store copies of ordinary rows and the progress, as `receive` does.

        `copies` has for each kind what becomes of its example; None: rows of the kind are left.
        """
        ...

    async def made_here(self, ids: Sequence[UUID]) -> Collection[UUID]:
        """Return those of these ids that sessions have which are stored here and were not taken."""
        ...

    async def inbound(self, ids: Sequence[UUID]) -> Sequence[InboundSession]:
        """Return the copies that are stored of these ids, in no order."""
        ...

    async def inbound_live(self, now: datetime | None, after: UUID | None, size: int) -> Sequence[UUID]:
        """Return at most `size` ids of copies that live at `now`, in order, greater than `after`; None: of all."""
        ...

    async def discard(self, ids: Sequence[UUID]) -> int:
        """Remove copies of sessions that are not FENCING; return how many there were."""
        ...

    async def take(self, ids: Sequence[UUID], now: datetime) -> Sequence[UUID]:
        """Mark copies as FENCING since `now`; return the ids that are FENCING, among them those that were before.

        A copy with the id of a session that was made here is left out.
        The copies stay until `own` or `give_up`, so they are inbound and FENCING in between.
        """
        ...

    async def untake(self, ids: Sequence[UUID]) -> None:
        """Make sessions that are FENCING inbound again."""
        ...

    async def own(self, sessions: Sequence[InboundSession], fenced_at: datetime, now: datetime) -> Sequence[UUID]:
        """Store sessions that are FENCING as sessions of this service, with the values given; return their ids.

        From then on they are OWNED since `now`, and not inbound. `count_at_fence` is their count. An id that is not
        FENCING is left out.
        """
        ...

    async def give_up(self, ids: Sequence[UUID]) -> int:
        """Forget sessions that are FENCING, and their copies; return how many there were."""
        ...

    async def taken(self, ids: Sequence[UUID]) -> Sequence[TakenSession]:
        """Return what is stored about these ids, in no order; an id that was not taken is left out."""
        ...

    async def taken_page(self, state: TakenState, after: UUID | None, size: int) -> Sequence[TakenSession]:
        """Return at most `size` taken sessions of one state, in the order of their ids, greater than `after`."""
        ...

    async def counts(self) -> Mapping[TakenState | None, int]:
        """Return the number of sessions by state; None stands for those that are inbound only."""
        ...


class OriginReply(Protocol):
    """The reply of the origin to one request, whose body may still be arriving."""

    status: int
    """100 to 599; never of an interim reply."""
    reason: bytes
    """The reason phrase as received, which may be empty."""
    headers: Sequence[Header]
    """In the order and spelling of the origin, with those about the connection; no trailers."""
    body: bytes | None
    """The body if it has arrived completely. If it is None, `pieces` has it."""

    def pieces(self) -> AsyncIterator[bytes]:
        """Return the body piece by piece, none of them empty; raises OriginUnavailable if it breaks off.

        While pieces wait for their reader, the origin is not read beyond a bounded buffer.
        """
        ...

    def close(self) -> None:
        """End the exchange. A reply that is not complete ends the origin's work on it, as far as the origin notices."""
        ...


class OriginClient(Protocol):
    """Sends calls to the origin over HTTP/1.1."""

    async def send(self, request: OriginRequest) -> OriginReply:
        """Send a request once, and return the reply when its head has arrived. The caller closes the reply.

        A request is never repeated. The reply may come before the body was sent; the rest of the body is sent until the
        reply is complete. Cancelling the call ends the exchange. An error that the request's body raises is raised
        here, or by the reply's `pieces`. Raises OriginUnavailable with `executed="no"` if no connection was made, and
        with "unknown" if the connection breaks, or what arrives is no reply of HTTP/1.1 or has a head of more than
        64 KiB or 256 headers.
        """
        ...
