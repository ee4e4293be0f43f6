"""A cache whose entries expire."""

from datetime import timedelta

from adapters.memory.manual_clock import ManualClock
from domain.concurrency.ttl_cache import TtlCache

NOW = ManualClock().now()
SECOND = timedelta(seconds=1)


def test_a_value_is_held_until_its_instant() -> None:
    cache: TtlCache[str, int] = TtlCache(2)
    cache.put("a", 1, NOW + SECOND)
    assert cache.get("a", NOW) == 1
    assert cache.get("b", NOW) is None
    assert cache.get("a", NOW + SECOND) is None
    assert cache.get("a", NOW) is None


def test_a_full_cache_drops_the_oldest_value_and_a_renewed_value_is_new() -> None:
    cache: TtlCache[str, int] = TtlCache(2)
    for key, value in (("a", 1), ("b", 2), ("a", 3), ("c", 4)):
        cache.put(key, value, NOW + SECOND)
    assert [cache.get(key, NOW) for key in "abc"] == [3, None, 4]


def test_all_values_can_be_dropped() -> None:
    cache: TtlCache[str, int] = TtlCache(2)
    cache.put("a", 1, NOW + SECOND)
    cache.clear()
    assert cache.get("a", NOW) is None
