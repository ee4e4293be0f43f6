"""Environments, their builds and their trees in PostgreSQL keep the contracts."""

from collections.abc import Awaitable, Callable, Mapping
from uuid import UUID

import pytest

from adapters.postgres import codec
from adapters.postgres.gateway import Gateway
from adapters.postgres.repositories.audit import PostgresAuditReader
from adapters.postgres.repositories.environments import (
    PostgresBuildQueue,
    PostgresEnvironmentRepository,
    PostgresTreeStore,
    UseElsewhere,
)
from adapters.postgres.statements.catalogue import Statements
from domain.errors import StorageUnavailable
from domain.functions.function import Definition, Function
from domain.grants.grants import Grants
from domain.identity import ANONYMOUS, SessionRef
from domain.scripts.language import Language, LanguageTitle
from domain.scripts.script import Script
from tests.contracts.environments import (
    CREATE,
    NOW,
    OLDER_MAX,
    RETIRE,
    VERSIONS_MAX,
    BuildQueueContract,
    EnvironmentRepositoryContract,
    Environments,
    TreeStoreContract,
    version,
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


def answering(answer: UseElsewhere | Exception) -> Callable[[Mapping[str, object]], Awaitable[UseElsewhere]]:
    async def find(_: Mapping[str, object]) -> UseElsewhere:
        if isinstance(answer, Exception):
            raise answer
        return answer

    return find


@pytest.mark.parametrize(
    ("answer", "removed"),
    [
        (UseElsewhere(asked=[1, 2]), 1),
        (UseElsewhere(asked=[1]), 0),
        (UseElsewhere(may_be_used=True), 0),
        (StorageUnavailable(), 0),
    ],
    ids=["all asked", "one not asked", "used", "one away"],
)
async def test_a_version_is_removed_once_each_bucket_was_asked_and_does_not_use_it(
    gateway: Gateway, statements: Statements, answer: UseElsewhere | Exception, removed: int
) -> None:
    buckets = {"numbers": codec.numbers([1, 2]), "schemas": codec.texts(["bucket_1", "bucket_2"]), "from_at": NOW}
    await gateway.fetch(statements.buckets.insert_buckets, buckets)
    environments = PostgresEnvironmentRepository(
        gateway, statements.environments, VERSIONS_MAX, OLDER_MAX, answering(answer)
    )
    for number in (1, 2):
        await environments.add(version(number), act(CREATE))
    await environments.retire("data", 1, NOW, act(RETIRE))
    assert await environments.remove_retired(NOW) == removed
    assert len(await environments.versions()) == 2 - removed
