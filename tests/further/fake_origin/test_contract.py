"""The contract of the origin's API: the fake that tests of a takeover use, and this service on a port for old clients."""

from collections.abc import AsyncIterator

import httpx2
import pytest

from tests.contracts.origin_api import OriginApiContract
from tests.origin.process import Origin


class TestFakeOrigin(OriginApiContract):
    @pytest.fixture
    async def client(self, origin: Origin) -> AsyncIterator[httpx2.AsyncClient]:
        async with httpx2.AsyncClient(base_url=origin.url, timeout=30) as client:
            yield client
