"""Metrics of client connections."""

from http import HTTPStatus

from entrypoints.telemetry.metrics.connections import ConnectionMetrics


def samples(metrics):
    return {
        (sample.name, *sample.labels.values()): sample.value
        for metric in metrics.collect()
        for sample in metric.samples
    }


def test_open_connections_are_reported_with_the_limit_and_the_evicted_ones():
    kept = [object(), object()]
    found = samples(ConnectionMetrics(lambda: len(kept), 64, lambda: 3))
    assert found[("pglambda_http_connections",)] == 2
    assert found[("pglambda_http_connections_max",)] == 64
    assert found[("pglambda_http_connections_evicted_total",)] == 3


def test_rejections_are_counted_by_status_and_exist_from_the_start():
    metrics = ConnectionMetrics(lambda: 0, 1, lambda: 0)
    metrics.rejected(HTTPStatus.SERVICE_UNAVAILABLE)
    found = samples(metrics)
    assert {status: found[("pglambda_http_rejections_total", status)] for status in ("400", "414", "431", "503")} == {
        "400": 0,
        "414": 0,
        "431": 0,
        "503": 1,
    }
