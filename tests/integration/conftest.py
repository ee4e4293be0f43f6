"""A migrated database of its own for every test, on a real server."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from adapters.postgres.gateway import Gateway, GatewayOptions
from adapters.postgres.migrations.runner import MigrationRunner
from adapters.postgres.statements.catalogue import Statements, load_statements
from adapters.system_clock import SystemClock
from tests.integration.postgres_server import postgres_server


@pytest.fixture(scope="session")
def server_url() -> Iterator[str]:
    """The address of a database on whose server others can be made."""
    given = os.environ.get("PGLAMBDA_TEST_DATABASE_URL")
    if given:
        yield given
        return
    with postgres_server() as url:
        yield url


@pytest.fixture(scope="session")
def statements() -> Statements:
    return load_statements()


@pytest.fixture(scope="session")
def template(server_url: str, statements: Statements) -> Iterator[str]:
    """The name of a migrated database without data, to be cloned."""
    name = f"template_{uuid4().hex}"
    _create(server_url, name)
    runner = MigrationRunner(make_conninfo(server_url, dbname=name), statements.migrations, SystemClock())
    asyncio.run(runner.up())
    yield name
    _drop(server_url, name)


@pytest.fixture
def database_url(server_url: str, template: str) -> Iterator[str]:
    """The address of a migrated database of the test's own."""
    name = f"test_{uuid4().hex}"
    _create(server_url, name, template)
    yield make_conninfo(server_url, dbname=name)
    _drop(server_url, name)


@pytest.fixture
def empty_database_url(server_url: str) -> Iterator[str]:
    """The address of a database without schema."""
    name = f"test_{uuid4().hex}"
    _create(server_url, name)
    yield make_conninfo(server_url, dbname=name)
    _drop(server_url, name)


@pytest.fixture
async def gateway(database_url: str) -> AsyncIterator[Gateway]:
    """The gateway to the test's database, patient enough for a busy machine."""
    gateway = Gateway(GatewayOptions(database_url, request_timeout_s=10))
    await gateway.open()
    yield gateway
    await gateway.close()


def _create(server_url: str, name: str, template: str = "template1") -> None:
    with psycopg.connect(server_url, autocommit=True) as connection:
        create = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY")
        connection.execute(create.format(sql.Identifier(name), sql.Identifier(template)))


def _drop(server_url: str, name: str) -> None:
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
