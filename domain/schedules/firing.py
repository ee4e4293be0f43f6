"""What becomes of due times: what a step does with them, and the record of it."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from attrs import frozen


class FiringState(StrEnum):
    """What became of a due time."""

    FIRED = "fired"
    MISSED = "missed"
    SKIPPED = "skipped"


@frozen
class Missed:
    """Due times from `first_at` to `last_at` that did not fire."""

    first_at: datetime
    last_at: datetime
    count: int

    @classmethod
    def of(cls, due: list[datetime]) -> "Missed | None":
        """Return the record of due times; None for none."""
        return cls(due[0], due[-1], len(due)) if due else None


@frozen
class ScheduleStep:
    """What to do with a schedule that is due: what it has missed, what fires then, and its next due time.

    `settled_at` is the last due time of the step.
    """

    missed: Missed | None
    fired_at: datetime | None
    settled_at: datetime
    next_at: datetime | None


@frozen
class Firing:
    """The record of due times: of one that fired or was skipped, or of some that were missed together.

    `reason` says why it was missed or skipped: LATE, OVERLAP, PAUSED, CHANGED, or an error code. `settled_at` is when
    that was decided. A manual one was not due.
    """

    due_at: datetime
    last_due_at: datetime
    due_times: int
    state: FiringState
    settled_at: datetime
    reason: str | None = None
    execution_id: UUID | None = None
    manual: bool = False


LATE = "late"
OVERLAP = "overlap"
PAUSED = "paused"
CHANGED = "changed"
"""A change of the timing came before the due time was settled."""
