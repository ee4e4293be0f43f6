"""Repositories whose rows all lie in `meta` keep their contracts on the coordinator of a database with buckets."""

import asyncio
from collections.abc import AsyncIterator

import psycopg
import pytest

from adapters.postgres.gateway import Gateway, GatewayOptions
from adapters.postgres.statements.catalogue import Statements
from tests.citus.cluster import Cluster
from tests.citus.test_buckets import distribute
from tests.integration.postgres.test_contracts import TestPostgresOwnerRules, TestPostgresSecretRepository

__all__ = ["TestPostgresOwnerRules", "TestPostgresSecretRepository"]


@pytest.fixture(scope="module")
def database(cluster: Cluster, statements: Statements) -> str:
    name = cluster.database()
    asyncio.run(distribute(cluster.url(name), statements))
    return cluster.url(name)


@pytest.fixture
async def gateway(database: str) -> AsyncIterator[Gateway]:
    with psycopg.connect(database) as connection:
        connection.execute("DELETE FROM meta.secrets; DELETE FROM meta.egress_rules; DELETE FROM meta.audit")
    gateway = Gateway(GatewayOptions(database, request_timeout_s=10))
    await gateway.open()
    yield gateway
    await gateway.close()
