"""Who is calling, told by the `Authorization` header."""

import asyncio
from collections.abc import Mapping

from typing_extensions import override

from domain.access.authentication import Authentication
from domain.access.credentials import CredentialMissing
from domain.access.principal import ANY_EXECUTE, NOBODY, Principal, Scope
from domain.errors import DomainError
from entrypoints.http.middleware.guard import Guard
from entrypoints.http.request import Request
from entrypoints.http.response import Headers
from entrypoints.http.route import Access, Route

SCOPES: Mapping[Access, frozenset[Scope]] = {
    Access.EXECUTE: ANY_EXECUTE,
    Access.READ_FUNCTIONS: frozenset({Scope.READ_FUNCTIONS, Scope.WRITE_FUNCTIONS}),
    Access.WRITE_FUNCTIONS: frozenset({Scope.WRITE_FUNCTIONS}),
    Access.ADMIN: frozenset({Scope.ADMIN}),
}
"""Scopes of which one is needed; every known caller has what is not named here."""

DETAIL_TIMEOUT_S = 0.15
"""What learning who asks about the process may take, which is to be told in every state and within a second."""


class AuthenticationGuard(Guard):
    """Lets in those who show a good token or key with the scope that the operation needs."""

    def __init__(self, authentication: Authentication) -> None:
        self._authentication = authentication

    @override
    async def admit(self, request: Request, operation: Route) -> Headers:
        access = operation.access
        if access is Access.OPEN:
            request.caller = NOBODY
        elif access is Access.DETAIL:
            request.caller = await self._perhaps(request)
        else:
            # Whoever turns out to call is known to what comes after, also when it may not do this.
            request.caller = await self._authentication.principal(_credential(request))
            if access in SCOPES:
                request.caller.require_any(SCOPES[access])
        return ()

    async def _perhaps(self, request: Request) -> Principal:
        """Return who is calling, or nobody where that cannot be told at once."""
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
