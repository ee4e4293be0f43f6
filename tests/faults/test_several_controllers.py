"""Four controllers, each a process of its own, on one database, called at the same time."""

import asyncio
import contextlib

import httpx2
import pytest

from tests.faults.conftest import QUICK
from tests.support.at_once import LIMITS, AtOnce, credentials_of

pytestmark = pytest.mark.timeout(120)

CONTROLLERS = 4
ROUNDS = 3
CONNECTIONS = httpx2.Limits(max_connections=64, keepalive_expiry=2)  # before the servers close idle ones, after 5 s


@pytest.fixture
async def four(mortals, url, settings_for):
    variables = {**LIMITS, "REQUEST_TIMEOUT_MS": "5000"}
    controllers = [mortals(url, **variables) for _ in range(CONTROLLERS)]
    async with contextlib.AsyncExitStack() as stack:
        clients = []
        for controller in controllers:
            await controller.ready()
            client = httpx2.AsyncClient(base_url=controller.url, timeout=60, limits=CONNECTIONS)
            clients.append(await stack.enter_async_context(client))
        yield AtOnce(clients, credentials_of(settings_for(url, **QUICK, **LIMITS)))


async def test_four_controllers_that_are_called_at_once_keep_sessions_counts_keys_and_quotas_exact_and_rates_bounded(
    four,
):
    for _ in range(ROUNDS):
        await asyncio.gather(
            four.sessions_are_found_everywhere(8),
            four.executions_of_one_session_are_counted_once_each(200),
            four.each_key_takes_effect_once(20),
        )
    await four.a_quota_of_sessions_is_reached_and_not_exceeded()
    await four.a_rate_is_exceeded_by_a_rate_for_each_other_controller_at_most()
