"""New ids have an instant, random bits, and the bucket of a database that is not distributed."""

from datetime import timedelta

import pytest

from adapters.memory.sequential_ids import SequentialIds
from adapters.random_ids import RandomIds
from domain.identity import BUCKET_BITS, is_own_id, uuid7_time
from tests.unit.domain.builders import START

IDS = 1_000


@pytest.mark.parametrize("ids", [RandomIds(), SequentialIds()], ids=["random", "sequential"])
def test_a_new_id_has_its_instant_and_bucket_0(ids):
    for n in range(IDS):
        now = START + n * timedelta(microseconds=1)
        identifier = ids.new(now)
        assert is_own_id(identifier)
        assert uuid7_time(identifier) == now
        assert identifier.int & (1 << BUCKET_BITS) - 1 == 0


@pytest.mark.parametrize("ids", [RandomIds(), SequentialIds()], ids=["random", "sequential"])
def test_ids_of_one_instant_differ(ids):
    assert len({ids.new(START) for _ in range(IDS)}) == IDS


def test_every_random_bit_is_used():
    seen_set = seen_clear = 0
    for _ in range(IDS):
        seen_set |= RandomIds().new(START).int
        seen_clear |= ~RandomIds().new(START).int
    random_bits = (1 << 62) - (1 << BUCKET_BITS)
    assert seen_set & seen_clear & (1 << 62) - 1 == random_bits
