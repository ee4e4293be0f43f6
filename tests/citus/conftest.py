"""Buckets on a real Citus cluster; without Citus the tests are skipped."""

from collections.abc import Iterator

import pytest

from adapters.postgres.gateway import Gateway
from adapters.postgres.statements.catalogue import Statements, load_statements
from tests.citus.cluster import Cluster, citus_cluster, citus_programs
from tests.contracts.storage import Storage
from tests.faults.conftest import (  # noqa: F401  # the table of faults, out of all processes
    pytest_sessionfinish,
    pytest_terminal_summary,
    pytest_testnodedown,
)
from tests.integration.postgres.conftest import storage_on


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    programs = citus_programs()
    if programs is None:
        pytest.skip("no PostgreSQL 17 with Citus, which PGLAMBDA_TEST_CITUS would name: see CONTRIBUTING.md")
    with citus_cluster(programs) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def statements() -> Statements:
    return load_statements()


@pytest.fixture
def storage(gateway: Gateway, statements: Statements) -> Storage:
    return storage_on(gateway, statements)
