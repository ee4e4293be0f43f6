"""The rule by which a session of the origin is stored here, or left."""

import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from uuid import UUID

from attrs import frozen

from domain.functions.function import PinnedVersion
from domain.identity import MAX_ID, NO_ID, Owner, SessionRef
from domain.json_text import EMPTY_OBJECT, JsonText
from domain.scripts.convention import Convention
from domain.scripts.language import TITLE_PATTERN, TITLE_SIZE_MAX, LanguageTitle
from domain.scripts.script import Script
from domain.sessions.session import Renewal, Session
from domain.takeover.languages import EMPTY_TITLE, OriginRuntime
from domain.takeover.leftovers import ACTIVE, exceeds, is_set_aside, leftovers_of
from domain.takeover.moving import InboundSession, Original
from domain.takeover.reasons import Flag, Reason
from domain.takeover.source_session import (
    AcceptedSession,
    FunctionScript,
    LeftSession,
    Scriptless,
    SourceSession,
    TakeoverPolicy,
)

_LATEST = datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
_TTL_SECONDS_MAX = 2**31 - 1
_LENGTH_MAX = timedelta(seconds=_TTL_SECONDS_MAX)
_UUID_SIZE = 36
_VERSION_AT = 14
"""The place of the version in the text of a UUID."""
_GRAMMAR = re.compile(TITLE_PATTERN)


def received(row: SourceSession, policy: TakeoverPolicy, now: datetime) -> AcceptedSession | LeftSession:
    """Return what is stored here for a row of the origin, or why it is left; `now` is the instant at the origin."""
    judged = _Judged.of(row, policy, now)
    reason = next(judged.reasons(), None)
    return judged.accepted() if reason is None else LeftSession(row.request_id, reason)


def canonical_id(text: str) -> UUID | None:
    """Return the id of a canonical text: lower-case with hyphens. Only such texts sort as their ids do.

    The nil and the max UUID are no ids: they stand for no session, and for the end of a list.
    """
    if len(text) != _UUID_SIZE:
        return None
    try:
        identifier = UUID(text)
    except ValueError:
        return None
    return identifier if str(identifier) == text and identifier not in (NO_ID, MAX_ID) else None


@frozen
class _Content:
    """What a session executes; an ended one is empty."""

    script: Script | None = None
    context: JsonText = EMPTY_OBJECT
    metadata: JsonText = EMPTY_OBJECT
    pinned: PinnedVersion | None = None
    convention: Convention = Convention.ORIGIN


@frozen
class _Judged:
    """A row with what its texts stand for; None if they stand for nothing."""

    row: SourceSession
    policy: TakeoverPolicy
    session_id: UUID | None
    title: LanguageTitle | OriginRuntime | None
    owner: Owner | None
    is_expired: bool
    expired_after: datetime | None
    """Sessions that have expired up to this instant are left."""

    @classmethod
    def of(cls, row: SourceSession, policy: TakeoverPolicy, now: datetime) -> "_Judged":
        return cls(
            row,
            policy,
            canonical_id(row.request_id),
            policy.languages.resolve(row.language_title),
            policy.owners.owner_of(row.user_id),
            row.expires_at is not None and row.expires_at <= now,
            policy.expired_after(now),
        )

    @property
    def is_closed(self) -> bool:
        """Whether the session is live there, and closed here."""
        return self.policy.honours_status and self.row.status != ACTIVE and not self.is_expired

    @property
    def is_empty(self) -> bool:
        return self.is_expired or self.is_closed

    @property
    def function(self) -> FunctionScript | None:
        """The function that stands in for a missing script."""
        if self.row.script_content or self.policy.scriptless is Scriptless.LEAVE:
            return None
        return self.policy.functions.get(self.title) if isinstance(self.title, LanguageTitle) else None

    def reasons(self) -> Iterator[Reason]:
        row = self.row
        if self.session_id is None:
            yield Reason.ID_NOT_CANONICAL
        if not row.instants_fit or row.created_at is None or row.expires_at is None:
            yield Reason.INSTANT_OUT_OF_RANGE
        elif row.created_at > row.expires_at:
            yield Reason.CREATED_AFTER_EXPIRY
        elif self.expired_after is not None and row.expires_at <= self.expired_after:
            yield Reason.EXPIRED
        if not isinstance(self.title, LanguageTitle):
            yield Reason.LANGUAGE_UNKNOWN if self.title is None else Reason.LANGUAGE_NOT_SERVED
        if self.owner is None:
            yield Reason.OWNER_UNKNOWN
        if not self.is_empty:
            yield from self._reasons_of_content()

    def _reasons_of_content(self) -> Iterator[Reason]:
        if self.row.context is None:
            yield Reason.CONTEXT_MISSING
        if not self.row.script_content and self.function is None:
            yield Reason.NO_SCRIPT

    def accepted(self) -> AcceptedSession:
        """Return the session of a row for which there is no reason to leave it."""
        content = _Content() if self.is_empty else self._content()
        leftovers = leftovers_of(self.row, is_empty=content.script is None)
        original = Original(self.row.language_title, self.row.user_id, leftovers)
        inbound = InboundSession(self._session(content), content.script, original)
        return AcceptedSession(inbound, tuple(self._flags(content)))

    def _session(self, content: _Content) -> Session:
        row, title, pinned = self.row, self.title, content.pinned
        assert self.session_id is not None
        assert self.owner is not None
        assert isinstance(title, LanguageTitle)
        assert row.created_at is not None
        assert row.expires_at is not None
        return Session(
            ref=SessionRef(self.owner, self.session_id),
            language_title=title,
            script_hash=None if content.script is None else content.script.hash,
            context=content.context,
            metadata=content.metadata,
            limits=self.policy.limits,
            renewal=Renewal.FIXED,
            ttl_seconds=_length_seconds(row.created_at, row.expires_at),
            expires_at=row.expires_at,
            expires_max_at=max(row.expires_at, _later(row.created_at, self.policy.lifetime_max)),
            closed_at=max(row.last_executed_at or row.created_at, row.created_at) if self.is_closed else None,
            last_executed_at=row.last_executed_at,
            execution_count=max(row.execution_count or 0, 0),
            function_id=None if pinned is None else pinned.function_id,
            function_version=None if pinned is None else pinned.version,
            convention=content.convention,
            foreign_created_at=row.created_at,
        )

    def _content(self) -> _Content:
        row, function = self.row, self.function
        context, metadata = JsonText(row.context or ""), EMPTY_OBJECT
        if row.metadata is not None and not is_set_aside(row.metadata):
            metadata = JsonText(row.metadata)
        if function is not None:
            return _Content(function.script, context, metadata, function.pinned, function.convention)
        return _Content(Script.of(row.script_content or "", sys.maxsize), context, metadata)

    def _flags(self, content: _Content) -> Iterator[Flag]:
        row = self.row
        if row.request_id[_VERSION_AT] == "7":
            yield Flag.ID_LOOKS_OWN
        if row.user_id not in (None, self.owner):
            yield Flag.OWNER_DIFFERS
        if row.status != ACTIVE and not self.is_expired:
            yield Flag.STATUS_HONOURED if self.is_closed else Flag.STATUS_IGNORED
        if (row.execution_count or 0) < 0:
            yield Flag.COUNT_NEGATIVE
        if row.artifact_bytes is not None:
            yield Flag.ARTIFACT_NOT_COPIED
        if content.script is not None:
            yield from self._flags_of_content(content)

    def _flags_of_content(self, content: _Content) -> Iterator[Flag]:
        row, policy = self.row, self.policy
        title, script = str(self.title), content.script
        assert script is not None
        seen = {
            Flag.TITLE_EMPTY: title.endswith(f"-{EMPTY_TITLE}") and row.language_title.endswith("-"),
            Flag.TITLE_OUTSIDE_GRAMMAR: not _follows_grammar(title),
            Flag.CONTEXT_NOT_OBJECT: not content.context.startswith("{"),
            Flag.CONTEXT_OVER_LIMIT: exceeds(content.context, policy.context_size_max),
            Flag.SCRIPT_OVER_LIMIT: exceeds(script.source, policy.script_size_max),
            Flag.SCRIPT_PINNED: content.pinned is not None,
            Flag.HASH_DIFFERS: row.script_hash not in (None, script.hash) and content.pinned is None,
            Flag.LENGTH_CAPPED: row.created_at is not None
            and _later(row.created_at, _LENGTH_MAX) < (row.expires_at or _LATEST),
            Flag.METADATA_SET_ASIDE: row.metadata is not None and is_set_aside(row.metadata),
        }
        yield from (flag for flag, is_seen in seen.items() if is_seen)


def _length_seconds(created_at: datetime, expires_at: datetime) -> int:
    return min(max(round((expires_at - created_at).total_seconds()), 1), _TTL_SECONDS_MAX)


def _later(instant: datetime, span: timedelta) -> datetime:
    """Return the instant after a time, at most the latest one."""
    return instant + span if span < _LATEST - instant else _LATEST


@lru_cache(4096)
def _follows_grammar(title: str) -> bool:
    return len(title) <= TITLE_SIZE_MAX and _GRAMMAR.fullmatch(title) is not None
