"""Cursors of lists: opaque to callers, and granting nothing.

They are not signed: every statement is scoped by owner, so that a forged cursor only moves its maker's own page.
"""

import binascii
import hashlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from typing import Annotated, TypeVar
from uuid import UUID

import msgspec
from msgspec import Meta, Struct

from domain.scripts.language import Language
from domain.scripts.report import Outcome
from domain.sessions.session import Status

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
CURSOR_LENGTH_MAX = 512
CURSOR_PATTERN = "^[A-Za-z0-9_-]+$"
_YEAR_9999_US = 253_402_300_799_999_999
InstantUs = Annotated[int, Meta(ge=0, le=_YEAR_9999_US)]


class SessionCursor(Struct, array_like=True, forbid_unknown_fields=True, tag="s", frozen=True):
    """Where a list of sessions goes on, for which filters, judged at which instant."""

    after: UUID
    judged_at_us: InstantUs
    status: Status | None
    language: Language | None
    listed: str | None = None
    """Digest of the owner whose sessions are listed; None for the caller's own."""

    @property
    def judged_at(self) -> datetime:
        """The instant at which status is judged on all pages."""
        return instant_of(self.judged_at_us)


class ExecutionCursor(Struct, array_like=True, forbid_unknown_fields=True, tag="e", frozen=True):
    """Where the history of a session goes on, for which filters."""

    session_id: UUID
    after: UUID
    outcome: Outcome | None
    since_us: InstantUs | None


Cursor = TypeVar("Cursor", SessionCursor, ExecutionCursor)


class InvalidCursor(ValueError):
    """The text is no cursor of this list."""


def owner_digest(owner: str) -> str:
    """Return what tells the lists of two owners apart in a cursor, which has no room for names."""
    return hashlib.sha256(owner.encode()).hexdigest()[:16]


def microseconds(instant: datetime) -> int:
    """Return an instant as a cursor carries it."""
    return (instant - _EPOCH) // timedelta(microseconds=1)


def instant_of(since_epoch_us: int) -> datetime:
    """Return an instant that a cursor carries."""
    return _EPOCH + timedelta(microseconds=since_epoch_us)


def write_cursor(cursor: SessionCursor | ExecutionCursor) -> str:
    """Return the text of a cursor."""
    return urlsafe_b64encode(msgspec.json.encode(cursor)).rstrip(b"=").decode()


def read_cursor(text: str, kind: type[Cursor]) -> Cursor:
    """Return the cursor; raises InvalidCursor unless the text is exactly what `write_cursor` gives."""
    if len(text) > CURSOR_LENGTH_MAX:
        raise InvalidCursor
    try:
        cursor = msgspec.json.decode(urlsafe_b64decode(text.encode("ascii") + b"=="), type=kind)
    except (binascii.Error, UnicodeError, msgspec.MsgspecError, RecursionError):
        raise InvalidCursor from None
    if write_cursor(cursor) != text:
        raise InvalidCursor
    return cursor
