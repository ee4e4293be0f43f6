"""A state as it is stored, and the errors of those who want to write it."""

from collections.abc import Mapping
from datetime import datetime
from typing import ClassVar
from uuid import UUID

from attrs import define, field, frozen

from domain.errors import Conflict, NotFound, PreconditionFailed, TooLarge
from domain.identity import SessionRef
from domain.json_text import EMPTY_OBJECT, JsonText
from domain.states.limits import StateFault

RETRY_AFTER_MS = 1000


@frozen
class SessionState:
    """The state of a session, and how often it was saved. `writer` holds the slot, if an execution does.

    `stale_writer` held the slot last, and holds it no more: a write names it, so that no later one is overlooked.
    """

    version: int = 0
    text: JsonText = field(default=EMPTY_OBJECT, repr=False)
    writer: UUID | None = None
    stale_writer: UUID | None = None


@frozen
class SlotClaim:
    """An execution that wants the slot of its session, until its deadline."""

    ref: SessionRef
    execution_id: UUID
    deadline_at: datetime


@define(eq=False)
class StateTaken(Conflict):
    """Another execution holds the slot of the session, and may still write the state."""

    code: ClassVar[str] = "CONFLICT"
    running: UUID
    held_until: datetime | None = None
    """When the slot is free at the latest, if it is known."""

    @property
    def message(self) -> str:
        return (
            f"The execution {self.running} writes the state of the session, so nothing was done: only one writes it at "
            "a time. Repeat the call, cancel that execution, or use the mode shared if the script only reads the state."
        )

    @property
    def details(self) -> Mapping[str, object]:
        return {"running": self.running, "stored": "no", "executed": "no", "retry_after_ms": RETRY_AFTER_MS}


@define(eq=False)
class StateNotFound(NotFound):
    """The session has no state, because none was granted to it."""

    code: ClassVar[str] = "STATE_NOT_FOUND"

    @property
    def message(self) -> str:
        return 'The session has no state. Initialize a session with "state": {"mode": "exclusive"} or "shared".'


@define(eq=False)
class StateKeyNotFound(StateNotFound):
    """The state has no such key."""

    key: str

    @property
    def message(self) -> str:
        return f"The state of the session has no key {self.key!r}. Read the whole state to see which keys it has."


@define(eq=False)
class StateMismatch(PreconditionFailed):
    """The state is not at a version that the caller requires, or is at one that it excludes."""

    code: ClassVar[str] = "PRECONDITION_FAILED"
    version: int

    @property
    def message(self) -> str:
        return (
            f"The state is at version {self.version}, and the condition of the request does not hold, so nothing was "
            "stored. Read it again and repeat with its ETag."
        )

    @property
    def details(self) -> Mapping[str, object]:
        return {"version": self.version}


@define(eq=False)
class StateRefused(TooLarge):
    """A caller wants to store a state that is too large, or that is none."""

    code: ClassVar[str] = "STATE_TOO_LARGE"
    fault: StateFault

    @property
    def message(self) -> str:
        return f"{self.fault.message} Nothing was stored."

    @property
    def details(self) -> Mapping[str, object]:
        return {"limit": self.fault.limit, "observed": self.fault.observed, "stored": "no"}
