"""Bodies of requests and responses, by their field names in JSON."""

from typing import Any

from msgspec import UNSET, Raw, Struct, UnsetType, field, structs
from typing_extensions import override

from domain import executed, execution, session
from domain.json_text import EMPTY_OBJECT, JsonText
from domain.session import Renewal, Status
from entrypoints.http import fields


class LimitsBody(Struct, forbid_unknown_fields=True):
    """Limits that a caller asks for; what is left out takes the server's default."""

    timeout_ms: fields.TimeoutMs | UnsetType = UNSET
    memory_mb: fields.MemoryMb | UnsetType = UNSET
    isolation: fields.IsolationField | UnsetType = UNSET


class InitializeBody(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """A session to initialize."""

    # Written without its defaults: the payload of an idempotency key is the same to a release that knows more members.

    context: fields.Context | UnsetType = UNSET
    script_content: fields.ScriptContent | UnsetType = UNSET
    ttl_seconds: fields.TtlSeconds | UnsetType = UNSET
    renewal: fields.RenewalField = Renewal.FIXED
    limits: LimitsBody = field(default_factory=LimitsBody)
    metadata: fields.Metadata | UnsetType = UNSET


class ExecuteBody(Struct, forbid_unknown_fields=True):
    """What a script is executed with."""

    params: fields.Params | UnsetType = UNSET


class PatchBody(Struct, forbid_unknown_fields=True):
    """What to replace in a session; what is left out stays."""

    context: fields.Context | UnsetType = UNSET
    metadata: fields.Metadata | UnsetType = UNSET
    ttl_seconds: fields.TtlSeconds | UnsetType = UNSET
    renewal: fields.RenewalField | UnsetType = UNSET


class Initialized(Struct, kw_only=True):
    """A new session."""

    request_id: fields.RequestId
    status: fields.InitializedStatus
    language_title: fields.Title
    expires_at: fields.ExpiresAt
    script_hash: fields.ScriptHash
    syntax_checked: fields.SyntaxChecked


class Executed(Struct):
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
    def of(cls, ended: executed.Executed) -> "Executed":
        """Return the payload of an execution that ended well."""
        report = ended.report
        return cls(
            request_id=ended.key.request_id,
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


class Limits(Struct):
    """The limits that a session was granted."""

    timeout_ms: fields.TimeoutMs
    memory_mb: fields.MemoryMb
    isolation: fields.IsolationField


class Session(Struct):
    """A session without its script."""

    request_id: fields.RequestId
    language_title: fields.Title
    user_id: fields.Owner
    status: fields.StatusField
    created_at: fields.CreatedAt
    expires_at: fields.ExpiresAt
    last_executed_at: fields.LastExecutedAt
    execution_count: fields.ExecutionCount
    renewal: fields.RenewalField
    limits: Limits
    context: fields.Context
    metadata: fields.Metadata
    script_hash: fields.ScriptHash
    function_version: fields.PinnedVersion
    version: fields.Version

    @classmethod
    def of(cls, kept: session.Session, status: Status) -> "Session":
        """Return the payload of a session whose status has been judged."""
        granted = kept.limits
        return cls(
            request_id=kept.key.request_id,
            language_title=str(kept.language_title),
            user_id=kept.key.owner,
            status=status,
            created_at=kept.created_at,
            expires_at=kept.expires_at,
            last_executed_at=kept.last_executed_at,
            execution_count=kept.execution_count,
            renewal=kept.renewal,
            limits=Limits(granted.timeout_ms, granted.memory_mb, granted.isolation),
            context=embedded(kept.context),
            metadata=embedded(kept.metadata),
            script_hash=kept.script_hash,
            function_version=kept.function_version,
            version=kept.version,
        )


class SessionPage(Struct):
    """A page of sessions; `next_cursor` is null on the last one."""

    sessions: fields.Sessions[Session]
    next_cursor: fields.NextCursor


class Execution(Struct):
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
    def of(cls, kept: execution.Execution) -> "Execution":
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


class SingleExecution(Execution):
    """A row of a history by itself, with the id of its session."""

    request_id: fields.RequestId

    @classmethod
    @override
    def of(cls, kept: execution.Execution) -> "SingleExecution":
        """Return the payload of a history row."""
        return cls(**structs.asdict(Execution.of(kept)), request_id=kept.key.request_id)


class ExecutionPage(Struct):
    """A page of a session's history; `next_cursor` is null on the last one."""

    executions: fields.Executions[Execution]
    next_cursor: fields.NextCursor


class Error(Struct):
    """What went wrong: a code for programs, a message for people, details for both."""

    code: fields.Code
    message: fields.Message
    details: fields.Details


class ErrorBody(Struct, omit_defaults=True):
    """The one shape of every error; `request_id` is the session's."""

    error: Error
    request_id: fields.RequestId | UnsetType = UNSET


def embedded(text: str) -> Raw:
    """Return JSON text to be embedded as it is."""
    return Raw(text.encode())


def json_text(raw: Raw | UnsetType) -> JsonText:
    """Return a checked JSON value as text; what was left out is an empty object."""
    return EMPTY_OBJECT if isinstance(raw, UnsetType) else JsonText(str(raw, "utf-8"))


def given(value: Any) -> Any:
    """Return a value, or None where it was left out."""
    return None if value is UNSET else value


def _kept_text(payload: execution.Payload | None) -> str | None:
    return None if payload is None else payload.text


def _kept_json(payload: execution.Payload | None) -> Any:
    if payload is None or len(payload.text) < payload.length:
        return _kept_text(payload)
    return embedded(payload.text)


def _truncated(kept: execution.Execution) -> dict[str, int]:
    fields = {name: getattr(kept, name) for name in ("params", "result", "error", "stdout", "stderr")}
    return {name: kept.length for name, kept in fields.items() if kept is not None and len(kept.text) < kept.length}
