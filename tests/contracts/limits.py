"""The contracts of RateStore, ReservationStore and UsageReader."""

import asyncio
import json
import random
from collections import Counter
from datetime import timedelta
from uuid import UUID

import pytest
from attrs import evolve

from adapters.memory.manual_clock import ManualClock
from domain.audit import ActName
from domain.files.asked import AskedFile, AskedFiles
from domain.identity import Owner
from domain.json_text import JsonText
from domain.limits.ports import (
    OwnerHoldings,
    OwnerUsage,
    RateCharge,
    RateStore,
    ReservationChange,
    ReservationStore,
    UsageReader,
)
from domain.limits.reservation import NONE, Proposal, Reserved
from domain.queue.entry import AcceptOptions
from domain.webhooks.delivery import Delivery
from domain.webhooks.ports import DeliveryQueue, WebhookRepository
from domain.webhooks.webhook import ENDS, Event, SecretVersion, Webhook
from tests.contracts.execution_queue import LONG, QueueOfOne
from tests.contracts.schedule_repository import Planner
from tests.contracts.storage import ALICE, BOB, SCRIPT, Storage, report_of
from tests.support.acts import act

FORGOTTEN_MAX = 3
_RANDOM = "".join(random.Random(1).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=3000))
"""A text that is stored about as large as it is."""
NOW = ManualClock().now()
SECOND = timedelta(seconds=1)


def charge(owner: Owner = ALICE, policy: str = "execute", after_s: float = 0, spent_s: float = 1) -> RateCharge:
    return RateCharge(owner, policy, NOW + after_s * SECOND, spent_s * SECOND)


class RateStoreContract:
    """Subclasses have a fixture `rates`, a store that examines FORGOTTEN_MAX rows per call of `forget`."""

    @pytest.fixture
    def rates(self) -> RateStore:
        raise NotImplementedError

    async def test_the_first_charge_counts_from_its_first_call(self, rates):
        assert await rates.settle([charge(after_s=2, spent_s=0.000_001)]) == [NOW + 2.000_001 * SECOND]

    async def test_charges_add_up_while_the_quota_is_not_full(self, rates):
        await rates.settle([charge(spent_s=5)])
        assert await rates.settle([charge(after_s=1, spent_s=3)]) == [NOW + 8 * SECOND]

    async def test_a_quota_that_was_full_again_counts_from_the_call(self, rates):
        await rates.settle([charge(spent_s=5)])
        assert await rates.settle([charge(after_s=60, spent_s=3)]) == [NOW + 63 * SECOND]

    async def test_a_charge_of_zero_returns_the_state(self, rates):
        await rates.settle([charge(spent_s=5)])
        assert await rates.settle([charge(after_s=2, spent_s=0)]) == [NOW + 5 * SECOND]

    async def test_owners_and_policies_are_independent_and_returned_in_order(self, rates):
        charges = [charge(BOB, spent_s=1), charge(ALICE, "functions", spent_s=2), charge(ALICE, spent_s=3)]
        assert await rates.settle(charges) == [NOW + each * SECOND for each in (1, 2, 3)]
        assert await rates.settle(charges[::-1]) == [NOW + each * SECOND for each in (6, 4, 2)]

    async def test_concurrent_charges_are_all_added(self, rates):
        both = [charge(ALICE), charge(BOB)]
        await asyncio.gather(*(rates.settle(both[:: 1 if i % 2 else -1]) for i in range(40)))
        assert await rates.settle([charge(ALICE, spent_s=0), charge(BOB, spent_s=0)]) == [NOW + 40 * SECOND] * 2

    async def test_only_owners_with_a_full_quota_are_forgotten(self, rates):
        await rates.settle([charge(ALICE, spent_s=5), charge(BOB, spent_s=6)])
        assert await rates.forget(NOW + 6 * SECOND, None) is None
        assert await rates.settle([charge(ALICE, spent_s=0), charge(BOB, spent_s=0)]) == [NOW, NOW + 6 * SECOND]

    async def test_forgetting_continues_where_it_stopped(self, rates):
        owners = [Owner(f"owner-{i}") for i in range(2 * FORGOTTEN_MAX + 1)]
        await rates.settle([charge(owner, spent_s=9 if i < FORGOTTEN_MAX else 1) for i, owner in enumerate(owners)])
        before = NOW + 5 * SECOND
        after = await rates.forget(before, None)
        assert after == (owners[FORGOTTEN_MAX - 1], "execute")
        after = await rates.forget(before, after)
        assert after == (owners[2 * FORGOTTEN_MAX - 1], "execute")
        assert await rates.forget(before, after) is None
        kept = await rates.settle([charge(owner, spent_s=0) for owner in owners])
        assert kept == [NOW + 9 * SECOND] * FORGOTTEN_MAX + [NOW] * (FORGOTTEN_MAX + 1)

    async def test_balances_are_the_stored_instants_of_the_owners(self, rates):
        await rates.settle([charge(spent_s=5), charge(policy="functions", spent_s=1), charge(BOB, spent_s=6)])
        expected = {(ALICE, "execute"): NOW + 5 * SECOND, (ALICE, "functions"): NOW + SECOND}
        assert await rates.balances([ALICE, Owner("nobody")]) == expected
        assert await rates.balances([]) == {}

    async def test_forgetting_without_owners_is_no_error(self, rates):
        assert await rates.forget(NOW, None) is None


def reserve(owner: Owner, replaced: int, version: int, slot: int = 7, amount: int = 1) -> ReservationChange:
    return ReservationChange(owner, "live_sessions", Proposal(replaced, Reserved(version, slot, amount, 2)))


class ReservationStoreContract:
    """Subclasses have a fixture `reservations`."""

    @pytest.fixture
    def reservations(self) -> ReservationStore:
        raise NotImplementedError

    async def test_what_is_stored_first_replaces_nothing(self, reservations):
        changes = [reserve(BOB, 0, 12), reserve(ALICE, 0, 11), reserve(ALICE, 0, 13)]
        changes[2] = evolve(changes[2], limit="stored_bytes")
        assert await reservations.reserve(changes) == [each.proposal.reserved for each in changes]
        assert await reservations.reserve([]) == []

    async def test_only_the_version_that_is_stored_is_replaced(self, reservations):
        first = reserve(ALICE, 0, 11)
        await reservations.reserve([first])
        assert await reservations.reserve([reserve(ALICE, 0, 12, amount=5)]) == [first.proposal.reserved]
        assert await reservations.reserve([reserve(ALICE, NONE, 12, amount=5)]) == [first.proposal.reserved]
        second, other = reserve(ALICE, 11, 13, 8, 1 << 40), reserve(BOB, 0, 14)
        assert await reservations.reserve([other, second]) == [other.proposal.reserved, second.proposal.reserved]

    async def test_repeating_a_change_changes_nothing(self, reservations):
        change = reserve(ALICE, 0, 11)
        for _ in range(2):
            assert await reservations.reserve([change]) == [change.proposal.reserved]

    async def test_one_of_concurrent_changes_is_stored(self, reservations):
        await reservations.reserve([reserve(ALICE, 0, 1), reserve(BOB, 0, 1)])
        both = [[reserve(ALICE, 1, number), reserve(BOB, 1, number)] for number in range(2, 22)]
        found = await asyncio.gather(
            *(reservations.reserve(each[:: 1 if i % 2 else -1]) for i, each in enumerate(both))
        )
        accepted = Counter(
            row.version == change.proposal.reserved.version
            for i, (rows, changes) in enumerate(zip(found, both, strict=True))
            for row, change in zip(rows, changes[:: 1 if i % 2 else -1], strict=True)
        )
        assert accepted[True] == 2


class UsageReaderContract:
    """Subclasses have fixtures `storage` and `reader` over the same data; the reader examines EXAMINED_MAX sessions."""

    EXAMINED_MAX = 4

    @pytest.fixture
    def storage(self) -> Storage:
        raise NotImplementedError

    @pytest.fixture
    def webhooks(self) -> WebhookRepository:
        raise NotImplementedError

    @pytest.fixture
    def deliveries(self) -> DeliveryQueue:
        raise NotImplementedError

    @pytest.fixture
    def reader(self, storage: Storage, webhooks: WebhookRepository) -> UsageReader:
        raise NotImplementedError

    async def test_an_owner_without_sessions_has_no_usage(self, storage, reader):
        await storage.add(BOB)
        assert await reader.usage([ALICE], storage.clock.now()) == [OwnerUsage(0, 0)]
        assert await reader.open_executions([ALICE], storage.clock.now()) == [0]

    async def test_closed_and_expired_sessions_are_not_live(self, storage, reader):
        await storage.add(ALICE)
        await storage.close(await storage.add(ALICE))
        brief = await storage.add(ALICE, ttl_seconds=1, expires_at=storage.clock.now() + SECOND)
        before = await reader.usage([BOB, ALICE], brief.expires_at - timedelta(microseconds=1))
        assert [each.live_sessions for each in before] == [0, 2]
        after = await reader.usage([ALICE, BOB], brief.expires_at)
        assert [each.live_sessions for each in after] == [1, 0]

    async def test_bytes_include_expired_sessions(self, storage, reader):
        await storage.add(ALICE)
        (one,) = await reader.usage([ALICE], storage.clock.now())
        assert len(SCRIPT.source) <= one.stored_bytes < 2000
        await storage.add(ALICE)
        (two,) = await reader.usage([ALICE], storage.clock.now() + timedelta(days=1))
        assert two == OwnerUsage(0, 2 * one.stored_bytes)

    async def test_bytes_include_what_executions_that_run_later_and_messages_store(
        self, storage, reader, webhooks, deliveries
    ):
        session, process = await storage.add(ALICE, **LONG), QueueOfOne(storage)
        sizes = [(await reader.usage([ALICE], storage.clock.now()))[0].stored_bytes]

        async def grown() -> int:
            (found,) = await reader.usage([ALICE], storage.clock.now())
            sizes.append(found.stored_bytes)
            return sizes[-1] - sizes[-2]

        entry = evolve(process.entry(session.ref), params=JsonText(json.dumps(_RANDOM[:1000])))
        await process.accept(entry)
        assert 1000 <= await grown() < 1100
        inline = AskedFiles((AskedFile("a", content=_RANDOM[:3000].encode()),))
        with_files = evolve(process.entry(session.ref), options=AcceptOptions(files=inline))
        await process.accept(with_files)
        assert 3000 <= await grown() < 4500, "in base64"
        await process.queue.cancel(ALICE, with_files.execution_id, storage.clock.now())
        await grown()
        await process.finish(await process.claim_one(), report_of(result=JsonText(json.dumps(_RANDOM[:2000]))))
        assert 2000 <= await grown() < 2500
        webhook = Webhook(UUID(int=9), ALICE, "https://example.com/", ENDS, SecretVersion("0123456789abcdef"))
        await webhooks.add(webhook, 20, act(ActName.WEBHOOKS_CREATE))
        ids = [storage.ids.new(storage.clock.now()) for _ in range(3)]
        sent = Delivery(ids[0], webhook.webhook_id, ALICE, Event.TEST, _RANDOM[:3000], NOW, ids[1], ids[2])
        await deliveries.add(sent)
        assert 3000 <= await grown() < 3100
        assert (await reader.usage([BOB], storage.clock.now())) == [OwnerUsage(0, 0)]

    async def test_a_hidden_session_counts_its_bytes_only(self, storage, reader):
        listed = await storage.add(ALICE)
        (before,) = await reader.usage([ALICE], storage.clock.now())
        pinned = {"function_id": UUID(int=1), "function_version": 1}
        await storage.hidden.open(storage.new_session(ALICE, hidden=True, **pinned), SCRIPT)
        (after,) = await reader.usage([ALICE], storage.clock.now())
        assert (before.live_sessions, after.live_sessions) == (1, 1)
        assert after.stored_bytes == 2 * before.stored_bytes
        assert (await storage.listed(ALICE)) == [listed]

    async def test_a_bounded_number_of_the_newest_sessions_is_examined(self, storage, reader):
        for _ in range(self.EXAMINED_MAX + 1):
            await storage.add(ALICE)
        (found,) = await reader.usage([ALICE], storage.clock.now())
        assert found == OwnerUsage(self.EXAMINED_MAX, found.stored_bytes, complete=False)
        ((two,), (none,)) = [await reader.usage([each], storage.clock.now(), 2) for each in (ALICE, BOB)]
        assert (two.live_sessions, two.complete) == (2, False)
        assert none == OwnerUsage(0, 0)

    async def test_schedules_webhooks_and_queued_executions_count(self, storage, reader, webhooks):
        nothing = OwnerHoldings()
        assert await reader.holdings([ALICE, BOB], 10) == [nothing, nothing]
        session, process = await storage.add(ALICE, **LONG), QueueOfOne(storage)
        planner = Planner(storage, storage.schedules)
        for _ in range(3):
            await planner.add(session)
            await process.add(session)
        webhook = Webhook(UUID(int=9), ALICE, "https://example.com/", ENDS, SecretVersion("0123456789abcdef"))
        await webhooks.add(webhook, 20, act(ActName.WEBHOOKS_CREATE))
        assert await reader.holdings([BOB, ALICE], 10) == [nothing, OwnerHoldings(3, 1, 3)]
        assert await reader.holdings([ALICE], 2) == [OwnerHoldings(3, 1, 2)]
        await process.claim()
        assert await reader.holdings([ALICE], 10) == [OwnerHoldings(3, 1, 0)]

    async def test_executions_count_while_they_are_open_and_within_their_deadline(self, storage, reader):
        session = await storage.add(ALICE)
        ended = await storage.begin(session.ref)
        opened = await storage.begin(session.ref)
        await storage.executions.finish(storage.finished(ended))
        deadline_at = opened.deadline_at
        assert await reader.open_executions([BOB, ALICE], deadline_at - timedelta(microseconds=1)) == [0, 1]
        assert await reader.open_executions([ALICE], deadline_at) == [0]
