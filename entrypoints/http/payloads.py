"""Bodies of requests and responses, by their field names in JSON."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from msgspec import UNSET, Meta, Raw, Struct, UnsetType, field

from domain import execution, session
from domain.json_text import EMPTY_OBJECT, JsonText
from domain.limits import Isolation
from domain.session import Renewal, Status

JsonObject = Annotated[Raw, Meta(extra_json_schema={"type": "object"})]
"""A JSON object that nobody decodes on its way."""

TtlSeconds = Annotated[int, Meta(ge=1, le=86_400)]
AtLeastOne = Annotated[int, Meta(ge=1)]


class LimitsBody(Struct, forbid_unknown_fields=True):
    """Limits that a caller asks for; what is left out takes the server's default."""

    timeout_ms: AtLeastOne | UnsetType = UNSET
    memory_mb: AtLeastOne | UnsetType = UNSET
    isolation: Isolation | UnsetType = UNSET


class InitializeBody(Struct, forbid_unknown_fields=True):
    """A session to initialize."""

    context: JsonObject | UnsetType = UNSET
    script_content: str | UnsetType = UNSET
    ttl_seconds: TtlSeconds | UnsetType = UNSET
    renewal: Renewal = Renewal.FIXED
    limits: LimitsBody = field(default_factory=LimitsBody)
    metadata: JsonObject | UnsetType = UNSET


class ExecuteBody(Struct, forbid_unknown_fields=True):
    """What a script is executed with."""

    params: Raw | UnsetType = UNSET


class PatchBody(Struct, forbid_unknown_fields=True):
    """What to replace in a session; what is left out stays."""

    context: JsonObject | UnsetType = UNSET
    metadata: JsonObject | UnsetType = UNSET
    ttl_seconds: TtlSeconds | UnsetType = UNSET
    renewal: Renewal | UnsetType = UNSET


class Initialized(Struct, kw_only=True):
    """A new session."""

    request_id: UUID
    status: str = "initialized"
    language_title: str
    expires_at: datetime
    script_hash: str | None
    syntax_checked: bool


class Executed(Struct):
    """The answer of a script that ended well."""

    request_id: UUID
    execution_id: UUID
    language_title: str
    result: Raw
    execution_time_ms: float
    memory_usage_bytes: int | None
    cpu_time_ms: float | None
    queue_time_ms: float | None
    cold_start: bool | None
    execution_count: int
    stdout: str
    stderr: str


class Limits(Struct):
    """The limits that a session was granted."""

    timeout_ms: int
    memory_mb: int
    isolation: Isolation


class Session(Struct):
    """A session without its script."""

    request_id: UUID
    language_title: str
    user_id: str
    status: Status
    created_at: datetime
    expires_at: datetime
    last_executed_at: datetime | None
    execution_count: int
    renewal: Renewal
    limits: Limits
    context: JsonObject
    metadata: JsonObject
    script_hash: str | None
    version: int

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
            version=kept.version,
        )


class SessionPage(Struct):
    """A page of sessions; `next_cursor` is null on the last one."""

    sessions: list[Session]
    next_cursor: str | None


class Execution(Struct):
    """A row of a session's history.

    A field that was too large to keep whole is a string with its beginning; `truncated` has its length in characters.
    """

    execution_id: UUID
    started_at: datetime
    outcome: execution.Outcome
    execution_count: int | None
    execution_time_ms: float | None
    cpu_time_ms: float | None
    memory_usage_bytes: int | None
    cold_start: bool | None
    params: Any
    result: Any
    error: Any
    stdout: str | None
    stderr: str | None
    truncated: dict[str, int]

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


class ExecutionPage(Struct):
    """A page of a session's history; `next_cursor` is null on the last one."""

    executions: list[Execution]
    next_cursor: str | None


class Error(Struct):
    """What went wrong: a code for programs, a message for people, details for both."""

    code: str
    message: str
    details: dict[str, Any]


class ErrorBody(Struct, omit_defaults=True):
    """The one shape of every error; `request_id` is the session's."""

    error: Error
    request_id: UUID | UnsetType = UNSET


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
