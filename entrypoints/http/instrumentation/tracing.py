"""Traces of requests."""

from collections.abc import Callable

from typing_extensions import override

from entrypoints.http.pipeline import RequestObserver
from entrypoints.http.request import Request
from entrypoints.telemetry.tracing.trace import Tracing
from entrypoints.telemetry.tracing.traceparent import PARENT, STATE


class RequestTraces(RequestObserver):
    """Continues the trace of each request, if it has one; `enter` makes the request the current one."""

    def __init__(self, tracing: Tracing, enter: Callable[[Request], object]) -> None:
        self._tracing = tracing
        self._enter = enter

    @override
    def on_request(self, request: Request) -> None:
        self._enter(request)
        parent, state = request.raw_header(PARENT), request.raw_header(STATE)
        request.trace = self._tracing.begin(parent, state, request.scope["method"])

    @override
    def on_response(self, request: Request, status: int, duration_s: float) -> None:
        if request.trace is not None:
            self._tracing.end(request.trace, request.route.path if request.route else None, status)
