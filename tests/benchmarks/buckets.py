"""Buckets of a Citus cluster beside a plain database on one of its servers, by processor time and memory."""

import asyncio
import random
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
from attrs import define, field

from adapters.postgres.batching.call_queue import BatchKeys
from adapters.postgres.batching.statement_turns import MessageRounds, NodeTurns, StatementTurns
from adapters.postgres.buckets.node import Nodes
from adapters.postgres.buckets.placements import Placements
from adapters.postgres.buckets.pool import GATHERED, bucket_gateway
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
from tests.benchmarks.bucket_figures import PLAIN, WANTED, WANTED_BUCKETS, Cost, Costs, memory_of, text_of
from tests.citus.cluster import Cluster, citus_cluster, citus_programs
from tests.contracts.storage import report_of
from tests.unit.domain.builders import session_at

CALLERS = 64
_SESSIONS = 2000
_OWNERS = 50
_SCRIPT = Script.of("return 1", 1000)
_CONNECTIONS_MAX = 600


class NoCitus(Exception):
    """There is no PostgreSQL with Citus on this machine."""


@define(eq=False)
class Side:
    """What is measured: the storages of some buckets, or of a plain database (bucket 0); at which servers."""

    name: str
    numbers: Sequence[int]
    _urls: Sequence[str]
    _home: Gateway
    _gateways: Mapping[int, Gateway]
    _placements: Placements | None = None
    _nodes: Nodes | None = None
    _sessions: dict[int, PostgresSessionRepository] = field(factory=dict, init=False)
    _executions: dict[int, PostgresExecutionRepository] = field(factory=dict, init=False)
    _refs: list[SessionRef] = field(factory=list, init=False)
    _open: list[OpenExecution] = field(factory=list, init=False)

    async def start(self) -> None:
        """Connect, and store sessions, equally many in each bucket."""
        statements, writing = load_statements(), BatchKeys()
        turns: dict[tuple[int, str, bool], StatementTurns] = {}
        rounds: dict[str, MessageRounds] = defaultdict(MessageRounds)
        for gateway in {self._home, *self._gateways.values()}:
            await gateway.open()
        for number, gateway in self._gateways.items():
            sessions = PostgresSessionRepository(gateway, statements.sessions, writing)
            executions = PostgresExecutionRepository(gateway, statements.executions, SystemClock(), writing)
            group, gathers = await self._place(number)
            for each in (*sessions.coalescers, *executions.coalescers):
                together = gathers and each.statement_name in GATHERED
                key = group, each.name, together
                if key not in turns:
                    turns[key] = NodeTurns(rounds=rounds[each.name]) if together else StatementTurns()
                each.share(turns[key])
            self._sessions[number], self._executions[number] = sessions, executions
        await asyncio.gather(*(self._add(number) for number in range(_SESSIONS)))

    async def _place(self, number: int) -> tuple[int, bool]:
        """Return the group of a bucket's node, and whether its statements share messages with others there."""
        if self._placements is None:
            return 0, False
        placement = await self._placements.of(number)
        return placement.node.group, placement.gathers and self._nodes is not None

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
        before = self._statements(kind)
        server_us, process_s, started_s = self._server_us(), time.process_time(), time.perf_counter()
        await asyncio.gather(*(self._calls(call, left) for _ in range(CALLERS)))
        took_s, process_us = time.perf_counter() - started_s, (time.process_time() - process_s) * 1e6
        server_us, statements = self._server_us() - server_us, self._statements(kind) - before
        return Cost(calls / took_s, process_us / calls, server_us / calls, calls / statements)

    def _statements(self, kind: str) -> int:
        """Return how many statements of a kind have started."""
        repositories = (*self._sessions.values(), *self._executions.values())
        return sum(each.stats().batches for of in repositories for each in of.coalescers if each.name == kind)

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
        return sum(int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) for pid in self.pids()) / 1e3

    def pids(self) -> Sequence[int]:
        """Return the server processes of this side."""
        pids: list[int] = []
        for url in self._urls:
            with psycopg.connect(url, autocommit=True) as connection:
                asked = "SELECT a.pid FROM pg_stat_activity AS a WHERE a.application_name = %s"
                pids += [pid for (pid,) in connection.execute(asked, [self.name])]
        return pids


def run(counts: Sequence[int], turns: int, calls: int, say: Callable[[str], None]) -> str:
    """Measure all sides in turns, each in a random order, and return tables of medians; raises NoCitus."""
    programs = citus_programs()
    if programs is None:
        raise NoCitus("No PostgreSQL 17 with Citus was found. CONTRIBUTING.md says how to install it.")
    with citus_cluster(programs, connections_max=_CONNECTIONS_MAX) as cluster:
        return asyncio.run(_run(cluster, counts, turns, calls, say))


async def _run(cluster: Cluster, counts: Sequence[int], turns: int, calls: int, say: Callable[[str], None]) -> str:
    coordinator, node, other = cluster.ports
    name, plain = cluster.database(), cluster.plain_database(node)
    await migrated(cluster.url(plain, node))
    at_node, at_other = await _placed(cluster, name, max(counts), say)
    home_url, node_urls = cluster.url(name, coordinator), [cluster.url(name, port) for port in (node, other)]
    sides = [_plain_side(cluster.url(plain, node))]
    sides += [_bucket_side(f"{count}_on_one_node", home_url, node_urls, at_node[:count]) for count in counts]
    for count in [count for count in counts if count > 1]:
        half, others = at_node[: -(-count // 2)], at_other[: count // 2]
        sides.append(_bucket_side(f"{count}_over_two_nodes", home_url, node_urls, [*half, *others]))
        if count == WANTED_BUCKETS:
            sides.append(_bucket_side(f"{count}_over_two_nodes_asked_at_one", home_url, node_urls, half))
    for side in sides:
        await side.start()
    costs = await _measured(sides, turns, calls, say)
    memory = {side.name: memory_of(side.pids()) for side in sides}
    for side in sides:
        await side.close()
    return text_of(costs, memory, [side.name for side in sides if side.name.startswith(f"{WANTED_BUCKETS}_")])


async def _measured(sides: Sequence[Side], turns: int, calls: int, say: Callable[[str], None]) -> Costs:
    costs: Costs = defaultdict(list)
    for turn in range(turns + 1):
        for kind in WANTED:
            for side in random.sample(sides, len(sides)):
                cost = await side.measure(kind, calls)
                if turn:  # the first one warms up
                    costs[side.name, kind].append(cost)
        say(f"turn {turn} of {turns}")
    return costs


async def _placed(
    cluster: Cluster, name: str, buckets: int, say: Callable[[str], None]
) -> tuple[Sequence[int], Sequence[int]]:
    """Make so many buckets on one worker, and half as many on the other one; return the numbers of both."""
    coordinator, node, other = cluster.ports
    url, total = cluster.url(name, coordinator), buckets + buckets // 2
    await migrated(url)
    cluster.give_buckets_to(name, node)
    await divided(url, buckets, say)
    cluster.give_buckets_to(name, other)
    await divided(url, total, say)
    return range(1, buckets + 1), range(buckets + 1, total + 1)


async def migrated(url: str) -> None:
    """Migrate a database."""
    await MigrationRunner(url, load_statements().migrations, SystemClock()).up()


async def divided(url: str, buckets: int, say: Callable[[str], None]) -> None:
    """Divide a migrated database into buckets."""
    statements, clock = load_statements(), SystemClock()
    home = MigrationRunner(url, statements.migrations, clock)
    schemas = BucketMigrations(url, statements, clock)
    server = DatabaseClock(schemas.connections.fetch, statements.clock, 1.0)
    announcement = Announcement(schemas.connections, statements, clock, server)
    distribution = Distribution(home, schemas, statements, lambda _: 1, announcement)
    await distribution.run(await distribution.plan(buckets), lambda made: say(f"bucket {made.number} of {buckets}"))


def _options(url: str, name: str) -> GatewayOptions:
    return GatewayOptions(f"{url}?application_name={name}", request_timeout_s=30, slow_statement_s=10)


def _plain_side(url: str) -> Side:
    home = Gateway(_options(url, PLAIN))
    return Side(PLAIN, (0,), [url], home, {0: home})


def _bucket_side(name: str, home_url: str, node_urls: Sequence[str], numbers: Sequence[int]) -> Side:
    options = _options(home_url, name)
    home = Gateway(options)
    placements = Placements(home, load_statements().buckets)
    nodes = Nodes(options) if len(numbers) > 1 else None
    gateways = {number: bucket_gateway(number, placements, options, nodes=nodes) for number in numbers}
    return Side(name, numbers, node_urls, home, gateways, placements, nodes)


def _new_id(number: int) -> UUID:
    return in_bucket(uuid7_at(datetime.now(UTC), random.getrandbits(62)), number)


def _number(ref: SessionRef) -> int:
    return ref.session_id.int & 0xFF
