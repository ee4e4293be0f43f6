"""A migrated database of its own for every test, on a real server."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
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
    _create(server_url, name, "template1")
    runner = MigrationRunner(make_conninfo(server_url, dbname=name), statements.migrations, SystemClock())
    asyncio.run(runner.up())
    yield name
    _drop(server_url, name)


@pytest.fixture
def database_url(server_url: str, template: str) -> Iterator[str]:
    """The address of a migrated database of the test's own."""
    with new_database(server_url, template) as url:
        yield url


@pytest.fixture
def empty_database_url(server_url: str) -> Iterator[str]:
    """The address of a database without schema."""
    with new_database(server_url) as url:
        yield url


@pytest.fixture
async def gateway(database_url: str) -> AsyncIterator[Gateway]:
    """The gateway to the test's database, patient enough for a busy machine."""
    gateway = Gateway(GatewayOptions(database_url, request_timeout_s=10))
    await gateway.open()
    yield gateway
    await gateway.close()


@contextmanager
def new_database(server_url: str, template: str = "template1") -> Iterator[str]:
    """Yield the address of a copy of a database, which is gone afterwards."""
    name = f"test_{uuid4().hex}"
    _create(server_url, name, template)
    try:
        yield make_conninfo(server_url, dbname=name)
    finally:
        _drop(server_url, name)


def _create(server_url: str, name: str, template: str) -> None:
    with psycopg.connect(server_url, autocommit=True) as connection:
        create = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY")
        connection.execute(create.format(sql.Identifier(name), sql.Identifier(template)))


def _drop(server_url: str, name: str) -> None:
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
