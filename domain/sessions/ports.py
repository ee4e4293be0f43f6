"""Where sessions are kept."""

from collections.abc import Callable
from datetime import datetime
from typing import Protocol
from uuid import UUID

from attrs import frozen

from domain.idempotency import IdempotencyKey
from domain.identity import Owner, SessionRef
from domain.paging import Page
from domain.scripts.language import Language
from domain.scripts.script import Script
from domain.sessions.initialized import Initialized
from domain.sessions.session import Session, Status


@frozen
class SessionFilter:
    """Which sessions a list shows; None shows all. Status is judged at `judged_at`."""

    judged_at: datetime
    status: Status | None = None
    language: Language | None = None


class SessionRepository(Protocol):
    """Keeps sessions and their scripts.

    Any method may raise StorageUnavailable or Overloaded; for a write that may yet be stored, StorageUnavailable says
    `stored="unknown"`. A session of another owner is exactly as absent; EVERY_OWNER in the owner's place stands for
    whoever it belongs to.
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
        """Return the session's script; None when the session has been emptied.

        Raises SessionNotFound.
        """
        ...

    async def update(self, ref: SessionRef, change: Callable[[Session], Session]) -> Session:
        """Replace the stored session with `change(stored)` and return it.

        `change` is pure and may be called several times. Of concurrent updates each sees the one before it. If
        `change` raises, or returns what it was given, nothing is stored. Counts, `last_executed_at` and renewals that
        happen meanwhile are kept: `expires_at` never moves back. A session whose `script_hash` becomes None loses
        its script. Raises SessionNotFound, and UpdateConflict when races with other processes do not end in time.
        """
        ...

    async def page(self, owner: Owner, wanted: SessionFilter, after: UUID | None, size: int) -> Page[Session]:
        """Return at most `size` of the owner's sessions, newest first, older than `after`."""
        ...


class KeyedSessionRepository(Protocol):
    """Initializes sessions under idempotency keys, which are kept for KEPT_FOR and belong to an owner.

    Any method may raise StorageUnavailable or Overloaded, as in SessionRepository. Of concurrent calls with one key
    one wins, whichever process it is in.
    """

    async def initialize(
        self, made: Initialized, session: Session, script: Script, idempotency_key: IdempotencyKey
    ) -> Initialized:
        """Store a new session, and in the same write what its caller is told; or return what the first one was told.

        Raises IdempotencyConflict.
        """
        ...

    async def initialized(self, owner: Owner, idempotency_key: IdempotencyKey, now: datetime) -> Initialized | None:
        """Return what the first caller with this key was told; None when there was none.

        Raises IdempotencyConflict.
        """
        ...
