"""The primary fails under 64 clients of two controllers, which reach it in three ways."""

import asyncio
import contextlib
import os
import random
import time
from collections import Counter
from uuid import UUID

import httpx2
import psycopg
import pytest
from attrs import define

from tests.failover.cluster import TTL_S, Cluster, Node
from tests.faults.callers import InTurn
from tests.faults.history import Stored
from tests.faults.keyed_callers import KeyedCallers, echoing
from tests.faults.keyed_callers import problems as keyed_problems
from tests.faults.mortal import runs_in
from tests.faults.pgbouncer import find_pgbouncer, running_pgbouncer
from tests.faults.report import NOTES
from tests.faults.server import SERVICE_ROLE
from tests.faults.trial import SLACK_S, WRITE_INTERVAL_S, Trial

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(240)]

CLIENTS = 48
KEYED_CLIENTS = 16
SESSIONS = 48
KEYED_SESSIONS = 16
PAUSE_MAX_S = 1.5
KEYED_PAUSE_MAX_S = 1.0
KEYS_PER_S = 4
"""About a hundred calls a second: three servers with their Patroni, and what else runs, need the processors too."""
PROMOTED_S = TTL_S + 30.0
SERVED_S = 1.0
"""Calls succeed again within this time after another server has become the primary, and `SLACK_S` on a busy machine.

Patroni then names a synchronous standby, HAProxy looks each 0.2 s, and PgBouncer pauses as long after a failure.
"""
READY_S = 4.0 + WRITE_INTERVAL_S
BACK_AFTER_S = 1.0
FOLLOWS_S = 8.0
"""Meanwhile the former primary is rewound, on the processors that serve the calls."""
LATE_MAX = 0.02
"""So many calls may fail then."""
POOL_SIZE = 20
"""PgBouncer's own default. With 3, calls queued while slow statements held them."""
RUNNABLE_MAX = 3.0
"""With more runnable programs for each processor than this, every response may be late in proportion."""
PROBLEMS_SHOWN = 20
STORED = """
SELECT request_id, execution_count, closed_at IS NOT NULL, context::jsonb -> 'mark'
FROM meta.sessions WHERE closed_at IS NOT NULL OR context::jsonb ? 'mark'
"""
COUNTED = "SELECT execution_id FROM meta.executions WHERE execution_count IS NOT NULL"
MADE = "SELECT metadata::jsonb -> 'n', count(*) FROM meta.sessions WHERE metadata::jsonb ? 'n' GROUP BY 1"


async def killed(cluster, primary):
    primary.kill_server()


async def gone(cluster, primary):
    primary.kill()


async def frozen(cluster, primary):
    primary.freeze()


async def cut_off(cluster, primary):
    primary.cut_off()


async def switched_over(cluster, primary):
    await cluster.switch_over()


FAULTS = {
    "killed": killed,
    "switched over": switched_over,
    "gone with its Patroni": gone,
    "frozen": frozen,
    "cut off": cut_off,
}
COMING_BACK = {"frozen": Node.thaw, "cut off": Node.connect}
"""How a node that has lost its place comes back, while calls are made: nobody may take it for the primary."""


@define(eq=False)
class Failover:
    """A fault of the primary that ends when Patroni has made another server the primary."""

    cluster: Cluster
    name: str
    _after: Node | None = None

    @contextlib.asynccontextmanager
    async def lasting(self):
        before, timeline = await self.cluster.leader(), await self.cluster.timeline()
        began_s = time.monotonic()
        await FAULTS[self.name](self.cluster, before)
        yield
        self._after = await self.cluster.leader(timeline, PROMOTED_S)
        took_s, load = self.promoted_s() - began_s, os.getloadavg()[0]
        NOTES.append(f"primary {self.name}: another one {took_s:.1f} s after the fault, load average {load:.1f}")
        if self.name in COMING_BACK:
            asyncio.get_running_loop().call_later(BACK_AFTER_S, COMING_BACK[self.name], before)

    def promoted_s(self):
        return self._after.promoted_s()

    def rows(self, database, query):
        """Return what the new primary has."""
        with psycopg.connect(self.cluster.dsn(database, port=self._after.port), connect_timeout=5) as connection:
            return connection.execute(query).fetchall()

    def stored(self, database):
        return {str(UUID(str(row[0]))): Stored(*row[1:]) for row in self.rows(database, STORED)}


@contextlib.asynccontextmanager
async def by_hosts(cluster, database):
    yield {"DATABASE_URL": cluster.hosts_dsn(database)}


@contextlib.asynccontextmanager
async def by_haproxy(cluster, database):
    yield {"DATABASE_URL": cluster.dsn(database, SERVICE_ROLE)}


@contextlib.asynccontextmanager
async def by_pgbouncer(cluster, database):
    if find_pgbouncer() is None:
        pytest.skip("PgBouncer is not installed (Debian and Ubuntu: apt-get install pgbouncer)")
    with running_pgbouncer(cluster, prepared_statements_max=100, pool_size=POOL_SIZE) as port:
        yield {"DATABASE_URL": cluster.dsn(database, SERVICE_ROLE, port), "DB_SERVER_TIMEOUTS": "false"}


WAYS = {"several hosts": by_hosts, "HAProxy": by_haproxy, "PgBouncer and HAProxy": by_pgbouncer}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("fault", FAULTS)
async def test_nothing_is_lost_or_run_twice_when_the_primary_is(  # noqa: PLR0917  # fixtures, given by name
    cluster, database, controllers, runs, fault, way
):
    failover = Failover(cluster, fault)
    async with WAYS[way](cluster, database) as variables:
        urls = await controllers(**variables)
        async with httpx2.AsyncClient(transport=InTurn(urls), base_url="http://localhost", timeout=None) as client:
            keyed = KeyedCallers(
                [client],
                await echoing(client, KEYED_SESSIONS),
                random.Random(f"{fault} {way}"),
                keys_per_s=KEYS_PER_S,
                pause_max_s=KEYED_PAUSE_MAX_S,
            )
            repeating = keyed.start(KEYED_CLIENTS)
            try:
                await _trial(failover, way).run(client, failover.lasting, lambda: failover.stored(database))
            finally:
                keyed.stop()
                await asyncio.gather(*repeating)
            settled = await keyed.settle()
    _judge(failover, database, runs_in(runs), keyed, settled)


def _trial(failover, way):
    return Trial(
        f"primary {failover.name}, by {way}",
        clients=CLIENTS,
        lasting_s=0.0,
        recovery_s=SERVED_S,
        readiness_s=READY_S,
        slack_s=SLACK_S * max(1.0, os.getloadavg()[0] / os.cpu_count() / RUNNABLE_MAX),
        pause_max_s=PAUSE_MAX_S,
        after_s=FOLLOWS_S,
        late_max=LATE_MAX,
        sessions=SESSIONS,
        bites=failover.name != "switched over",
        ended=failover.promoted_s,
    )


def _judge(failover, database, runs, keyed, settled):
    """Compare the database with the marks that scripts left outside of it."""
    times = Counter(execution_id for execution_id, _ in runs)
    assert max(times.values()) == 1, "an execution ran twice"
    counted = {str(UUID(str(execution_id))) for (execution_id,) in failover.rows(database, COUNTED)}
    assert not {each for each in counted if each not in times}, "an execution was counted that did not run"
    ran = Counter(params["n"] for _, params in runs if "other" in params)
    made = Counter({int(number): times for number, times in failover.rows(database, MADE)})
    found = list(keyed_problems(keyed.responses, settled, ran, made))
    assert not found, "\n".join([f"{len(found)} problems", *found[:PROBLEMS_SHOWN]])
