"""Metric families, and counters and histograms in plain numbers, cheap enough for the path of every request."""

from collections.abc import Iterable
from itertools import accumulate
from typing import Literal

from attrs import frozen
from prometheus_client.core import Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString
from typing_extensions import override

from domain.histogram import Histogram

Labels = tuple[str, ...]
"""Values of labels, in the order in which the family declares their names."""

_OTHER = "other"


@frozen
class Family:
    """The declaration of a metric; `bounds` are the upper bounds of a histogram's buckets, in ascending order."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: Labels = ()
    bounds: tuple[float, ...] = ()

    def metric(self, values: Iterable[tuple[Labels, float]]) -> "FamilyMetric":
        """Return the samples of a counter or a gauge."""
        metric = FamilyMetric(self)
        for labels, value in values:
            metric.add_sample(self.name, dict(zip(self.labels, labels, strict=True)), value)
        return metric

    def single(self, value: float | None) -> "FamilyMetric":
        """Return the sample of a family without labels, or no sample if the value is unknown."""
        return self.metric([] if value is None else [((), float(value))])

    def buckets(self, histograms: Iterable[tuple[Labels, Histogram]]) -> "FamilyMetric":
        """Return the samples of histograms with this family's bounds."""
        metric = FamilyMetric(self)
        bounds = [*map(floatToGoString, self.bounds), "+Inf"]
        for values, histogram in histograms:
            labels, count = dict(zip(self.labels, values, strict=True)), 0
            for bound, count in zip(bounds, accumulate(histogram.counts), strict=True):
                metric.add_sample(f"{self.name}_bucket", {**labels, "le": bound}, count)
            metric.add_sample(f"{self.name}_count", labels, count)
            metric.add_sample(f"{self.name}_sum", labels, histogram.total)
        return metric


class FamilyMetric(Metric):
    """The samples of a family at one moment."""

    def __init__(self, family: Family) -> None:
        super().__init__(family.name.removesuffix("_total"), family.help, family.kind)
        self.family = family


def counter(name: str, help_text: str, *labels: str) -> Family:
    """Declare a counter; its name ends in `_total`."""
    assert name.endswith("_total"), name
    return Family(name, "counter", help_text, labels)


def gauge(name: str, help_text: str, *labels: str) -> Family:
    """Declare a gauge."""
    return Family(name, "gauge", help_text, labels)


def histogram(name: str, help_text: str, *labels: str, bounds: tuple[float, ...]) -> Family:
    """Declare a histogram."""
    return Family(name, "histogram", help_text, labels, bounds)


class Counts(Collector):
    """A count for each of the first `series_max` combinations of label values; further ones count as `other`."""

    def __init__(self, family: Family, series_max: int = 256) -> None:
        self._family = family
        self._series_max = series_max
        self._values: dict[Labels, float] = {}

    def start(self, *labels: str) -> None:
        """Expose the series as 0 before its first event: Prometheus sees no growth in the first value of a series."""
        self._values.setdefault(labels, 0)

    def add(self, *labels: str, amount: float = 1) -> None:
        """Count an event, or an amount."""
        if labels not in self._values and len(self._values) >= self._series_max:
            labels = (_OTHER,) * len(labels)
        self._values[labels] = self._values.get(labels, 0) + amount

    @override
    def collect(self) -> Iterable[Metric]:
        yield self._family.metric(self._values.items())


class Histograms(Collector):
    """A histogram for each combination of label values, all of which the code knows."""

    def __init__(self, family: Family) -> None:
        self._family = family
        self._histograms: dict[Labels, Histogram] = {}

    def add(self, value: float, *labels: str) -> None:
        """Add a value to the histogram of these labels."""
        histogram = self._histograms.get(labels)
        if histogram is None:
            histogram = self._histograms[labels] = Histogram(self._family.bounds)
        histogram.add(value)

    @override
    def collect(self) -> Iterable[Metric]:
        yield self._family.buckets(self._histograms.items())


class Collectors(Collector):
    """Several collectors as one, in this order."""

    def __init__(self, *collectors: Collector) -> None:
        self._collectors = collectors

    @override
    def collect(self) -> Iterable[Metric]:
        for collector in self._collectors:
            yield from collector.collect()
