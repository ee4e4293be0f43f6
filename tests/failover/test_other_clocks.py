"""The new primary's clock is off: all controllers judge sessions as before, and do not lose their readiness together."""

import asyncio
import contextlib

import httpx2
import psycopg
import pytest

from tests.failover.cluster import find_faketime
from tests.failover.test_failover import by_hosts
from tests.support.waiting import until

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(240)]

LOOKED_S = 12.0
"""Longer than a jump of the clock is doubted, and than a probe takes to notice it."""
LIVE_S = 50
ENDED_S = 1
CORRECTION = "SELECT correction_us FROM meta.clock"


@pytest.mark.parametrize("off_s", [60, -60, 2, -2])
async def test_sessions_are_judged_as_before_when_the_clock_of_the_new_primary_is_off(
    cluster, database, controllers, off_s
):
    if find_faketime() is None:
        pytest.skip("libfaketime is not installed (Debian and Ubuntu: apt-get install faketime)")
    await cluster.shift_standbys(off_s)
    async with by_hosts(cluster, database) as variables, contextlib.AsyncExitStack() as stack:
        urls = await controllers(**variables)
        clients = [await stack.enter_async_context(httpx2.AsyncClient(base_url=url, timeout=5)) for url in urls]
        live, ended = await _initialize(clients[0], LIVE_S), await _initialize(clients[0], ENDED_S)
        await until(lambda: _status(clients[1], ended, 410), 5)
        await cluster.switch_over()
        await until(lambda: _all_serve(clients, live), 5)
        looks = await _looks(clients, live, ended)
    with psycopg.connect(cluster.dsn(database, port=(await cluster.leader()).port)) as connection:
        ((correction_us,),) = connection.execute(CORRECTION).fetchall()
    assert {status for look in looks for status in look["live"]} == {200}
    assert {status for look in looks for status in look["ended"]} == {410}
    assert not [look for look in looks if 200 not in look["ready"]], "all lost their readiness at once"
    assert correction_us / 1e6 == pytest.approx(-off_s, abs=0.2)


async def _initialize(client, ttl_s):
    body = {"script_content": "result = 1", "ttl_seconds": ttl_s}
    answer = await client.post("/api/v1/initialize", headers={"Language-Title": "python-clocks"}, json=body)
    return answer.json()["request_id"]


async def _status(client, session_id, status):
    return (await client.get(f"/api/v1/sessions/{session_id}")).status_code == status


async def _all_serve(clients, session_id):
    return all([await _status(client, session_id, 200) for client in clients])


async def _looks(clients, live, ended):
    """Ask all controllers again and again, first before they can know of the other clock."""
    paths = {"live": f"/api/v1/sessions/{live}", "ended": f"/api/v1/sessions/{ended}", "ready": "/readyz"}
    looks, loop = [], asyncio.get_running_loop()
    until_s = loop.time() + LOOKED_S
    while loop.time() < until_s:
        look = {}
        for name, path in paths.items():
            look[name] = [(await client.get(path)).status_code for client in clients]
        looks.append(look)
        await asyncio.sleep(0.2)
    return looks
