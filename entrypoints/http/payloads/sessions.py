"""Bodies of sessions, by their field names in JSON."""

from msgspec import UNSET, Struct, UnsetType, field

from domain.sessions import session
from domain.sessions.session import Renewal, Status
from entrypoints.http.payloads import fields
from entrypoints.http.payloads.values import embedded


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


class PatchBody(Struct, forbid_unknown_fields=True):
    """What to replace in a session; what is left out stays."""

    context: fields.Context | UnsetType = UNSET
    metadata: fields.Metadata | UnsetType = UNSET
    ttl_seconds: fields.TtlSeconds | UnsetType = UNSET
    renewal: fields.RenewalField | UnsetType = UNSET


class InitializeResponse(Struct, kw_only=True):
    """A new session."""

    request_id: fields.RequestId
    status: fields.InitializedStatus
    language_title: fields.Title
    expires_at: fields.ExpiresAt
    script_hash: fields.ScriptHash
    syntax_checked: fields.SyntaxChecked


class LimitsResponse(Struct):
    """The limits that a session was granted."""

    timeout_ms: fields.TimeoutMs
    memory_mb: fields.MemoryMb
    isolation: fields.IsolationField


class SessionResponse(Struct):
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
    limits: LimitsResponse
    context: fields.Context
    metadata: fields.Metadata
    script_hash: fields.ScriptHash
    function_version: fields.PinnedVersion
    version: fields.Version

    @classmethod
    def of(cls, kept: session.Session, status: Status) -> "SessionResponse":
        """Return the payload of a session whose status has been judged."""
        granted = kept.limits
        return cls(
            request_id=kept.ref.session_id,
            language_title=str(kept.language_title),
            user_id=kept.ref.owner,
            status=status,
            created_at=kept.created_at,
            expires_at=kept.expires_at,
            last_executed_at=kept.last_executed_at,
            execution_count=kept.execution_count,
            renewal=kept.renewal,
            limits=LimitsResponse(granted.timeout_ms, granted.memory_mb, granted.isolation),
            context=embedded(kept.context),
            metadata=embedded(kept.metadata),
            script_hash=kept.script_hash,
            function_version=kept.function_version,
            version=kept.version,
        )


class SessionPage(Struct):
    """A page of sessions; `next_cursor` is null on the last one."""

    sessions: fields.Sessions[SessionResponse]
    next_cursor: fields.NextCursor
