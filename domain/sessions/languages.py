"""The languages of sessions, which never change."""

from uuid import UUID

from attrs import define, field

from domain.concurrency.budget import Budget
from domain.errors import StorageUnavailable
from domain.identity import Owner, SessionRef
from domain.scripts.language import Language
from domain.sessions.ports import SessionRepository


@define
class SessionLanguages:
    """Tells the language of a session with one read for all of its calls; the oldest are forgotten first."""

    _sessions: SessionRepository
    _lookup_timeout_s: float = 0.5
    _remembered_max: int = 10_000
    _known: dict[UUID, tuple[Owner, Language]] = field(factory=dict, init=False)

    async def of(self, ref: SessionRef) -> Language:
        """Return the language; raises SessionNotFound, also for another owner's, StorageUnavailable or Overloaded."""
        owner, language = self._known.get(ref.session_id, (None, None))
        if owner == ref.owner and language is not None:
            return language
        session = await Budget(self._lookup_timeout_s).spend(self._sessions.get(ref), StorageUnavailable)
        while len(self._known) >= self._remembered_max:
            del self._known[next(iter(self._known))]
        found = session.language_title.language
        self._known[ref.session_id] = session.ref.owner, found
        return found
