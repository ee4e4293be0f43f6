"""Nodes fail, and buckets move, under the clients of two controllers: the other buckets serve, and nothing is lost."""

import asyncio
import contextlib
import itertools
import os
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path

import httpx2
import psycopg
import pytest
import pytest_asyncio

from adapters.postgres.statements.catalogue import Statements
from tests.citus.cluster import Cluster
from tests.citus.load import LoadTrial, controllers_of
from tests.citus.nodes import FAULTS, Nodes, nodes_of
from tests.citus.test_buckets import distribute
from tests.support.folders import shared_folder

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]

LONG = os.environ.get("DRILL") == "long"
BUCKETS = 4 if LONG else 2
LASTING_S = 10.0 if LONG else 3.0

numbers = itertools.count(1)


@pytest.fixture(scope="module")
def database(cluster: Cluster, statements: Statements) -> str:
    name = cluster.database()
    asyncio.run(distribute(cluster.url(name), statements, BUCKETS))
    with psycopg.connect(cluster.url(name)) as connection:
        connection.execute("UPDATE meta.buckets SET from_at = '2026-01-01'")  # as if announced long ago
    return name


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def nodes(cluster: Cluster, database: str) -> AsyncIterator[Nodes]:
    async with nodes_of(cluster, database) as nodes:
        yield nodes


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with shared_folder() as folder:
        yield folder


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(nodes: Nodes, folder: Path) -> AsyncIterator[httpx2.AsyncClient]:
    async with controllers_of(nodes, folder, folder / "runs") as client:
        yield client


async def test_buckets_that_citus_moves_to_another_node_lose_nothing_and_serve_all_the_time(
    nodes: Nodes, client: httpx2.AsyncClient, folder: Path
) -> None:
    first, second = nodes.cluster.ports[1:]
    await asyncio.to_thread(nodes.gather, first)

    @contextlib.asynccontextmanager
    async def rebalanced() -> AsyncIterator[None]:
        await asyncio.to_thread(nodes.rebalance)
        yield

    await LoadTrial("buckets rebalanced", next(numbers), nodes, client, folder / "runs").run(rebalanced)
    assert len(nodes.buckets_at(second)) == BUCKETS // 2


@pytest.mark.parametrize("fault", FAULTS)
async def test_only_the_buckets_of_a_node_fail_when_it_is(
    nodes: Nodes, client: httpx2.AsyncClient, folder: Path, fault: str
) -> None:
    port = nodes.cluster.ports[2]
    if not nodes.buckets_at(port):
        await asyncio.to_thread(nodes.rebalance)
    lost = nodes.buckets_at(port)
    trial = LoadTrial(f"node {fault}", next(numbers), nodes, client, folder / "runs", lost, LASTING_S)
    await trial.run(partial(FAULTS[fault], nodes, port))
