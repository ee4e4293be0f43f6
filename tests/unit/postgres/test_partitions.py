"""Every id has a place in the history."""

from datetime import date, timedelta

import pytest

from adapters.postgres.codec import PARTITIONS, day_of, partition_of, partitions_between
from tests.foreign_ids import EXTREMES, random_v4


@pytest.mark.parametrize("identifiers", [EXTREMES, random_v4(10_000)], ids=["extreme", "random"])
def test_every_id_has_a_partition_and_a_day_of_the_calendar(identifiers):
    for identifier in identifiers:
        assert 0 <= partition_of(identifier) < PARTITIONS
        assert date(1970, 1, 1) <= date(1970, 1, 1) + timedelta(days=day_of(identifier)) <= date(3000, 1, 1)
        assert len(list(partitions_between(day_of(identifier), 20_000))) <= PARTITIONS
        assert len(list(partitions_between(20_000, day_of(identifier)))) <= PARTITIONS
