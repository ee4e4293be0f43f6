"""One application with the origin's API over fakes for each test."""

from collections.abc import AsyncIterator

import httpx2
import pytest

from domain.access.principal import ANYBODY, Principal
from domain.scripts.language import Language, LanguageMapping
from entrypoints.http.options import HttpOptions
from entrypoints.origin.application import OriginHooks
from entrypoints.origin.endpoints import OriginOptions
from entrypoints.server.control import ORIGIN
from tests.unit.http.conftest import log_lines  # noqa: F401  # the fixture
from tests.unit.http.world import POLICY, World

OPTIONS = HttpOptions(POLICY, context_size_max=2**21, params_size_max=2**21, body_timeout_s=0.5, probe_timeout_s=0.05)
MAPPING = LanguageMapping(prefixes={"js-": Language.NODEJS})


def world_of(
    origin: OriginOptions | None = None,
    options: HttpOptions = OPTIONS,
    origin_hooks: OriginHooks | None = None,
    caller: Principal = ANYBODY,
) -> World:
    origin = origin or OriginOptions()
    return World.of(options, caller=caller, origin=origin, mapping=MAPPING, origin_hooks=origin_hooks)


def caller_of(world: World) -> httpx2.AsyncClient:
    transport = httpx2.ASGITransport(app=world.app.listeners[ORIGIN])
    return httpx2.AsyncClient(transport=transport, base_url="http://pglambda")


@pytest.fixture
def world() -> World:
    return world_of()


@pytest.fixture
async def client(world: World) -> AsyncIterator[httpx2.AsyncClient]:
    async with caller_of(world) as client:
        yield client
