"""Who is let in: the guards of a controller, and what runs beside them."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from attrs import define, field

from adapters.jwt.jwks import Jwks
from adapters.postgres.batching.coalescer import Coalescer
from adapters.postgres.gateway import Gateway
from adapters.postgres.repositories.api_keys import PostgresApiKeyRepository
from adapters.postgres.statement import Statement
from domain.access.authentication import Authentication, KeyRing
from domain.access.ports import TokenVerifier
from domain.access.principal import ANYBODY, NOBODY, Principal
from domain.clock import Clock
from domain.errors import DomainError
from domain.identity import ANONYMOUS
from domain.scripts.language import LanguageMapping
from domain.sessions.ports import SessionRepository
from domain.sessions.service import SessionLanguages
from entrypoints.composition.background import Work
from entrypoints.http.endpoints.health import Probe
from entrypoints.http.middleware.authentication import AuthenticationGuard, LanguageGuard
from entrypoints.http.pipeline import Guard

_COUNTED_MAX = 100_000
_RETRY_S = 5.0
_TRIES = 60

_log = structlog.get_logger(__name__)


@define(eq=False)
class Security:
    """Guards for where callers have to be known; no guard, and nothing beside, where `authenticated` is false."""

    authenticated: bool
    _gateway: Gateway
    _clock: Clock
    _keys: PostgresApiKeyRepository
    _tokens: TokenVerifier | None
    _jwks: Jwks | None
    _sessions: SessionRepository
    _mapping: LanguageMapping
    _count: Statement
    knowing: Sequence[Guard] = field(init=False)
    """Guards that find out who calls."""
    asking: Sequence[Guard] = field(init=False)
    """Guards that may ask the database, so that what limits callers is to come before them."""

    caller: Principal = field(init=False)
    """Who calls where no guard says otherwise."""

    def __attrs_post_init__(self) -> None:
        known = AuthenticationGuard(Authentication(KeyRing(self._clock, self._keys), self._tokens))
        languages = LanguageGuard(self._mapping, SessionLanguages(self._sessions))
        self.knowing = (known,) if self.authenticated else ()
        self.asking = (languages,) if self.authenticated else ()
        self.caller = NOBODY if self.authenticated else ANYBODY

    @property
    def coalescers(self) -> Sequence[Coalescer[Any, Any]]:
        """What is to be closed at the end."""
        return self._keys.coalescers

    @property
    def components(self) -> Mapping[str, Probe]:
        """What the health summary shows."""
        return {} if self._jwks is None else {"token_keys": self._jwks.health}

    def works(self) -> Sequence[Work]:
        """Return what is to run beside requests."""
        if not self.authenticated:
            return ()
        return (self._tell_of_anonymous, *(() if self._jwks is None else (self._jwks.run,)))

    async def close(self) -> None:
        """End what was begun beside requests."""
        if self._jwks is not None:
            await self._jwks.close()

    async def _tell_of_anonymous(self) -> None:
        """Say how many sessions nobody reaches any more, once the database answers."""
        for _ in range(_TRIES):
            try:
                rows = await self._gateway.fetch(self._count, {"owner": ANONYMOUS, "rows_max": _COUNTED_MAX + 1})
            except DomainError:
                await asyncio.sleep(_RETRY_S)
                continue
            if rows[0][0]:
                _log.warning("anonymous_sessions_found", sessions=_counted(rows[0][0]), remedy=_REMEDY)
            return


_REMEDY = "Authentication is on, and nobody reaches them. Hand them over: pglambda owners move anonymous OWNER"


def _counted(number: int) -> str:
    return f"more than {_COUNTED_MAX}" if number > _COUNTED_MAX else str(number)
