"""Buckets on one node of a Citus cluster beside a plain database on the same server, by processor time."""

import asyncio
import random
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any
from uuid import UUID

import psycopg
from attrs import define, field, frozen

from adapters.postgres.batching.call_queue import BatchKeys
from adapters.postgres.batching.coalescer import StatementTurns
from adapters.postgres.buckets.node import Nodes
from adapters.postgres.buckets.placements import Placements
from adapters.postgres.buckets.pool import bucket_gateway
from adapters.postgres.clock.probe import DatabaseClock
from adapters.postgres.gateway import Gateway
from adapters.postgres.gateway_options import GatewayOptions
from adapters.postgres.migrations.announcement import Announcement
from adapters.postgres.migrations.buckets import BucketMigrations
from adapters.postgres.migrations.distribution import Distribution
from adapters.postgres.migrations.runner import MigrationRunner
from adapters.postgres.repositories.executions import PostgresExecutionRepository
from adapters.postgres.repositories.sessions import PostgresSessionRepository
from adapters.postgres.statements.catalogue import load_statements
from adapters.system_clock import SystemClock
from domain.buckets.bucket_map import in_bucket
from domain.executions.execution import FinishedExecution, OpenExecution
from domain.identity import Owner, SessionRef, uuid7_at
from domain.json_text import JsonText
from domain.scripts.script import Script
from tests.citus.cluster import Cluster, citus_cluster, citus_programs
from tests.contracts.storage import report_of
from tests.unit.domain.builders import session_at

CALLERS = 64
KINDS = ("get", "begin", "finish")
_SESSIONS = 2000
_OWNERS = 50
_SCRIPT = Script.of("return 1", 1000)
_PLAIN = "plain"


class NoCitus(Exception):
    """There is no PostgreSQL with Citus on this machine."""


@frozen
class Cost:
    """Calls a second, and microseconds of processor time of a call: of the process, and of the server."""

    calls_s: float
    process_us: float
    server_us: float

    @property
    def both_us(self) -> float:
        """The processor time of a call."""
        return self.process_us + self.server_us


@define(eq=False)
class Side:
    """What is measured: the storages of some buckets on one node, or of a plain database (bucket 0)."""

    name: str
    numbers: Sequence[int]
    _url: str
    _home: Gateway
    _gateways: Mapping[int, Gateway]
    _nodes: Nodes | None = None
    _sessions: dict[int, PostgresSessionRepository] = field(factory=dict, init=False)
    _executions: dict[int, PostgresExecutionRepository] = field(factory=dict, init=False)
    _refs: list[SessionRef] = field(factory=list, init=False)
    _open: list[OpenExecution] = field(factory=list, init=False)

    async def start(self) -> None:
        """Connect, and store sessions, equally many in each bucket."""
        statements, writing = load_statements(), BatchKeys()
        turns: dict[str, StatementTurns] = defaultdict(lambda: StatementTurns(gathers=self._nodes is not None))
        for gateway in {self._home, *self._gateways.values()}:
            await gateway.open()
        for number, gateway in self._gateways.items():
            sessions = PostgresSessionRepository(gateway, statements.sessions, writing)
            executions = PostgresExecutionRepository(gateway, statements.executions, SystemClock(), writing)
            for each in (*sessions.coalescers, *executions.coalescers):
                each.share(turns[each.name])
            self._sessions[number], self._executions[number] = sessions, executions
        await asyncio.gather(*(self._add(number) for number in range(_SESSIONS)))

    async def close(self) -> None:
        """Close all connections."""
        for gateway in {self._home, *self._gateways.values()}:
            await gateway.close()
        if self._nodes is not None:
            await self._nodes.close()

    async def measure(self, kind: str, calls: int) -> Cost:
        """Make calls of a kind by 64 callers; those that finish executions finish what was begun before."""
        if kind == "finish":
            calls = len(self._open)
        call: Callable[[], Awaitable[Any]] = getattr(self, f"_{kind}")
        left = iter(range(calls))
        server_us, process_s, started_s = self._server_us(), time.process_time(), time.perf_counter()
        await asyncio.gather(*(self._calls(call, left) for _ in range(CALLERS)))
        took_s, process_us = time.perf_counter() - started_s, (time.process_time() - process_s) * 1e6
        return Cost(calls / took_s, process_us / calls, (self._server_us() - server_us) / calls)

    async def _calls(self, call: Callable[[], Awaitable[Any]], left: Any) -> None:
        for _ in left:
            await call()

    async def _add(self, ordinal: int) -> None:
        number = self.numbers[ordinal % len(self.numbers)]
        ref = SessionRef(Owner(f"owner {ordinal % _OWNERS}"), _new_id(number))
        session = session_at(datetime.now(UTC), 10_000, 10_000, ref=ref, script_hash=_SCRIPT.hash)
        await self._sessions[number].add(session, _SCRIPT)
        self._refs.append(ref)

    async def _get(self) -> None:
        ref = random.choice(self._refs)
        await self._sessions[_number(ref)].get(ref)

    async def _begin(self) -> None:
        ref = random.choice(self._refs)
        number = _number(ref)
        self._open.append(await self._executions[number].begin(_new_id(number), ref, timedelta(minutes=10)))

    async def _finish(self) -> None:
        execution = self._open.pop()
        finished = FinishedExecution(execution, datetime.now(UTC), JsonText('{"a": 5}'), report_of())
        await self._executions[_number(execution.ref)].finish(finished)

    def _server_us(self) -> float:
        """Return the processor time of the server processes that serve this side."""
        with psycopg.connect(self._url, autocommit=True) as connection:
            asked = "SELECT a.pid FROM pg_stat_activity AS a WHERE a.application_name = %s"
            pids = [pid for (pid,) in connection.execute(asked, [self.name])]
        return sum(int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) for pid in pids) / 1e3


def run(counts: Sequence[int], turns: int, calls: int, say: Callable[[str], None]) -> str:
    """Measure all sides in turns, each in a random order, and return a table of medians; raises NoCitus."""
    programs = citus_programs()
    if programs is None:
        raise NoCitus("No PostgreSQL 17 with Citus was found. CONTRIBUTING.md says how to install it.")
    with citus_cluster(programs) as cluster:
        return asyncio.run(_run(cluster, counts, turns, calls, say))


async def _run(cluster: Cluster, counts: Sequence[int], turns: int, calls: int, say: Callable[[str], None]) -> str:
    coordinator, node, other = cluster.ports
    name, plain = cluster.database(), cluster.plain_database(node)
    with psycopg.connect(cluster.url(name), autocommit=True) as connection:
        connection.execute("SELECT citus_set_node_property('127.0.0.1', %s, 'shouldhaveshards', false)", [other])
    await _migrated(cluster.url(plain, node))
    await _divided(cluster.url(name, coordinator), max(counts), say)
    sides = [_plain_side(cluster.url(plain, node))]
    for count in counts:
        sides += [
            _bucket_side(cluster.url(name), cluster.url(name, node), count, gathers=each) for each in {False, count > 1}
        ]
    for side in sides:
        await side.start()
    costs: dict[tuple[str, str], list[Cost]] = defaultdict(list)
    for turn in range(turns + 1):
        for kind in KINDS:
            for side in random.sample(sides, len(sides)):
                cost = await side.measure(kind, calls)
                if turn:  # the first one warms up
                    costs[side.name, kind].append(cost)
        say(f"turn {turn} of {turns}")
    for side in sides:
        await side.close()
    return _table(sides, costs)


async def _migrated(url: str) -> None:
    await MigrationRunner(url, load_statements().migrations, SystemClock()).up()


async def _divided(url: str, buckets: int, say: Callable[[str], None]) -> None:
    await _migrated(url)
    statements, clock = load_statements(), SystemClock()
    home = MigrationRunner(url, statements.migrations, clock)
    buckets = BucketMigrations(url, statements, clock)
    server = DatabaseClock(buckets.connections.fetch, statements.clock, 1.0)
    announcement = Announcement(buckets.connections, statements, clock, server)
    distribution = Distribution(home, buckets, statements, lambda _: 1, announcement)
    await distribution.run(await distribution.plan(buckets), lambda number: say(f"bucket {number} of {buckets}"))


def _options(url: str, name: str) -> GatewayOptions:
    return GatewayOptions(f"{url}?application_name={name}", request_timeout_s=30, slow_statement_s=10)


def _plain_side(url: str) -> Side:
    home = Gateway(_options(url, _PLAIN))
    return Side(_PLAIN, (0,), url, home, {0: home})


def _bucket_side(home_url: str, node_url: str, count: int, *, gathers: bool) -> Side:
    name = f"{count}_buckets" + ("_gathered" if gathers else "")
    options = _options(home_url, name)
    home = Gateway(options)
    placements = Placements(home, load_statements().buckets)
    numbers = range(1, count + 1)
    nodes = Nodes(options) if gathers else None
    gateways = {number: bucket_gateway(number, placements, options, nodes=nodes) for number in numbers}
    return Side(name, numbers, node_url, home, gateways, nodes)


def _new_id(number: int) -> UUID:
    return in_bucket(uuid7_at(datetime.now(UTC), random.getrandbits(62)), number)


def _number(ref: SessionRef) -> int:
    return ref.session_id.int & 0xFF


def _table(sides: Sequence[Side], costs: Mapping[tuple[str, str], Sequence[Cost]]) -> str:
    lines = [
        "| calls of 64 callers | side | calls/s | process, us | server, us | share of plain |",
        "|---|---|---|---|---|---|",
    ]
    for kind in KINDS:
        plain_us = median(cost.both_us for cost in costs[_PLAIN, kind])
        for side in sides:
            found = costs[side.name, kind]
            calls_s, process_us, server_us, both_us = (
                median(getattr(cost, name) for cost in found)
                for name in ("calls_s", "process_us", "server_us", "both_us")
            )
            share = f"{plain_us / both_us:.2f}"
            lines.append(f"| {kind} | {side.name} | {calls_s:.0f} | {process_us:.1f} | {server_us:.1f} | {share} |")
    return "\n".join(lines)
