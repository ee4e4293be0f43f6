"""The fakes of environments keep the contracts."""

import pytest

from adapters.memory.audit import MemoryAudit
from adapters.memory.environments import (
    MemoryBuildQueue,
    MemoryEnvironmentRepository,
    MemoryEnvironmentStore,
    MemoryTreeStore,
)
from domain.errors import StorageUnavailable
from tests.contracts.environments import (
    DIGEST,
    VERSIONS_MAX,
    BuildQueueContract,
    EnvironmentRepositoryContract,
    Environments,
    TreeStoreContract,
    claim,
)


def in_memory(store: MemoryEnvironmentStore) -> Environments:
    audit = MemoryAudit()
    return Environments(
        MemoryEnvironmentRepository(store, audit, VERSIONS_MAX), MemoryBuildQueue(store), MemoryTreeStore(store), audit
    )


class TestMemoryEnvironments(EnvironmentRepositoryContract, BuildQueueContract, TreeStoreContract):
    @pytest.fixture
    def environments(self) -> Environments:
        return in_memory(MemoryEnvironmentStore())


async def test_while_its_failure_is_set_the_store_raises_it() -> None:
    environments = in_memory(MemoryEnvironmentStore(failure=StorageUnavailable()))
    for call in (environments.repository.versions(), environments.queue.claim(claim()), environments.trees.get(DIGEST)):
        with pytest.raises(StorageUnavailable):
            await call
