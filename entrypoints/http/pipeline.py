"""What happens to every HTTP request, in order."""

import time
from collections.abc import Callable, Sequence
from uuid import uuid4

from attrs import define, field
from starlette.types import Receive, Scope, Send
from structlog.typing import FilteringBoundLogger

from domain.access.credentials import CredentialMissing
from domain.access.principal import NOBODY, Principal
from domain.errors import DomainError
from entrypoints.http.contracts.error_codes import INTERNAL_ERROR
from entrypoints.http.error_responses import error_answer, internal_error_answer
from entrypoints.http.errors import ClientDisconnected
from entrypoints.http.instrumentation.observer import RequestObserver
from entrypoints.http.middleware.guard import Guard
from entrypoints.http.middleware.in_flight_limiter import InFlightLimiter
from entrypoints.http.parameters.paths import PARSERS
from entrypoints.http.request import Request
from entrypoints.http.request_ids import HEADER, RequestIds
from entrypoints.http.response import Response
from entrypoints.http.route import TO_NOBODY
from entrypoints.http.route_table import RouteTable

CLIENT_GONE = 499
"""What stands in for a status when nobody was left to be answered."""


@define(eq=False)
class Pipeline:
    """Finds the operation, takes a place, asks the guards, calls the endpoint, answers, and tells the observers.

    It is an ASGI application for HTTP alone, and every request gets an answer, whatever is raised on the way. Each
    request is `caller`'s until a guard says otherwise; nobody gets what is not for everybody, guarded or not.
    """

    _table: RouteTable
    _gate: InFlightLimiter
    _log: FilteringBoundLogger
    _guards: Sequence[Guard] = ()
    _observers: Sequence[RequestObserver] = ()
    _caller: Principal = NOBODY
    _ids: RequestIds = field(factory=RequestIds, init=False)
    _beginners: Sequence[Callable[[Request], None]] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._beginners = [each.begun for each in self._observers if type(each).begun is not RequestObserver.begun]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started_s = time.perf_counter()
        request = Request(scope, receive)
        request.caller = self._caller
        request.identifier = self._ids.of(request)
        for begun in self._beginners:
            begun(request)
        status = CLIENT_GONE
        try:
            answer = await self._answer(request)
            if answer is not None:
                answer.headers += (*request.answer_headers, (HEADER, request.identifier))
                await answer.send(request, send)
                status = answer.status
        except ClientDisconnected:
            status = CLIENT_GONE
        finally:
            if request.inside:
                self._gate.exit(request.caller.owner)
            duration_s = time.perf_counter() - started_s
            for observer in self._observers:
                observer.seen(request, request.operation, status, duration_s)

    async def _answer(self, request: Request) -> Response | None:
        try:
            return await self._asked(request)
        except ClientDisconnected:
            return None
        except Exception:  # noqa: BLE001  # whatever it is, the caller gets an answer and the log the traceback
            error_id = uuid4()
            x_request_id = request.identifier.decode()
            request.error_code = INTERNAL_ERROR
            self._log.exception("internal_error", error_id=str(error_id), x_request_id=x_request_id)
            return internal_error_answer(error_id, request.parameters.get("request_id"))

    async def _asked(self, request: Request) -> Response:
        try:
            operation, texts = self._table.find(request.scope["method"], request.route_path)
            request.operation = operation
            for name, text in texts.items():
                request.parameters[name] = PARSERS[name](text)
            for guard in self._guards:
                request.answer_headers += await guard.admit(request, operation)
            if request.caller is NOBODY and operation.access not in TO_NOBODY:
                raise CredentialMissing
            if not operation.exempt:
                self._gate.enter(request.caller.owner)
                request.inside = True
            return await operation.endpoint(request)
        except DomainError as error:
            request.error_code = error.code
            return error_answer(error, request.parameters.get("request_id"))
