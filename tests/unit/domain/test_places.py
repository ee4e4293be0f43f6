"""Places are bounded, and shared out fairly."""

from itertools import cycle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.concurrency.capacity_limiter import SHARE, CapacityLimiter
from domain.errors import Overloaded
from domain.identity import ANONYMOUS, Owner
from domain.limits.quota import QuotaReached

ALICE, BOB = Owner("alice"), Owner("bob")
OWNERS = [Owner(f"owner-{i}") for i in range(8)]


def filled(places: CapacityLimiter, owner: Owner) -> int:
    """Let the owner take what they can get, and return how many that was."""
    count = 0
    while True:
        try:
            places.enter(owner)
        except (Overloaded, QuotaReached):
            return count
        count += 1


def test_places_are_bounded_and_come_back():
    places = CapacityLimiter("a worker", 1)
    with places.hold(ANONYMOUS):
        with pytest.raises(Overloaded, match="a worker"), places.hold(ANONYMOUS):
            pass
        assert places.taken == places.held_by(ANONYMOUS) == 1
    assert places.taken == places.held_by(ANONYMOUS) == 0


def test_an_owner_alone_leaves_a_fifth_to_others():
    places = CapacityLimiter("a worker", 100)
    assert filled(places, ALICE) == 80
    with pytest.raises(QuotaReached) as refusal, places.hold(ALICE):
        pass
    assert refusal.value.details == {"limit": "fair_share", "allowed": 80, "observed": 80, "retry_after_ms": 1000}
    assert "a worker" in refusal.value.message
    assert filled(places, BOB) == 16


def test_while_everybody_is_one_owner_there_is_nobody_to_share_with():
    assert filled(CapacityLimiter("a worker", 100), ANONYMOUS) == 100


def test_whoever_holds_more_than_their_share_keeps_it_and_gets_no_more():
    places = CapacityLimiter("a worker", 100)
    held = filled(places, ALICE)
    filled(places, BOB)
    for _ in range(10):
        places.exit(ALICE)
        filled(places, BOB)
    assert filled(places, ALICE) == 0
    assert (places.held_by(ALICE), places.held_by(BOB)) == (held - 10, 24)


def test_a_quota_counts_what_the_owner_holds_elsewhere():
    elsewhere = {ALICE: 2}
    places = CapacityLimiter("a worker", 100, owner_max=3, elsewhere=lambda owner: elsewhere.get(owner, 0))
    with places.hold(ALICE):
        with pytest.raises(QuotaReached) as refusal, places.hold(ALICE):
            pass
        assert refusal.value.details == {
            "limit": "concurrent_calls",
            "allowed": 3,
            "observed": 3,
            "retry_after_ms": 1000,
        }
        with places.hold(BOB):
            elsewhere.clear()
            with places.hold(ALICE):
                assert places.taken == 3


def test_a_quota_may_count_what_is_here_alone():
    places = CapacityLimiter("a worker", 100, owner_max=3)
    assert (filled(places, ALICE), filled(places, ANONYMOUS)) == (3, 3)


@given(
    st.integers(1, 60),
    st.lists(st.tuples(st.sampled_from(OWNERS), st.booleans()), max_size=300),
)
def test_whoever_holds_nothing_gets_a_place_if_there_is_one_and_nobody_passes_their_share(size, steps):
    places = CapacityLimiter("a worker", size)
    for owner, enters in steps:
        held, free = places.held_by(owner), size - places.taken
        if not enters:
            if held:
                places.exit(owner)
            continue
        try:
            places.enter(owner)
        except Overloaded:
            assert free == 0
        except QuotaReached:
            assert 0 < SHARE * free <= held
        else:
            assert free > 0
            assert held < SHARE * free
        assert 0 <= places.taken == sum(map(places.held_by, OWNERS)) <= size


@given(st.integers(40, 400), st.integers(2, 8))
def test_owners_who_take_what_they_can_get_end_with_the_same(size, count):
    places = CapacityLimiter("a worker", size)
    filled(places, OWNERS[0])
    for _, owner in zip(range(20 * size), cycle(OWNERS[:count]), strict=False):
        # Each ends one of theirs and asks for two.
        if places.held_by(owner):
            places.exit(owner)
        for _ in range(2):
            try:
                places.enter(owner)
            except (Overloaded, QuotaReached):
                break
    held = [places.held_by(owner) for owner in OWNERS[:count]]
    assert max(held) - min(held) <= SHARE + 1
    assert sum(held) >= size * SHARE * count // (1 + SHARE * count) - count
