"""A session and the rules of its lifetime."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from math import ceil
from typing import ClassVar
from uuid import UUID

from attrs import define, evolve, frozen

from domain.errors import Conflict, Gone, InvalidRequest, NotFound, PreconditionFailed, Problem
from domain.functions.function import PinnedVersion
from domain.grants.grants import Grants
from domain.identity import SessionRef, uuid7_time
from domain.json_text import EMPTY_OBJECT, JsonText
from domain.scripts.convention import Convention
from domain.scripts.language import LanguageTitle
from domain.scripts.limits import Limits

_MICROSECOND = timedelta(microseconds=1)
_RENEWED_AT_LEAST_MS = 900
"""After each admission a sliding session has at least this many thousandths of its length left."""


class Renewal(StrEnum):
    """Whether an execution extends the session."""

    FIXED = "fixed"
    SLIDING = "sliding"


class Status(StrEnum):
    """A session's state at an instant; derived, never stored."""

    ACTIVE = "active"
    EXPIRED = "expired"
    CLOSED = "closed"


@define(eq=False)
class SessionNotFound(NotFound):
    """The owner has no session with this id."""

    code: ClassVar[str] = "SESSION_NOT_FOUND"

    @property
    def message(self) -> str:
        return (
            "There is no session with this id: it never existed here, belongs to another owner, or was removed after "
            "its end. Initialize a new session."
        )


@define(eq=False)
class SessionExpired(Gone):
    """The session's time is over."""

    code: ClassVar[str] = "SESSION_EXPIRED"
    expired_at: datetime
    now: datetime

    @property
    def message(self) -> str:
        return "The session has expired. Initialize a new session."

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
        return "The session was closed. Initialize a new session."

    @property
    def details(self) -> Mapping[str, object]:
        return {"closed_at": self.closed_at}


@define(eq=False)
class VersionMismatch(PreconditionFailed):
    """The session is not at a version or revision that the caller requires, or is at one that it excludes."""

    code: ClassVar[str] = "PRECONDITION_FAILED"
    version: int

    @property
    def message(self) -> str:
        return (
            f"The session is at version {self.version}, and the condition of the request does not hold. Read it again "
            f'and repeat with its ETag, or with If-Match: "{self.version}" whatever is executed in between.'
        )

    @property
    def details(self) -> Mapping[str, object]:
        return {"version": self.version}


@define(eq=False)
class UpdateConflict(Conflict):
    """Other writers changed the session again and again until the call's time was over."""

    code: ClassVar[str] = "CONFLICT"

    @property
    def message(self) -> str:
        return "Other calls change the session at the same time, so nothing was stored. Repeat the call."

    @property
    def details(self) -> Mapping[str, object]:
        return {"stored": "no", "retry_after_ms": 1000}


@define(eq=False)
class VersionReplaced(UpdateConflict):
    """The function has another current version than the hidden session is pinned to."""


@frozen
class SessionPatch:
    """Fields to replace as a whole; None keeps a field."""

    context: JsonText | None = None
    metadata: JsonText | None = None
    ttl_seconds: int | None = None
    renewal: Renewal | None = None


@frozen
class Session:
    """A script with its context, which can be executed until it expires or is closed.

    Instants are aware and in UTC. `expires_at` never moves back and never passes `expires_max_at`, the absolute
    maximum that was set when the session was opened. `script_hash` is None after the session was emptied.
    `function_id` and `function_version` name the function that the session is pinned to; None for a script of its own.
    A `hidden` session serves the calls of a function by its name: no list shows it, and it counts as no live session.
    `context` is an object, or any JSON value under the convention of the origin. `foreign_created_at` is None if the
    id carries the time, as that of every session does that this service has opened. `grants` never change.
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
    function_id: UUID | None = None
    hidden: bool = False
    convention: Convention = Convention.OWN
    foreign_created_at: datetime | None = None
    grants: Grants | None = None

    @property
    def created_at(self) -> datetime:
        """The instant at which the session was opened, here or in the service that made its id."""
        return self.foreign_created_at or uuid7_time(self.ref.session_id)

    @property
    def pinned(self) -> PinnedVersion | None:
        """The version of a function that the session is pinned to; None for a script of its own."""
        if self.function_id is None or self.function_version is None:
            return None
        return PinnedVersion(self.function_id, self.function_version, self.language_title)

    def status(self, now: datetime) -> Status:
        """Return the status at `now`: a closed session stays closed; another one is active while `now < expires_at`."""
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
        """Return the session after the admission of an execution at `now`, renewed if due.

        A sliding session keeps at least nine tenths of its length, up to the absolute maximum; above that it is not
        renewed. Raises SessionClosed or SessionExpired.
        """
        self.require_live(now)
        if self.renewal is Renewal.FIXED:
            return self
        owed_at = now + timedelta(milliseconds=_RENEWED_AT_LEAST_MS) * self.ttl_seconds
        if self.expires_at >= min(owed_at, self.expires_max_at):
            return self
        return evolve(self, expires_at=self._extended(now, self.ttl_seconds))

    def patch(self, patch: SessionPatch, now: datetime) -> "Session":
        """Return the session with fields replaced; a new length counts from `now` and never shortens the lifetime.

        A sliding session takes a shorter length for its next renewals, and keeps its end until then. Raises
        SessionClosed, SessionExpired, or InvalidRequest if the length would end a fixed session earlier.
        """
        self.require_live(now)
        if patch.ttl_seconds is not None and (patch.renewal or self.renewal) is Renewal.FIXED:
            self._require_no_earlier_end(now, patch.ttl_seconds)
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
        """Return the session emptied, and closed if it was active; closing it again changes nothing."""
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

    @property
    def revision(self) -> str:
        """A text that changes whenever its owner sees a difference: with the version, a count or a renewal."""
        return f"{self.version}.{self.execution_count}.{(self.expires_at - self.created_at) // _MICROSECOND}"

    def _require_no_earlier_end(self, now: datetime, ttl_seconds: int) -> None:
        # Lengths are whole seconds, and a repeated call may reach a controller whose clock is a little behind.
        if now + timedelta(seconds=ttl_seconds + 1) > self.expires_at:
            return
        least = ceil((self.expires_at - now).total_seconds())
        message = (
            f"must be at least {least}, because the session lives until {self.expires_at:%Y-%m-%dT%H:%M:%SZ} and a "
            "change never shortens a lifetime; close the session to end it earlier"
        )
        raise InvalidRequest((Problem("/ttl_seconds", message),))  # type: ignore[arg-type]  # attrs' plugin cannot type a generic converter

    def _extended(self, now: datetime, ttl_seconds: int) -> datetime:
        until = min(now + timedelta(seconds=ttl_seconds), self.expires_max_at)
        return max(self.expires_at, until)


@frozen
class SessionCondition:
    """What a call requires of a session, by version (`3`) and by revision.

    `matched` has those of which the session must have one; None accepts all. `excluded` has those that it must not
    have; None excludes all. A condition on the version holds whatever is executed in between.
    """

    matched: frozenset[str] | None = None
    excluded: frozenset[str] | None = frozenset()

    def require(self, session: Session) -> None:
        """Raise VersionMismatch unless the condition holds."""
        if self.matched is None and self.excluded == frozenset():
            return
        names = {str(session.version), session.revision}
        is_matched = self.matched is None or not names.isdisjoint(self.matched)
        if not is_matched or self.excluded is None or not names.isdisjoint(self.excluded):
            raise VersionMismatch(session.version)


UNCONDITIONAL = SessionCondition()
"""Accepts every session."""


@frozen
class LifetimePolicy:
    """The default length of a session and the maximum of its lifetime, in seconds."""

    ttl_seconds: int
    lifetime_seconds_max: int

    def span(self, now: datetime, ttl_seconds: int | None) -> tuple[int, datetime, datetime]:
        """Return (length in seconds, `expires_at`, `expires_max_at`) of a session opened at `now`."""
        length = ttl_seconds or self.ttl_seconds
        expires_max_at = now + timedelta(seconds=self.lifetime_seconds_max)
        return length, min(now + timedelta(seconds=length), expires_max_at), expires_max_at
