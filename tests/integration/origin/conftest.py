"""The fake origin as tests of the takeover use it: a database, a process, a client."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import psycopg
import pytest
from psycopg.rows import dict_row

from tests.origin.databases import origin_database
from tests.origin.process import Origin, Redis, running_origin, running_redis


@pytest.fixture(scope="module")
def origin_url(server_url: str) -> Iterator[str]:
    """The address of a database of variant A."""
    with origin_database(server_url) as url:
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
