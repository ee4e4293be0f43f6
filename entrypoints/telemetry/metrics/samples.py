"""What was measured, as it travels between processes."""

from enum import StrEnum

from msgspec import Struct


class MetricKind(StrEnum):
    """How a figure behaves: it only grows, it goes up and down, or it is spread over buckets."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Family(Struct, frozen=True, kw_only=True):
    """One metric: a name after Prometheus' conventions, what it says, its labels, the upper bounds of its buckets."""

    name: str
    kind: MetricKind
    says: str
    labels: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()


class Sample(Struct, frozen=True, array_like=True):
    """A value with its labels; of a histogram the sum, and how many fell into each bucket (the last has no bound)."""

    labels: tuple[str, ...]
    value: float
    counts: tuple[int, ...] = ()


class Reading(Struct, frozen=True, array_like=True):
    """A family and its present samples."""

    family: Family
    samples: list[Sample]


def counter(name: str, says: str, *labels: str) -> Family:
    """Return the family of a counter; its name ends in `_total`."""
    assert name.endswith("_total"), name
    return Family(name=name, kind=MetricKind.COUNTER, says=says, labels=labels)


def gauge(name: str, says: str, *labels: str) -> Family:
    """Return the family of a gauge."""
    return Family(name=name, kind=MetricKind.GAUGE, says=says, labels=labels)


def histogram(name: str, says: str, *labels: str, bounds: tuple[float, ...]) -> Family:
    """Return the family of a histogram with these upper bounds of buckets, in ascending order."""
    return Family(name=name, kind=MetricKind.HISTOGRAM, says=says, labels=labels, bounds=bounds)


def single(family: Family, value: float | None) -> Reading:
    """Return the reading of a family without labels; what is not known has no sample."""
    return Reading(family, [] if value is None else [Sample((), float(value))])
