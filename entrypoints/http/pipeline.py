"""What happens to every HTTP request, in order."""

import asyncio
import contextlib
import itertools
import re
import secrets
import time
from collections.abc import Callable, Sequence
from typing import Protocol
from uuid import UUID, uuid4

from attrs import define, field
from starlette.types import Receive, Scope, Send
from structlog.typing import FilteringBoundLogger

from domain.access.credentials import CredentialMissing
from domain.access.principal import NOBODY, Principal
from domain.concurrency.capacity_limiter import CapacityLimiter
from domain.errors import DomainError, ShuttingDown
from domain.identity import Owner
from entrypoints.http.errors import INTERNAL_ERROR, respond_to_bug, respond_to_error
from entrypoints.http.request import ClientDisconnected, Request
from entrypoints.http.response import Headers, Response
from entrypoints.http.route import PATH_PARSERS, WITHOUT_CREDENTIAL, Route, RouteTable


class InFlightLimiter:
    """Counts the requests in flight: at most `in_flight_max`, with a fair share for each owner.

    `name` says in errors what is limited. `leaving` announces the drain: the server should get no new
    requests. `closed` rejects them.
    """

    def __init__(self, in_flight_max: int, name: str = "this server") -> None:
        self._capacity = CapacityLimiter(name, in_flight_max)
        self._empty = asyncio.Event()
        self.leaving = False
        self.closed = False

    @property
    def in_flight(self) -> int:
        """How many requests are in flight."""
        return self._capacity.in_use

    def enter(self, owner: Owner) -> None:
        """Admit a request. Raises ShuttingDown, Overloaded, or QuotaReached if the owner has its share."""
        if self.closed:
            raise ShuttingDown
        self._capacity.acquire(owner)

    def exit(self, owner: Owner) -> None:
        """End an admitted request."""
        self._capacity.release(owner)
        if self.in_flight == 0:
            self._empty.set()

    async def drain(self, timeout_s: float) -> int:
        """Reject new requests, wait until none is in flight or the time is over, and return how many are left."""
        self.leaving = self.closed = True
        self._empty.clear()
        if self.in_flight:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._empty.wait(), timeout_s)
        return self.in_flight


CLIENT_DISCONNECTED = 499
"""The status that logs and metrics show for a request whose client disconnected."""

_ID_HEADER = b"x-request-id"
_ID = re.compile(rb"[A-Za-z0-9._:+/=@-]{1,128}")


class Guard(Protocol):
    """Checks a request whose route is known, before its body is read."""

    async def admit(self, request: Request, route: Route) -> Headers:
        """Return headers for the response, whatever it will be; raises a DomainError to reject the request.

        A guard may set `request.caller` and `request.response_headers`. Guards run in order.
        """
        ...


class RequestObserver(Protocol):
    """Follows every request, for logs, metrics and traces. Its methods never raise."""

    def on_request(self, request: Request) -> None:  # noqa: ARG002  # most observers wait for the response
        """Take note of a new request, in the context in which it is served."""
        return

    def on_response(self, request: Request, status: int, duration_s: float) -> None:
        """Take note of a request that has ended. The status is 499 if the client disconnected."""
        ...


class RequestIds:
    """The id of each request, which the response and the log contain."""

    def __init__(self) -> None:
        self._prefix = secrets.token_hex(6)
        self._numbers = itertools.count(1)

    def assign(self, request: Request) -> None:
        """Take the caller's `X-Request-ID` if it is 1 to 128 plain characters, a new id otherwise."""
        given = request.raw_header(_ID_HEADER)
        if given is not None and _ID.fullmatch(given):
            request.id = given
        else:
            request.id = f"{self._prefix}-{next(self._numbers):x}".encode()
        request.response_headers = ((_ID_HEADER, request.id),)


@define(eq=False)
class Pipeline:
    """An ASGI application for HTTP. It finds the route, runs the guards, limits the requests in flight, and responds.

    Every request gets a response, whatever is raised. `caller` is the caller of a request unless a guard sets another.
    Without a guard a caller who is NOBODY reaches only the routes that need no credential. `respond` makes the response
    to an error, `respond_to_bug` the one to any other exception. Without `request_ids` requests have no id.
    """

    _routes: RouteTable
    _limiter: InFlightLimiter
    _log: FilteringBoundLogger
    _guards: Sequence[Guard] = ()
    _observers: Sequence[RequestObserver] = ()
    _caller: Principal = NOBODY
    _respond: Callable[[DomainError, Request], Response] = respond_to_error
    _respond_to_bug: Callable[[UUID, Request], Response] = respond_to_bug
    _request_ids: RequestIds | None = field(factory=RequestIds)
    _on_request: Sequence[Callable[[Request], None]] = field(init=False)

    def __attrs_post_init__(self) -> None:
        overriding = (each for each in self._observers if type(each).on_request is not RequestObserver.on_request)
        self._on_request = [each.on_request for each in overriding]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started_s = time.perf_counter()
        request = Request(scope, receive)
        request.caller = self._caller
        if self._request_ids is not None:
            self._request_ids.assign(request)
        for on_request in self._on_request:
            on_request(request)
        status = CLIENT_DISCONNECTED
        try:
            response = await self._response(request)
            response.headers += request.response_headers
            await response(scope, receive, send)
            status = response.status
        except ClientDisconnected:
            status = CLIENT_DISCONNECTED
        finally:
            if request.in_flight:
                self._limiter.exit(request.caller.owner)
            duration_s = time.perf_counter() - started_s
            for observer in self._observers:
                observer.on_response(request, status, duration_s)

    async def _response(self, request: Request) -> Response:
        try:
            return await self._handled(request)
        except ClientDisconnected:
            raise
        except Exception:  # noqa: BLE001  # whatever it is, the caller gets a response and the log the traceback
            error_id = uuid4()
            request.error_code = INTERNAL_ERROR
            self._log.exception("internal_error", error_id=str(error_id), x_request_id=request.id.decode())
            return self._respond_to_bug(error_id, request)

    async def _handled(self, request: Request) -> Response:
        try:
            route, texts = self._routes.find(request.scope["method"], request.route_path)
            request.route = route
            for name, text in texts.items():
                request.parameters[name] = PATH_PARSERS[name](text)
            await self._admit(request, route)
            return await route.endpoint(request)
        except DomainError as error:
            request.error_code = error.code
            return self._respond(error, request)

    async def _admit(self, request: Request, route: Route) -> None:
        for guard in self._guards:
            request.response_headers += await guard.admit(request, route)
        if request.caller is NOBODY and route.access not in WITHOUT_CREDENTIAL:
            raise CredentialMissing
        if not route.exempt:
            self._limiter.enter(request.caller.owner)
            request.in_flight = True
