"""The cache forgets what was used least recently and never weighs more than it may."""

from hypothesis import given
from hypothesis import strategies as st

from domain.concurrency.bounded_cache import BoundedCache


def test_the_least_recently_used_value_is_dropped_first():
    cache = BoundedCache(3, lambda _: 1)
    for key in "abc":
        cache.put(key, key)
    cache.get("a")
    cache.put("d", "d")
    assert [cache.get(key) for key in "abcd"] == ["a", None, "c", "d"]


def test_what_is_too_heavy_is_not_kept_and_replaces_the_old():
    cache = BoundedCache(3, len)
    cache.put("key", "abc")
    cache.put("key", "abcd")
    assert cache.get("key") is None


@given(st.lists(st.tuples(st.integers(0, 5), st.text(max_size=6))))
def test_the_weight_is_always_within_its_bound(puts):
    cache = BoundedCache(10, len)
    for key, value in puts:
        cache.put(key, value)
        kept = [found for key in range(6) if (found := cache.get(key)) is not None]
        assert sum(map(len, kept)) <= 10
