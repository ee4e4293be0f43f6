"""Counts of values by bucket."""

from domain.histogram import Histogram


def test_a_value_on_a_bound_belongs_to_the_bucket_below_it():
    histogram = Histogram((1.0, 2.0))
    for value in (0.5, 1.0, 1.5, 2.0, 2.5):
        histogram.add(value)
    assert (histogram.counts, histogram.total) == ([2, 2, 1], 7.5)


def test_one_histogram_includes_the_counts_of_another():
    one, other = Histogram((1,)), Histogram((1,))
    one.add(1)
    other.add(2)
    one.include(other)
    assert (one.counts, one.total) == ([1, 1], 3)
