"""The contract of the origin's API, over fakes."""

from collections.abc import AsyncIterator

import httpx2
import pytest

from tests.contracts.origin_api import OriginApiContract
from tests.unit.http.world import World
from tests.unit.origin.conftest import caller_of


class TestOriginApi(OriginApiContract):
    @pytest.fixture
    async def client(self, world: World) -> AsyncIterator[httpx2.AsyncClient]:
        async with caller_of(world) as client:
            yield client
