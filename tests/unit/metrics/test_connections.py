"""What is counted of connections."""

from http import HTTPStatus

from entrypoints.telemetry.metrics.connections import ConnectionMetrics


def told(metrics):
    return {reading.family.name: reading.samples for reading in metrics.read()}


def test_open_connections_are_reported_with_the_limit_and_with_those_closed_to_make_room():
    kept = [object(), object()]
    figures = told(ConnectionMetrics(lambda: len(kept), 64, lambda: 3))
    assert [each.value for each in figures["pglambda_http_connections"]] == [2]
    assert [each.value for each in figures["pglambda_http_connections_max"]] == [64]
    assert [each.value for each in figures["pglambda_http_connections_evicted_total"]] == [3]


def test_refusals_are_counted_by_status_and_told_from_the_start():
    metrics = ConnectionMetrics(lambda: 0, 1, lambda: 0)
    metrics.refused(HTTPStatus.SERVICE_UNAVAILABLE)
    refusals = {each.labels[0]: each.value for each in told(metrics)["pglambda_http_rejections_total"]}
    assert refusals == {"400": 0, "414": 0, "431": 0, "503": 1}
