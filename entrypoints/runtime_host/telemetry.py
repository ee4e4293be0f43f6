"""Metrics of the requests to a runtime host."""

from typing_extensions import override

from entrypoints.http.pipeline import RequestObserver
from entrypoints.http.request import Request
from entrypoints.telemetry.metrics.instruments import Collectors, Counts, Histograms, counter, histogram

REQUESTS = counter("pglambda_runtime_host_requests_total", "Requests to this runtime host.", "route", "status")
DURATIONS = histogram(
    "pglambda_runtime_host_request_duration_seconds",
    "Time from the head of a request to the end of its response.",
    "route",
    bounds=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
)


class HostMetrics(Collectors, RequestObserver):
    """Counts requests by the path of their route; unknown paths are one route."""

    def __init__(self) -> None:
        self._requests = Counts(REQUESTS)
        self._durations = Histograms(DURATIONS)
        super().__init__(self._requests, self._durations)

    @override
    def on_response(self, request: Request, status: int, duration_s: float) -> None:
        path = request.route.path
        self._requests.add(path, str(status))
        self._durations.add(duration_s, path)
