"""Ids carry their instant."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.identity import INSTANT_MAX, is_own_id, uuid7_at, uuid7_ms, uuid7_time
from tests.foreign_ids import EXTREMES, random_v4, uuid_of

_MICROSECONDS_MAX = 1000 * 365 * 24 * 3600 * 10**6
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CENTURY = timedelta(days=36_525)
instants = st.integers(min_value=0, max_value=_MICROSECONDS_MAX).map(
    lambda us: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=us)
)
bits = st.integers(min_value=0, max_value=2**62 - 1)


@given(instants, bits)
def test_the_instant_comes_back_to_the_microsecond(now: datetime, random_bits: int) -> None:
    assert uuid7_time(uuid7_at(now, random_bits)) == now


@given(instants, bits)
def test_an_id_is_a_version_7_of_the_standard_variant(now: datetime, random_bits: int) -> None:
    identifier = uuid7_at(now, random_bits)
    assert identifier.version == 7
    assert identifier.variant == "specified in RFC 4122"
    assert identifier.int & (2**62 - 1) == random_bits


@given(instants, instants, bits, bits)
def test_ids_of_different_instants_sort_by_them(a: datetime, b: datetime, one: int, two: int) -> None:
    if a != b:
        assert (uuid7_at(a, one) < uuid7_at(b, two)) == (a < b)


@pytest.mark.parametrize("identifiers", [EXTREMES, random_v4(10_000)], ids=["extreme", "random"])
def test_every_id_has_a_time_to_calculate_with(identifiers) -> None:
    for identifier in identifiers:
        at = uuid7_time(identifier)
        assert _EPOCH <= at <= INSTANT_MAX
        assert at - _CENTURY < at < at + _CENTURY
        assert (at - _EPOCH) // timedelta(milliseconds=1) == uuid7_ms(identifier)


@given(st.uuids(), st.uuids())
def test_an_id_that_sorts_later_has_no_earlier_time(a, b) -> None:
    earlier, later = sorted([a, b])
    assert uuid7_ms(earlier) <= uuid7_ms(later)


def test_a_time_beyond_the_latest_is_the_latest() -> None:
    latest = uuid7_at(INSTANT_MAX, 0)
    just_before = uuid7_at(INSTANT_MAX - timedelta(microseconds=1), 0)
    assert uuid7_time(just_before) == INSTANT_MAX - timedelta(microseconds=1)
    assert uuid7_time(latest) == uuid7_time(uuid_of(7, (1 << 48) - 1)) == INSTANT_MAX


@given(st.uuids())
def test_an_id_is_own_only_with_version_7_and_a_time_to_come(identifier) -> None:
    beyond = identifier.int >> 80 >= (INSTANT_MAX - _EPOCH) // timedelta(milliseconds=1)
    assert is_own_id(identifier) == (identifier.version == 7 and not beyond)


@given(instants.filter(lambda now: now < INSTANT_MAX), bits)
def test_every_id_of_the_service_is_own(now: datetime, random_bits: int) -> None:
    assert is_own_id(uuid7_at(now, random_bits))


def test_random_and_extreme_ids_are_not_own() -> None:
    assert not any(map(is_own_id, random_v4(10_000)))
    assert [each for each in EXTREMES if is_own_id(each)] == [uuid_of(7, 0)]
