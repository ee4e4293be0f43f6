"""Bodies of executions, by their field names in JSON."""

from typing import Any

from msgspec import UNSET, Struct, UnsetType, structs
from typing_extensions import override

from domain.executions import executed, execution
from entrypoints.http.payloads import fields
from entrypoints.http.payloads.values import embedded


class ExecuteBody(Struct, forbid_unknown_fields=True):
    """What a script is executed with."""

    params: fields.Params | UnsetType = UNSET


class ExecuteResponse(Struct):
    """The answer of a script that ended well."""

    request_id: fields.RequestId
    execution_id: fields.ExecutionId
    language_title: fields.Title
    result: fields.Result
    execution_time_ms: fields.ExecutionTimeMs
    memory_usage_bytes: fields.MemoryUsageBytes
    cpu_time_ms: fields.CpuTimeMs
    queue_time_ms: fields.QueueTimeMs
    cold_start: fields.ColdStart
    execution_count: fields.ExecutionCount
    stdout: fields.Stdout
    stderr: fields.Stderr

    @classmethod
    def of(cls, ended: executed.Executed) -> "ExecuteResponse":
        """Return the payload of an execution that ended well."""
        report = ended.report
        return cls(
            request_id=ended.ref.session_id,
            execution_id=ended.execution_id,
            language_title=str(ended.language_title),
            result=embedded(report.result or "null"),
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
    """A row of a session's history.

    A field that was too large to keep whole is a string with its beginning; `truncated` has its length in characters.
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
    error: fields.KeptError
    stdout: fields.KeptOutput
    stderr: fields.KeptOutput
    truncated: fields.Truncated

    @classmethod
    def of(cls, kept: execution.Execution) -> "ExecutionResponse":
        """Return the payload of a history row."""
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
            error=_kept_json(kept.error),
            stdout=_kept_text(kept.stdout),
            stderr=_kept_text(kept.stderr),
            truncated=_truncated(kept),
        )


class SingleExecution(ExecutionResponse):
    """A row of a history by itself, with the id of its session."""

    request_id: fields.RequestId

    @classmethod
    @override
    def of(cls, kept: execution.Execution) -> "SingleExecution":
        """Return the payload of a history row."""
        return cls(**structs.asdict(ExecutionResponse.of(kept)), request_id=kept.ref.session_id)


class ExecutionPage(Struct):
    """A page of a session's history; `next_cursor` is null on the last one."""

    executions: fields.Executions[ExecutionResponse]
    next_cursor: fields.NextCursor


def _kept_text(payload: execution.Payload | None) -> str | None:
    return None if payload is None else payload.text


def _kept_json(payload: execution.Payload | None) -> Any:
    if payload is None or len(payload.text) < payload.length:
        return _kept_text(payload)
    return embedded(payload.text)


def _truncated(kept: execution.Execution) -> dict[str, int]:
    fields = {name: getattr(kept, name) for name in ("params", "result", "error", "stdout", "stderr")}
    return {name: kept.length for name, kept in fields.items() if kept is not None and len(kept.text) < kept.length}
