"""What Prometheus gets to read."""

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from entrypoints.telemetry.metrics.exposition import expose
from entrypoints.telemetry.metrics.samples import Reading, Sample, counter, gauge, histogram

REQUESTS = counter("requests_total", "Requests.", "route")
TOOK = histogram("took_seconds", "Took.", "route", bounds=(0.5, 1.0))
LAG = gauge("lag_seconds", "Lag.")

TOLD = {
    "0": [
        Reading(REQUESTS, [Sample(('/a"\n\\',), 3)]),
        Reading(TOOK, [Sample(("/a",), 2.5, (1, 2, 1))]),
        Reading(LAG, []),
    ],
    "1": [Reading(LAG, [Sample((), 7)]), Reading(REQUESTS, [Sample(("/b",), 4)])],
}


def samples(families):
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value for family in families for sample in family.samples
    }


@pytest.mark.parametrize(
    ("accept", "media_type", "parse"),
    [
        ("", "text/plain; version=0.0.4", parse_text),
        ("text/html", "text/plain; version=0.0.4", parse_text),
        (
            "application/openmetrics-text;version=1.0.0",
            "application/openmetrics-text; version=1.0.0",
            parse_openmetrics,
        ),
    ],
)
def test_each_sample_says_whose_it_is_and_reads_back(accept, media_type, parse):
    exposition = expose(TOLD, accept)
    assert exposition.content_type.startswith(media_type)
    families = list(parse(exposition.body.decode()))
    assert [(each.name, each.type) for each in families] == [
        ("requests", "counter"),
        ("took_seconds", "histogram"),
        ("lag_seconds", "gauge"),
    ]
    assert [each.documentation for each in families] == ["Requests.", "Took.", "Lag."]
    of_first = {("process", "0")}
    assert samples(families) == {
        ("requests_total", *of_first, ("route", '/a"\n\\')): 3,
        ("requests_total", ("process", "1"), ("route", "/b")): 4,
        ("took_seconds_bucket", ("le", "0.5"), *of_first, ("route", "/a")): 1,
        ("took_seconds_bucket", ("le", "1.0"), *of_first, ("route", "/a")): 3,
        ("took_seconds_bucket", ("le", "+Inf"), *of_first, ("route", "/a")): 4,
        ("took_seconds_count", *of_first, ("route", "/a")): 4,
        ("took_seconds_sum", *of_first, ("route", "/a")): 2.5,
        ("lag_seconds", ("process", "1")): 7,
    }
