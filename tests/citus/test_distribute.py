"""The command that divides a database names the controllers that would stop, and shows how far it is."""

import asyncio
import re
from uuid import uuid4

import psycopg
import pytest

from adapters.postgres.gateway_options import APPLICATION, APPLICATION_OF_NODES, GatewayOptions
from adapters.postgres.migrations.runner import MigrationRunner
from adapters.postgres.statements.catalogue import Statements
from adapters.system_clock import SystemClock
from tests.citus.cluster import Cluster
from tests.support.commands import Ended, run_command


@pytest.fixture
def url(cluster: Cluster, statements: Statements) -> str:
    """The address of a migrated database without buckets."""
    url = cluster.url(cluster.database())
    asyncio.run(MigrationRunner(url, statements.migrations, SystemClock()).up())
    return url


def distribute(url: str, *options: str) -> Ended:
    return run_command("migrate", "distribute", "--buckets", "2", *options, DATABASE_URL=url)


def test_controllers_without_the_nodes_are_named_and_stop_only_if_that_is_allowed(url: str) -> None:
    unaware, aware = GatewayOptions(url), GatewayOptions(url, application=APPLICATION_OF_NODES)
    with psycopg.connect(unaware.conninfo), psycopg.connect(aware.conninfo):
        planned, refused = distribute(url, "--dry-run"), distribute(url)
        made = distribute(url, "--stop-controllers")
    named = "Controllers without DATABASE_NODES, or of an older release (1 connection as postgres from 127.0.0.1),"
    assert planned.returncode == 0, planned.stderr
    assert named in planned.stdout
    assert "Set DATABASE_NODES=auto for them" in planned.stdout
    assert (refused.returncode, named in refused.stderr) == (2, True), refused.stderr
    assert "add --stop-controllers" in refused.stderr
    assert made.returncode == 0, made.stderr
    progress = re.findall(r"Made bucket (\d) \((\d) of 2\), shard \d+ on 127\.0\.0\.1:\d+\.\n", made.stdout)
    assert progress == [("1", "1"), ("2", "2")], "the refused run has made none"
    assert "New sessions get these buckets in 65 s. For 9 s more" in made.stdout
    assert "migration_applied" not in made.stderr


def test_controllers_are_named_without_an_address_by_a_role_that_may_not_see_it(
    cluster: Cluster, statements: Statements
) -> None:
    url, role = cluster.url("postgres"), f"blind_{uuid4().hex}"
    with psycopg.connect(GatewayOptions(url).conninfo), psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {role}")
        connection.execute(f"SET ROLE {role}")
        found = connection.execute(statements.buckets.select_unaware.sql, {"application": APPLICATION}).fetchall()
        connection.execute("RESET ROLE")
        connection.execute(f"DROP ROLE {role}")
    assert found == [("postgres", None, 1, True)]
