"""Language-titles as clients of the origin write them, also those that name no language here."""

import json
from uuid import UUID

from attrs import frozen

from domain.concurrency.budget import Budget
from domain.errors import StorageUnavailable
from domain.identity import is_own_id
from domain.scripts.language import Language, LanguageTitle
from domain.takeover.ports import TakeoverStore

_WHOLE = "="
"""Begins a title that is the whole text of the client, because its start names no language here."""

_THROW = {Language.NODEJS: "throw new Error({});", Language.PYTHON: "raise RuntimeError({})"}


def whole_title(written: str) -> LanguageTitle:
    """Return the title under which a session is stored whose executions fail because it has no language."""
    return LanguageTitle(Language.NODEJS, _WHOLE + written)


def unambiguous(title: LanguageTitle) -> LanguageTitle:
    """Return the title of a language as it is stored, so that it cannot be taken for a whole one."""
    is_ambiguous = title.title.startswith(_WHOLE)
    return LanguageTitle(title.language, f"{_WHOLE}{title}") if is_ambiguous else title


def spelling(title: LanguageTitle) -> str:
    """Return a stored title as clients of the origin see it."""
    return title.title.removeprefix(_WHOLE) if title.title.startswith(_WHOLE) else str(title)


def failing_script(language: Language, reason: str) -> str:
    """Return a script that fails with this reason, which is ASCII."""
    return _THROW[language].format(json.dumps(reason))


@frozen
class KeptSpellings:
    """The titles of sessions that were taken over, as the origin has them."""

    _store: TakeoverStore
    _timeout_s: float

    async def of(self, session_id: UUID) -> str | None:
        """Return the title as its client wrote it, None if the session was not taken; raises StorageUnavailable."""
        if is_own_id(session_id):
            return None
        taken = await Budget(self._timeout_s).spend(self._store.taken([session_id]), StorageUnavailable)
        return taken[0].original.spelled_title if taken else None
