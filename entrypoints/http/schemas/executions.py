"""Bodies of executions and of batches."""

from http import HTTPStatus
from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType, structs
from msgspec import field as member

from domain.executions import execution
from domain.queue.entry import Entry
from domain.queue.state import ExecutionState
from domain.scripts.report import ExecutionStatus
from entrypoints.http.response import embedded
from entrypoints.http.schemas import asynchronous, fields, networks, states
from entrypoints.http.schemas.asynchronous import AsyncBody
from entrypoints.http.schemas.errors import Error
from entrypoints.http.schemas.files import CollectedFileBody, CollectedFilesField, CollectField, GivenFilesField

_JSON_PAYLOADS = ("params", "result", "error")


class ExecuteBody(Struct, forbid_unknown_fields=True):
    """The input of one execution."""

    params: fields.Params | UnsetType = UNSET
    async_: AsyncBody | UnsetType = member(name="async", default=UNSET)
    files: GivenFilesField | UnsetType = UNSET
    collect: CollectField | UnsetType = UNSET


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
    state_version: fields.StateVersion | UnsetType = UNSET
    dropped: states.DroppedField | UnsetType = UNSET
    network: networks.NetworkField | UnsetType = UNSET
    network_refused: networks.RefusalsField | UnsetType = UNSET
    network_lost: networks.NetworkLost | UnsetType = UNSET
    redacted: fields.Redacted | UnsetType = UNSET
    files: CollectedFilesField | UnsetType = UNSET

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
            state_version=UNSET if ended.state_version is None else ended.state_version,
            redacted=report.redacted or UNSET,
            files=UNSET if report.files is None else [*map(CollectedFileBody.of, report.files)],
            dropped=[states.DroppedBody(each.name, each.type) for each in report.dropped] or UNSET,
            **({} if report.traffic is None else networks.network_bodies(report.traffic)),
        )


class ExecutionResponse(Struct, kw_only=True):
    """An execution in the history of a session.

    `truncated` names the fields that were too large to store in full. Output then is its beginning. Of params, result
    and error, `beginnings` has the beginning as text, because it is no JSON value.
    """

    execution_id: fields.ExecutionId
    started_at: fields.StartedAt
    status: asynchronous.Status
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
    uses: fields.Uses | UnsetType = UNSET

    @classmethod
    def of(cls, kept: execution.Execution) -> "ExecutionResponse":
        """Return the body for a row of the history."""
        cut = _cut(kept)
        return cls(
            execution_id=kept.execution_id,
            started_at=kept.started_at,
            status=kept.status,
            outcome=kept.status if kept.status.is_final else None,
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
            uses=UNSET if kept.uses is None else embedded(kept.uses),
        )


class SingleExecution(ExecutionResponse, kw_only=True):
    """An execution in any state. Facts that are not known yet, or not kept any more, are null."""

    request_id: fields.RequestId
    language_title: asynchronous.KnownTitle
    attempt: asynchronous.Attempt
    retry_of: asynchronous.RetryOf
    next_attempt: asynchronous.NextAttempt
    starts_at: asynchronous.StartsAt
    expires_at: asynchronous.ExpiresAt
    position: asynchronous.Position
    cancel_requested: asynchronous.CancelRequested
    queue_time_ms: fields.QueueTimeMs
    status_code: asynchronous.StatusCode
    result_kept_until: asynchronous.KeptUntil

    @classmethod
    def of_state(cls, state: ExecutionState, kept: execution.Execution, status_code: int | None) -> "SingleExecution":
        """Return the body for an execution, with what is kept of its end."""
        report, window = state.report, state.window
        return cls(
            **structs.asdict(ExecutionResponse.of(kept)),
            request_id=state.ref.session_id,
            language_title=None if state.language_title is None else str(state.language_title),
            attempt=state.attempt,
            retry_of=state.retry_of,
            next_attempt=state.next_attempt,
            starts_at=None if window is None else window.not_before,
            expires_at=None if window is None else window.expires_at,
            position=state.position,
            cancel_requested=state.cancel_requested,
            queue_time_ms=None if report is None else report.queue_time_ms,
            status_code=status_code,
            result_kept_until=state.kept_until,
        )


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
    """How one item ended: the response of execute, or an error; its ids and times if it was accepted to run later."""

    index: fields.Index
    status: fields.ItemStatus
    request_id: fields.RequestId | UnsetType = UNSET
    execution_id: fields.ExecutionId | UnsetType = UNSET
    accepted_at: asynchronous.AcceptedAt | UnsetType = UNSET
    starts_at: asynchronous.StartsAt | UnsetType = UNSET
    expires_at: asynchronous.ExpiresAt | UnsetType = UNSET
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
    state_version: fields.StateVersion | UnsetType = UNSET
    dropped: states.DroppedField | UnsetType = UNSET
    network: networks.NetworkField | UnsetType = UNSET
    network_refused: networks.RefusalsField | UnsetType = UNSET
    network_lost: networks.NetworkLost | UnsetType = UNSET
    redacted: fields.Redacted | UnsetType = UNSET
    files: CollectedFilesField | UnsetType = UNSET
    error: Error | UnsetType = UNSET

    @classmethod
    def of(cls, index: int, ended: execution.Executed) -> "BatchLine":
        """Return the line for an item that succeeded."""
        response = ExecuteResponse.of(ended)
        return cls(index, HTTPStatus.OK, **{name: getattr(response, name) for name in response.__struct_fields__})

    @classmethod
    def accepted(cls, index: int, item: Entry) -> "BatchLine":
        """Return the line for an item that was accepted, to be run later."""
        return cls(
            index,
            HTTPStatus.ACCEPTED,
            request_id=item.ref.session_id,
            execution_id=item.execution_id,
            accepted_at=item.accepted_at,
            starts_at=item.window.not_before,
            expires_at=item.window.expires_at,
        )


def _result_given(kept: execution.Execution) -> bool | None:
    """Return whether a script that succeeded gave a result; None if no payload is stored."""
    is_known = kept.status is ExecutionStatus.SUCCEEDED and kept.params is not None
    return kept.result is not None if is_known else None


def _kept_text(payload: execution.Payload | None) -> str | None:
    return None if payload is None else payload.text


def _kept_json(payload: execution.Payload | None) -> Any:
    return None if payload is None or payload.is_cut else embedded(payload.text)


def _cut(kept: execution.Execution) -> dict[str, execution.Payload]:
    """Return the payloads of which only the beginning is stored."""
    stored = {name: getattr(kept, name) for name in (*_JSON_PAYLOADS, "stdout", "stderr")}
    return {name: each for name, each in stored.items() if each is not None and each.is_cut}
