"""Executions from admission to end, and how their end is reported."""

from collections.abc import Mapping
from datetime import datetime
from typing import ClassVar
from uuid import UUID

from attrs import define, field, frozen

from domain.errors import NotFound, ScriptFailed, Unavailable
from domain.files.file import StoredFile
from domain.identity import SessionRef, uuid7_time
from domain.json_text import JsonText
from domain.scripts.language import LanguageTitle
from domain.scripts.report import ERASED, ExecutionStatus, Failure, FailureCode, ScriptReport
from domain.sessions.session import Session

_REPEAT_IS_UNSAFE = "Do not repeat the call unless the script may run twice."
_REPEAT_IS_SAFE = "Repeating the call with its Idempotency-Key is safe: the script does not run again."


@frozen
class OpenExecution:
    """An execution that has begun, with the session as it was admitted; the database has an open record of it.

    `is_current` says of a hidden session that calls by name without a version run its version now. A begin under a key
    does not find that out.
    """

    execution_id: UUID
    session: Session
    deadline_at: datetime
    is_current: bool = False

    @property
    def ref(self) -> SessionRef:
        """The session's owner and id."""
        return self.session.ref

    @property
    def started_at(self) -> datetime:
        """The instant of admission, which is in the execution's id."""
        return uuid7_time(self.execution_id)


@frozen
class FinishedExecution:
    """An execution that has ended, to be recorded: its params and its report.

    `state` is what to save as the state of the session, if the execution holds the slot; None changes nothing. `uses`
    is what it has used of the grants of its session, as uses_of writes it; None if nothing. `files` are those that its
    script has left, with all their chunks stored: callers see them if and only if the execution is counted.
    """

    execution: OpenExecution
    finished_at: datetime
    params: JsonText = field(repr=False)
    report: ScriptReport
    state: JsonText | None = field(default=None, repr=False)
    uses: JsonText | None = None
    files: tuple[StoredFile, ...] = ()

    @property
    def saves_more(self) -> bool:
        """Whether more than the end itself is stored."""
        has_uses = self.uses is not None or self.report.traffic is not None
        return self.state is not None or has_uses or bool(self.files)


@frozen
class Executed:
    """An execution that was recorded, as its caller gets it.

    `execution_count` is the session's count with it. `replayed` marks the stored response to an earlier call with the
    same idempotency key. `state_version` is that of the session's state after it; None without one, and in a stored
    response.
    """

    ref: SessionRef
    execution_id: UUID
    language_title: LanguageTitle
    report: ScriptReport
    execution_count: int
    replayed: bool = False
    state_version: int | None = None

    def require_success(self) -> "Executed":
        """Return the execution; raises ExecutionFailed if the script failed."""
        failure = self.report.failure
        if failure is None:
            return self
        raise ExecutionFailed(
            self.ref.session_id, self.execution_id, self.execution_count, self.report, failure, self.replayed
        )


@frozen
class Payload:
    """A text of the history: its beginning, and the length of the whole in characters."""

    text: str = field(repr=False)
    length: int

    @classmethod
    def of(cls, text: str, length_max: int) -> "Payload":
        """Keep the first `length_max` characters."""
        return cls(text[:length_max], len(text))

    @property
    def is_cut(self) -> bool:
        """Whether the text is not the whole."""
        return len(self.text) < self.length


@frozen
class Execution:
    """An execution as the history stores it; unknown facts are None, and so are `uses` if there are none."""

    ref: SessionRef
    execution_id: UUID
    status: ExecutionStatus
    execution_count: int | None = None
    execution_time_ms: float | None = None
    cpu_time_ms: float | None = None
    memory_usage_bytes: int | None = None
    cold_start: bool | None = None
    params: Payload | None = None
    result: Payload | None = None
    error: Payload | None = None
    stdout: Payload | None = None
    stderr: Payload | None = None
    uses: JsonText | None = field(default=None, kw_only=True)

    @property
    def started_at(self) -> datetime:
        """The instant of admission, which is in the execution's id."""
        return uuid7_time(self.execution_id)


@define(eq=False)
class ExecutionNotFound(NotFound):
    """No execution has this id, in any state."""

    code: ClassVar[str] = "EXECUTION_NOT_FOUND"

    @property
    def message(self) -> str:
        return (
            "No execution has this id. It never existed here, belongs to another owner, was withdrawn or purged, or is "
            "older than the history. Check the id."
        )


@define(eq=False)
class ExecutionFailed(ScriptFailed):
    """The script ran and failed, or was stopped. `execution_count` is None if a purge stopped and erased it."""

    session_id: UUID
    execution_id: UUID
    execution_count: int | None
    report: ScriptReport
    failure: Failure
    replayed: bool = False

    @property
    def code(self) -> str:  # type: ignore[override]  # the failure's own code, one of FailureCode
        """The failure's code."""
        return self.failure.code

    @property
    def message(self) -> str:
        return self.failure.summary

    @property
    def details(self) -> Mapping[str, object]:
        """The facts of the run that the error does not have as its code and its message."""
        facts = execution_facts(self.execution_id, self.report, self.failure)
        del facts["error"], facts["message"]
        if self.failure.code is FailureCode.FILES_LOST:
            facts["executed"] = "yes"
        return facts if self.execution_count is None else facts | {"execution_count": self.execution_count}


@define(eq=False)
class ExecutionLost(Unavailable):
    """The script ran, and the database has neither an open record nor a history row of the execution."""

    code: ClassVar[str] = "STORAGE_UNAVAILABLE"
    stored: str | None = "no"
    executed: str | None = "yes"

    @property
    def message(self) -> str:
        return (
            f"The script ran, but the database no longer has a record of it, so it was not counted. {_REPEAT_IS_UNSAFE}"
        )


@define(eq=False)
class StateLost(ExecutionLost):
    """The execution has passed its deadline, and another one has taken the slot since; the state was not saved."""


@define(eq=False)
class ExecutionNotStored(Unavailable):
    """The script ran, and its end is not recorded yet, or (`stored="no"`) never will be."""

    code: ClassVar[str] = "STORAGE_UNAVAILABLE"
    execution_id: UUID
    report: ScriptReport
    stored: str | None = "unknown"
    executed: str | None = "yes"
    retry_after_ms: int | None = None

    @property
    def message(self) -> str:
        if self.stored == "no":
            return (
                "The script ran, but the database no longer has a record of it, so it was not counted. Its result is "
                f"in the details. {_REPEAT_IS_UNSAFE}"
            )
        advice = _REPEAT_IS_UNSAFE if self.retry_after_ms is None else _REPEAT_IS_SAFE
        return (
            "The script ran, but its result could not be saved yet. Saving continues in the background. The result is "
            f"in the details. {advice}"
        )

    @property
    def details(self) -> Mapping[str, object]:
        return execution_facts(self.execution_id, self.report, self.report.failure) | dict(super().details)


def lost(execution: OpenExecution, report: ScriptReport) -> ExecutionFailed | ExecutionNotStored:
    """Return the error of an execution that has ended, and whose record was removed while it ran."""
    if report.status is ExecutionStatus.CANCELLED:
        return ExecutionFailed(execution.ref.session_id, execution.execution_id, None, report, ERASED)
    return ExecutionNotStored(execution.execution_id, report, stored="no")


def execution_facts(execution_id: UUID, report: ScriptReport, failure: Failure | None) -> dict[str, object]:
    """Return the facts of a run by their API names; `result` is JSON text, if there is one."""
    facts: dict[str, object | None] = {
        "execution_id": execution_id,
        "result": report.result,
        "execution_time_ms": report.execution_time_ms,
        "cpu_time_ms": report.cpu_time_ms,
        "memory_usage_bytes": report.memory_usage_bytes,
        "stdout": report.stdout,
        "stderr": report.stderr,
        "redacted": report.redacted or None,
        "files": None if report.files is None else [each.facts() for each in report.files],
    }
    if failure is not None:
        facts |= {
            "error": failure.code,
            "name": failure.name,
            "message": failure.message,
            "stack": failure.stack,
            "line": failure.line,
            "column": failure.column,
            "limit": failure.limit,
            "observed": failure.observed,
        }
    return {name: fact for name, fact in facts.items() if fact is not None}
