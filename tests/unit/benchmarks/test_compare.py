"""What a comparison of two commits says of its rounds."""

import pytest

from tests.benchmarks.compare import Case, Comparison, Side, interval_of_median
from tests.benchmarks.servers import Server

CASE = Case("get", 1, lambda *_: [])


def side(*totals: float) -> Side:
    costs = [{"service": total - 3, "PostgreSQL": 2.0, "workers": 1.0} for total in totals]
    return Side("side", Server("http://127.0.0.1:1", 1), {"get": costs})


@pytest.mark.parametrize(
    ("count", "ends"),
    [(1, (0, 0)), (5, (0, 4)), (6, (0, 5)), (9, (1, 7)), (20, (5, 14))],
)
def test_the_interval_of_a_median_is_that_of_the_sign_test(count, ends):
    assert interval_of_median([float(value) for value in range(count)]) == ends


def test_a_head_is_slower_when_neither_3_percent_nor_the_spread_explains_it():
    base = side(100, 110, 90, 100, 105, 95)
    steady, restless = side(100, 110, 90, 100, 105, 95), side(100, 143, 90, 100, 105, 95)
    dearer = side(110, 121, 99, 110, 115.5, 104.5)
    assert Comparison(CASE, base, steady, dearer).ratio == pytest.approx(1.1)
    assert Comparison(CASE, base, steady, dearer).is_slower
    assert Comparison(CASE, base, restless, dearer).spread == pytest.approx(0.3)
    assert not Comparison(CASE, base, restless, dearer).is_slower
    assert not Comparison(CASE, base, steady, side(102, 112, 92, 102, 107, 97)).is_slower
