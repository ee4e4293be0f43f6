"""Metrics of HTTP requests."""

import pytest

from entrypoints.http.errors import INTERNAL_ERROR
from entrypoints.http.instrumentation import RequestMetrics
from entrypoints.http.route import Route, RouteClass

GET = Route("GET", "/things/{thing}", None, "get")
PUT = Route("PUT", "/things/{thing}", None, "put", route_class=RouteClass.FUNCTIONS)
LIVEZ = Route("GET", "/livez", None, "livez", route_class=None)
COUNT = "pglambda_http_requests_total"
DURATION = "pglambda_http_request_duration_seconds"


class AnyRequest:
    def __init__(self, method, route, error_code=None):
        self.scope = {"method": method}
        self.route = route
        self.error_code = error_code


@pytest.fixture
def metrics():
    metrics = RequestMetrics(lambda: 7)
    metrics.count([GET, PUT, LIVEZ])
    return metrics


def samples(metrics, name):
    return {
        tuple(sample.labels.values()): sample.value
        for metric in metrics.collect()
        for sample in metric.samples
        if sample.name == name
    }


def counted(metrics):
    return {labels: value for labels, value in samples(metrics, COUNT).items() if value}


def test_requests_are_counted_by_method_route_and_status(metrics):
    for route, status in ((GET, 200), (GET, 200), (GET, 404), (PUT, 200)):
        metrics.on_response(AnyRequest(route.method, route), status, 0.004)
    assert counted(metrics) == {
        ("GET", "/things/{thing}", "200"): 2,
        ("GET", "/things/{thing}", "404"): 1,
        ("PUT", "/things/{thing}", "200"): 1,
    }


def test_internal_errors_are_zero_from_the_start(metrics):
    assert samples(metrics, COUNT) == {
        ("GET", "/things/{thing}", "500"): 0,
        ("PUT", "/things/{thing}", "500"): 0,
        ("GET", "/livez", "500"): 0,
    }
    assert samples(metrics, f"{DURATION}_count") == {}


def test_bugs_are_counted_apart_from_other_errors_with_status_500(metrics):
    for route, code in ((GET, "SCRIPT_ERROR"), (PUT, INTERNAL_ERROR), (None, INTERNAL_ERROR)):
        metrics.on_response(AnyRequest("PUT", route, code), 500, 0.1)
    found = samples(metrics, "pglambda_http_internal_errors_total")
    assert found == {("/things/{thing}",): 1, ("/livez",): 0, ("unmatched",): 1}


def test_durations_are_counted_by_bucket(metrics):
    for duration_s in (0.001, 0.0011, 120.0):
        metrics.on_response(AnyRequest("GET", GET), 200, duration_s)
    buckets = samples(metrics, f"{DURATION}_bucket")
    labels = ("GET", "/things/{thing}")
    assert [buckets[(*labels, bound)] for bound in ("0.001", "0.0025", "60.0", "+Inf")] == [1, 2, 2, 3]
    assert samples(metrics, f"{DURATION}_sum") == {labels: pytest.approx(120.0021)}


def test_unknown_paths_are_one_route_and_unknown_methods_are_one_method(metrics):
    for method in ("GET", "BREW", "X" * 1000):
        metrics.on_response(AnyRequest(method, None), 404, 0.001)
    assert counted(metrics) == {("GET", "unmatched", "404"): 1, ("OTHER", "unmatched", "404"): 2}


def test_a_head_request_counts_as_get(metrics):
    metrics.on_response(AnyRequest("HEAD", GET), 200, 0.001)
    assert counted(metrics) == {("GET", "/things/{thing}", "200"): 1}


def test_rate_limited_requests_are_counted_by_the_class_of_their_route(metrics):
    for route in (GET, PUT, PUT, LIVEZ):
        metrics.on_response(AnyRequest(route.method, route), 429, 0.001)
    assert samples(metrics, "pglambda_http_requests_rate_limited_total") == {("sessions",): 1, ("functions",): 2}


def test_requests_in_flight_are_read_from_the_limiter(metrics):
    assert samples(metrics, "pglambda_http_requests_in_flight") == {(): 7}
