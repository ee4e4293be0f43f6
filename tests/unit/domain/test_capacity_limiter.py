"""A capacity limiter bounds concurrent calls and shares them fairly."""

from itertools import cycle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.concurrency.capacity_limiter import SHARE, CapacityLimiter
from domain.errors import Overloaded, QuotaReached
from domain.identity import ANONYMOUS, Owner

ALICE, BOB = Owner("alice"), Owner("bob")
OWNERS = [Owner(f"owner-{i}") for i in range(8)]


def filled(limiter: CapacityLimiter, owner: Owner) -> int:
    """Acquire permits for the owner until one is refused; return how many they got."""
    count = 0
    while True:
        try:
            limiter.acquire(owner)
        except (Overloaded, QuotaReached):
            return count
        count += 1


def test_permits_are_bounded_and_can_be_returned():
    limiter = CapacityLimiter("a worker", 1)
    with limiter.hold(ANONYMOUS):
        with pytest.raises(Overloaded, match="a worker"), limiter.hold(ANONYMOUS):
            pass
        assert limiter.in_use == limiter.held_by(ANONYMOUS) == 1
    assert limiter.in_use == limiter.held_by(ANONYMOUS) == 0


def test_a_lone_owner_leaves_a_fifth_of_the_permits_to_others():
    limiter = CapacityLimiter("a worker", 100)
    assert filled(limiter, ALICE) == 80
    with pytest.raises(QuotaReached) as refusal, limiter.hold(ALICE):
        pass
    assert refusal.value.details == {"limit": "fair_share", "allowed": 80, "observed": 80, "retry_after_ms": 1000}
    assert "a worker" in refusal.value.message
    assert filled(limiter, BOB) == 16


def test_the_anonymous_owner_may_hold_all_permits():
    assert filled(CapacityLimiter("a worker", 100), ANONYMOUS) == 100


def test_an_owner_above_its_share_keeps_its_permits_and_gets_no_more():
    limiter = CapacityLimiter("a worker", 100)
    held = filled(limiter, ALICE)
    filled(limiter, BOB)
    for _ in range(10):
        limiter.release(ALICE)
        filled(limiter, BOB)
    assert filled(limiter, ALICE) == 0
    assert (limiter.held_by(ALICE), limiter.held_by(BOB)) == (held - 10, 24)


def test_a_quota_counts_the_permits_that_the_owner_holds_elsewhere():
    elsewhere = {ALICE: 2}
    limiter = CapacityLimiter("a worker", 100, owner_max=3, elsewhere=lambda owner: elsewhere.get(owner, 0))
    with limiter.hold(ALICE):
        with pytest.raises(QuotaReached) as refusal, limiter.hold(ALICE):
            pass
        assert refusal.value.details == {
            "limit": "concurrent_calls",
            "allowed": 3,
            "observed": 3,
            "retry_after_ms": 1000,
        }
        with limiter.hold(BOB):
            elsewhere.clear()
            with limiter.hold(ALICE):
                assert limiter.in_use == 3


def test_without_other_controllers_a_quota_counts_permits_of_this_one():
    limiter = CapacityLimiter("a worker", 100, owner_max=3)
    assert (filled(limiter, ALICE), filled(limiter, ANONYMOUS)) == (3, 3)


@given(
    st.integers(1, 60),
    st.lists(st.tuples(st.sampled_from(OWNERS), st.booleans()), max_size=300),
)
def test_an_owner_without_permits_gets_a_free_one_and_no_owner_exceeds_its_share(size, steps):
    limiter = CapacityLimiter("a worker", size)
    for owner, acquires in steps:
        held, free = limiter.held_by(owner), size - limiter.in_use
        if not acquires:
            if held:
                limiter.release(owner)
            continue
        try:
            limiter.acquire(owner)
        except Overloaded:
            assert free == 0
        except QuotaReached:
            assert 0 < SHARE * free <= held
        else:
            assert free > 0
            assert held < SHARE * free
        assert 0 <= limiter.in_use == sum(map(limiter.held_by, OWNERS)) <= size


@given(st.integers(40, 400), st.integers(2, 8))
def test_owners_that_acquire_all_they_can_end_with_equal_parts(size, count):
    limiter = CapacityLimiter("a worker", size)
    filled(limiter, OWNERS[0])
    for _, owner in zip(range(20 * size), cycle(OWNERS[:count]), strict=False):
        # Each returns one permit and asks for two.
        if limiter.held_by(owner):
            limiter.release(owner)
        for _ in range(2):
            try:
                limiter.acquire(owner)
            except (Overloaded, QuotaReached):
                break
    held = [limiter.held_by(owner) for owner in OWNERS[:count]]
    assert max(held) - min(held) <= SHARE + 1
    assert sum(held) >= size * SHARE * count // (1 + SHARE * count) - count
