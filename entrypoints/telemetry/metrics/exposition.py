"""The figures of several processes as Prometheus reads them."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate

from attrs import frozen
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString
from typing_extensions import override

from entrypoints.telemetry.metrics.samples import Family, MetricKind, Reading, Sample

PROCESS = "process"
"""The label that names the process of a sample.

Samples of several processes are not added up: a restart would make the sum drop, which Prometheus reads as a reset of
the whole counter.
"""


@frozen
class Exposition:
    """A body and its media type."""

    content_type: str
    body: bytes


def expose(readings: Mapping[str, Sequence[Reading]], accept: str) -> Exposition:
    """Return the readings of processes, by the name of each, in a format that the `Accept` header takes."""
    encode, content_type = choose_encoder(accept)
    return Exposition(content_type, encode(_Gathered(tuple(_families(readings)))))


_METRICS: Mapping[MetricKind, Callable[[str, str], Metric]] = {
    MetricKind.COUNTER: CounterMetricFamily,
    MetricKind.GAUGE: GaugeMetricFamily,
    MetricKind.HISTOGRAM: HistogramMetricFamily,
}


@frozen
class _Gathered(Collector):
    metrics: tuple[Metric, ...]

    @override
    def collect(self) -> Iterable[Metric]:
        return self.metrics


def _families(readings: Mapping[str, Sequence[Reading]]) -> Iterable[Metric]:
    metrics: dict[str, Metric] = {}
    for process, told in readings.items():
        for reading in told:
            family = reading.family
            metric = metrics.get(family.name)
            if metric is None:
                metric = metrics[family.name] = _metric(family)
            for sample in reading.samples:
                _add(metric, family, sample, process)
    return metrics.values()


def _metric(family: Family) -> Metric:
    return _METRICS[family.kind](family.name, family.says)


def _add(metric: Metric, family: Family, sample: Sample, process: str) -> None:
    labels = dict(zip((*family.labels, PROCESS), (*sample.labels, process), strict=True))
    if family.kind is not MetricKind.HISTOGRAM:
        metric.add_sample(family.name, labels, sample.value)
        return
    count = 0
    for bound, count in _buckets(family, sample):
        metric.add_sample(f"{family.name}_bucket", labels | {"le": bound}, count)
    metric.add_sample(f"{family.name}_count", labels, count)
    metric.add_sample(f"{family.name}_sum", labels, sample.value)


def _buckets(family: Family, sample: Sample) -> Iterator[tuple[str, int]]:
    """Yield each bucket's bound and how many are not above it."""
    bounds = (*map(floatToGoString, family.bounds), "+Inf")
    return zip(bounds, accumulate(sample.counts), strict=True)
