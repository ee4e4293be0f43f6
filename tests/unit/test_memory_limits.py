"""The fakes of RateStore, ReservationStore and UsageReader keep their contracts."""

import pytest

from adapters.memory.executions import MemoryExecutionRepository
from adapters.memory.limits import MemoryRateStore, MemoryReservationStore, MemoryUsageReader
from adapters.memory.manual_clock import ManualClock
from adapters.memory.queue import MemoryExecutionQueue
from adapters.memory.schedules import MemoryScheduleRepository
from adapters.memory.sessions import MemoryHiddenSessionRepository, MemorySessionRepository
from adapters.memory.store import MemoryStore
from adapters.memory.usage import MemoryExecutionCounts
from adapters.memory.webhooks import MemoryDeliveryQueue, MemoryWebhookRepository
from domain.errors import StorageUnavailable
from tests.contracts.limits import (
    FORGOTTEN_MAX,
    NOW,
    RateStoreContract,
    ReservationStoreContract,
    UsageReaderContract,
    charge,
)
from tests.contracts.storage import ALICE, Storage
from tests.contracts.usage import SETTLING, Count, ExecutionCountsContract


class TestMemoryRateStore(RateStoreContract):
    @pytest.fixture
    def rates(self) -> MemoryRateStore:
        return MemoryRateStore(FORGOTTEN_MAX)


class TestMemoryReservationStore(ReservationStoreContract):
    @pytest.fixture
    def reservations(self) -> MemoryReservationStore:
        return MemoryReservationStore()


class TestMemoryUsageReader(UsageReaderContract):
    @pytest.fixture
    def store(self) -> MemoryStore:
        return MemoryStore()

    @pytest.fixture
    def storage(self, store: MemoryStore) -> Storage:
        clock = ManualClock()
        executions = MemoryExecutionRepository(store, clock)
        hidden, queue = MemoryHiddenSessionRepository(store), MemoryExecutionQueue(store, executions)
        schedules = MemoryScheduleRepository(store, queue)
        sessions = MemorySessionRepository(store)
        return Storage(sessions, executions, clock, hidden=hidden, queue=queue, schedules=schedules)

    @pytest.fixture
    def webhooks(self) -> MemoryWebhookRepository:
        return MemoryWebhookRepository()

    @pytest.fixture
    def deliveries(self, webhooks: MemoryWebhookRepository) -> MemoryDeliveryQueue:
        return MemoryDeliveryQueue(webhooks.store)

    @pytest.fixture
    def reader(self, store: MemoryStore, webhooks: MemoryWebhookRepository) -> MemoryUsageReader:
        return MemoryUsageReader(store, self.EXAMINED_MAX, webhooks.store)


class TestMemoryExecutionCounts(ExecutionCountsContract):
    @pytest.fixture
    def store(self) -> MemoryStore:
        return MemoryStore()

    @pytest.fixture
    def storage(self, store: MemoryStore) -> Storage:
        clock = ManualClock()
        executions = MemoryExecutionRepository(store, clock)
        queue = MemoryExecutionQueue(store, executions)
        schedules = MemoryScheduleRepository(store, queue)
        return Storage(MemorySessionRepository(store), executions, clock, queue=queue, schedules=schedules)

    @pytest.fixture
    def counts(self, store: MemoryStore) -> MemoryExecutionCounts:
        return MemoryExecutionCounts(store)

    @pytest.fixture
    def count(self, storage: Storage, counts: MemoryExecutionCounts) -> Count:
        async def count() -> None:
            counts.count(storage.clock.now() - SETTLING)

        return count


async def test_a_rate_store_with_a_failure_fails_every_call():
    rates = MemoryRateStore(failure=StorageUnavailable())
    for call in (rates.settle([charge()]), rates.forget(NOW, None), rates.balances([ALICE])):
        with pytest.raises(StorageUnavailable):
            await call


async def test_a_reservation_store_with_a_failure_fails():
    with pytest.raises(StorageUnavailable):
        await MemoryReservationStore(failure=StorageUnavailable()).reserve([])


async def test_a_usage_reader_over_a_store_with_a_failure_fails():
    reader = MemoryUsageReader(MemoryStore(failure=StorageUnavailable()))
    for call in (reader.usage([ALICE], NOW), reader.open_executions([ALICE], NOW), reader.holdings([ALICE], 1)):
        with pytest.raises(StorageUnavailable):
            await call
