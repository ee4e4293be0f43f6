"""Metrics of HTTP requests."""

from collections.abc import Callable, Iterable
from http import HTTPStatus

from prometheus_client.core import Metric
from prometheus_client.registry import Collector
from typing_extensions import override

from domain.histogram import Histogram
from entrypoints.http.pipeline import RequestObserver
from entrypoints.http.request import Request
from entrypoints.http.route import Route
from entrypoints.telemetry.metrics.instruments import counter, gauge, histogram

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

UNMATCHED = "unmatched"
"""The route of requests for unknown paths or methods."""

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"})


class _RouteMetrics:
    """The counts of one route."""

    __slots__ = ("durations", "labels", "route_class", "statuses")

    def __init__(self, method: str, route: str, route_class: str | None = None) -> None:
        self.labels = (method, route)
        self.route_class = route_class
        self.durations = Histogram(_DURATIONS.bounds)
        self.statuses: dict[int, int] = {}

    @classmethod
    def of(cls, route: Route) -> "_RouteMetrics":
        """Return counts with a zero for status 500: Prometheus sees no increase in the first value of a series."""
        metrics = cls(route.method, route.path, route.route_class)
        metrics.statuses[int(HTTPStatus.INTERNAL_SERVER_ERROR)] = 0
        return metrics


class RequestMetrics(RequestObserver, Collector):
    """Counts requests by the path template of their route, so that callers cannot create new series."""

    def __init__(self, routes: Iterable[Route], in_flight: Callable[[], int]) -> None:
        self._by_route = {route.name: _RouteMetrics.of(route) for route in routes}
        self._unmatched: dict[str, _RouteMetrics] = {}
        self._in_flight = in_flight

    @override
    def on_response(self, request: Request, status: int, duration_s: float) -> None:
        metrics = self._unmatched_by(request) if request.route is None else self._by_route[request.route.name]
        metrics.durations.add(duration_s)
        metrics.statuses[status] = metrics.statuses.get(status, 0) + 1

    @override
    def collect(self) -> Iterable[Metric]:
        every = (*self._by_route.values(), *self._unmatched.values())
        yield _REQUESTS.metric(
            ((*each.labels, str(status)), count) for each in every for status, count in each.statuses.items()
        )
        yield _DURATIONS.buckets((each.labels, each.durations) for each in every if any(each.durations.counts))
        yield _IN_FLIGHT.single(self._in_flight())
        yield _LIMITED.metric(((name,), count) for name, count in self._limited().items())

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
