"""A cluster for all tests, a database for each, and two controllers that clients reach in turn."""

import asyncio
from uuid import uuid4

import pytest
import pytest_asyncio

from adapters.postgres.migrations.runner import MigrationRunner
from adapters.postgres.statements.catalogue import load_statements
from adapters.system_clock import SystemClock
from tests.failover.cluster import missing_programs, running_cluster
from tests.faults.conftest import data_dir, pytest_terminal_summary, quiet_logs  # noqa: F401  # of both suites
from tests.faults.mortal import Mortal
from tests.faults.server import SERVICE_ROLE

CONTROLLERS = 2
GRACE_S = 60
ROLE = {
    "lock_timeout": "300ms",
    "statement_timeout": "500ms",
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "jit": "off",
}
"""What PgBouncer does not let through, and the service sets itself otherwise."""


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def cluster():
    missing = missing_programs()
    if missing:
        pytest.skip(
            f"not installed: {', '.join(missing)} (Debian: apt-get install patroni python3-etcd etcd-server haproxy)"
        )
    async with running_cluster() as cluster:
        await cluster.execute(
            f"CREATE ROLE {SERVICE_ROLE} LOGIN",
            *(f"ALTER ROLE {SERVICE_ROLE} SET {name} = '{value}'" for name, value in ROLE.items()),
            f"CREATE DATABASE migrated OWNER {SERVICE_ROLE}",
        )
        runner = MigrationRunner(cluster.dsn("migrated", SERVICE_ROLE), load_statements().migrations, SystemClock())
        await runner.up()
        yield cluster


@pytest_asyncio.fixture(loop_scope="session")
async def database(cluster):
    await cluster.await_whole()
    name = f"failover_{uuid4().hex}"
    await cluster.execute(f"CREATE DATABASE {name} OWNER {SERVICE_ROLE} TEMPLATE migrated")
    return name


@pytest.fixture
def runs(tmp_path):
    """The file in which scripts leave a line each, outside of the database."""
    return tmp_path / "runs"


@pytest_asyncio.fixture(loop_scope="session")
async def controllers(data_dir, runs):  # noqa: F811  # the fixture
    """Start controllers on a database, wait for them, and return their URLs."""
    started = []

    async def begin(**more):
        variables = {"DATA_DIR": str(data_dir), "LOG_LEVEL": "error", **more}
        started.extend(Mortal(variables, runs, grace_s=GRACE_S) for _ in range(CONTROLLERS))
        for each in started:
            await each.ready()
        return [each.url for each in started]

    yield begin
    for each in started:
        await asyncio.to_thread(each.kill)
