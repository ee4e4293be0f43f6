"""A standby takes the place of a node that is lost: its buckets are served again, with all that was acknowledged."""

import asyncio
from typing import Any

import psycopg
import pytest

from adapters.postgres.statements.catalogue import Statements
from entrypoints.composition.controller import create_controller
from tests.citus.cluster import Cluster
from tests.citus.test_buckets import distribute
from tests.integration.application.conftest import serving, settings_for
from tests.support.folders import shared_folder
from tests.support.waiting import until

FOLLOWS = """
    SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming' AND replay_lsn >= pg_current_wal_insert_lsn()
"""
NODE = "SELECT nodeid FROM pg_dist_node WHERE nodeport = {}"


def run(url: str, statement: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url, autocommit=True, options="-c client_min_messages=error") as connection:
        cursor = connection.execute(statement)  # type: ignore[call-overload]
        return cursor.fetchall() if cursor.description is not None else []


@pytest.fixture
def url(cluster: Cluster, statements: Statements) -> str:
    """The address of a database with one bucket."""
    url = cluster.url(cluster.database())
    asyncio.run(distribute(url, statements, 1))
    run(url, "UPDATE meta.buckets SET from_at = '2026-01-01'")
    return url


async def test_the_buckets_of_a_lost_node_are_served_by_its_standby(cluster: Cluster, url: str) -> None:
    ((lost,),) = run(url, "SELECT nodeport FROM citus_shards WHERE table_name = 'bucket_1.sessions'::regclass")
    with cluster.standby_of(lost) as standby, shared_folder() as folder:
        settings = settings_for(url, folder, DATABASE_NODES="auto")
        async with serving(create_controller(settings)) as api:
            session_id = await api.initialize("python-a", "result = 1")
            assert (await api.execute(session_id)).json()["execution_count"] == 1
            await until(lambda: run(cluster.url("postgres", lost), FOLLOWS) == [(1,)])
            cluster.kill(lost)
            try:
                run(cluster.url("postgres", standby), "SELECT pg_promote()")
                ((node,),) = run(url, NODE.format(lost))
                run(url, f"SELECT citus_update_node({node}, '127.0.0.1', {standby})")

                async def is_served() -> bool:
                    return (await api.session(session_id)).status_code == 200

                await until(is_served, 30)
                assert (await api.execute(session_id)).json()["execution_count"] == 2
                assert session_id in {each["request_id"] for each in (await listed(api))}
                facts = (await api.client.get("/health")).json()["components"]["buckets"]
                assert facts["buckets"][1]["node"] == f"127.0.0.1:{standby}"
            finally:
                cluster.start(lost)


async def listed(api: Any) -> list[dict[str, Any]]:
    return (await api.client.get("/api/v1/sessions")).json()["sessions"]
