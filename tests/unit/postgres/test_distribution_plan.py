"""What a distribution would do, what it refuses, and in which order it does it."""

from contextlib import asynccontextmanager
from datetime import UTC, datetime

import psycopg
import pytest
from attrs import define, field, frozen

from adapters.postgres.gateway_options import APPLICATION
from adapters.postgres.migrations.announcement import DistributionEnded
from adapters.postgres.migrations.buckets import BucketSchema, ClusterNode
from adapters.postgres.migrations.distribution import CannotDistribute, Distribution, MadeBucket, UnawareClients
from adapters.postgres.statements.catalogue import load_statements
from domain.errors import StorageUnavailable
from domain.inspection import BucketLocation

STATEMENTS = load_statements()
KNOWN = [BucketSchema(1, "bucket_1", datetime(2026, 1, 2, tzinfo=UTC))]
NODES = [ClusterNode(group, f"db{group}", 5432, 0, "logical", 100) for group in (1, 2)]
LOCATION = BucketLocation(["db1:5432"], 102040)
CLUSTER = ("14.0-1", 170_012, True, True)


@frozen
class Rows:
    """What a statement returned."""

    rows: list
    description = "there are some"

    async def fetchall(self):
        return self.rows


@define
class Cluster:
    """A coordinator, and the migrations of its schemas; `made` has what was done there."""

    facts: tuple = CLUSTER
    is_coordinator: bool = True
    unaware: list = field(factory=lambda: [("app", "10.0.0.1", 3, False)])
    lacking: list = field(factory=list)
    buckets: list = field(factory=list)
    nodes_found: list = field(factory=lambda: list(NODES))
    failure: Exception | None = None
    made: list = field(factory=list)

    @property
    def connections(self):
        return self

    @asynccontextmanager
    async def single_statements(self):
        yield self

    async def execute(self, sql, parameters, *, prepare):
        assert not prepare
        if self.failure is not None:
            raise self.failure
        statements = STATEMENTS.buckets
        found = {
            statements.select_cluster.sql: [self.facts],
            statements.select_is_coordinator.sql: [(self.is_coordinator,)],
            statements.select_home_size.sql: [(7, 2**20)],
            statements.select_unaware.sql: self.unaware if parameters == {"application": APPLICATION} else [],
        }
        return Rows(found[sql])

    async def pending(self):
        return self.lacking

    async def known(self):
        return self.buckets

    async def nodes(self):
        return self.nodes_found

    async def make(self, schema):
        if isinstance(schema, str):
            if self.failure is not None:
                raise self.failure
            self.made.append(schema)
            return LOCATION
        self.made.append(list(schema))  # of the announcement
        return None


def distribution_of(cluster: Cluster, connections=lambda buckets: 10 * buckets) -> Distribution:
    return Distribution(cluster, cluster, STATEMENTS, connections, cluster)


async def test_a_plan_says_what_would_be_made_and_who_would_stop():
    plan = await distribution_of(Cluster()).plan(3)
    assert (plan.citus_version, plan.numbers, plan.rows, plan.size_bytes) == ("14.0-1", [1, 2, 3], 7, 2**20)
    assert plan.unaware == [UnawareClients("app", "10.0.0.1", 3, False)]
    assert plan.duration_s == 30


async def test_nobody_stops_if_there_are_buckets_already():
    plan = await distribution_of(Cluster(buckets=KNOWN)).plan(None)
    assert (plan.numbers, plan.unaware) == ([2], [])


@pytest.mark.parametrize(
    ("cluster", "reason"),
    [
        (Cluster(facts=(None, 170_012, True, True)), "does not have the extension Citus"),
        (Cluster(facts=("14.0-1", 170_012, True, False)), "does not own the schema"),
        (Cluster(is_coordinator=False), "not the coordinator"),
        (Cluster(lacking=["0028_clock"]), r"The schema lacks 0028_clock\. Run `pglambda migrate up`"),
        (Cluster(nodes_found=[]), "No node of the cluster takes buckets"),
        (Cluster(nodes_found=[ClusterNode(1, "db1", 5432, 0, "replica", 100)]), "wal_level = replica"),
    ],
)
async def test_a_cluster_that_cannot_be_divided_is_refused(cluster, reason):
    with pytest.raises(CannotDistribute, match=reason):
        await distribution_of(cluster).plan(2)
    assert cluster.made == []


@pytest.mark.parametrize(("wanted", "is_refused"), [(20, False), (21, True)])
async def test_each_node_needs_the_connections_for_its_share_of_all_buckets(wanted, is_refused):
    """Two nodes have 100 free connections each, and a bucket takes 10."""
    planned = distribution_of(Cluster(buckets=KNOWN)).plan(wanted)
    if is_refused:
        with pytest.raises(CannotDistribute, match="has 100 free connections, and each controller opens up to 110"):
            await planned
    else:
        assert len((await planned).numbers) == wanted - len(KNOWN)


async def test_a_coordinator_that_is_away_is_an_unavailable_storage():
    with pytest.raises(StorageUnavailable):
        await distribution_of(Cluster(failure=psycopg.OperationalError("no route"))).plan(2)


async def test_all_buckets_are_made_before_they_are_announced_together():
    cluster, reported = Cluster(), []
    distribution = distribution_of(cluster)
    await distribution.run(await distribution.plan(2), reported.append)
    assert cluster.made == ["bucket_1", "bucket_2", [1, 2]]
    assert reported == [MadeBucket(1, LOCATION), MadeBucket(2, LOCATION)]


async def test_nothing_is_announced_if_nothing_is_made():
    cluster = Cluster(buckets=KNOWN)
    distribution = distribution_of(cluster)
    await distribution.run(await distribution.plan(1), print)
    assert cluster.made == []


async def test_a_bucket_that_cannot_be_made_ends_the_run_before_the_announcement():
    cluster = Cluster()
    distribution = distribution_of(cluster)
    plan = await distribution.plan(2)
    cluster.failure = psycopg.errors.InsufficientPrivilege("permission denied")
    with pytest.raises(DistributionEnded, match="permission denied"):
        await distribution.run(plan, print)
    assert cluster.made == []
