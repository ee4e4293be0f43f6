"""What is counted of requests."""

import pytest

from entrypoints.http.instrumentation.metrics import RequestMetrics
from entrypoints.http.route import Route, RouteClass

GET = Route("GET", "/things/{thing}", None, "get")
PUT = Route("PUT", "/things/{thing}", None, "put", route_class=RouteClass.FUNCTIONS)
LIVEZ = Route("GET", "/livez", None, "livez", route_class=None)


class Asked:
    def __init__(self, method, route):
        self.scope = {"method": method}
        self.route = route


@pytest.fixture
def metrics():
    return RequestMetrics([GET, PUT, LIVEZ], lambda: 7)


def told(metrics):
    return {reading.family.name: reading.samples for reading in metrics.read()}


def counted(metrics):
    return {each.labels: each.value for each in told(metrics)["pglambda_http_requests_total"] if each.value}


def test_requests_are_counted_by_method_route_and_status(metrics):
    for route, status in ((GET, 200), (GET, 200), (GET, 404), (PUT, 200)):
        metrics.on_response(Asked(route.method, route), status, 0.004)
    assert counted(metrics) == {
        ("GET", "/things/{thing}", "200"): 2,
        ("GET", "/things/{thing}", "404"): 1,
        ("PUT", "/things/{thing}", "200"): 1,
    }


def test_bugs_are_told_from_the_start_as_none(metrics):
    assert [(each.labels, each.value) for each in told(metrics)["pglambda_http_requests_total"]] == [
        (("GET", "/things/{thing}", "500"), 0),
        (("PUT", "/things/{thing}", "500"), 0),
        (("GET", "/livez", "500"), 0),
    ]
    assert told(metrics)["pglambda_http_request_duration_seconds"] == []


def test_durations_are_spread_over_buckets(metrics):
    for duration_s in (0.001, 0.0011, 120.0):
        metrics.on_response(Asked("GET", GET), 200, duration_s)
    (durations,) = told(metrics)["pglambda_http_request_duration_seconds"]
    assert durations.labels == ("GET", "/things/{thing}")
    assert (durations.counts[0], durations.counts[1], durations.counts[-1]) == (1, 1, 1)
    assert durations.value == pytest.approx(120.0021)


def test_paths_that_there_are_not_are_one_route_and_odd_methods_one_method(metrics):
    for method in ("GET", "BREW", "X" * 1000):
        metrics.on_response(Asked(method, None), 404, 0.001)
    assert counted(metrics) == {("GET", "unmatched", "404"): 1, ("OTHER", "unmatched", "404"): 2}


def test_a_head_counts_as_the_get_that_it_is(metrics):
    metrics.on_response(Asked("HEAD", GET), 200, 0.001)
    assert counted(metrics) == {("GET", "/things/{thing}", "200"): 1}


def test_refusals_by_rate_are_counted_by_what_the_route_counts_as(metrics):
    for route in (GET, PUT, PUT, LIVEZ):
        metrics.on_response(Asked(route.method, route), 429, 0.001)
    assert {each.labels: each.value for each in told(metrics)["pglambda_http_requests_rate_limited_total"]} == {
        ("sessions",): 1,
        ("functions",): 2,
    }


def test_what_is_inside_is_told_as_it_is(metrics):
    (inside,) = told(metrics)["pglambda_http_requests_in_flight"]
    assert inside.value == 7
