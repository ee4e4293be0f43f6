"""Counts and distributions."""

import pytest

from entrypoints.telemetry.metrics.instruments import Counts, Distribution, Distributions
from entrypoints.telemetry.metrics.samples import Sample, counter, gauge, histogram, single

SEEN = counter("seen_total", "Seen.", "a", "b")
TOOK = histogram("took_seconds", "Took.", "a", bounds=(1.0, 2.0))


def test_a_value_on_a_bound_belongs_to_the_bucket_below_it():
    distribution = Distribution((1.0, 2.0))
    for value in (0.5, 1.0, 1.5, 2.0, 2.5):
        distribution.add(value)
    assert distribution.sample() == Sample((), 7.5, (2, 2, 1))


def test_counts_are_kept_for_each_combination_of_labels():
    counts = Counts(SEEN)
    for labels in (("x", "1"), ("x", "2"), ("x", "1")):
        counts.add(*labels)
    assert counts.reading().samples == [Sample(("x", "1"), 2), Sample(("x", "2"), 1)]


def test_what_is_told_from_the_start_is_zero_until_it_is_counted():
    counts = Counts(SEEN)
    counts.tell("x", "1")
    assert counts.reading().samples == [Sample(("x", "1"), 0)]
    counts.add("x", "1")
    counts.tell("x", "1")
    assert counts.reading().samples == [Sample(("x", "1"), 1)]


def test_beyond_their_bound_combinations_are_one():
    counts = Counts(SEEN, series_max=2)
    for number in "1233":
        counts.add("x", number)
    counts.add("x", "1")
    assert counts.reading().samples == [
        Sample(("x", "1"), 2),
        Sample(("x", "2"), 1),
        Sample(("other", "other"), 2),
    ]


def test_distributions_are_kept_for_each_combination_of_labels():
    took = Distributions(TOOK)
    took.add(1.5, "x")
    took.add(9.0, "y")
    took.add(0.5, "x")
    assert took.reading().samples == [Sample(("x",), 2.0, (1, 1, 0)), Sample(("y",), 9.0, (0, 0, 1))]


def test_what_is_not_known_has_no_sample():
    family = gauge("lag_seconds", "Lag.")
    assert single(family, None).samples == []
    assert single(family, value=True).samples == [Sample((), 1.0)]


def test_a_counter_that_is_not_named_like_one_is_refused():
    with pytest.raises(AssertionError, match="seen"):
        counter("seen", "Seen.")
