"""Observers of every request: access log, metrics, traces."""

import logging
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import blake2b
from http import HTTPStatus
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Struct, structs
from prometheus_client.core import Metric
from prometheus_client.registry import Collector
from structlog.typing import FilteringBoundLogger
from typing_extensions import override

from domain.histogram import Histogram
from domain.identity import Owner
from entrypoints.http.errors import INTERNAL_ERROR
from entrypoints.http.pipeline import RequestObserver
from entrypoints.http.request import Request
from entrypoints.http.route import Route
from entrypoints.telemetry.logs import json_lines
from entrypoints.telemetry.metrics.instruments import counter, gauge, histogram
from entrypoints.telemetry.tracing.trace import Tracing
from entrypoints.telemetry.tracing.traceparent import PARENT, STATE

_EVENT = "request"
_LEVEL = "info"
_OWNERS_MAX = 4096
_HASH_BYTES = 6


class AccessLine(Struct, omit_defaults=True):
    """The fields of a line. It does not name the owner, and contains no text of callers except plain ids.

    `function` is the version that the call made or deactivated, as its language-title with the version. Its owner is
    `function_owner_hash`, and its author `owner_hash`. `passed_on` says that the origin has served
    the call.
    """

    timestamp: datetime
    level: str
    logger: str
    event: str
    method: str
    status: int
    duration_ms: float
    db_ms: float | None = None
    x_request_id: str | None = None
    owner_hash: str | None = None
    route: str | None = None
    client: str | None = None
    code: str | None = None
    request_id: UUID | None = None
    execution_id: UUID | None = None
    trace_id: str | None = None
    span_id: str | None = None
    function: str | None = None
    function_owner_hash: str | None = None
    passed_on: bool | None = None


class AccessLog(RequestObserver):
    """Writes the line if the log level admits it.

    JSON lines bypass the logger, which takes a tenth of the time. `logger` is the name in the lines. Without
    `has_owners` they have neither an owner nor the time spent waiting for the database.
    """

    def __init__(self, log: FilteringBoundLogger, logger: str = "http.access", *, has_owners: bool = True) -> None:
        self._logger = logger
        self._has_owners = has_owners
        self._log = log.bind(logger=logger)
        self._enabled = self._log.is_enabled_for(logging.INFO)
        self._lines = json_lines()
        self._encode = msgspec.json.Encoder().encode

    @override
    def on_response(self, request: Request, status: int, duration_s: float) -> None:
        if not self._enabled:
            return
        line = self._line(request, status, duration_s)
        if self._lines is not None:
            self._lines.write(self._encode(line))
        else:
            self._log.info(_EVENT, **_facts(line))

    def _line(self, request: Request, status: int, duration_s: float) -> AccessLine:
        scope, route, function = request.scope, request.route, request.function
        span = request.trace.context if request.trace is not None else None
        # Positional: naming the fields would take a third of the time of the whole line.
        return AccessLine(
            datetime.now(UTC),
            _LEVEL,
            self._logger,
            _EVENT,
            scope["method"],
            status,
            round(duration_s * 1000, 3),
            round(request.database_s * 1000, 3) if self._has_owners else None,
            request.id.decode() or None,
            owner_hash(request.caller.owner) if self._has_owners else None,
            route.label if route is not None else None,
            request.client,
            request.error_code,
            request.created_session_id or request.parameters.get("request_id"),
            request.execution_id or request.parameters.get("execution_id"),
            span.trace_id if span is not None else None,
            span.span_id if span is not None else None,
            f"{function.language_title}@{function.version}" if function is not None else None,
            owner_hash(function.owner) if function is not None else None,
            request.is_passed_on or None,
        )


@lru_cache(maxsize=_OWNERS_MAX)
def owner_hash(owner: Owner) -> str:
    """Return the hash that replaces an owner in logs. It is the same in every process and release."""
    return blake2b(owner.encode(errors="replace"), digest_size=_HASH_BYTES, person=b"pglambda owner").hexdigest()


def _facts(line: AccessLine) -> dict[str, Any]:
    """Return the fields that the logger does not add itself."""
    facts = structs.asdict(line)
    for name in ("timestamp", "level", "logger", "event"):
        del facts[name]
    return {name: str(fact) if isinstance(fact, UUID) else fact for name, fact in facts.items() if fact is not None}


_REQUESTS = counter(
    "pglambda_http_requests_total",
    "Requests by status of the response; 499 is a client disconnect. HEAD counts as GET.",
    "method",
    "route",
    "status",
)
_DURATIONS = histogram(
    "pglambda_http_request_duration_seconds",
    "Time from the head of a request to the end of its response.",
    "method",
    "route",
    bounds=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
)
_IN_FLIGHT = gauge("pglambda_http_requests_in_flight", "Requests that were admitted and have no response yet.")
_LIMITED = counter(
    "pglambda_http_requests_rate_limited_total", "Requests with status 429, by the class of their route.", "route_class"
)

_BUGS = counter(
    "pglambda_http_internal_errors_total",
    "Requests that failed because of an error in the server. The log has each cause.",
    "route",
)

UNMATCHED = "unmatched"
"""The route of requests for unknown paths or methods."""

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"})


class _RouteMetrics:
    """The counts of one route."""

    __slots__ = ("bugs", "durations", "labels", "route_class", "statuses")

    def __init__(self, method: str, route: str, route_class: str | None = None) -> None:
        self.labels = (method, route)
        self.route_class = route_class
        self.bugs = 0
        self.durations = Histogram(_DURATIONS.bounds)
        self.statuses: dict[int, int] = {}

    @classmethod
    def of(cls, route: Route) -> "_RouteMetrics":
        """Return counts with a zero for status 500: Prometheus sees no increase in the first value of a series."""
        metrics = cls(route.method, route.label, route.route_class)
        metrics.statuses[int(HTTPStatus.INTERNAL_SERVER_ERROR)] = 0
        return metrics


class RequestMetrics(RequestObserver, Collector):
    """Counts requests by the path template of their route, so that callers cannot create new series."""

    def __init__(self, in_flight: Callable[[], int]) -> None:
        self._by_route: dict[str, _RouteMetrics] = {}
        self._unmatched: dict[str, _RouteMetrics] = {}
        self._in_flight = in_flight

    def count(self, routes: Iterable[Route]) -> None:
        """Count the requests of these routes too."""
        self._by_route |= {route.name: _RouteMetrics.of(route) for route in routes}

    @override
    def on_response(self, request: Request, status: int, duration_s: float) -> None:
        metrics = self._unmatched_by(request) if request.route is None else self._by_route[request.route.name]
        metrics.durations.add(duration_s)
        metrics.statuses[status] = metrics.statuses.get(status, 0) + 1
        if request.error_code is INTERNAL_ERROR:
            metrics.bugs += 1

    @override
    def collect(self) -> Iterable[Metric]:
        every = (*self._by_route.values(), *self._unmatched.values())
        yield _REQUESTS.metric(
            ((*each.labels, str(status)), count) for each in every for status, count in each.statuses.items()
        )
        yield _DURATIONS.buckets((each.labels, each.durations) for each in every if any(each.durations.counts))
        yield _BUGS.metric(((route,), count) for route, count in self._bugs(every).items())
        yield _IN_FLIGHT.single(self._in_flight())
        yield _LIMITED.metric(((name,), count) for name, count in self._limited().items())

    @staticmethod
    def _bugs(every: Iterable[_RouteMetrics]) -> dict[str, int]:
        bugs: dict[str, int] = {}
        for each in every:
            _, route = each.labels
            bugs[route] = bugs.get(route, 0) + each.bugs
        return bugs

    def _limited(self) -> dict[str, int]:
        limited: dict[str, int] = {}
        for each in self._by_route.values():
            if each.route_class is not None:
                rejected = each.statuses.get(HTTPStatus.TOO_MANY_REQUESTS, 0)
                limited[each.route_class] = limited.get(each.route_class, 0) + rejected
        return limited

    def _unmatched_by(self, request: Request) -> _RouteMetrics:
        method = request.scope["method"]
        method = method if method in _METHODS else "OTHER"
        metrics = self._unmatched.get(method)
        if metrics is None:
            metrics = self._unmatched[method] = _RouteMetrics(method, UNMATCHED)
        return metrics


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
            self._tracing.end(request.trace, request.route.label if request.route else None, status)
