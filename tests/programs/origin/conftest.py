"""The fake origin as tests of the takeover use it: a database, a process, a client."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import httpx2
import psycopg
import pytest
from psycopg import sql
from psycopg.rows import dict_row

from tests.origin.databases import origin_database, run, url_of
from tests.origin.process import Origin, Redis, running_origin, running_redis
from tests.origin.service import Service, variables_for
from tests.support.folders import shared_folder


@pytest.fixture(scope="module")
def origin_url(server_url: str) -> Iterator[str]:
    """The address of a database of variant A, with a function more."""
    with origin_database(server_url) as url:
        run(url, "own_function")
        yield url


@pytest.fixture(scope="module")
def origin(origin_url: str) -> Iterator[Origin]:
    """Generation g3 on that database."""
    with running_origin(origin_url) as origin:
        yield origin


@pytest.fixture(scope="module")
def redis_server() -> Iterator[Redis]:
    with running_redis() as redis:
        yield redis


@pytest.fixture(scope="module")
def alone(server_url: str, template: str) -> Iterator[Service]:
    """The service itself with a listener for clients of the origin, which is gone."""
    with _serving(server_url, template) as service:
        yield service


@pytest.fixture(scope="module")
def front(server_url: str, template: str, origin: Origin, origin_url: str) -> Iterator[Service]:
    """The service in front of the origin."""
    with _serving(server_url, template, origin=origin, source_url=origin_url) as service:
        yield service


@pytest.fixture(scope="module")
def opened(front: Service) -> Service:
    """The front since `pglambda takeover open`."""
    front.run("takeover", "open")
    return front


@contextlib.contextmanager
def _serving(server_url: str, template: str, **options: Any) -> Iterator[Service]:
    name = f"served_{uuid4().hex}"
    with shared_folder() as folder, psycopg.connect(server_url, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template)))
        service = Service(variables_for(folder, url_of(server_url, name), **options), folder)
        try:
            asyncio.run(service.ready())
            yield service
        finally:
            service.stop()
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def client(origin: Origin) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=origin.url, timeout=30) as client:
        yield client


@pytest.fixture
def row(origin_url: str) -> Callable[[str], dict[str, Any]]:
    """Return a reader of rows of meta.sessions."""

    def read(request_id: str) -> dict[str, Any]:
        with psycopg.connect(origin_url, row_factory=dict_row) as connection:
            found = connection.execute("SELECT * FROM meta.sessions WHERE request_id = %s", [request_id]).fetchone()
            assert found is not None
            return found

    return read
