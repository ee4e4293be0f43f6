"""One application over fakes for each test."""

import logging
from collections.abc import AsyncIterator, Iterator

import httpx2
import pytest
import structlog
from structlog.typing import EventDict

from tests.unit.http.world import World


@pytest.fixture(autouse=True)
def log_lines() -> Iterator[list[EventDict]]:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.INFO))
    with structlog.testing.capture_logs() as lines:
        yield lines
    structlog.reset_defaults()


@pytest.fixture
def world(log_lines: list[EventDict]) -> World:
    return World.of()


@pytest.fixture
async def client(world: World) -> AsyncIterator[httpx2.AsyncClient]:
    async with world.client() as client:
        yield client
