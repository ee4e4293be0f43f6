"""etcd fails, and no server does: the primary goes on, because Patroni asks the other nodes (`failsafe_mode`)."""

import asyncio
import time

import pytest

from tests.failover.cluster import LOOP_WAIT_S, TTL_S
from tests.faults.report import NOTES

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(240)]

AWAY_S = TTL_S + 3 * LOOP_WAIT_S
WRITE_S = 5.0


async def test_writes_go_on_while_etcd_is_away_for_longer_than_the_lock_of_the_primary_lasts(cluster):
    await cluster.await_whole()
    timeline, slowest_s, written = await cluster.timeline(), 0.0, 0
    async with await cluster.admin() as admin:
        await admin.execute("CREATE TABLE written_without_etcd (number integer)")
        with cluster.without_etcd():
            ends_at_s = time.monotonic() + AWAY_S
            while (began_s := time.monotonic()) < ends_at_s:
                await admin.execute("INSERT INTO written_without_etcd VALUES (1)")
                slowest_s, written = max(slowest_s, time.monotonic() - began_s), written + 1
                await asyncio.sleep(0.1)
    await cluster.await_whole()
    assert await cluster.timeline() == timeline, "no other server was promoted"
    NOTES.append(f"etcd away for {AWAY_S} s: {written} writes, the longest took {slowest_s:.1f} s")
    assert slowest_s < WRITE_S
