"""Environments, their builds and their trees in PostgreSQL keep the contracts."""

from uuid import UUID

import pytest

from adapters.postgres.gateway import Gateway
from adapters.postgres.repositories.audit import PostgresAuditReader
from adapters.postgres.repositories.environments import (
    PostgresBuildQueue,
    PostgresEnvironmentRepository,
    PostgresTreeStore,
)
from adapters.postgres.statements.catalogue import Statements
from domain.functions.function import Definition, Function
from domain.grants.grants import Grants
from domain.identity import ANONYMOUS, SessionRef
from domain.scripts.language import Language, LanguageTitle
from domain.scripts.script import Script
from tests.contracts.environments import (
    OLDER_MAX,
    VERSIONS_MAX,
    BuildQueueContract,
    EnvironmentRepositoryContract,
    Environments,
    TreeStoreContract,
)
from tests.integration.postgres.conftest import storage_on
from tests.support.acts import act

TITLE = LanguageTitle(Language.PYTHON, "data")


class TestPostgresEnvironments(EnvironmentRepositoryContract, BuildQueueContract, TreeStoreContract):
    @pytest.fixture
    def environments(self, gateway: Gateway, statements: Statements) -> Environments:
        storage = storage_on(gateway, statements)

        async def add_session(session_id: UUID, grants: Grants | None) -> None:
            await storage.add(ref=SessionRef(ANONYMOUS, session_id), grants=grants)

        async def add_function(grants: Grants) -> None:
            made, now = Definition(Script.of("result = 1", 1000), grants=grants), storage.clock.now()
            function = Function(storage.ids.new(now), ANONYMOUS, TITLE, made, now, now)
            await storage.functions.update(ANONYMOUS, TITLE, lambda _: function, act())

        return Environments(
            PostgresEnvironmentRepository(gateway, statements.environments, VERSIONS_MAX, OLDER_MAX),
            PostgresBuildQueue(gateway, statements.environments),
            PostgresTreeStore(gateway, statements.environments),
            PostgresAuditReader(gateway, statements.audit),
            add_session,
            add_function,
        )
