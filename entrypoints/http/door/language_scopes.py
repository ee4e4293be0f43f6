"""Whether a caller may run scripts of the language at hand."""

from typing_extensions import override

from domain.access.principal import Scope
from domain.scripts.language import Language, LanguageMapping
from domain.sessions.languages import SessionLanguages
from entrypoints.http.answer import Headers
from entrypoints.http.door.caller import session_key
from entrypoints.http.door.guard import Guard
from entrypoints.http.operation import Access, Operation
from entrypoints.http.request import Request


class LanguageGuard(Guard):
    """Holds those who may not run every language to theirs, before anything of a call is begun.

    The language is that of the session in the path, or of the title in the header where there is no session yet. A
    session that is not the caller's is absent here as everywhere. For `execute:all` nothing is looked up.
    """

    def __init__(self, mapping: LanguageMapping, sessions: SessionLanguages) -> None:
        self._mapping = mapping
        self._sessions = sessions

    @override
    async def admit(self, request: Request, operation: Operation) -> Headers:
        if operation.access is Access.EXECUTE and Scope.EXECUTE_ALL not in request.caller.scopes:
            request.caller.require_language(await self._language(request))
        return ()

    async def _language(self, request: Request) -> Language:
        if "request_id" in request.parameters:
            return await self._sessions.of(session_key(request))
        return self._mapping.resolve(request.header(b"language-title")).language
