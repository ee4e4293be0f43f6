"""Whether a caller may run scripts of the language at hand."""

from typing_extensions import override

from domain.access.principal import Scope
from domain.scripts.language import Language, LanguageMapping
from domain.sessions.languages import SessionLanguages
from entrypoints.http.middleware.caller import session_key
from entrypoints.http.middleware.guard import Guard
from entrypoints.http.request import Request
from entrypoints.http.response import Headers
from entrypoints.http.route import Access, Route


class LanguageGuard(Guard):
    """Holds those who may not run every language to theirs, before anything of a call is begun.

    The language is that of the session in the path, or of the title in the header where there is no session yet. A
    session that is not the caller's is absent here as everywhere. For `execute:all` nothing is looked up.
    """

    def __init__(self, mapping: LanguageMapping, sessions: SessionLanguages) -> None:
        self._mapping = mapping
        self._sessions = sessions

    @override
    async def admit(self, request: Request, operation: Route) -> Headers:
        if operation.access is Access.EXECUTE and Scope.EXECUTE_ALL not in request.caller.scopes:
            request.caller.require_language(await self._language(request))
        return ()

    async def _language(self, request: Request) -> Language:
        if "request_id" in request.parameters:
            return await self._sessions.of(session_key(request))
        return self._mapping.resolve(request.header(b"language-title")).language
