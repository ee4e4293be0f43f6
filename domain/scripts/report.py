"""Reports of runs: the result or the failure, the output, and the resources used."""

from collections.abc import Mapping
from enum import StrEnum
from typing import ClassVar
from uuid import UUID

from attrs import define, field, frozen

from domain.egress.traffic import ExecutionTraffic
from domain.errors import Unavailable
from domain.json_text import JsonText
from domain.scripts.collected import CollectedFile
from domain.scripts.dropped import DroppedName


class ExecutionStatus(StrEnum):
    """The state of an execution; one that has ended keeps its status.

    An execution is queued if it was accepted to run later. Cancelled and expired ones may never have run. The end of an
    unknown one was not recorded in time.
    """

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    UNKNOWN = "unknown"

    @property
    def is_final(self) -> bool:
        """Whether the execution has ended, or will never run."""
        return self not in (ExecutionStatus.QUEUED, ExecutionStatus.RUNNING)


class FailureCode(StrEnum):
    """The ways in which an execution can fail; the last two also before its script has started."""

    SCRIPT_ERROR = "SCRIPT_ERROR"
    SCRIPT_EXITED = "SCRIPT_EXITED"
    EXECUTION_TIMEOUT = "EXECUTION_TIMEOUT"
    CPU_LIMIT = "CPU_LIMIT"
    MEMORY_LIMIT = "MEMORY_LIMIT"
    OUTPUT_LIMIT = "OUTPUT_LIMIT"
    PROCESS_LIMIT = "PROCESS_LIMIT"
    RESULT_NOT_SERIALIZABLE = "RESULT_NOT_SERIALIZABLE"
    RESULT_TOO_LARGE = "RESULT_TOO_LARGE"
    FILES_TOO_LARGE = "FILES_TOO_LARGE"
    FILES_REFUSED = "FILES_REFUSED"
    FILES_LOST = "FILES_LOST"
    STATE_NOT_SERIALIZABLE = "STATE_NOT_SERIALIZABLE"
    STATE_TOO_LARGE = "STATE_TOO_LARGE"
    STATE_HOLDS_SECRET = "STATE_HOLDS_SECRET"  # noqa: S105  # a name of a failure
    EXECUTION_CANCELLED = "EXECUTION_CANCELLED"
    EXECUTION_EXPIRED = "EXECUTION_EXPIRED"


TEXT_LENGTH_MAX = 16_384
"""Characters of the message and of the stack of an error, behind which workers cut them and write ELLIPSIS."""
NAME_LENGTH_MAX = 200
"""Characters of the name of an error, likewise."""
ELLIPSIS = "..."

PROTOCOL_BROKEN = "ProtocolBroken"
"""The name of the failure of a script that used its worker's channel."""

_STOPPING = frozenset(
    {
        FailureCode.SCRIPT_EXITED,
        FailureCode.EXECUTION_TIMEOUT,
        FailureCode.CPU_LIMIT,
        FailureCode.MEMORY_LIMIT,
        FailureCode.OUTPUT_LIMIT,
        FailureCode.EXECUTION_CANCELLED,
    }
)
_STATUSES = {
    FailureCode.EXECUTION_CANCELLED: ExecutionStatus.CANCELLED,
    FailureCode.EXECUTION_EXPIRED: ExecutionStatus.EXPIRED,
}


@frozen
class Failure:
    """Why a script failed.

    `name`, `message` and `stack` are the script's own error; `line` and `column` are 1-based in the caller's text.
    `limit` and `observed` are in the unit of the limit: milliseconds, bytes or a count.
    """

    code: FailureCode
    message: str
    name: str | None = None
    stack: str | None = None
    line: int | None = None
    column: int | None = None
    limit: int | None = None
    observed: int | None = None

    @property
    def summary(self) -> str:
        """The error in one line, as its language prints it."""
        return ": ".join(filter(None, (self.name, self.message)))


def _to_the_microsecond(time_ms: float) -> float:
    return round(time_ms, 3)


def _rounded(time_ms: float | None) -> float | None:
    return None if time_ms is None else _to_the_microsecond(time_ms)


CANCELLED = Failure(
    FailureCode.EXECUTION_CANCELLED,
    "The execution was cancelled, and its script was stopped. Execute it again if you still need its result.",
)
"""Of a script that was stopped."""

ERASED = Failure(
    FailureCode.EXECUTION_CANCELLED,
    "The execution was cancelled, and nothing of it is stored or counted: its session was purged while its script ran. "
    "Use a new session if you still need its result.",
)
"""Of a script that a purge stopped."""


@frozen
class ScriptReport:
    """The report of a run: a result (JSON text) or a failure, the output, and the resources used.

    Without a failure, `result` is None if the script gave none; a result may also be the JSON text `null`. Times are in
    milliseconds, to the microsecond, measured outside the script; None if the runtime does not measure. `state` is the
    state of the session as the script has left it, within its limits; None if the run had none, or did not change it.
    """

    result: JsonText | None = field(repr=False)
    failure: Failure | None
    execution_time_ms: float = field(converter=_to_the_microsecond)
    stdout: str = field(default="", repr=False)
    stderr: str = field(default="", repr=False)
    memory_usage_bytes: int | None = None
    cpu_time_ms: float | None = field(default=None, converter=_rounded)
    queue_time_ms: float | None = field(default=None, converter=_rounded)
    cold_start: bool | None = None
    state: JsonText | None = field(default=None, repr=False)
    traffic: ExecutionTraffic | None = None
    """Of a run with a network."""
    redacted: int = 0
    """Places in which a secret of the run stood, and stands no longer."""

    dropped: tuple[DroppedName, ...] = ()
    """Of a run whose state is its names: those that are not kept."""

    files: tuple[CollectedFile, ...] | None = None
    """Those that the script has left; None if none were to be collected, or that was not possible."""

    @property
    def is_output_cut(self) -> bool:
        """Whether the script may have been stopped while it wrote, so that its output can end within anything."""
        failure = self.failure
        return failure is not None and (failure.code in _STOPPING or failure.name == PROTOCOL_BROKEN)

    @property
    def status(self) -> ExecutionStatus:
        """Succeeded unless there is a failure, whose code says more."""
        if self.failure is None:
            return ExecutionStatus.SUCCEEDED
        return _STATUSES.get(self.failure.code, ExecutionStatus.FAILED)


def cancelled_report(queue_time_ms: float | None = None) -> ScriptReport:
    """Return the report of a script that was stopped before it started."""
    return ScriptReport(None, CANCELLED, 0.0, queue_time_ms=queue_time_ms)


@define(eq=False)
class ExecutionUnknown(Unavailable):
    """A runtime got the script, and did not report its end."""

    code: ClassVar[str] = "RUNTIME_UNAVAILABLE"
    reason: str
    execution_id: UUID | None = None
    stored: str | None = "unknown"
    executed: str | None = "unknown"
    retry_after_ms: int | None = None

    @property
    def message(self) -> str:
        return (
            f"The script may have run, and its end is unknown: {self.reason}. "
            "Do not repeat the call unless the script may run twice."
        )

    @property
    def details(self) -> Mapping[str, object]:
        return {
            "stored": self.stored,
            "executed": self.executed,
            "execution_id": self.execution_id,
        }
