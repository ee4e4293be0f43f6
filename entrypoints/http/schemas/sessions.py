"""Bodies of sessions."""

from typing import Any

import msgspec
from msgspec import UNSET, Struct, UnsetType, field

from domain.sessions import session
from domain.sessions.session import Renewal, Status
from entrypoints.http.response import embedded
from entrypoints.http.schemas import fields


class LimitsBody(Struct, forbid_unknown_fields=True):
    """Limits of each execution. An absent limit gets the default of the server."""

    timeout_ms: fields.TimeoutMs | UnsetType = UNSET
    memory_mb: fields.MemoryMb | UnsetType = UNSET
    isolation: fields.IsolationField | UnsetType = UNSET


class InitializeBody(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """A session to initialize."""

    # Encoded without defaults, so that an idempotency key has the same payload in a release with more fields.

    context: fields.Context | UnsetType = UNSET
    script_content: fields.ScriptContent | UnsetType = UNSET
    ttl_seconds: fields.TtlSeconds | UnsetType = UNSET
    renewal: fields.RenewalField = Renewal.FIXED
    limits: LimitsBody = field(default_factory=LimitsBody)
    metadata: fields.Metadata | UnsetType = UNSET


class PatchBody(Struct, forbid_unknown_fields=True):
    """The fields of a session to replace. Absent fields stay as they are."""

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
    """The limits of each execution of the session."""

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
        """Return the body for a session whose status is known."""
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
    """A page of sessions; `next_cursor` is null on the last page."""

    sessions: fields.Sessions[SessionResponse]
    next_cursor: fields.NextCursor


SCRIPT_CONTENT = "script_content"
FIELD_NAMES = tuple(member.name for member in msgspec.structs.fields(SessionResponse))
"""The fields that `?fields=` may name, except `script_content`."""

PickedFields: Any = msgspec.defstruct(
    "PickedFields",
    [
        *((member.name, member.type | UnsetType, UNSET) for member in msgspec.structs.fields(SessionResponse)),
        (SCRIPT_CONTENT, fields.StoredScript | UnsetType, UNSET),
    ],
    namespace={"__doc__": "The selected fields of a session."},
)
