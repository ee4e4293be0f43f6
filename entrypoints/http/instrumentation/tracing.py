"""Requests as parts of traces."""

from collections.abc import Callable

from typing_extensions import override

from entrypoints.http.instrumentation.observer import RequestObserver
from entrypoints.http.request import Request
from entrypoints.http.route import Route
from entrypoints.telemetry.tracing.trace import Tracing
from entrypoints.telemetry.tracing.traceparent import PARENT, STATE


class RequestTraces(RequestObserver):
    """Gives each request its trace, if it has one, and lets `enter` make it the one that is answered."""

    def __init__(self, tracing: Tracing, enter: Callable[[Request], object]) -> None:
        self._tracing = tracing
        self._enter = enter

    @override
    def begun(self, request: Request) -> None:
        self._enter(request)
        parent, state = request.raw_header(PARENT), request.raw_header(STATE)
        request.trace = self._tracing.begin(parent, state, request.scope["method"])

    @override
    def seen(self, request: Request, operation: Route | None, status: int, duration_s: float) -> None:
        if request.trace is not None:
            self._tracing.end(request.trace, operation.path if operation else None, status)
