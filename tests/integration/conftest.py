"""A migrated database of its own for every test, on a real server."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from adapters.postgres.gateway import Gateway, GatewayOptions
from adapters.postgres.migrations.runner import MigrationRunner
from adapters.postgres.statements.catalogue import Statements, load_statements
from adapters.system_clock import SystemClock
from tests.integration.postgres_server import postgres_server

NewDatabase = Callable[[str], AbstractContextManager[str]]
"""Yields the address of a copy of the database with a name; the copy is gone afterwards."""


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
def new_database(server_url: str) -> Iterator[NewDatabase]:
    """Makes databases over one connection, because to connect takes a third of the time that a database takes."""
    with psycopg.connect(server_url, autocommit=True) as admin:

        @contextmanager
        def new(template: str) -> Iterator[str]:
            name = f"test_{uuid4().hex}"
            create = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY")
            admin.execute(create.format(sql.Identifier(name), sql.Identifier(template)))
            try:
                yield make_conninfo(server_url, dbname=name)
            finally:
                admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

        yield new


@pytest.fixture(scope="session")
def template(new_database: NewDatabase, statements: Statements) -> Iterator[str]:
    """The name of a migrated database without data, to be cloned."""
    with new_database("template1") as url:
        asyncio.run(MigrationRunner(url, statements.migrations, SystemClock()).up())
        yield conninfo_to_dict(url)["dbname"]


@pytest.fixture
def database_url(new_database: NewDatabase, template: str) -> Iterator[str]:
    """The address of a migrated database of the test's own."""
    with new_database(template) as url:
        yield url


@pytest.fixture
def empty_database_url(new_database: NewDatabase) -> Iterator[str]:
    """The address of a database without schema."""
    with new_database("template1") as url:
        yield url


@pytest.fixture
async def gateway(database_url: str) -> AsyncIterator[Gateway]:
    """The gateway to the test's database, patient enough for a busy machine."""
    gateway = Gateway(GatewayOptions(database_url, request_timeout_s=10))
    await gateway.open()
    yield gateway
    await gateway.close()
