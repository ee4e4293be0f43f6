"""The synchronous standby fails, and not the primary: writes wait until Patroni names the other standby."""

import time

import pytest

from tests.failover.cluster import LOOP_WAIT_S, WAL_SENDER_TIMEOUT_S
from tests.faults.report import NOTES

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(240)]

SLACK_S = 3.0


async def test_writes_go_on_without_a_synchronous_standby_that_is_frozen(cluster):
    await cluster.await_whole()
    standby = await cluster.synchronous_standby()
    async with await cluster.admin() as admin:
        standby.freeze()
        began_s = time.monotonic()
        await admin.execute("CREATE TABLE written_meanwhile (number integer)")
        took_s = time.monotonic() - began_s
        standby.thaw()
    NOTES.append(f"synchronous standby frozen: a write waited for {took_s:.1f} s")
    assert 1.0 < took_s < WAL_SENDER_TIMEOUT_S + LOOP_WAIT_S + SLACK_S
