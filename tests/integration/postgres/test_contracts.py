"""The repositories in PostgreSQL keep the contracts."""

import pytest

from adapters.memory.manual_clock import ManualClock
from adapters.postgres.executions import PostgresExecutionRepository
from adapters.postgres.gateway import Gateway
from adapters.postgres.key_set import KeySet
from adapters.postgres.sessions import PostgresSessionRepository, SessionRepositoryOptions
from adapters.postgres.statements import Statements
from tests.contracts.execution_repository import ExecutionRepositoryContract
from tests.contracts.session_repository import EXAMINED_MAX, SessionRepositoryContract
from tests.contracts.storage import Storage


@pytest.fixture
def storage(gateway: Gateway, statements: Statements) -> Storage:
    writing, clock = KeySet(), ManualClock()
    options = SessionRepositoryOptions(examined_max=EXAMINED_MAX)
    return Storage(
        PostgresSessionRepository(gateway, statements.sessions, writing, options),
        PostgresExecutionRepository(gateway, statements.executions, clock, writing),
        clock,
    )


class TestPostgresSessionRepository(SessionRepositoryContract):
    @pytest.fixture
    def storage(self, storage: Storage) -> Storage:
        return storage


class TestPostgresExecutionRepository(ExecutionRepositoryContract):
    @pytest.fixture
    def storage(self, storage: Storage) -> Storage:
        return storage
