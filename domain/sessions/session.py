"""A session and the rules of its life."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar

from attrs import define, evolve, frozen

from domain.errors import Conflict, Gone, NotFound, PreconditionFailed
from domain.identity import SessionRef, uuid7_time
from domain.json_text import EMPTY_OBJECT, JsonText
from domain.scripts.language import LanguageTitle
from domain.scripts.limits import Limits

_RENEWED_AT_LEAST_MS = 900
"""A sliding session has at least this many thousandths of its length left after each admission."""


class Renewal(StrEnum):
    """Whether executing a session prolongs it."""

    FIXED = "fixed"
    SLIDING = "sliding"


class Status(StrEnum):
    """What a session is at an instant; derived, never stored."""

    ACTIVE = "active"
    EXPIRED = "expired"
    CLOSED = "closed"


@define(eq=False)
class SessionNotFound(NotFound):
    """There is no row for this key."""

    code: ClassVar[str] = "SESSION_NOT_FOUND"

    @property
    def message(self) -> str:
        return (
            "There is no session with this id: it was never made here, belongs to someone else, or ended so long ago "
            "that it has been removed. Initialize a new one."
        )


@define(eq=False)
class SessionExpired(Gone):
    """The session's life has ended by time."""

    code: ClassVar[str] = "SESSION_EXPIRED"
    expired_at: datetime
    now: datetime

    @property
    def message(self) -> str:
        return "The session has expired. Initialize a new one."

    @property
    def details(self) -> Mapping[str, object]:
        return {"expired_at": self.expired_at, "now": self.now}


@define(eq=False)
class SessionClosed(Gone):
    """The session was closed by its owner."""

    code: ClassVar[str] = "SESSION_CLOSED"
    closed_at: datetime

    @property
    def message(self) -> str:
        return "The session was closed. Initialize a new one."

    @property
    def details(self) -> Mapping[str, object]:
        return {"closed_at": self.closed_at}


@define(eq=False)
class VersionMismatch(PreconditionFailed):
    """The session is at another version than the caller requires."""

    code: ClassVar[str] = "PRECONDITION_FAILED"
    version: int

    @property
    def message(self) -> str:
        return f"The session is at version {self.version}. Read it again and repeat with its ETag."

    @property
    def details(self) -> Mapping[str, object]:
        return {"version": self.version}


@define(eq=False)
class UpdateConflict(Conflict):
    """Other writers of the same session were faster until the time for the call was over."""

    code: ClassVar[str] = "CONFLICT"

    @property
    def message(self) -> str:
        return "The session is being changed by others all the time; nothing was stored. Repeat the call."

    @property
    def details(self) -> Mapping[str, object]:
        return {"stored": "no", "retry_after_ms": 1000}


@frozen
class SessionPatch:
    """What to replace, each field whole; None leaves it as it is."""

    context: JsonText | None = None
    metadata: JsonText | None = None
    ttl_seconds: int | None = None
    renewal: Renewal | None = None


@frozen
class Session:
    """A script with its context, to be executed until it expires or is closed.

    Instants are aware and in UTC. `expires_at` never moves back and never passes `expires_max_at`, the absolute
    maximum that was set when the session was opened. `script_hash` is None once the session has been emptied.
    `function_version` is the version of the function that was pinned; None when the script is the session's own.
    """

    ref: SessionRef
    language_title: LanguageTitle
    script_hash: str | None
    context: JsonText
    metadata: JsonText
    limits: Limits
    renewal: Renewal
    ttl_seconds: int
    expires_at: datetime
    expires_max_at: datetime
    closed_at: datetime | None = None
    last_executed_at: datetime | None = None
    execution_count: int = 0
    version: int = 1
    function_version: int | None = None

    @property
    def created_at(self) -> datetime:
        """The instant in the session's id."""
        return uuid7_time(self.ref.session_id)

    def status(self, now: datetime) -> Status:
        """Judge the session at `now`: closed takes precedence; live while `now < expires_at`."""
        if self.closed_at is not None:
            return Status.CLOSED
        return Status.ACTIVE if now < self.expires_at else Status.EXPIRED

    def require_live(self, now: datetime) -> None:
        """Raise SessionClosed or SessionExpired unless the session is active at `now`."""
        if self.closed_at is not None:
            raise SessionClosed(self.closed_at)
        if now >= self.expires_at:
            raise SessionExpired(self.expires_at, now)

    def admit(self, now: datetime) -> "Session":
        """Return the session with an execution admitted at `now`, renewed if that is due.

        A sliding session keeps at least nine tenths of its length, up to the absolute maximum; more often than that
        nothing is written. Raises SessionClosed or SessionExpired.
        """
        self.require_live(now)
        if self.renewal is Renewal.FIXED:
            return self
        owed_at = now + timedelta(milliseconds=_RENEWED_AT_LEAST_MS) * self.ttl_seconds
        if self.expires_at >= min(owed_at, self.expires_max_at):
            return self
        return evolve(self, expires_at=self._extended(now, self.ttl_seconds))

    def patch(self, patch: SessionPatch, now: datetime) -> "Session":
        """Return the session with fields replaced; a new length counts from `now` and never shortens the life.

        Raises SessionClosed or SessionExpired.
        """
        self.require_live(now)
        return evolve(
            self,
            context=self.context if patch.context is None else patch.context,
            metadata=self.metadata if patch.metadata is None else patch.metadata,
            renewal=patch.renewal or self.renewal,
            ttl_seconds=patch.ttl_seconds or self.ttl_seconds,
            expires_at=self._extended(now, patch.ttl_seconds or 0),
            version=self.version + 1,
        )

    def close(self, now: datetime) -> "Session":
        """Return the session emptied, and closed if it was still active; closing again changes nothing."""
        if self.script_hash is None:
            return self
        return evolve(
            self,
            script_hash=None,
            context=EMPTY_OBJECT,
            metadata=EMPTY_OBJECT,
            closed_at=now if self.status(now) is Status.ACTIVE else self.closed_at,
            version=self.version + 1,
        )

    def require_version(self, version: int | None) -> None:
        """Raise VersionMismatch unless the session is at this version; None requires nothing."""
        if version is not None and version != self.version:
            raise VersionMismatch(self.version)

    def _extended(self, now: datetime, ttl_seconds: int) -> datetime:
        until = min(now + timedelta(seconds=ttl_seconds), self.expires_max_at)
        return max(self.expires_at, until)


@frozen
class LifetimePolicy:
    """The server's default length of a session and its absolute maximum, in seconds."""

    ttl_seconds: int
    lifetime_seconds_max: int

    def span(self, now: datetime, ttl_seconds: int | None) -> tuple[int, datetime, datetime]:
        """Return (length in seconds, `expires_at`, `expires_max_at`) of a session that is opened at `now`."""
        length = ttl_seconds or self.ttl_seconds
        expires_max_at = now + timedelta(seconds=self.lifetime_seconds_max)
        return length, min(now + timedelta(seconds=length), expires_max_at), expires_max_at
