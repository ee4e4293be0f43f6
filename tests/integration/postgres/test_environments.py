"""Environments, their builds and their trees in PostgreSQL keep the contracts."""

import pytest

from adapters.postgres.gateway import Gateway
from adapters.postgres.repositories.audit import PostgresAuditReader
from adapters.postgres.repositories.environments import (
    PostgresBuildQueue,
    PostgresEnvironmentRepository,
    PostgresTreeStore,
)
from adapters.postgres.statements.catalogue import Statements
from tests.contracts.environments import (
    VERSIONS_MAX,
    BuildQueueContract,
    EnvironmentRepositoryContract,
    Environments,
    TreeStoreContract,
)


class TestPostgresEnvironments(EnvironmentRepositoryContract, BuildQueueContract, TreeStoreContract):
    @pytest.fixture
    def environments(self, gateway: Gateway, statements: Statements) -> Environments:
        return Environments(
            PostgresEnvironmentRepository(gateway, statements.environments, VERSIONS_MAX),
            PostgresBuildQueue(gateway, statements.environments),
            PostgresTreeStore(gateway, statements.environments),
            PostgresAuditReader(gateway, statements.audit),
        )
