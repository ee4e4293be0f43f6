"""A state as it is stored, and the errors of those who want to write it."""

from collections.abc import Mapping
from datetime import datetime
from typing import ClassVar
from uuid import UUID

from attrs import define, field, frozen

from domain.errors import Conflict
from domain.executions.execution import ExecutionLost
from domain.json_text import EMPTY_OBJECT, JsonText

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
class StateLost(ExecutionLost):
    """The execution has passed its deadline, and another one has taken the slot since; the state was not saved."""
