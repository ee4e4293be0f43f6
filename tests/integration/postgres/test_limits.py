"""Rates and usage in PostgreSQL keep their contracts."""

import asyncio
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from adapters.postgres.gateway import Gateway
from adapters.postgres.repositories.limits import PostgresRateStore, PostgresReservationStore, PostgresUsageReader
from adapters.postgres.repositories.usage import PostgresExecutionCounts
from adapters.postgres.repositories.webhooks import PostgresDeliveryQueue, PostgresWebhookRepository
from adapters.postgres.retention.usage_counter import UsageCounter
from adapters.postgres.statements.catalogue import Statements
from domain.identity import Owner
from domain.limits.reservation import NONE, SLOT_S
from tests.contracts.execution_queue import QueueOfOne
from tests.contracts.limits import (
    FORGOTTEN_MAX,
    RateStoreContract,
    ReservationStoreContract,
    UsageReaderContract,
    reserve,
)
from tests.contracts.storage import ALICE, BOB, Storage
from tests.contracts.usage import FIRST, SETTLED, Count, ExecutionCountsContract
from tests.integration.postgres.gateways import Rows, Run, SteeredGateway

DAY = timedelta(days=1)


async def run_twice(run: Run) -> Rows:
    """Run the statement again, as after a lost response, and return the rows of the second run."""
    await run()
    return await run()


class TestPostgresRateStore(RateStoreContract):
    @pytest.fixture
    def rates(self, gateway: Gateway, statements: Statements) -> PostgresRateStore:
        return PostgresRateStore(gateway, statements.limits, FORGOTTEN_MAX)


class TestPostgresReservationStore(ReservationStoreContract):
    @pytest.fixture
    def reservations(self, gateway: Gateway, statements: Statements) -> PostgresReservationStore:
        return PostgresReservationStore(gateway, statements.limits)

    async def test_what_has_expired_is_removed_with_idle_rates(self, reservations, gateway, statements):
        kept, expired = reserve(ALICE, 0, 11, slot=9), reserve(BOB, 0, 12, slot=7)
        await reservations.reserve([kept, expired])
        await PostgresRateStore(gateway, statements.limits).forget(datetime.fromtimestamp(9 * SLOT_S + 1, UTC), None)
        changes = [reserve(ALICE, 0, 13), reserve(BOB, 0, 14)]
        assert await reservations.reserve(changes) == [kept.proposal.reserved, changes[1].proposal.reserved]

    async def test_what_is_inserted_during_the_statement_is_not_changed(self, reservations, gateway, statements):
        """Two processes store the first row of an owner at the same time, in many owners."""
        owners = [Owner(f"owner-{number}") for number in range(20)]
        sent = [[reserve(owner, 0, version) for owner in owners] for version in (21, 22)]
        found = await asyncio.gather(*(reservations.reserve(each) for each in sent))
        stored = await reservations.reserve([reserve(owner, NONE, 23) for owner in owners])
        for rows, changes in zip(found, sent, strict=True):
            for row, change, now in zip(rows, changes, stored, strict=True):
                assert (row.version == change.proposal.reserved.version) is (now == change.proposal.reserved)


class TestPostgresUsageReader(UsageReaderContract):
    @pytest.fixture
    def storage(self, storage: Storage) -> Storage:
        return storage

    @pytest.fixture
    def webhooks(self, gateway: Gateway, statements: Statements) -> PostgresWebhookRepository:
        return PostgresWebhookRepository(gateway, statements.webhooks)

    @pytest.fixture
    def deliveries(self, gateway: Gateway, statements: Statements) -> PostgresDeliveryQueue:
        return PostgresDeliveryQueue(gateway, statements.webhooks)

    @pytest.fixture
    def reader(self, gateway: Gateway, statements: Statements) -> PostgresUsageReader:
        return PostgresUsageReader(gateway, statements.limits, self.EXAMINED_MAX)


class TestPostgresExecutionCounts(ExecutionCountsContract):
    @pytest.fixture
    def storage(self, storage: Storage) -> Storage:
        return storage

    @pytest.fixture
    def counter(self, gateway: Gateway, statements: Statements, storage: Storage) -> UsageCounter:
        return UsageCounter(gateway, statements.usage, storage.clock, 7)

    @pytest.fixture
    def counts(self, gateway: Gateway, statements: Statements) -> PostgresExecutionCounts:
        return PostgresExecutionCounts(gateway, statements.usage)

    @pytest.fixture
    def count(self, counter: UsageCounter) -> Count:
        async def count() -> None:
            while await counter.count(2) == 2 or await counter.count_added(2):
                pass

        return count

    async def test_counters_at_once_count_each_added_execution_once(self, gateway, statements, storage, counts):
        process, session, today = QueueOfOne(storage), await storage.add(ALICE), storage.clock.now().date()
        for _ in range(20):
            await process.add(session)
        for claimed in await process.claim(20, owner_max=20):
            await process.finish(claimed)
        counters = [UsageCounter(gateway, statements.usage, storage.clock, 1) for _ in range(4)]
        for _ in range(10):
            await asyncio.gather(*(each.count_added(3) for each in counters))
        ((day,),) = await counts.days([ALICE], today)
        assert day.executions == 20

    async def test_counters_at_once_count_each_execution_once(self, gateway, statements, storage, counts):
        session, today = await storage.add(ALICE), storage.clock.now().date()
        for _ in range(20):
            await storage.execute(session.ref)
        storage.clock.advance(SETTLED)
        counters = [UsageCounter(gateway, statements.usage, storage.clock, 1) for _ in range(4)]
        for _ in range(10):
            await asyncio.gather(*(each.count(3) for each in counters))
        ((day,),) = await counts.days([ALICE], today)
        assert day.executions == 20

    async def test_a_repeated_statement_counts_nothing(self, gateway, statements, storage, counts):
        await storage.execute((await storage.add(ALICE)).ref)
        storage.clock.advance(SETTLED)
        repeating = SteeredGateway(gateway)
        repeating.steps["count_usage"] = [run_twice]
        await UsageCounter(repeating, statements.usage, storage.clock, 0).count(10)
        ((day,),) = await counts.days([ALICE], storage.clock.now().date())
        assert day.executions == 1

    async def test_usage_of_days_past_the_retention_is_removed(self, storage, counter, counts, count):
        began = storage.clock.now().date()
        await storage.execute((await storage.add(BOB)).ref)
        storage.clock.advance(SETTLED)
        await count()
        for days, left in ((7, 1), (1, 0)):
            storage.clock.advance(days * DAY)
            await counter.remove_old(10)
            assert len((await counts.days([BOB], began))[0]) == left

    async def test_owners_have_sessions_functions_or_usage(self, storage, counts, count, database_url):
        await storage.execute((await storage.add(BOB)).ref)
        storage.clock.advance(SETTLED)
        await count()
        with psycopg.connect(database_url, autocommit=True) as connection:
            connection.execute("DELETE FROM meta.sessions")
        await storage.add(ALICE)
        assert await counts.owners(FIRST, 5) == [ALICE, BOB, "shared"]
