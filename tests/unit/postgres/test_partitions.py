"""Every id has a place in the history."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.postgres.codec import (
    PARTITIONS,
    day_at,
    day_of,
    first_day_of,
    partition_of,
    partitions_between,
)
from domain.identity import is_own_id, uuid7_at
from tests.foreign_ids import EXTREMES, random_v4
from tests.unit.domain.builders import START


@pytest.mark.parametrize("identifiers", [EXTREMES, random_v4(10_000)], ids=["extreme", "random"])
def test_every_id_has_a_partition_and_a_day_of_the_calendar(identifiers):
    for identifier in identifiers:
        assert 0 <= partition_of(identifier) < PARTITIONS
        assert date(1970, 1, 1) <= date(1970, 1, 1) + timedelta(days=day_of(identifier)) <= date(3000, 1, 1)
        assert len(list(partitions_between(day_of(identifier), 20_000))) <= PARTITIONS
        assert len(list(partitions_between(20_000, day_of(identifier)))) <= PARTITIONS


@given(st.uuids())
def test_the_history_of_a_foreign_id_may_begin_on_any_day(identifier):
    if not is_own_id(identifier):
        assert first_day_of(identifier, START) == 0


@given(st.integers(min_value=0, max_value=10_000), st.integers(min_value=0, max_value=2**62 - 1))
def test_the_history_of_an_own_id_begins_on_its_day(days, random_bits):
    now = START + timedelta(days=days)
    assert first_day_of(uuid7_at(now, random_bits), now) == day_at(now)
    assert first_day_of(uuid7_at(now, random_bits), now - timedelta(days=1)) == 0
