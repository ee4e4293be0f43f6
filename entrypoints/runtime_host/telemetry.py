"""What an operator sees of the requests to a runtime host."""

import logging
import time
from collections.abc import Callable, MutableMapping
from typing import Any

from attrs import define, field
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.typing import FilteringBoundLogger

from domain.scripts.ports import ScriptRun
from entrypoints.telemetry.metrics.instruments import Collectors, Counts, Histograms, counter, histogram
from entrypoints.telemetry.tracing.trace import Trace, Tracing
from entrypoints.telemetry.tracing.traceparent import PARENT, STATE

REQUESTS = counter("pglambda_runtime_host_requests_total", "Requests to this runtime host.", "route", "status")
DURATIONS = histogram(
    "pglambda_runtime_host_request_duration_seconds",
    "Time from the head of a request to the end of its response.",
    "route",
    bounds=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
)

_CLIENT_GONE = 499
_UNMATCHED = "unmatched"


@define(eq=False)
class HostCall:
    """A request to this host: its trace, and the ids that are in it."""

    trace: Trace | None
    ids: dict[str, str] = field(factory=dict)

    def noted(self, run: ScriptRun) -> None:
        """Take note of the run that is asked for."""
        self.ids = {"request_id": str(run.ref.session_id), "execution_id": str(run.execution_id)}


class HostMetrics(Collectors):
    """Counts requests by path; paths that there are not are one."""

    def __init__(self, routes: frozenset[str]) -> None:
        self._routes = routes
        self._requests = Counts(REQUESTS)
        self._durations = Histograms(DURATIONS)
        super().__init__(self._requests, self._durations)

    def seen(self, path: str, status: int, duration_s: float) -> str:
        """Take note of a request, and return its route."""
        route = path if path in self._routes else _UNMATCHED
        self._requests.add(route, str(status))
        self._durations.add(duration_s, route)
        return route


@define(eq=False)
class ObservedHost:
    """Counts, traces and logs every request; `enter` makes a call the current one."""

    app: ASGIApp
    figures: HostMetrics
    tracing: Tracing
    log: FilteringBoundLogger
    enter: Callable[[HostCall], object]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or the lifespan."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started_s = time.perf_counter()
        call = HostCall(self._trace(scope))
        self.enter(call)
        status = _CLIENT_GONE

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, noting)
        finally:
            self._tell(scope, call, status, time.perf_counter() - started_s)

    def _trace(self, scope: MutableMapping[str, Any]) -> Trace | None:
        headers = dict(scope["headers"])
        return self.tracing.begin(headers.get(PARENT), headers.get(STATE), scope["method"])

    def _tell(self, scope: Scope, call: HostCall, status: int, duration_s: float) -> None:
        route = self.figures.seen(scope["path"], status, duration_s)
        facts = dict(call.ids)
        if call.trace is not None:
            self.tracing.end(call.trace, route, status)
            facts |= {"trace_id": call.trace.context.trace_id, "span_id": call.trace.context.span_id}
        if self.log.is_enabled_for(logging.INFO):
            self.log.info(
                "request",
                method=scope["method"],
                route=route,
                status=status,
                duration_ms=round(duration_s * 1000, 3),
                **facts,
            )
