"""What happens to every HTTP request, in order."""

import time
from collections.abc import Sequence
from uuid import uuid4

from starlette.types import Receive, Scope, Send
from structlog.typing import FilteringBoundLogger

from domain.errors import DomainError
from entrypoints.http.answer import Answer
from entrypoints.http.errors import error_answer, internal_error_answer
from entrypoints.http.gate import Gate
from entrypoints.http.guards import Guard, Observer
from entrypoints.http.path_parameters import PARSERS
from entrypoints.http.refusals import ClientGone
from entrypoints.http.request import Request
from entrypoints.http.request_ids import HEADER, RequestIds
from entrypoints.http.route_table import RouteTable

CLIENT_GONE = 499
"""What stands in for a status when nobody was left to be answered."""


class Pipeline:
    """Finds the operation, takes a place, asks the guards, calls the endpoint, answers, and tells the observers.

    It is an ASGI application for HTTP alone, and every request gets an answer, whatever is raised on the way.
    """

    def __init__(
        self,
        table: RouteTable,
        gate: Gate,
        log: FilteringBoundLogger,
        guards: Sequence[Guard] = (),
        observers: Sequence[Observer] = (),
    ) -> None:
        self._table = table
        self._gate = gate
        self._log = log
        self._guards = tuple(guards)
        self._observers = tuple(observers)
        self._beginners = [each.begun for each in observers if type(each).begun is not Observer.begun]
        self._ids = RequestIds()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started_s = time.perf_counter()
        request = Request(scope, receive)
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
        except ClientGone:
            status = CLIENT_GONE
        finally:
            if request.inside:
                self._gate.exit(request.caller.owner)
            duration_s = time.perf_counter() - started_s
            for observer in self._observers:
                observer.seen(request, request.operation, status, duration_s)

    async def _answer(self, request: Request) -> Answer | None:
        try:
            return await self._asked(request)
        except ClientGone:
            return None
        except Exception:  # noqa: BLE001  # whatever it is, the caller gets an answer and the log the traceback
            error_id = uuid4()
            x_request_id = request.identifier.decode()
            self._log.exception("internal error", error_id=str(error_id), x_request_id=x_request_id)
            return internal_error_answer(error_id, request.parameters.get("request_id"))

    async def _asked(self, request: Request) -> Answer:
        try:
            operation, texts = self._table.find(request.scope["method"], request.route_path)
            request.operation = operation
            for name, text in texts.items():
                request.parameters[name] = PARSERS[name](text)
            for guard in self._guards:
                request.answer_headers += await guard.admit(request, operation)
            if not operation.exempt:
                self._gate.enter(request.caller.owner)
                request.inside = True
            return await operation.endpoint(request)
        except DomainError as error:
            return error_answer(error, request.parameters.get("request_id"))
