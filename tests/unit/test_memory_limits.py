"""The fake ledger and the fake count keep their contracts."""

import pytest

from adapters.memory.executions import MemoryExecutionRepository
from adapters.memory.limits import MemoryRateStore, MemoryUsageReader
from adapters.memory.manual_clock import ManualClock
from adapters.memory.sessions import MemorySessionRepository
from adapters.memory.store import MemoryStore
from domain.errors import StorageUnavailable
from tests.contracts.limits import LOOKED_AT_MAX, NOW, RateLedgerContract, UsageReaderContract, charge
from tests.contracts.storage import ALICE, Storage


class TestMemoryRateLedger(RateLedgerContract):
    @pytest.fixture
    def ledger(self) -> MemoryRateStore:
        return MemoryRateStore(LOOKED_AT_MAX)


class TestMemoryUsageReader(UsageReaderContract):
    @pytest.fixture
    def store(self) -> MemoryStore:
        return MemoryStore()

    @pytest.fixture
    def storage(self, store: MemoryStore) -> Storage:
        clock = ManualClock()
        return Storage(MemorySessionRepository(store), MemoryExecutionRepository(store, clock), clock)

    @pytest.fixture
    def reader(self, store: MemoryStore) -> MemoryUsageReader:
        return MemoryUsageReader(store, self.EXAMINED_MAX)


async def test_a_ledger_that_is_switched_off_fails_every_call():
    ledger = MemoryRateStore(failure=StorageUnavailable())
    for call in (ledger.settle([charge()]), ledger.forget(NOW, None)):
        with pytest.raises(StorageUnavailable):
            await call


async def test_a_count_of_a_store_that_is_switched_off_fails():
    reader = MemoryUsageReader(MemoryStore(failure=StorageUnavailable()))
    for call in (reader.usage([ALICE], NOW), reader.open_executions([ALICE], NOW)):
        with pytest.raises(StorageUnavailable):
            await call
