"""The repositories in PostgreSQL keep the contracts."""

import pytest

from tests.contracts.execution_repository import ExecutionRepositoryContract
from tests.contracts.session_repository import SessionRepositoryContract
from tests.contracts.storage import Storage


class TestPostgresSessionRepository(SessionRepositoryContract):
    @pytest.fixture
    def storage(self, storage: Storage) -> Storage:
        return storage


class TestPostgresExecutionRepository(ExecutionRepositoryContract):
    @pytest.fixture
    def storage(self, storage: Storage) -> Storage:
        return storage
