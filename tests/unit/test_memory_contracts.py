"""The fake repositories keep the contracts; the switch does what tests rely on."""

import pytest

from adapters.memory.api_keys import MemoryApiKeyRepository
from adapters.memory.executions import MemoryExecutionRepository
from adapters.memory.functions import MemoryFunctionRepository
from adapters.memory.manual_clock import ManualClock
from adapters.memory.sessions import MemorySessionRepository
from adapters.memory.store import MemoryStore
from domain.errors import StorageUnavailable
from domain.identity import ANONYMOUS
from domain.ports import SessionFilter
from tests.contracts.api_key_repository import ApiKeyRepositoryContract
from tests.contracts.execution_repository import ExecutionRepositoryContract
from tests.contracts.function_repository import FunctionRepositoryContract
from tests.contracts.session_repository import EXAMINED_MAX, SessionRepositoryContract, same
from tests.contracts.storage import Storage


def memory_storage(store: MemoryStore) -> Storage:
    clock = ManualClock()
    return Storage(MemorySessionRepository(store, EXAMINED_MAX), MemoryExecutionRepository(store, clock), clock)


class TestMemorySessionRepository(SessionRepositoryContract):
    @pytest.fixture
    def storage(self) -> Storage:
        return memory_storage(MemoryStore())


class TestMemoryExecutionRepository(ExecutionRepositoryContract):
    @pytest.fixture
    def storage(self) -> Storage:
        return memory_storage(MemoryStore())


class TestMemoryApiKeyRepository(ApiKeyRepositoryContract):
    @pytest.fixture
    def keys(self) -> MemoryApiKeyRepository:
        return MemoryApiKeyRepository()


async def test_a_store_that_is_switched_off_fails_every_call():
    store = MemoryStore()
    storage = memory_storage(store)
    session = await storage.add()
    execution = (await storage.begin(session.key)).execution
    store.failure = StorageUnavailable()
    now = storage.clock.now()
    for call in (
        storage.add(),
        storage.sessions.get(session.key),
        storage.sessions.script(session.key),
        storage.sessions.update(session.key, same),
        storage.sessions.page(ANONYMOUS, SessionFilter(now), None, 1),
        storage.begin(session.key),
        storage.executions.withdraw(execution.execution_id, session.key),
        storage.executions.finish(storage.finished(execution)),
        storage.executions.page(session.key, None, 1),
    ):
        with pytest.raises(StorageUnavailable):
            await call


class TestMemoryFunctionRepository(FunctionRepositoryContract):
    @pytest.fixture
    def functions(self) -> MemoryFunctionRepository:
        return MemoryFunctionRepository()
