"""Counting by buckets."""

from adapters.histogram import Histogram


def test_a_value_on_a_bound_belongs_to_the_bucket_below_it():
    tally = Histogram((1, 2))
    for value in (1, 1.5, 2, 3):
        tally.add(value)
    assert (tally.counts, tally.total) == ([1, 2, 1], 7.5)


def test_what_two_have_counted_is_one():
    one, other = Histogram((1,)), Histogram((1,))
    one.add(1)
    other.add(2)
    one.include(other)
    assert (one.counts, one.total) == ([1, 1], 3)
