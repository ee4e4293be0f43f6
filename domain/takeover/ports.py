"""Ports to the origin, and to what is stored here about a takeover."""

from enum import StrEnum
from typing import Protocol
from uuid import UUID

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
