"""The rule of rates keeps its promises."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.limits.rate import RateDecision, RateLimited, RatePolicy, judge

S = 1_000_000_000

policies = st.builds(RatePolicy, st.just("execute"), st.integers(1, 300), st.integers(1, 3600))
gaps_ns = st.integers(0, 20 * S)


def test_a_policy_allows_its_count_at_once_and_then_one_call_for_each_interval():
    policy = RatePolicy("execute", 100, 60)
    full_at_ns, now_ns = 0, 10**15
    for left in range(99, -1, -1):
        verdict = judge(policy, full_at_ns, now_ns)
        assert (verdict.allowed, verdict.remaining) == (True, left)
        full_at_ns = verdict.full_at_ns
    refused = judge(policy, full_at_ns, now_ns)
    assert refused == RateDecision(False, full_at_ns, 0, 600_000_000)
    assert not judge(policy, full_at_ns, now_ns + 599_999_999).allowed
    assert judge(policy, full_at_ns, now_ns + 600_000_000).allowed


def test_the_wait_ends_when_one_more_call_is_refilled():
    policy = RatePolicy("execute", 2, 2)
    first = judge(policy, 0, 10 * S)
    assert (first.remaining, first.wait_ns) == (1, S)
    later = judge(policy, first.full_at_ns, 10 * S + S // 4)
    assert (later.remaining, later.wait_ns) == (0, 3 * S // 4)


def test_a_call_without_cost_returns_the_state():
    policy = RatePolicy("execute", 2, 2)
    assert judge(policy, 0, 10 * S, 0) == RateDecision(True, 10 * S, 2, 0)


def test_a_call_may_cost_at_most_the_whole_quota():
    policy = RatePolicy("execute", 10, 60)
    assert judge(policy, 0, 0, 10).allowed
    refused = judge(policy, 0, 0, 11)
    assert (refused.allowed, refused.full_at_ns, refused.remaining) == (False, 0, 10)
    error = RateLimited(policy, refused, 11)
    assert error.retry_after_ms is None
    assert "smaller parts" in error.message
    assert "retry_after_ms" not in error.details


def test_the_error_names_the_limit_and_the_time_to_wait():
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


def test_the_error_names_the_cost_and_the_calls_that_are_left():
    policy = RatePolicy("execute", 3, 3)
    error = RateLimited(policy, judge(policy, 2 * S, 0, 2), 2)
    assert "3 calls of execute in 3 s, and the call counts as 2 while 1 are left." in error.message


@pytest.mark.parametrize(("count", "window_s"), [(0, 1), (1, 0)])
def test_a_policy_needs_a_count_and_a_window(count, window_s):
    with pytest.raises(ValueError, match="must be >= 1"):
        RatePolicy("execute", count, window_s)


@given(policies, st.lists(st.tuples(gaps_ns, st.integers(1, 5)), max_size=60))
def test_no_span_admits_more_than_the_count_and_the_calls_refilled_in_it(policy, calls):
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
def test_a_verdict_predicts_the_next_calls_exactly(policy, full_at_ns, now_ns, cost):
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
def test_waiting_never_reduces_the_calls_that_are_left(policy, full_at_ns, gaps):
    instants = [sum(gaps[:i]) for i in range(1, len(gaps) + 1)]
    remaining = [judge(policy, full_at_ns, now_ns, 0).remaining for now_ns in instants]
    assert all(earlier <= later for earlier, later in pairwise(remaining))
