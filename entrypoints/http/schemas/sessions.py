"""Bodies of sessions."""

from http import HTTPStatus
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType, field

from domain.idempotency import KEY_PATTERN
from domain.scripts.convention import Convention
from domain.scripts.language import PINNED_PATTERN, PINNED_SIZE_MAX
from domain.sessions import session
from domain.sessions.ports import Initialized
from domain.sessions.session import Renewal, Status
from entrypoints.http.response import embedded
from entrypoints.http.schemas import fields
from entrypoints.http.schemas.errors import Error
from entrypoints.http.schemas.grants import (
    GrantsField,
    NewEnvironmentField,
    NewFilesField,
    NewNetworkField,
    NewSecretsField,
    NewStateField,
    NewSyntaxField,
    grants_body,
)

ItemTitle = Annotated[
    str,
    Meta(
        description="The language-title of the session; the default is the header Language-Title.",
        pattern=PINNED_PATTERN,
        max_length=PINNED_SIZE_MAX,
    ),
]
ItemKey = Annotated[
    str,
    Meta(
        description="An idempotency key of the item, with the meaning of the header Idempotency-Key of initialize.",
        pattern=KEY_PATTERN,
    ),
]
Replayed = Annotated[
    bool, Meta(description="Whether this is the response of the first call with the idempotency_key of the item.")
]


NewConvention = Annotated[
    Convention,
    Meta(
        description="The calling convention of script_content; the default is own. A session without script_content "
        "has that of its function."
    ),
]


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
    convention: NewConvention | UnsetType = UNSET
    state: NewStateField | UnsetType = UNSET
    network: NewNetworkField | UnsetType = UNSET
    secrets: NewSecretsField | UnsetType = UNSET
    syntax: NewSyntaxField | UnsetType = UNSET
    environment: NewEnvironmentField | UnsetType = UNSET
    files: NewFilesField | UnsetType = UNSET


class InitializeItemBody(InitializeBody):
    """A session to initialize in a batch."""

    language_title: ItemTitle | UnsetType = UNSET
    idempotency_key: ItemKey | UnsetType = UNSET

    @property
    def body(self) -> InitializeBody:
        """The body of a call of its own; so an idempotency key has the same payload in both."""
        return InitializeBody(**{name: getattr(self, name) for name in InitializeBody.__struct_fields__})


class InitializeBatchBody(Struct, forbid_unknown_fields=True):
    """Many sessions to initialize."""

    items: Annotated[list[InitializeItemBody], Meta(description="The sessions to initialize.")]


class InitializeBatchEnvelope(Struct, forbid_unknown_fields=True):
    """A batch of sessions whose items are not decoded yet."""

    items: fields.RawArray | UnsetType = UNSET


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
    warnings: fields.Warnings | UnsetType = UNSET
    grants: GrantsField | UnsetType = UNSET


class InitializeLine(Struct, omit_defaults=True):
    """How one item ended: the session, or an error."""

    index: fields.Index
    status: fields.ItemStatus
    request_id: fields.RequestId | UnsetType = UNSET
    language_title: fields.Title | UnsetType = UNSET
    expires_at: fields.ExpiresAt | UnsetType = UNSET
    script_hash: fields.ScriptHash | UnsetType = UNSET
    syntax_checked: fields.SyntaxChecked | UnsetType = UNSET
    replayed: Replayed | UnsetType = UNSET
    warnings: fields.Warnings | UnsetType = UNSET
    grants: GrantsField | UnsetType = UNSET
    error: Error | UnsetType = UNSET

    @classmethod
    def of(cls, index: int, made: Initialized) -> "InitializeLine":
        """Return the line for an item that succeeded."""
        return cls(
            index,
            HTTPStatus.OK,
            request_id=made.ref.session_id,
            language_title=str(made.language_title),
            expires_at=made.expires_at,
            script_hash=made.script_hash,
            syntax_checked=made.syntax_checked,
            replayed=made.replayed,
            warnings=fields.warning_bodies(made.warnings),
            grants=grants_body(made.grants),
        )


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
    ttl_seconds: fields.KeptTtlSeconds
    last_executed_at: fields.LastExecutedAt
    execution_count: fields.ExecutionCount
    renewal: fields.RenewalField
    limits: LimitsResponse
    context: fields.StoredContext
    metadata: fields.Metadata
    script_hash: fields.ScriptHash
    function_version: fields.PinnedVersion
    convention: fields.ConventionField
    version: fields.Version
    grants: GrantsField | UnsetType = UNSET

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
            ttl_seconds=kept.ttl_seconds,
            last_executed_at=kept.last_executed_at,
            execution_count=kept.execution_count,
            renewal=kept.renewal,
            limits=LimitsResponse(granted.timeout_ms, granted.memory_mb, granted.isolation),
            context=embedded(kept.context),
            metadata=embedded(kept.metadata),
            script_hash=kept.script_hash,
            function_version=kept.function_version,
            convention=kept.convention,
            version=kept.version,
            grants=grants_body(kept.grants),
        )


REQUEST_ID = "request_id"
CONTEXT = "context"
SCRIPT_CONTENT = "script_content"
_MEMBERS = msgspec.structs.fields(SessionResponse)
FIELD_NAMES = tuple(member.name for member in _MEMBERS)
"""The fields that `?fields=` may name; for one session also `script_content`."""

LISTED_NAMES = tuple(name for name in FIELD_NAMES if name != CONTEXT)
"""The fields of a session in a list that names none."""


def _listed(member: msgspec.structs.FieldInfo) -> tuple[Any, ...]:
    return (member.name, member.type, UNSET) if member.default is UNSET else (member.name, member.type)


_OPTIONAL = [(member.name, member.type | UnsetType, UNSET) for member in _MEMBERS]

PickedFields: Any = msgspec.defstruct(
    "PickedFields",
    [*_OPTIONAL, (SCRIPT_CONTENT, fields.StoredScript | UnsetType, UNSET)],
    namespace={"__doc__": "The selected fields of a session."},
)
ListedSession: Any = msgspec.defstruct(
    "ListedSession",
    [_listed(member) for member in _MEMBERS if member.name != CONTEXT],
    namespace={"__doc__": "A session in a list, without its script and its context."},
)
ListedFields: Any = msgspec.defstruct(
    "ListedFields",
    [(REQUEST_ID, fields.RequestId), *(member for member in _OPTIONAL if member[0] != REQUEST_ID)],
    namespace={"__doc__": "The id and the selected fields of a session in a list."},
)


class SessionPage(Struct):
    """A page of sessions; `next_cursor` is null on the last page."""

    sessions: fields.Sessions[ListedSession]
    next_cursor: fields.NextCursor


class PickedPage(Struct):
    """A page of sessions with the selected fields; `next_cursor` is null on the last page."""

    sessions: fields.Sessions[ListedFields]
    next_cursor: fields.NextCursor
