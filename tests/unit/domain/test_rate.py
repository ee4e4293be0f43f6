"""The rule of rates, held to what it promises."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.limits.rate import RateLimited, RatePolicy, RateVerdict, judge

S = 1_000_000_000

policies = st.builds(RatePolicy, st.just("execute"), st.integers(1, 300), st.integers(1, 3600))
gaps_ns = st.integers(0, 20 * S)


def test_a_policy_grants_its_count_at_once_and_then_one_for_each_interval():
    policy = RatePolicy("execute", 100, 60)
    full_at_ns, now_ns = 0, 10**15
    for left in range(99, -1, -1):
        verdict = judge(policy, full_at_ns, now_ns)
        assert (verdict.allowed, verdict.remaining) == (True, left)
        full_at_ns = verdict.full_at_ns
    refused = judge(policy, full_at_ns, now_ns)
    assert refused == RateVerdict(False, full_at_ns, 0, 600_000_000)
    assert not judge(policy, full_at_ns, now_ns + 599_999_999).allowed
    assert judge(policy, full_at_ns, now_ns + 600_000_000).allowed


def test_the_wait_that_is_told_is_until_one_more_may_follow():
    policy = RatePolicy("execute", 2, 2)
    first = judge(policy, 0, 10 * S)
    assert (first.remaining, first.wait_ns) == (1, S)
    later = judge(policy, first.full_at_ns, 10 * S + S // 4)
    assert (later.remaining, later.wait_ns) == (0, 3 * S // 4)


def test_a_call_that_costs_nothing_tells_the_state():
    policy = RatePolicy("execute", 2, 2)
    assert judge(policy, 0, 10 * S, 0) == RateVerdict(True, 10 * S, 2, 0)


def test_a_call_may_cost_as_much_as_the_quota_and_no_more():
    policy = RatePolicy("execute", 10, 60)
    assert judge(policy, 0, 0, 10).allowed
    refused = judge(policy, 0, 0, 11)
    assert (refused.allowed, refused.full_at_ns, refused.remaining) == (False, 0, 10)
    error = RateLimited(policy, refused, 11)
    assert error.retry_after_ms is None
    assert "smaller parts" in error.message
    assert "retry_after_ms" not in error.details


def test_whoever_is_refused_is_told_which_limit_and_when_to_come_back():
    policy = RatePolicy("execute", 1, 3)
    error = RateLimited(policy, judge(policy, 5 * S, 3 * S - 1), 1)
    assert error.details == {
        "limit": "rate",
        "policy": "execute",
        "allowed": 1,
        "window_seconds": 3,
        "cost": 1,
        "remaining": 0,
        "retry_after_ms": 2001,
    }
    assert "1 calls of execute in 3 s" in error.message


def test_whoever_has_some_calls_left_and_not_enough_is_told_of_both():
    policy = RatePolicy("execute", 3, 3)
    error = RateLimited(policy, judge(policy, 2 * S, 0, 2), 2)
    assert "3 calls of execute in 3 s, and the call counts as 2 where 1 are left." in error.message


@pytest.mark.parametrize(("count", "window_s"), [(0, 1), (1, 0)])
def test_a_policy_grants_something_in_some_time(count, window_s):
    with pytest.raises(ValueError, match="must be >= 1"):
        RatePolicy("execute", count, window_s)


@given(policies, st.lists(st.tuples(gaps_ns, st.integers(1, 5)), max_size=60))
def test_in_every_span_no_more_is_admitted_than_the_count_and_what_comes_back(policy, calls):
    admitted: list[tuple[int, int]] = []
    full_at_ns, now_ns = 0, 0
    for gap_ns, cost in calls:
        now_ns += gap_ns
        verdict = judge(policy, full_at_ns, now_ns, cost)
        assert verdict.full_at_ns >= full_at_ns
        if verdict.allowed:
            admitted.append((now_ns, cost))
        full_at_ns = verdict.full_at_ns
    for first, (from_ns, _) in enumerate(admitted):
        total = 0
        for until_ns, cost in admitted[first:]:
            total += cost
            assert total <= policy.count + (until_ns - from_ns) / policy.interval_ns


@given(policies, st.integers(0, 4000 * S), st.integers(0, 4000 * S), st.integers(1, 300))
def test_a_verdict_says_exactly_what_follows(policy, full_at_ns, now_ns, cost):
    verdict = judge(policy, full_at_ns, now_ns, cost)
    if verdict.allowed:
        assert judge(policy, verdict.full_at_ns, now_ns, verdict.remaining).allowed
        assert not judge(policy, verdict.full_at_ns, now_ns, verdict.remaining + 1).allowed
        if verdict.wait_ns:
            at_ns = now_ns + verdict.wait_ns
            assert judge(policy, verdict.full_at_ns, at_ns, verdict.remaining + 1).allowed
            assert not judge(policy, verdict.full_at_ns, at_ns - 1, verdict.remaining + 1).allowed
    else:
        assert verdict.full_at_ns == full_at_ns
        assert not judge(policy, full_at_ns, now_ns + verdict.wait_ns - 1, cost).allowed
        if cost <= policy.count:
            assert judge(policy, full_at_ns, now_ns + verdict.wait_ns, cost).allowed


@given(policies, st.integers(0, 4000 * S), st.lists(gaps_ns, min_size=2, max_size=5))
def test_waiting_never_takes_anything_away(policy, full_at_ns, gaps):
    instants = [sum(gaps[:i]) for i in range(1, len(gaps) + 1)]
    remaining = [judge(policy, full_at_ns, now_ns, 0).remaining for now_ns in instants]
    assert all(earlier <= later for earlier, later in pairwise(remaining))
