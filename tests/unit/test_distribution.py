"""A process uses routers over buckets if its database is distributed, and none otherwise."""

import pytest

from adapters.buckets.executions import BucketExecutions
from adapters.buckets.ids import BucketIds
from adapters.buckets.queue import BucketQueue
from adapters.postgres.repositories.executions import PostgresExecutionRepository
from adapters.random_ids import RandomIds
from domain.errors import StorageUnavailable
from domain.identity import ANONYMOUS
from domain.stats import BucketStats
from entrypoints.composition.controller import Controller
from entrypoints.composition.distribution import distribute
from entrypoints.settings.loading import load_settings
from tests.unit.domain.builders import START

URL = {"DATABASE_URL": "postgresql://nobody/nothing"}


def controller(**environ: str) -> Controller:
    return Controller(settings=load_settings(URL | environ))


def test_a_plain_database_has_no_router_in_its_path():
    plain = controller()
    assert type(plain.database.executions()) is PostgresExecutionRepository
    assert type(plain.ids()) is RandomIds
    assert plain.database.buckets().background == [plain.database.unknown_buckets().run]
    assert plain.observation.database_stats().read().buckets is None


def test_a_distributed_database_has_routers_over_its_ports():
    distributed = controller(DATABASE_NODES="auto")
    distribute(distributed, distributed.ids, distributed.settings())
    assert type(distributed.database.executions()) is BucketExecutions
    assert type(distributed.database.execution_queue()) is BucketQueue
    assert type(distributed.ids()) is BucketIds
    assert distributed.database.unknown_buckets() is None
    assert "buckets" in distributed.database.buckets().probes
    assert distributed.observation.database_stats().read().buckets == BucketStats(0, 0, 0, None)


def test_the_clock_of_a_node_counts_if_it_is_named():
    plain, other = controller(), controller(DATABASE_NODES="auto", CLOCK_SOURCE="db2.example:5433")
    assert plain.database.clock_gateways() == ()
    assert len(other.database.clock_gateways()) == 1


async def test_until_the_buckets_are_known_calls_are_refused_and_the_health_says_why():
    distributed = controller(DATABASE_NODES="auto")
    distribute(distributed, distributed.ids, distributed.settings())
    with pytest.raises(StorageUnavailable):
        distributed.ids().new_placed(START, ANONYMOUS)
    facts = await distributed.database.buckets().probes["buckets"]()
    assert facts["status"] == "failing"
    with pytest.raises(StorageUnavailable):
        await distributed.database.pinned_elsewhere()()
