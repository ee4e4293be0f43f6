"""Bodies of executions and of batches."""

from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType, structs
from typing_extensions import override

from domain.executions import execution
from domain.scripts.report import Outcome
from entrypoints.http.response import embedded
from entrypoints.http.schemas import fields
from entrypoints.http.schemas.errors import Error

_JSON_PAYLOADS = ("params", "result", "error")


class ExecuteBody(Struct, forbid_unknown_fields=True):
    """The input of one execution."""

    params: fields.Params | UnsetType = UNSET


class ExecuteResponse(Struct):
    """An execution that succeeded."""

    request_id: fields.RequestId
    execution_id: fields.ExecutionId
    language_title: fields.Title
    result: fields.Result
    result_given: fields.ResultGiven
    execution_time_ms: fields.ExecutionTimeMs
    memory_usage_bytes: fields.MemoryUsageBytes
    cpu_time_ms: fields.CpuTimeMs
    queue_time_ms: fields.QueueTimeMs
    cold_start: fields.ColdStart
    execution_count: fields.ExecutionCount
    stdout: fields.Stdout
    stderr: fields.Stderr

    @classmethod
    def of(cls, ended: execution.Executed) -> "ExecuteResponse":
        """Return the body for an execution that succeeded."""
        report = ended.report
        return cls(
            request_id=ended.ref.session_id,
            execution_id=ended.execution_id,
            language_title=str(ended.language_title),
            result=embedded(report.result or "null"),
            result_given=report.result is not None,
            execution_time_ms=report.execution_time_ms,
            memory_usage_bytes=report.memory_usage_bytes,
            cpu_time_ms=report.cpu_time_ms,
            queue_time_ms=report.queue_time_ms,
            cold_start=report.cold_start,
            execution_count=ended.execution_count,
            stdout=report.stdout,
            stderr=report.stderr,
        )


class ExecutionResponse(Struct):
    """An execution in the history of a session.

    `truncated` names the fields that were too large to store in full. Output then is its beginning. Of params, result
    and error, `beginnings` has the beginning as text, because it is no JSON value.
    """

    execution_id: fields.ExecutionId
    started_at: fields.StartedAt
    outcome: fields.OutcomeField
    execution_count: fields.CountThen
    execution_time_ms: fields.KeptTimeMs
    cpu_time_ms: fields.CpuTimeMs
    memory_usage_bytes: fields.MemoryUsageBytes
    cold_start: fields.ColdStart
    params: fields.KeptParams
    result: fields.KeptResult
    result_given: fields.KeptResultGiven
    error: fields.KeptError
    stdout: fields.KeptOutput
    stderr: fields.KeptOutput
    truncated: fields.Truncated
    beginnings: fields.Beginnings

    @classmethod
    def of(cls, kept: execution.Execution) -> "ExecutionResponse":
        """Return the body for a row of the history."""
        cut = _cut(kept)
        return cls(
            execution_id=kept.execution_id,
            started_at=kept.started_at,
            outcome=kept.outcome,
            execution_count=kept.execution_count,
            execution_time_ms=kept.execution_time_ms,
            cpu_time_ms=kept.cpu_time_ms,
            memory_usage_bytes=kept.memory_usage_bytes,
            cold_start=kept.cold_start,
            params=_kept_json(kept.params),
            result=_kept_json(kept.result),
            result_given=_result_given(kept),
            error=_kept_json(kept.error),
            stdout=_kept_text(kept.stdout),
            stderr=_kept_text(kept.stderr),
            truncated={name: each.length for name, each in cut.items()},
            beginnings={name: each.text for name, each in cut.items() if name in _JSON_PAYLOADS},
        )


class SingleExecution(ExecutionResponse):
    """An execution in the history of a session, with the id of the session."""

    request_id: fields.RequestId

    @classmethod
    @override
    def of(cls, kept: execution.Execution) -> "SingleExecution":
        """Return the body for a row of the history."""
        return cls(**structs.asdict(ExecutionResponse.of(kept)), request_id=kept.ref.session_id)


class ExecutionPage(Struct):
    """A page of the history of a session; `next_cursor` is null on the last page."""

    executions: fields.Executions[ExecutionResponse]
    next_cursor: fields.NextCursor


Items = Annotated[list[ExecuteBody], Meta(description="The inputs of the executions, in order.")]
Parallel = Annotated[
    int, Meta(ge=1, description="How many items may run at the same time; 1 runs them one after the other.")
]


class BatchBody(Struct, forbid_unknown_fields=True):
    """The inputs of many executions of one session."""

    items: Items
    parallel: Parallel = 1


class BatchEnvelope(Struct, forbid_unknown_fields=True):
    """A batch whose items are not decoded yet."""

    items: fields.RawArray | UnsetType = UNSET
    parallel: Parallel = 1


class BatchLine(Struct, omit_defaults=True):
    """How one item ended: the response of execute, or an error."""

    index: fields.Index
    status: fields.ItemStatus
    request_id: fields.RequestId | UnsetType = UNSET
    execution_id: fields.ExecutionId | UnsetType = UNSET
    language_title: fields.Title | UnsetType = UNSET
    result: fields.Result | UnsetType = UNSET
    result_given: fields.ResultGiven | UnsetType = UNSET
    execution_time_ms: fields.ExecutionTimeMs | UnsetType = UNSET
    memory_usage_bytes: fields.MemoryUsageBytes | UnsetType = UNSET
    cpu_time_ms: fields.CpuTimeMs | UnsetType = UNSET
    queue_time_ms: fields.QueueTimeMs | UnsetType = UNSET
    cold_start: fields.ColdStart | UnsetType = UNSET
    execution_count: fields.ExecutionCount | UnsetType = UNSET
    stdout: fields.Stdout | UnsetType = UNSET
    stderr: fields.Stderr | UnsetType = UNSET
    error: Error | UnsetType = UNSET

    @classmethod
    def of(cls, index: int, status: int, ended: execution.Executed) -> "BatchLine":
        """Return the line for an item that succeeded."""
        response = ExecuteResponse.of(ended)
        return cls(index, status, **{name: getattr(response, name) for name in response.__struct_fields__})


def _result_given(kept: execution.Execution) -> bool | None:
    """Return whether a script that succeeded gave a result; None if no payload is stored."""
    is_known = kept.outcome is Outcome.SUCCEEDED and kept.params is not None
    return kept.result is not None if is_known else None


def _kept_text(payload: execution.Payload | None) -> str | None:
    return None if payload is None else payload.text


def _kept_json(payload: execution.Payload | None) -> Any:
    return None if payload is None or payload.is_cut else embedded(payload.text)


def _cut(kept: execution.Execution) -> dict[str, execution.Payload]:
    """Return the payloads of which only the beginning is stored."""
    stored = {name: getattr(kept, name) for name in (*_JSON_PAYLOADS, "stdout", "stderr")}
    return {name: each for name, each in stored.items() if each is not None and each.is_cut}
