"""One execute in progress, and its times."""

from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID

from attrs import define, field, frozen

from domain.concurrency.budget import Budget
from domain.errors import DomainError
from domain.executions.ports import EndRecorder, KeyedExecutionRecorder
from domain.files.asked import AskedFiles
from domain.identity import SessionRef
from domain.json_text import JsonText
from domain.scripts.files import FILES_S
from domain.scripts.output import OutputListener


@frozen
class ExecutionPolicy:
    """Times of an execute in seconds; `run_overhead_s` is what a runtime may add to the script's own limit.

    `files_s` is what the files of a run may add to that: their delivery and their collection, each of which may take
    10 s in the worker and 10 s in the database. `grace_s` covers it in the deadline of the open record.
    """

    request_timeout_s: float
    run_overhead_s: float
    grace_s: float = 60.0
    files_s: float = FILES_S
    finish_retry_s: float = 1.0

    @property
    def allowance(self) -> timedelta:
        """How long an open record may live beyond the script's own time limit."""
        return timedelta(seconds=self.request_timeout_s + self.run_overhead_s + self.grace_s)

    def overhead_s(self, *, has_files: bool) -> float:
        """Return what a runtime, and the files of the run if it has some, may add to the script's own limit."""
        return self.run_overhead_s + self.files_s if has_files else self.run_overhead_s


Postponing = Callable[[DomainError], EndRecorder]
"""Returns what withdraws a call that an error keeps from its run."""


@define(eq=False)
class Call:
    """One execute in progress; once `started`, user code may run, and the call can no longer be withdrawn."""

    ref: SessionRef
    params: JsonText = field(repr=False)
    execution_id: UUID
    admitted_at: datetime
    recorder: EndRecorder
    budget: Budget
    current_only: bool = False
    listener: OutputListener | None = None
    postponing: Postponing | None = None
    files: AskedFiles | None = None
    started: bool = False

    @property
    def is_keyed(self) -> bool:
        """Whether the call has an idempotency key."""
        return isinstance(self.recorder, KeyedExecutionRecorder)
