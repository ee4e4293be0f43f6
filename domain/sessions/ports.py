"""Ports to the stored sessions."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from attrs import field, frozen

from domain.audit import Act
from domain.grants.grants import Grants
from domain.idempotency import IdempotencyKey
from domain.identity import Owner, SessionRef
from domain.json_text import JsonText
from domain.paging import Page
from domain.scripts.language import Language, LanguageTitle
from domain.scripts.script import Script
from domain.scripts.syntax_check import ScriptWarning
from domain.sessions.session import Session, Status


@frozen
class SessionFilter:
    """The sessions that a list shows; None shows all. Their status is judged at `judged_at`.

    `text` is a part of the language-title, in upper or lower case. `metadata` is an object that the metadata contain:
    each member has the same value, or contains it if it is an object or an array.
    """

    judged_at: datetime
    status: Status | None = None
    language: Language | None = None
    text: str | None = None
    metadata: JsonText | None = field(default=None, repr=False)

    @property
    def shows_all(self) -> bool:
        """Whether the list shows every session."""
        return (self.status, self.language, self.text, self.metadata) == (None, None, None, None)


@frozen
class Initialized:
    """A new session, as the caller of initialize gets it.

    `syntax_checked` is whether the script was parsed. `replayed` marks the stored response to an earlier call with the
    same idempotency key.
    """

    ref: SessionRef
    language_title: LanguageTitle
    expires_at: datetime
    script_hash: str
    syntax_checked: bool
    replayed: bool = False
    warnings: tuple[ScriptWarning, ...] = ()
    grants: Grants | None = None


class SessionRepository(Protocol):
    """Stores sessions and their scripts.

    Every method may raise StorageUnavailable or Overloaded. StorageUnavailable has `stored="unknown"` if a write may be
    stored. A session of another owner counts as absent; EVERY_OWNER in place of an owner finds sessions of all owners.
    """

    async def add(self, session: Session, script: Script) -> None:
        """Store a new session durably. Adding the same session again changes nothing."""
        ...

    async def get(self, ref: SessionRef) -> Session:
        """Return the session, whatever its status, as all acknowledged writes left it.

        Raises SessionNotFound.
        """
        ...

    async def script(self, ref: SessionRef) -> Script | None:
        """Return the session's script; None if the session was emptied.

        Raises SessionNotFound.
        """
        ...

    async def update(self, ref: SessionRef, change: Callable[[Session], Session]) -> Session:
        """Replace the stored session with `change(stored)`, and return it.

        `change` is pure and may be called several times. Each of several concurrent updates sees the one before it. If
        `change` raises, or returns its argument, nothing is stored. Concurrent counts, `last_executed_at` and renewals
        are kept: `expires_at` never moves back. A session whose `script_hash` becomes None loses its script. Raises
        SessionNotFound, and UpdateConflict if races with other processes do not end in time.
        """
        ...

    async def page(
        self, owner: Owner, wanted: SessionFilter, after: UUID | None, size: int, *, contexts: bool = True
    ) -> Page[Session]:
        """Return at most `size` of the owner's sessions, newest first, older than `after`; none that is hidden.

        Without `contexts` the context of each is an empty object, whatever is stored. The bytes of a page are bounded,
        so a page of large contexts holds fewer sessions.
        """
        ...


class HiddenSessionRepository(Protocol):
    """Stores the hidden sessions that serve calls of functions by name: one for each owner and version.

    The id of a session is placed by the function's title (IdGenerator.new_placed), or is like that of a schedule. Every
    method may raise StorageUnavailable or Overloaded, as in SessionRepository. An emptied session does not count.
    """

    async def open(self, session: Session, script: Script) -> SessionRef:
        """Store a new hidden session durably, or return the one that its owner and version already have.

        A stored one that has expired when `session` was made lives again, for as long as a new one.
        """
        ...

    async def refs(
        self, owner: Owner, title: LanguageTitle, function_id: UUID, version: int | None = None
    ) -> Sequence[SessionRef]:
        """Return the owner's hidden sessions of the function with this title and id, or of one version, newest first.

        Their number is bounded.
        """
        ...

    async def key_holder(
        self, owner: Owner, title: LanguageTitle, function_id: UUID, idempotency_key: IdempotencyKey, now: datetime
    ) -> SessionRef | None:
        """Return the hidden session of the function in which a call has taken the key; None if there is none."""
        ...


class KeyedSessionRepository(Protocol):
    """Initializes sessions under idempotency keys. A key belongs to an owner, and is kept for KEPT_FOR.

    The id of a session is placed by its key (IdGenerator.new_placed). Every method may raise StorageUnavailable or
    Overloaded, as in SessionRepository. Of concurrent calls with one key one wins, in whatever process it is.
    """

    async def initialize(
        self, initialized: Initialized, session: Session, script: Script, idempotency_key: IdempotencyKey
    ) -> Initialized:
        """Store a new session and its response in one write; or return the response of the first call with the key.

        Raises IdempotencyConflict.
        """
        ...

    async def initialized(self, owner: Owner, idempotency_key: IdempotencyKey, now: datetime) -> Initialized | None:
        """Return the response of the first call with the key; None if there was none.

        Raises IdempotencyConflict.
        """
        ...


class SessionPurger(Protocol):
    """Erases what is stored of a session beside its row."""

    async def purge(self, ref: SessionRef, act: Act) -> None:
        """Erase the executions of a closed session, and the responses under idempotency keys; record the act.

        It works in bounded steps, and each adds its numbers to the entry of the act. Repeating it continues. An
        execution that still runs is not recorded any more. What is left of a session that was removed is erased too.
        EVERY_OWNER in place of an owner erases for all owners. Raises SessionNotFound if nothing is known of the
        session; then nothing is recorded. May raise StorageUnavailable or Overloaded.
        """
        ...
