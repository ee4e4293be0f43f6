"""What a ledger of rates and a count of usage must do."""

import asyncio
from datetime import timedelta

import pytest

from adapters.memory.manual_clock import ManualClock
from domain.identity import Owner
from domain.limits.ports import OwnerUsage, RateCharge, RateStore, UsageReader
from tests.contracts.storage import ALICE, BOB, SCRIPT, Storage

LOOKED_AT_MAX = 3
NOW = ManualClock().now()
SECOND = timedelta(seconds=1)


def charge(owner: Owner = ALICE, policy: str = "execute", after_s: float = 0, spent_s: float = 1) -> RateCharge:
    return RateCharge(owner, policy, NOW + after_s * SECOND, spent_s * SECOND)


class RateLedgerContract:
    """Inherited with a fixture `ledger`, which looks at LOOKED_AT_MAX rows when it forgets."""

    @pytest.fixture
    def ledger(self) -> RateStore:
        raise NotImplementedError

    async def test_the_first_charge_counts_from_its_first_call(self, ledger):
        assert await ledger.settle([charge(after_s=2, spent_s=0.000_001)]) == [NOW + 2.000_001 * SECOND]

    async def test_charges_add_up_while_the_quota_is_not_full(self, ledger):
        await ledger.settle([charge(spent_s=5)])
        assert await ledger.settle([charge(after_s=1, spent_s=3)]) == [NOW + 8 * SECOND]

    async def test_a_quota_that_was_full_meanwhile_counts_from_the_call(self, ledger):
        await ledger.settle([charge(spent_s=5)])
        assert await ledger.settle([charge(after_s=60, spent_s=3)]) == [NOW + 63 * SECOND]

    async def test_a_charge_of_nothing_tells_the_state(self, ledger):
        await ledger.settle([charge(spent_s=5)])
        assert await ledger.settle([charge(after_s=2, spent_s=0)]) == [NOW + 5 * SECOND]

    async def test_owners_and_policies_are_apart_and_answered_in_order(self, ledger):
        charges = [charge(BOB, spent_s=1), charge(ALICE, "functions", spent_s=2), charge(ALICE, spent_s=3)]
        assert await ledger.settle(charges) == [NOW + each * SECOND for each in (1, 2, 3)]
        assert await ledger.settle(charges[::-1]) == [NOW + each * SECOND for each in (6, 4, 2)]

    async def test_concurrent_charges_are_all_added(self, ledger):
        both = [charge(ALICE), charge(BOB)]
        await asyncio.gather(*(ledger.settle(both[:: 1 if i % 2 else -1]) for i in range(40)))
        assert await ledger.settle([charge(ALICE, spent_s=0), charge(BOB, spent_s=0)]) == [NOW + 40 * SECOND] * 2

    async def test_those_whose_quota_is_full_are_forgotten_and_no_others(self, ledger):
        await ledger.settle([charge(ALICE, spent_s=5), charge(BOB, spent_s=6)])
        assert await ledger.forget(NOW + 6 * SECOND, None) is None
        assert await ledger.settle([charge(ALICE, spent_s=0), charge(BOB, spent_s=0)]) == [NOW, NOW + 6 * SECOND]

    async def test_forgetting_goes_on_where_it_stopped(self, ledger):
        owners = [Owner(f"owner-{i}") for i in range(2 * LOOKED_AT_MAX + 1)]
        await ledger.settle([charge(owner, spent_s=9 if i < LOOKED_AT_MAX else 1) for i, owner in enumerate(owners)])
        before = NOW + 5 * SECOND
        after = await ledger.forget(before, None)
        assert after == (owners[LOOKED_AT_MAX - 1], "execute")
        after = await ledger.forget(before, after)
        assert after == (owners[2 * LOOKED_AT_MAX - 1], "execute")
        assert await ledger.forget(before, after) is None
        kept = await ledger.settle([charge(owner, spent_s=0) for owner in owners])
        assert kept == [NOW + 9 * SECOND] * LOOKED_AT_MAX + [NOW] * (LOOKED_AT_MAX + 1)

    async def test_forgetting_nothing_is_no_trouble(self, ledger):
        assert await ledger.forget(NOW, None) is None


class UsageReaderContract:
    """Inherited with fixtures `storage` and `reader` on the same data; the reader looks at EXAMINED_MAX sessions."""

    EXAMINED_MAX = 4

    @pytest.fixture
    def storage(self) -> Storage:
        raise NotImplementedError

    @pytest.fixture
    def reader(self, storage: Storage) -> UsageReader:
        raise NotImplementedError

    async def test_whoever_has_nothing_has_nothing(self, storage, reader):
        await storage.add(BOB)
        assert await reader.usage([ALICE], storage.clock.now()) == [OwnerUsage(0, 0)]
        assert await reader.open_executions([ALICE], storage.clock.now()) == [0]

    async def test_live_sessions_are_those_that_are_neither_closed_nor_expired(self, storage, reader):
        await storage.add(ALICE)
        await storage.close(await storage.add(ALICE))
        brief = await storage.add(ALICE, ttl_seconds=1, expires_at=storage.clock.now() + SECOND)
        before = await reader.usage([BOB, ALICE], brief.expires_at - timedelta(microseconds=1))
        assert [each.live_sessions for each in before] == [0, 2]
        after = await reader.usage([ALICE, BOB], brief.expires_at)
        assert [each.live_sessions for each in after] == [1, 0]

    async def test_bytes_are_what_all_sessions_take_the_expired_ones_too(self, storage, reader):
        await storage.add(ALICE)
        (one,) = await reader.usage([ALICE], storage.clock.now())
        assert len(SCRIPT.source) <= one.stored_bytes < 2000
        await storage.add(ALICE)
        (two,) = await reader.usage([ALICE], storage.clock.now() + timedelta(days=1))
        assert two == OwnerUsage(0, 2 * one.stored_bytes)

    async def test_a_bounded_number_of_the_newest_sessions_is_looked_at(self, storage, reader):
        for _ in range(self.EXAMINED_MAX + 1):
            await storage.add(ALICE)
        (found,) = await reader.usage([ALICE], storage.clock.now())
        assert found.live_sessions == self.EXAMINED_MAX

    async def test_executions_count_while_they_are_open_and_within_their_deadline(self, storage, reader):
        session = await storage.add(ALICE)
        ended = await storage.begin(session.ref)
        opened = await storage.begin(session.ref)
        await storage.executions.finish(storage.finished(ended))
        deadline_at = opened.deadline_at
        assert await reader.open_executions([BOB, ALICE], deadline_at - timedelta(microseconds=1)) == [0, 1]
        assert await reader.open_executions([ALICE], deadline_at) == [0]
