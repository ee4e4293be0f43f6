"""Databases of the origin, each of its own."""

from collections.abc import Iterator

import pytest

from tests.origin.databases import origin_database, run


@pytest.fixture
def origin_url(server_url: str) -> Iterator[str]:
    """The address of an empty database of the origin, as its migrations make it."""
    with origin_database(server_url) as url:
        yield url


@pytest.fixture
def odd_origin_url(origin_url: str) -> str:
    """The address of a database of the origin with unusual rows."""
    run(origin_url, "oddities")
    return origin_url
