"""Counts and distributions in plain numbers, cheap enough to be in the way of every request."""

from bisect import bisect_left

from entrypoints.telemetry.metrics.samples import Family, Reading, Sample

_OTHER = "other"


class Distribution:
    """How many values fell into each bucket, and their sum."""

    __slots__ = ("_bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def add(self, value: float) -> None:
        """Take a value into its bucket: the first whose bound is not below it."""
        self.counts[bisect_left(self._bounds, value)] += 1
        self.total += value

    def sample(self, *labels: str) -> Sample:
        """Return what it holds."""
        return Sample(labels, self.total, tuple(self.counts))


class Counts:
    """One count for each combination of labels, the first `series_max` of them; all further ones are `other`."""

    __slots__ = ("_family", "_series_max", "_values")

    def __init__(self, family: Family, series_max: int = 256) -> None:
        self._family = family
        self._series_max = series_max
        self._values: dict[tuple[str, ...], int] = {}

    def tell(self, *labels: str) -> None:
        """Tell of these from now on, though nothing was counted: Prometheus sees no growth in a first value."""
        self._values.setdefault(labels, 0)

    def add(self, *labels: str) -> None:
        """Count one more."""
        if labels not in self._values and len(self._values) >= self._series_max:
            labels = (_OTHER,) * len(labels)
        self._values[labels] = self._values.get(labels, 0) + 1

    def reading(self) -> Reading:
        """Return the counts."""
        return Reading(self._family, [Sample(labels, count) for labels, count in self._values.items()])


class Distributions:
    """One distribution for each combination of labels, all of which the code knows."""

    __slots__ = ("_family", "_values")

    def __init__(self, family: Family) -> None:
        self._family = family
        self._values: dict[tuple[str, ...], Distribution] = {}

    def add(self, value: float, *labels: str) -> None:
        """Take a value into the distribution of these labels."""
        distribution = self._values.get(labels)
        if distribution is None:
            distribution = self._values[labels] = Distribution(self._family.bounds)
        distribution.add(value)

    def reading(self) -> Reading:
        """Return the distributions."""
        return Reading(self._family, [each.sample(*labels) for labels, each in self._values.items()])
