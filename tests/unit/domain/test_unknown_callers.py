"""The rate of callers whom no credential identifies."""

from datetime import timedelta

import pytest

from adapters.memory.manual_clock import ManualClock
from domain.limits.rate import RateLimited, RatePolicy
from domain.limits.unknown_callers import UNKNOWN, UnknownCallers

POLICY = RatePolicy(UNKNOWN, 2, 60)


def callers(addresses_max: int = 10) -> UnknownCallers:
    return UnknownCallers(POLICY, ManualClock().monotonic_ns, addresses_max)


def charged(callers: UnknownCallers, address: str | None) -> bool:
    try:
        callers.charge(address)
    except RateLimited:
        return False
    return True


def test_each_address_has_the_rate() -> None:
    unknown = callers()
    assert [charged(unknown, address) for address in ("10.0.0.1",) * 3 + ("10.0.0.2", None, "socket")] == [
        True, True, False, True, True, True,
    ]  # fmt: skip
    assert unknown.refusals == 1


def test_a_rejected_request_is_not_counted() -> None:
    clock = ManualClock()
    unknown = UnknownCallers(POLICY, clock.monotonic_ns)
    for _ in range(5):
        charged(unknown, "10.0.0.1")
    clock.advance(timedelta(seconds=30))
    assert charged(unknown, "10.0.0.1")


def test_addresses_of_one_ipv6_network_are_one_caller() -> None:
    unknown = callers()
    same = ["2001:db8::1", "2001:db8::2%eth0", "2001:db8:0:0:ffff::3"]
    assert [charged(unknown, each) for each in [*same, "2001:db8:0:1::1", ":not-an-address"]] == [
        True, True, False, True, True,
    ]  # fmt: skip


def test_the_address_that_has_not_called_for_the_longest_time_is_forgotten() -> None:
    unknown = callers(addresses_max=2)
    for address in ("a", "a", "b", "a", "c", "a", "a"):
        charged(unknown, address)
    assert charged(unknown, "b")
    with pytest.raises(RateLimited) as caught:
        unknown.charge("a")
    assert caught.value.details["policy"] == UNKNOWN
