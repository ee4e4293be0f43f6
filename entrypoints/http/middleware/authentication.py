"""Guards that find out who calls, and check what the caller may do."""

import asyncio

from typing_extensions import override

from domain.access.authentication import Authentication
from domain.access.credentials import CredentialMissing, CredentialRefused
from domain.access.principal import NOBODY, Principal, Scope
from domain.errors import DomainError
from domain.scripts.language import Language, LanguageMapping
from domain.sessions.service import SessionLanguages
from entrypoints.http.middleware.rates import UnknownCallerGuard
from entrypoints.http.pipeline import Guard
from entrypoints.http.request import Request
from entrypoints.http.response import Headers
from entrypoints.http.route import SCOPES, Access, Route

DETAIL_TIMEOUT_S = 0.15
"""Time to authenticate a caller of the health routes, which must respond within a second in every state."""


KEY_EXPIRES_AT = b"x-api-key-expires-at"
"""The header that tells a caller in time when its API key ends."""

_INSTANT = "%Y-%m-%dT%H:%M:%SZ"


class AuthenticationGuard(Guard):
    """Admits callers with a valid token or key that has the scope of the route."""

    def __init__(self, authentication: Authentication, unknown: UnknownCallerGuard | None = None) -> None:
        self._authentication = authentication
        self._unknown = unknown

    @override
    async def admit(self, request: Request, route: Route) -> Headers:
        access = route.access
        if access in {Access.OPEN, Access.RUNTIME_HOST}:
            request.caller = NOBODY
        elif access is Access.DETAIL:
            request.caller = await self._optional_caller(request)
        else:
            # Set before the scope is checked, so that logs name the caller of a rejected call too.
            request.caller = await self._identified(request)
            if access in SCOPES:
                request.caller.require_any(SCOPES[access])
            if request.caller.expires_at is not None:
                return ((KEY_EXPIRES_AT, f"{request.caller.expires_at:{_INSTANT}}".encode()),)
        return ()

    async def _identified(self, request: Request) -> Principal:
        try:
            return await self._authentication.principal(_credential(request))
        except (CredentialMissing, CredentialRefused):
            if self._unknown is not None:
                self._unknown.charge(request)
            raise

    async def _optional_caller(self, request: Request) -> Principal:
        """Return the caller, or NOBODY if authentication fails or takes too long."""
        try:
            async with asyncio.timeout(DETAIL_TIMEOUT_S):
                return await self._authentication.principal(_credential(request))
        except (DomainError, TimeoutError):
            return NOBODY


def _credential(request: Request) -> str:
    """Return the token or key; raises CredentialMissing."""
    header = request.raw_header(b"authorization")
    if header is None or header[:7].lower() != b"bearer ":
        raise CredentialMissing
    return header[7:].strip().decode("latin-1")


class LanguageGuard(Guard):
    """Rejects scripts in languages for which the caller has no scope, before a call begins.

    The language is that of the session or the function in the path, or else of the `Language-Title` header.
    A session of another owner does not exist here either. For `execute:all` nothing is looked up. The
    endpoints of some routes check it themselves.
    """

    def __init__(self, mapping: LanguageMapping, sessions: SessionLanguages) -> None:
        self._mapping = mapping
        self._sessions = sessions

    @override
    async def admit(self, request: Request, route: Route) -> Headers:
        is_checked_here = route.access is Access.EXECUTE and not route.checks_languages
        if is_checked_here and Scope.EXECUTE_ALL not in request.caller.scopes:
            request.caller.require_language(await self._language(request))
        return ()

    async def _language(self, request: Request) -> Language:
        if "request_id" in request.parameters:
            return await self._sessions.of(request.session_ref)
        named = request.parameters.get("language_title") or request.header(b"language-title")
        title, _ = self._mapping.resolve_pinned(named)
        return title.language
