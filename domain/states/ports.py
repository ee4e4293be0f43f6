"""The port to the stored states."""

from datetime import datetime
from typing import Protocol

from domain.identity import SessionRef
from domain.json_text import JsonText
from domain.states.state import SessionState, SlotClaim


class StateRepository(Protocol):
    """Stores the states of sessions. A session that has stored none has an empty object of version 0.

    ExecutionRepository.finish saves the state of an execution that holds the slot. An execution holds it until its open
    record is removed, or its deadline has passed. Every method may raise StorageUnavailable or Overloaded.
    """

    async def take(self, claim: SlotClaim, now: datetime) -> SessionState:
        """Take the slot of the session for an execution, and return the state.

        Taking it again returns the same. Of several executions one gets it, in whatever process it is. Raises
        StateTaken if another one holds it, and SessionNotFound if the execution has no open record.
        """
        ...

    async def read(self, ref: SessionRef, now: datetime) -> SessionState:
        """Return the state with the execution that holds the slot, as all acknowledged writes left it.

        Raises SessionNotFound.
        """
        ...

    async def write(self, ref: SessionRef, read: SessionState, text: JsonText, now: datetime) -> int | None:
        """Replace the state that was read, and return its new version; None if it was saved or taken since.

        The state that was read must have no writer. A session that was emptied gets no state.
        """
        ...
