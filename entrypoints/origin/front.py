"""The front: each request is served here or passed on to the origin, by who owns what it is about."""

import re
import time
from collections.abc import Awaitable, Callable
from functools import partial
from http import HTTPStatus
from uuid import UUID

from attrs import define, evolve, field
from starlette.types import Message, Receive

from domain.access.principal import Scope
from domain.errors import Gone
from domain.identity import is_own_id
from domain.scripts.language import Language, LanguageMapping, LanguageNotServed
from domain.sessions.session import SessionNotFound
from domain.takeover.front import Front, SessionMoving, Side
from domain.takeover.passing import OriginLoop, is_from_front
from entrypoints.http.request import Request
from entrypoints.http.response import Response
from entrypoints.http.route import Access, Endpoint, Route, RouteClass, session_id_of
from entrypoints.origin.passing import PassedCalls, PassedResponse
from entrypoints.telemetry.metrics.front import FrontMetrics

_KEPT_SIZE_MAX = 2 * 1024 * 1024
"""Bytes of a body that are kept until it is certain who serves the call: the limit of the origin."""

_KEPT_TOTAL_MAX = 64 * 1024 * 1024
"""Bytes of all bodies that a process keeps."""

_MISSES_MAX = 2
"""A session that was made here, and returned, is looked for here first; while the origin is asked, it may move here."""

_ONE_SEGMENT = re.compile(r"(?!\.)[^/\\%\ufffd]+")
"""Names that no server takes for several segments of a path, such as a proxy before the origin that decodes `..%2F`."""

_EXECUTE_ALL = frozenset({Scope.EXECUTE_ALL})

Fronted = Callable[[Endpoint, Request], Awaitable[Response]]
"""Serves a request here, by the endpoint of its route, or passes it on."""


@define(eq=False)
class KeptBytes:
    """How many bytes of bodies a process keeps, `total_max` at most."""

    total_max: int = _KEPT_TOTAL_MAX
    total: int = 0


class KeptBody:
    """The body of a request, which can be received again: the session may have moved during the call.

    Messages are not kept: one for each byte that a client sends alone would take a hundred times its memory. A body
    that is too large, or finds no room, can be received once only. That matters if the session moves, which is rare: a
    call that waited for room instead would be late for certain.
    """

    def __init__(self, receive: Receive, kept: KeptBytes) -> None:
        self._receive = receive
        self._kept = kept
        self._content: bytearray | None = bytearray()
        self._is_begun = self._is_complete = False

    @property
    def is_kept(self) -> bool:
        """Whether the body can be received again."""
        return self._content is not None

    async def receive(self) -> Message:
        """Return the next message, and keep it if it is a part of the body."""
        message = await self._receive()
        if self._content is not None and message["type"] == "http.request":
            self._is_begun, self._is_complete = True, not message.get("more_body", False)
            self._keep(self._content, message.get("body", b""))
        return message

    def again(self) -> Receive:
        """Return what receives the same body and keeps what is new; raises SessionMoving if it was not kept."""
        if self._content is None:
            raise SessionMoving
        message = {"type": "http.request", "body": bytes(self._content), "more_body": not self._is_complete}
        first = [message] if self._is_begun else []

        async def receive() -> Message:
            return first.pop() if first else await self.receive()

        return receive

    def drop(self) -> None:
        """Keep nothing any more: it is certain who serves the call."""
        if self._content is not None:
            self._kept.total -= len(self._content)
            self._content = None

    def _keep(self, content: bytearray, piece: bytes) -> None:
        if len(content) + len(piece) > _KEPT_SIZE_MAX or self._kept.total + len(piece) > self._kept.total_max:
            self.drop()
        else:
            content += piece
            self._kept.total += len(piece)


@define(eq=False)
class OriginFront:
    """Gives each route of the listener an endpoint that decides who serves the request.

    The origin knows neither owners nor languages. So a caller needs `execute:all` to have a call passed on whose
    language is not known here.
    """

    _front: Front
    _calls: PassedCalls
    _mapping: LanguageMapping
    _metrics: FrontMetrics = field(factory=FrontMetrics)
    _kept: KeptBytes = field(factory=KeptBytes)

    def __call__(self, route: Route) -> Route:
        """Return the route with such an endpoint."""
        fronted: dict[str, Fronted] = {
            "origin_initialize": self._initialize,
            "origin_execute": self._session,
            "origin_get_session": self._session,
            "origin_list_functions": self._functions,
            "origin_get_function": self._functions,
            "origin_health": self._health,
            "origin_unmatched": self._rest,
        }
        decide = fronted.get(route.name)
        assert decide is not None, "every route has a side"
        endpoint = partial(decide, route.endpoint)
        if route.name != "origin_unmatched":
            return evolve(route, endpoint=endpoint)
        # What the origin would do for an unknown path is not known here: it may run a script.
        return evolve(route, endpoint=endpoint, access=Access.EXECUTE, route_class=RouteClass.EXECUTE, exempt=False)

    async def _initialize(self, here: Endpoint, request: Request) -> Response:
        language = self._language(request)
        is_here = await self._front.side_of_new() is Side.HERE
        if is_here and (language is not None or await self._front.side_of_rest() is Side.HERE):
            return await here(request)
        if language is None:
            request.caller.require_any(_EXECUTE_ALL)
        else:
            request.caller.require_language(language)
        return await self._calls.pass_on(request)

    async def _health(self, here: Endpoint, request: Request) -> Response:
        if is_from_front(request.scope["headers"]):
            raise OriginLoop
        return await here(request)

    async def _functions(self, here: Endpoint, request: Request) -> Response:
        is_here = await self._front.side_of_new() is Side.HERE
        return await (here(request) if is_here else self._pass_on(request))

    async def _rest(self, here: Endpoint, request: Request) -> Response:
        is_here = await self._front.side_of_rest() is Side.HERE
        return await (here(request) if is_here else self._pass_on(request))

    async def _session(self, here: Endpoint, request: Request) -> Response:
        """Serve a call about a session. If one side does not find it, it may have moved to the other one meanwhile."""
        session_id, started_s = _session_id(request), time.perf_counter()
        side, kept = await self._front.side_of(session_id), KeptBody(request.receive, self._kept)
        self._metrics.decided(side, time.perf_counter() - started_s)
        request.receive = kept.receive
        try:
            for _ in range(_MISSES_MAX):
                attempt = self._here if side is Side.HERE else self._there
                response = await attempt(session_id, here, request, kept)
                if response is not None:
                    return response
                side = Side.ORIGIN if side is Side.HERE else Side.HERE
                request.receive = kept.again()
        finally:
            kept.drop()
        return await (here(request) if side is Side.HERE else self._pass_on(request))

    async def _here(self, session_id: UUID | None, here: Endpoint, request: Request, kept: KeptBody) -> Response | None:
        """Return the response of this service; None if the session is the origin's now.

        A session that is here now may have come after the call had looked for it, so the call looks once more.
        """
        try:
            return await here(request)
        except (SessionNotFound, Gone):  # a session that goes back to the origin is closed here
            side = await self._front.side_after(session_id, Side.HERE)
            if side is Side.HERE and not kept.is_kept:
                raise
        if side is Side.ORIGIN:
            return None
        request.receive = kept.again()
        return await here(request)

    async def _there(
        self, session_id: UUID | None, _here: Endpoint, request: Request, _kept: KeptBody
    ) -> Response | None:
        """Return the reply of the origin; None if the session is here now."""
        passed = await self._pass_on(request)
        if passed.status != HTTPStatus.NOT_FOUND:
            return passed
        try:
            is_there = await self._front.side_after(session_id, Side.ORIGIN) is Side.ORIGIN
        except BaseException:
            passed.close()
            raise
        if is_there:
            return passed
        passed.close()
        return None

    async def _pass_on(self, request: Request) -> PassedResponse:
        """Pass a request on whose language is not known, or whose path may lead elsewhere at the origin."""
        if request.route.access is Access.EXECUTE or not _is_certain(request):
            request.caller.require_any(_EXECUTE_ALL)
        return await self._calls.pass_on(request)

    def _language(self, request: Request) -> Language | None:
        """Return the language of a session to create; None for one that is not served here."""
        try:
            return self._mapping.resolve_loosely(request.header(b"language-title") or "").language
        except LanguageNotServed:
            return None


def _is_certain(request: Request) -> bool:
    """Return whether the origin understands the path as this service does."""
    return all(isinstance(each, UUID) or _ONE_SEGMENT.fullmatch(each) for each in request.parameters.values())


def _session_id(request: Request) -> UUID | None:
    """Return the id in the path, also for the log; None if it is no UUID, or another text for one in the origin."""
    text = request.parameters["id"]
    try:
        session_id = session_id_of(text)
    except SessionNotFound:
        return None
    if str(session_id) != text and not is_own_id(session_id):
        return None
    request.parameters["request_id"] = session_id
    return session_id
