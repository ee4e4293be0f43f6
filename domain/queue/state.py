"""What has become of an execution, and how that is reported."""

from datetime import datetime
from enum import StrEnum
from typing import ClassVar
from uuid import UUID

from attrs import define, field, frozen

from domain.errors import Conflict
from domain.executions.execution import Executed
from domain.identity import SessionRef, uuid7_time
from domain.queue.entry import Entry, StartWindow
from domain.scripts.language import LanguageTitle
from domain.scripts.report import ExecutionStatus, Failure, FailureCode, ScriptReport

POSITION_MAX = 1000
"""The largest position in the queue that is counted exactly."""


@frozen
class ExecutionState:
    """An execution in any state, as all acknowledged writes left it; unknown facts are None.

    `position` counts the entries of the owner and language before this one, up to POSITION_MAX. `report` and
    `execution_count` are there once it has ended and the result is kept; `kept_until` says until when. One that never
    began has no count.
    """

    ref: SessionRef
    execution_id: UUID
    status: ExecutionStatus
    language_title: LanguageTitle | None = None
    asynchronous: bool = False
    attempt: int = 1
    retry_of: UUID | None = None
    next_attempt: UUID | None = None
    window: StartWindow | None = None
    position: int | None = None
    cancel_requested: bool = False
    report: ScriptReport | None = field(default=None, repr=False)
    execution_count: int | None = None
    kept_until: datetime | None = None

    @property
    def accepted_at(self) -> datetime:
        """The instant of acceptance, which is in the execution's id."""
        return uuid7_time(self.execution_id)

    @property
    def executed(self) -> Executed | None:
        """The execution as its caller gets it once it has ended and the result is kept; else None."""
        if self.report is None or self.language_title is None:
            return None
        count = self.execution_count or 0
        return Executed(self.ref, self.execution_id, self.language_title, self.report, count, replayed=True)


class CancelResult(StrEnum):
    """What a cancel found: `executed` in the API is "no", "partly" or "yes"."""

    CANCELLED = "cancelled"
    """It was queued, and will not run."""
    CANCELLING = "cancelling"
    """It runs, and is being stopped."""
    ENDED = "ended"
    """It had ended before."""


CANCELLED = ScriptReport(
    None,
    Failure(FailureCode.EXECUTION_CANCELLED, "The execution was cancelled before its script started."),
    execution_time_ms=0,
)
"""The report of an entry that was cancelled, or whose session was closed."""

EXPIRED = ScriptReport(
    None,
    Failure(
        FailureCode.EXECUTION_EXPIRED,
        "The execution did not start before its expiry, so it will not run. Call again, or allow it to wait longer.",
    ),
    execution_time_ms=0,
)
"""The report of an entry that did not start in time."""


@define(eq=False)
class ExecutionNotEnded(Conflict):
    """The call needs an execution that has ended."""

    code: ClassVar[str] = "CONFLICT"
    execution_id: UUID
    status: ExecutionStatus

    @property
    def message(self) -> str:
        found = f"Execution {self.execution_id} is {self.status}, so nothing was done."
        return f"{found} Wait until it has ended, or cancel it."


@define(eq=False)
class ExecutionNotKept(Conflict):
    """The call needs the params of an execution that are not kept."""

    code: ClassVar[str] = "CONFLICT"
    execution_id: UUID

    @property
    def message(self) -> str:
        return (
            f"Execution {self.execution_id} cannot be repeated, because its params are not kept: it was not accepted "
            "to run later, or its result is no longer kept. Execute the session again with the params."
        )


Accepted = Entry | ExecutionState | Executed
"""How an accept ends: a new entry; or, under a key of an earlier call, its state, or its response if it has ended."""
