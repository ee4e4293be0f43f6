"""An execution of a session's script, how it ended and what it used."""

from collections.abc import Mapping
from datetime import datetime
from typing import ClassVar
from uuid import UUID

from attrs import define, field, frozen

from domain.errors import NotFound, ScriptFailed, Unavailable
from domain.identity import SessionRef, uuid7_time
from domain.scripts.report import Failure, Outcome, ScriptReport


@frozen
class OpenExecution:
    """An execution that was begun: the open record in the database, and the operation id of its finish."""

    ref: SessionRef
    execution_id: UUID
    deadline_at: datetime

    @property
    def started_at(self) -> datetime:
        """The instant of admission, in the execution's id."""
        return uuid7_time(self.execution_id)


@frozen
class Payload:
    """Text as kept in history: its beginning, and the length in characters of the whole."""

    text: str = field(repr=False)
    length: int

    @classmethod
    def of(cls, text: str, length_max: int) -> "Payload":
        """Keep the first `length_max` characters."""
        return cls(text[:length_max], len(text))


@frozen
class Execution:
    """One row of a session's history; what is not known of an execution is None."""

    ref: SessionRef
    execution_id: UUID
    outcome: Outcome
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

    @property
    def started_at(self) -> datetime:
        """The instant of admission, in the execution's id."""
        return uuid7_time(self.execution_id)


@define(eq=False)
class ExecutionNotFound(NotFound):
    """No end of such an execution is recorded."""

    code: ClassVar[str] = "EXECUTION_NOT_FOUND"

    @property
    def message(self) -> str:
        return (
            "No execution with this id is recorded: it is still under way, was never made here, belongs to someone "
            "else, or is so old that it has been removed."
        )


@define(eq=False)
class ExecutionFailed(ScriptFailed):
    """The script has run, was counted, and failed."""

    session_id: UUID
    execution_id: UUID
    execution_count: int
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
        return execution_facts(self.execution_id, self.report, self.failure) | {"execution_count": self.execution_count}


@define(eq=False)
class ExecutionLost(Unavailable):
    """A finish found neither the open record nor a history row."""

    code: ClassVar[str] = "STORAGE_UNAVAILABLE"
    stored: str | None = "no"
    executed: str | None = "yes"

    @property
    def message(self) -> str:
        return "The script has run, and the database no longer has a record of it; it was not counted."


@define(eq=False)
class ExecutionNotStored(Unavailable):
    """The script has run, and its end could not be recorded (yet)."""

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
                "The script has run, and the database no longer has a record of it, so it was not counted. Its answer "
                "is in the details. Do not repeat the call unless the script may run twice."
            )
        advice = (
            "Do not repeat the call unless the script may run twice."
            if self.retry_after_ms is None
            else "Repeating the call with its Idempotency-Key is safe: the script does not run again."
        )
        return (
            "The script has run; its end could not be recorded in the database, which is tried on in the background. "
            f"Its answer is in the details. {advice}"
        )

    @property
    def details(self) -> Mapping[str, object]:
        return execution_facts(self.execution_id, self.report, self.report.failure) | dict(super().details)


def execution_facts(execution_id: UUID, report: ScriptReport, failure: Failure | None) -> dict[str, object]:
    """Return what a caller is told of a run, by API name; `result` is JSON text, where there is one."""
    facts: dict[str, object | None] = {
        "execution_id": execution_id,
        "result": report.result,
        "execution_time_ms": report.execution_time_ms,
        "cpu_time_ms": report.cpu_time_ms,
        "memory_usage_bytes": report.memory_usage_bytes,
        "stdout": report.stdout,
        "stderr": report.stderr,
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
