"""The endpoints of the origin's calls: decode, call, encode."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from uuid import UUID

from attrs import frozen

from domain.errors import InvalidRequest, Problem
from domain.executions.service import ExecutionService
from domain.functions.function import FunctionNotFound
from domain.functions.lists import FIRST_PLACE, FunctionFilter, FunctionPlace, FunctionSummary
from domain.functions.service import FunctionService
from domain.identity import SHARED
from domain.scripts.convention import Convention
from domain.scripts.language import (
    TITLE_SIZE_MAX,
    InvalidLanguageTitle,
    Language,
    LanguageMapping,
    LanguageNotServed,
    LanguageTitle,
)
from domain.sessions.ports import Initialized
from domain.sessions.requests import SessionRequest
from domain.sessions.service import SessionService
from domain.takeover.spelling import failing_script, spelling, unambiguous, whole_title
from entrypoints.http.endpoints.health import HealthEndpoints
from entrypoints.http.errors import RouteNotFound, invalid
from entrypoints.http.parsing.bodies import BodyParser, json_text
from entrypoints.http.pipeline import Guard
from entrypoints.http.request import Request, until_disconnect
from entrypoints.http.response import Response, json_response
from entrypoints.http.route import session_id_of
from entrypoints.origin.bodies import OriginExecuteBody, OriginInitializeBody, read
from entrypoints.origin.errors import TitleRefused, UnknownFunction
from entrypoints.origin.queries import FunctionsQuery
from entrypoints.origin.schemas import (
    OriginExecuted,
    OriginFunction,
    OriginFunctions,
    OriginInitialized,
    OriginListedFunction,
    OriginSessionState,
)

Spelled = Callable[[UUID], Awaitable[str | None]]
"""Returns the language-title of a session that was taken over, as its client wrote it; None for other sessions."""

_PAGE_SIZE = 200
_VISIBLE = re.compile(rb"[\t\x20-\x7e]*")
_LONG_TITLE = (
    "Failed to create session: Validation error: Language-Title has {} characters, and at most {} are accepted. Send a "
    "shorter one."
)


@frozen
class OriginOptions:
    """How the origin's clients are served.

    New sessions have the calling `convention`. If `lenient`, initialize accepts a title that no runtime serves, and a
    session without a script for which no function is registered. The origin accepts both, and each execution fails.
    A caller with more than `functions_max` functions cannot list them in the order of the origin.
    """

    convention: Convention = Convention.ORIGIN
    lenient: bool = False
    functions_max: int = 1000


@frozen
class OriginSessionEndpoints:
    """Initialize, execute and read sessions.

    `authorization` are the guards that need the session of the path. They run once the body is read, because the origin
    reports a fault in the body first.
    """

    sessions: SessionService
    executions: ExecutionService
    mapping: LanguageMapping
    options: OriginOptions
    initialize_parser: BodyParser[OriginInitializeBody]
    execute_parser: BodyParser[OriginExecuteBody]
    authorization: Sequence[Guard]
    spelled: Spelled

    async def initialize(self, request: Request) -> Response:
        """Store a new session."""
        body = await read(self.initialize_parser, request)
        made = await self._made(request, _language_title(request), body)
        request.created_session_id = made.ref.session_id
        return json_response(OriginInitialized.of(made))

    async def execute(self, request: Request) -> Response:
        """Run the script once."""
        body = await read(self.execute_parser, request)
        await self._authorize(request)
        call = self.executions.execute(request.session_ref, json_text(body.params))
        return json_response(OriginExecuted.of(await until_disconnect(request.receive, call)))

    async def get(self, request: Request) -> Response:
        """Return a live session."""
        await self._authorize(request)
        session = await self.sessions.get(request.reachable_session_ref)
        written = await self.spelled(session.ref.session_id)
        return json_response(OriginSessionState.of(session, written or spelling(session.language_title)))

    async def _authorize(self, request: Request) -> None:
        request.parameters["request_id"] = session_id_of(request.parameters["id"])
        for guard in self.authorization:
            request.response_headers += await guard.admit(request, request.route)

    async def _made(self, request: Request, text: str, body: OriginInitializeBody) -> Initialized:
        try:
            title = unambiguous(self.mapping.resolve_loosely(text))
        except LanguageNotServed:
            if not self.options.lenient:
                raise
            return await self._failing(request, whole_title(text), f"Unsupported language title: {text}", body)
        try:
            return await self._stored(request, title, body.script_content or None, body)
        except FunctionNotFound:
            if not self.options.lenient:
                raise
            return await self._failing(request, title, f"No function is registered as {spelling(title)}", body)

    async def _failing(
        self, request: Request, title: LanguageTitle, reason: str, body: OriginInitializeBody
    ) -> Initialized:
        """Store a session whose executions fail, as the origin does."""
        return await self._stored(request, title, failing_script(title.language, reason), body)

    async def _stored(
        self, request: Request, title: LanguageTitle, script: str | None, body: OriginInitializeBody
    ) -> Initialized:
        request.caller.require_language(title.language)
        wanted = SessionRequest(title, script, json_text(body.context), convention=self.options.convention)
        return await self.sessions.initialize(request.owner, wanted)


@frozen
class OriginFunctionEndpoints:
    """List and read functions."""

    functions: FunctionService
    functions_max: int

    async def list(self, request: Request) -> Response:
        """Return a page of the functions that the caller may use, the newest first."""
        query = FunctionsQuery.of(request.query_string)
        found = await self._newest(request, query)
        page = found[query.skipped : query.skipped + query.size]
        return json_response(OriginFunctions([OriginListedFunction.of(each) for each in page]))

    async def get(self, request: Request) -> Response:
        """Return a function at its current version."""
        name = request.parameters["language_title"]
        try:
            return json_response(OriginFunction.of(await self.functions.get(request.owner, name)))
        except (FunctionNotFound, InvalidLanguageTitle, LanguageNotServed):
            raise UnknownFunction(name[:TITLE_SIZE_MAX]) from None

    async def _newest(self, request: Request, query: FunctionsQuery) -> Sequence[FunctionSummary]:
        """Return the functions of the caller and the shared ones that it has no own of, the newest first."""
        if query.language not in {None, *Language}:
            return ()
        language = None if query.language is None else Language(query.language)
        wanted = FunctionFilter(frozenset({request.owner, SHARED}), language, query.type)
        found = [each async for each in self._all(wanted)]
        own = {each.language_title for each in found if each.owner != SHARED}
        usable = [each for each in found if each.owner != SHARED or each.language_title not in own]
        return sorted(usable, key=lambda each: each.created_at, reverse=True)

    async def _all(self, wanted: FunctionFilter) -> AsyncIterator[FunctionSummary]:
        after: FunctionPlace | None = FIRST_PLACE
        count = 0
        while after is not None:
            page = await self.functions.list(wanted, after, _PAGE_SIZE)
            count, after = count + len(page.items), page.next_after
            if count > self.functions_max:
                raise _long_list(self.functions_max)
            for each in page.items:
                yield each


@frozen
class OriginOtherEndpoints:
    """The health check, and the response to everything that the origin does not have."""

    checks: HealthEndpoints

    async def health(self, _request: Request) -> Response:
        """Return the status of the service and its version, to everybody."""
        return json_response(await self.checks.summary())

    async def unmatched(self, _request: Request) -> Response:
        """Reject an unknown path, or a method that the path does not have."""
        raise RouteNotFound


def _language_title(request: Request) -> str:
    """Return the first header Language-Title; raises TitleRefused."""
    value = next((value for name, value in request.scope["headers"] if name == b"language-title"), None)
    if value is None:
        raise TitleRefused("Missing Language-Title header")
    if not _VISIBLE.fullmatch(value):
        raise TitleRefused("Invalid Language-Title header")
    text: str = value.strip(b" \t").decode("ascii")
    if len(text) > TITLE_SIZE_MAX:
        raise TitleRefused(_LONG_TITLE.format(len(text), TITLE_SIZE_MAX))
    return text


def _long_list(functions_max: int) -> InvalidRequest:
    message = f"are more than {functions_max}, and cannot be listed in this order. List them at PORT"
    return invalid([Problem("/api/v1/functions", message)])
