"""What is remembered, and until when."""

from datetime import timedelta

from adapters.memory.manual_clock import ManualClock
from domain.concurrency.ttl_cache import TtlCache

NOW = ManualClock().now()
SECOND = timedelta(seconds=1)


def test_a_value_is_remembered_until_its_instant() -> None:
    cache: TtlCache[str, int] = TtlCache(2)
    cache.put("a", 1, NOW + SECOND)
    assert cache.get("a", NOW) == 1
    assert cache.get("b", NOW) is None
    assert cache.get("a", NOW + SECOND) is None
    assert cache.get("a", NOW) is None


def test_the_oldest_makes_room_and_a_renewed_one_is_young() -> None:
    cache: TtlCache[str, int] = TtlCache(2)
    for key, value in (("a", 1), ("b", 2), ("a", 3), ("c", 4)):
        cache.put(key, value, NOW + SECOND)
    assert [cache.get(key, NOW) for key in "abc"] == [3, None, 4]


def test_everything_can_be_forgotten() -> None:
    cache: TtlCache[str, int] = TtlCache(2)
    cache.put("a", 1, NOW + SECOND)
    cache.clear()
    assert cache.get("a", NOW) is None
