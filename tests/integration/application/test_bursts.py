"""Calls that arrive together wait for each other, and none is refused."""

import asyncio

import pytest

from tests.integration.application.conftest import ON_SHARED, Api

pytestmark = [pytest.mark.timeout(120), ON_SHARED]


@pytest.mark.parametrize("path", ["sessions", "functions", "sessions/{id}/executions"])
async def test_200_reads_of_a_list_at_once_are_all_answered(shared: Api, path: str) -> None:
    session_id = await shared.initialize("python-x", "result = 1")
    url = f"/api/v1/{path.format(id=session_id)}"
    responses = await asyncio.gather(*(shared.client.get(url) for _ in range(200)))
    assert {response.status_code for response in responses} == {200}
