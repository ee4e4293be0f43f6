"""The contract of BucketRegister, for the moves of owners; `migrate distribute` adds buckets."""

from datetime import timedelta

import pytest

from adapters.memory.manual_clock import ManualClock
from domain.buckets.bucket_map import OwnerMove
from domain.buckets.ports import BucketRegister
from domain.identity import Owner
from tests.contracts.storage import ALICE, BOB

NOW = ManualClock().now()
LATER = NOW + timedelta(minutes=3)
ZOE = Owner("Zoë")


class BucketRegisterContract:
    """Subclasses have a fixture `register`, of a database without buckets."""

    @pytest.fixture
    def register(self) -> BucketRegister:
        raise NotImplementedError

    async def test_a_database_without_buckets_and_moves_has_none(self, register):
        read = await register.read()
        assert (list(read.buckets), list(read.moves)) == ([], [])

    async def test_a_move_is_known_from_its_first_announcement_on_and_read_with_its_last(self, register):
        assert await register.announce(ALICE, ZOE, NOW) == NOW
        assert await register.announce(ALICE, BOB, LATER) == LATER
        assert await register.announce(ALICE, ZOE, LATER) == NOW
        read = (await register.read()).moves
        assert {(each.source, each.target): each.last_at for each in read} == {(ALICE, ZOE): LATER, (ALICE, BOB): LATER}

    async def test_a_move_is_forgotten_unless_it_was_repeated_since_it_was_read(self, register):
        await register.announce(ALICE, BOB, NOW)
        (read,) = (await register.read()).moves
        await register.announce(ALICE, BOB, LATER)
        await register.forget(read)
        assert (await register.read()).moves == [OwnerMove(ALICE, BOB, LATER)]
        await register.forget(OwnerMove(ALICE, BOB, LATER))
        await register.forget(OwnerMove(ALICE, BOB, LATER))
        assert not (await register.read()).moves
        assert await register.announce(ALICE, BOB, LATER + timedelta(days=1)) == LATER + timedelta(days=1)
