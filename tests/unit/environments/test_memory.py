"""The fakes of environments keep the contracts."""

from uuid import UUID

import pytest

from adapters.memory.audit import MemoryAudit
from adapters.memory.environments import (
    MemoryBuildQueue,
    MemoryEnvironmentRepository,
    MemoryEnvironmentStore,
    MemoryTreeStore,
)
from domain.errors import StorageUnavailable
from domain.grants.grants import Grants
from tests.contracts.environments import (
    DIGEST,
    OLDER_MAX,
    VERSIONS_MAX,
    BuildQueueContract,
    EnvironmentRepositoryContract,
    Environments,
    TreeStoreContract,
    claim,
)


def in_memory(store: MemoryEnvironmentStore) -> Environments:
    audit = MemoryAudit()

    async def add_session(session_id: UUID, grants: Grants | None) -> None:
        store.sessions[session_id] = grants

    async def add_function(grants: Grants) -> None:
        store.granted.append(grants)

    return Environments(
        MemoryEnvironmentRepository(store, audit, VERSIONS_MAX, OLDER_MAX),
        MemoryBuildQueue(store),
        MemoryTreeStore(store),
        audit,
        add_session,
        add_function,
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
