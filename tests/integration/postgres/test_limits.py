"""Rates and usage in PostgreSQL keep their contracts."""

import pytest

from adapters.postgres.gateway import Gateway
from adapters.postgres.repositories.limits import PostgresRateStore, PostgresUsageReader
from adapters.postgres.statements import Statements
from tests.contracts.limits import FORGOTTEN_MAX, RateStoreContract, UsageReaderContract
from tests.contracts.storage import Storage


class TestPostgresRateStore(RateStoreContract):
    @pytest.fixture
    def rates(self, gateway: Gateway, statements: Statements) -> PostgresRateStore:
        return PostgresRateStore(gateway, statements.limits, FORGOTTEN_MAX)


class TestPostgresUsageReader(UsageReaderContract):
    @pytest.fixture
    def storage(self, storage: Storage) -> Storage:
        return storage

    @pytest.fixture
    def reader(self, gateway: Gateway, statements: Statements) -> PostgresUsageReader:
        return PostgresUsageReader(gateway, statements.limits, self.EXAMINED_MAX)
