"""The repositories keep the contracts on the shards of a bucket, with the statements of a plain database."""

import asyncio
from collections.abc import AsyncIterator

import psycopg
import pytest
from attrs import frozen

from adapters.postgres.buckets.node import Nodes
from adapters.postgres.buckets.placements import Node, Placement
from adapters.postgres.buckets.pool import bucket_gateway
from adapters.postgres.connections.held import Hold
from adapters.postgres.gateway import Gateway, GatewayOptions
from adapters.postgres.migrations.buckets import BucketMigrations
from adapters.postgres.statements.catalogue import Statements
from adapters.system_clock import SystemClock
from tests.citus.cluster import Cluster
from tests.integration.postgres.test_contracts import (
    TestPostgresExecutionQueue,
    TestPostgresExecutionRepository,
    TestPostgresFileRepository,
    TestPostgresHiddenSessionRepository,
    TestPostgresKeyedCallRepository,
    TestPostgresScheduleRepository,
    TestPostgresSessionPurger,
    TestPostgresSessionRepository,
    TestPostgresStateRepository,
    TestPostgresWebhooks,
)
from tests.integration.postgres.test_limits import TestPostgresExecutionCounts, TestPostgresUsageReader
from tests.integration.postgres.test_live_output import TestPostgresLiveOutput, output

__all__ = [
    "TestPostgresExecutionQueue",
    "TestPostgresExecutionRepository",
    "TestPostgresFileRepository",
    "TestPostgresHiddenSessionRepository",
    "TestPostgresKeyedCallRepository",
    "TestPostgresLiveOutput",
    "TestPostgresScheduleRepository",
    "TestPostgresSessionPurger",
    "TestPostgresSessionRepository",
    "TestPostgresStateRepository",
    "TestPostgresUsageReader",
    "TestPostgresWebhooks",
    "output",
]
"""The contracts of what buckets store; the rest is in `meta`."""


class TestPostgresExecutionCountsOfBucket(TestPostgresExecutionCounts):
    test_owners_have_sessions_functions_or_usage = None  # no bucket has functions


del TestPostgresExecutionCounts


_KEPT = ("migrations", "usage_progress", "clock")
"""Tables with what a migrated database has."""

_NOTHING_COUNTED = "UPDATE meta.usage_progress_{} SET counted_until = '00000000-0000-0000-0000-000000000000'"


@frozen
class OneBucket:
    """Knows one bucket, whose schema has the name that tests use in statements of their own."""

    placement: Placement

    def known(self, _: int) -> Placement:
        return self.placement

    async def of(self, _: int) -> Placement:
        return self.placement

    async def after(self, _: Placement) -> Placement:
        return self.placement


@pytest.fixture(scope="session")
def bucket(cluster: Cluster, statements: Statements) -> tuple[str, Placement]:
    """The name of a database with one bucket, and where that is."""
    name = cluster.database()
    url = cluster.url(name)
    asyncio.run(BucketMigrations(url, statements, SystemClock()).make("meta"))
    with psycopg.connect(url) as connection:
        shards = dict(connection.execute(statements.buckets.select_shards.sql, {"schema": "meta"}).fetchall())
        ((group,),) = connection.execute(statements.buckets.select_group.sql, {"schema": "meta"}).fetchall()
    buckets = statements.buckets
    hold = Hold(buckets.select_hold.at("meta", shards), shards["sessions"], buckets.select_shards_open)
    return name, Placement(1, "meta", Node(group, "127.0.0.1", cluster.ports[group]), shards, 2, True, hold)


@pytest.fixture
def database_url(cluster: Cluster, bucket: tuple[str, Placement]) -> str:
    """The address of the bucket's node; the bucket is as it was made."""
    name, placement = bucket
    url = cluster.url(name, placement.node.port)
    with psycopg.connect(url) as connection:
        tables = [table for table in placement.shards if table not in _KEPT and not table[-2:].isdigit()]
        connection.execute(";".join(f"DELETE FROM meta.{table}_{placement.shards[table]}" for table in tables))
        connection.execute(_NOTHING_COUNTED.format(placement.shards["usage_progress"]))
    return url


@pytest.fixture
async def gateway(cluster: Cluster, database_url: str, bucket: tuple[str, Placement]) -> AsyncIterator[Gateway]:
    name, placement = bucket
    options = GatewayOptions(cluster.url(name), request_timeout_s=10)
    nodes = Nodes(options)
    gateway = bucket_gateway(1, OneBucket(placement), options, nodes=nodes)
    await gateway.open()
    yield gateway
    await gateway.close()
    await nodes.close()
