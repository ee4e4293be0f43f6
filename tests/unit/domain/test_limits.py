"""Limits within the server's maxima."""

import pytest

from domain.scripts.limits import MEMORY_MB_MIN, Isolation, Limits, LimitsPolicy, LimitsRequest

POLICY = LimitsPolicy(Limits(5000, 128, Isolation.SESSION), timeout_ms_max=60000, memory_mb_max=512)


def test_a_request_without_limits_gets_the_defaults() -> None:
    assert POLICY.grant(LimitsRequest()) == POLICY.default


def test_requested_limits_within_the_maxima_are_granted() -> None:
    asked = LimitsRequest(100, 64, Isolation.PROCESS)
    assert POLICY.grant(asked) == Limits(100, 64, Isolation.PROCESS)


@pytest.mark.parametrize("asked", [Isolation.SESSION, None])
def test_a_server_that_isolates_by_process_does_so_for_every_session(asked: Isolation | None) -> None:
    strict = LimitsPolicy(Limits(5000, 128, Isolation.PROCESS), 60000, 512)
    assert strict.grant(LimitsRequest(isolation=asked)).isolation is Isolation.PROCESS


def test_less_memory_than_a_language_can_enforce_counts_as_the_least() -> None:
    assert Limits(5000, 1, Isolation.SESSION).memory_mb == MEMORY_MB_MIN


def test_every_limit_over_its_maximum_is_a_problem_and_the_maximum_is_allowed() -> None:
    assert not list(POLICY.problems(LimitsRequest(60000, 512)))
    found = [problem.pointer for problem in POLICY.problems(LimitsRequest(60001, 513))]
    assert found == ["/limits/timeout_ms", "/limits/memory_mb"]
