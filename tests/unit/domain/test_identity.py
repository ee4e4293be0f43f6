"""Ids carry their instant."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from domain.identity import uuid7_at, uuid7_time

_MICROSECONDS_MAX = 8000 * 365 * 24 * 3600 * 10**6
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
