"""Counters, histograms and their families."""

import pytest

from domain.histogram import Histogram
from entrypoints.telemetry.metrics.instruments import Collectors, Counts, Histograms, counter, gauge, histogram

SEEN = counter("seen_total", "Seen.", "a", "b")
TOOK = histogram("took_seconds", "Took.", "a", bounds=(1.0, 2.0))


def values(metric):
    """Return the value of each sample by its name and label values."""
    return {(sample.name, *sample.labels.values()): sample.value for sample in metric.samples}


def collected(collector):
    (metric,) = collector.collect()
    return values(metric)


def test_counts_are_kept_for_each_combination_of_labels():
    counts = Counts(SEEN)
    for labels in (("x", "1"), ("x", "2"), ("x", "1")):
        counts.add(*labels)
    assert collected(counts) == {("seen_total", "x", "1"): 2, ("seen_total", "x", "2"): 1}


def test_a_count_adds_up_amounts():
    counts = Counts(SEEN)
    counts.add("x", "1", amount=0.5)
    counts.add("x", "1", amount=1.25)
    assert collected(counts) == {("seen_total", "x", "1"): 1.75}


def test_a_started_series_is_zero_until_its_first_event():
    counts = Counts(SEEN)
    counts.start("x", "1")
    assert collected(counts) == {("seen_total", "x", "1"): 0}
    counts.add("x", "1")
    counts.start("x", "1")
    assert collected(counts) == {("seen_total", "x", "1"): 1}


def test_series_beyond_the_limit_count_as_other():
    counts = Counts(SEEN, series_max=2)
    for number in "1233":
        counts.add("x", number)
    counts.add("x", "1")
    assert collected(counts) == {
        ("seen_total", "x", "1"): 2,
        ("seen_total", "x", "2"): 1,
        ("seen_total", "other", "other"): 2,
    }


def test_histograms_are_kept_for_each_combination_of_labels():
    took = Histograms(TOOK)
    took.add(1.5, "x")
    took.add(9.0, "y")
    took.add(0.5, "x")
    assert collected(took) == {
        ("took_seconds_bucket", "x", "1.0"): 1,
        ("took_seconds_bucket", "x", "2.0"): 2,
        ("took_seconds_bucket", "x", "+Inf"): 2,
        ("took_seconds_count", "x"): 2,
        ("took_seconds_sum", "x"): 2.0,
        ("took_seconds_bucket", "y", "1.0"): 0,
        ("took_seconds_bucket", "y", "2.0"): 0,
        ("took_seconds_bucket", "y", "+Inf"): 1,
        ("took_seconds_count", "y"): 1,
        ("took_seconds_sum", "y"): 9.0,
    }


def test_an_unknown_value_has_no_sample():
    family = gauge("lag_seconds", "Lag.")
    assert values(family.single(None)) == {}
    assert values(family.single(value=True)) == {("lag_seconds",): 1.0}


def test_labels_and_values_must_agree():
    with pytest.raises(ValueError, match="argument"):
        SEEN.metric([(("x",), 1)])
    with pytest.raises(ValueError, match="argument"):
        TOOK.buckets([(("x",), Histogram((1.0,)))])


def test_several_collectors_are_collected_in_their_order():
    counts, took = Counts(SEEN), Histograms(TOOK)
    assert [metric.family for metric in Collectors(took, counts).collect()] == [TOOK, SEEN]


def test_a_counter_has_the_suffix_total():
    with pytest.raises(AssertionError, match="seen"):
        counter("seen", "Seen.")
