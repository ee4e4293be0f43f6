"""Cursors of lists, which are opaque to callers.

They are not signed. Every statement is limited to an owner, so a forged cursor only moves the page of its own caller.
"""

import binascii
import hashlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from typing import Annotated, TypeVar
from uuid import UUID

import msgspec
from msgspec import Meta, Struct

from domain.functions.function import TAG_LENGTH_MAX, FunctionType
from domain.identity import OWNER_SIZE_MAX
from domain.scripts.language import TITLE_SIZE_MAX, Language
from domain.scripts.report import ExecutionStatus
from domain.sessions.session import Status
from domain.webhooks.delivery import DeliveryState
from entrypoints.http.parsing.json_faults import filter_fault
from entrypoints.http.schemas.functions import TEXT_LENGTH_MAX

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
CURSOR_LENGTH_MAX = 4096
CURSOR_PATTERN = "^[A-Za-z0-9_-]+$"
_YEAR_9999_US = 253_402_300_799_999_999
METADATA_LENGTH_MAX = 500
"""Characters of a filter by metadata. A cursor contains it, and fits in the address of a request."""

InstantUs = Annotated[int, Meta(ge=0, le=_YEAR_9999_US)]
_NO_NUL = r"^[^\x00]*\Z"  # PostgreSQL stores no text with it
_DIGEST_LENGTH = 16
_Digest = Annotated[str, Meta(max_length=_DIGEST_LENGTH)]
_Title = Annotated[str, Meta(max_length=TITLE_SIZE_MAX, pattern=_NO_NUL)]
_Owner = Annotated[str, Meta(max_length=OWNER_SIZE_MAX, pattern=_NO_NUL)]
_Tag = Annotated[str, Meta(min_length=1, max_length=TAG_LENGTH_MAX, pattern=_NO_NUL)]
_Metadata = Annotated[str, Meta(max_length=METADATA_LENGTH_MAX)]
_Text = Annotated[str, Meta(min_length=1, max_length=TEXT_LENGTH_MAX, pattern=_NO_NUL)]


class SessionCursor(Struct, array_like=True, forbid_unknown_fields=True, tag="s", frozen=True):
    """The place in a list of sessions, with its filters and the instant at which the first page judged the status."""

    after: UUID
    judged_at_us: InstantUs
    status: Status | None
    language: Language | None
    text: _Text | None = None
    metadata: _Metadata | None = None
    listed: _Digest | None = None
    """Digest of the owner whose sessions the list has; None for the sessions of the caller."""

    def __post_init__(self) -> None:
        if self.metadata is not None and filter_fault(self.metadata) is not None:
            raise ValueError("PostgreSQL cannot search for this metadata")

    @property
    def judged_at(self) -> datetime:
        """The instant at which all pages judge the status."""
        return instant_of(self.judged_at_us)


class ExecutionCursor(Struct, array_like=True, forbid_unknown_fields=True, tag="e", frozen=True):
    """The place in the history of a session, with its filters."""

    session_id: UUID
    after: UUID
    status: ExecutionStatus | None
    since_us: InstantUs | None


class QueueCursor(Struct, array_like=True, forbid_unknown_fields=True, tag="q", frozen=True):
    """The place in the list of executions that were accepted to run later, with its filters."""

    after: UUID
    status: ExecutionStatus | None
    session_id: UUID | None
    since_us: InstantUs | None


class FunctionCursor(Struct, array_like=True, forbid_unknown_fields=True, tag="f", frozen=True):
    """The place in a list of functions, with its filters."""

    after: tuple[_Title, _Title, _Owner]
    language: Language | None
    origin: FunctionType | None
    tag: _Tag | None
    text: _Text | None
    listed: _Digest | None
    """Digest of the owner whose functions the list has; None if it has those that the caller may use."""


class AuditCursor(Struct, array_like=True, forbid_unknown_fields=True, tag="a", frozen=True):
    """The place in the audit record."""

    after: UUID


class UsageCursor(Struct, array_like=True, forbid_unknown_fields=True, tag="u", frozen=True):
    """The place in the list of owners with their usage."""

    after: _Owner


class WebhookCursor(Struct, array_like=True, forbid_unknown_fields=True, tag="w", frozen=True):
    """The place in a list of webhooks."""

    after: UUID
    listed: _Digest | None
    """Digest of the owner whose webhooks the list has; None for those of the caller."""


class DeliveryCursor(Struct, array_like=True, forbid_unknown_fields=True, tag="d", frozen=True):
    """The place in the deliveries of a webhook, with its filter."""

    webhook_id: UUID
    after: UUID | None
    state: DeliveryState | None


class ScheduleCursor(Struct, array_like=True, forbid_unknown_fields=True, tag="c", frozen=True):
    """The place in a list of schedules."""

    after: UUID
    listed: _Digest | None = None
    """Digest of the owner whose schedules the list has; None for the schedules of the caller."""


class FileCursor(Struct, array_like=True, forbid_unknown_fields=True, tag="i", frozen=True):
    """The place in a list of files."""

    after: UUID


AnyCursor = (
    SessionCursor
    | ExecutionCursor
    | QueueCursor
    | FunctionCursor
    | AuditCursor
    | UsageCursor
    | WebhookCursor
    | DeliveryCursor
    | ScheduleCursor
    | FileCursor
)
Cursor = TypeVar(
    "Cursor",
    SessionCursor,
    ExecutionCursor,
    QueueCursor,
    FunctionCursor,
    AuditCursor,
    UsageCursor,
    WebhookCursor,
    DeliveryCursor,
    ScheduleCursor,
    FileCursor,
)


class InvalidCursor(ValueError):
    """The text is not a cursor of this list."""


def owner_digest(owner: str) -> str:
    """Return a short digest that distinguishes the lists of two owners in a cursor."""
    return hashlib.sha256(owner.encode()).hexdigest()[:_DIGEST_LENGTH]


def microseconds(instant: datetime) -> int:
    """Return an instant in microseconds since 1970, as cursors contain it."""
    return (instant - _EPOCH) // timedelta(microseconds=1)


def instant_of(since_epoch_us: int) -> datetime:
    """Return the instant so many microseconds after 1970."""
    return _EPOCH + timedelta(microseconds=since_epoch_us)


def write_cursor(cursor: AnyCursor) -> str:
    """Return the text of a cursor."""
    return urlsafe_b64encode(msgspec.json.encode(cursor)).rstrip(b"=").decode()


def read_cursor(text: str, kind: type[Cursor]) -> Cursor:
    """Return the cursor; raises InvalidCursor unless the text is exactly what `write_cursor` returns."""
    if len(text) > CURSOR_LENGTH_MAX:
        raise InvalidCursor
    try:
        cursor = msgspec.json.decode(urlsafe_b64decode(text.encode("ascii") + b"=="), type=kind)
    except (binascii.Error, UnicodeError, msgspec.MsgspecError, RecursionError):
        raise InvalidCursor from None
    if write_cursor(cursor) != text:
        raise InvalidCursor
    return cursor
