"""What a process has of a distributed database: adapters for each bucket, and routers over them."""

import asyncio
import contextlib
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from attrs import define, field
from dependency_injector import providers

from adapters.buckets.counts import BucketExecutionCounts, BucketUsageReader
from adapters.buckets.deliveries import BucketDeliveries
from adapters.buckets.directory import Directory, Storage, serves
from adapters.buckets.executions import BucketExecutions, BucketKeyedExecutions, BucketLiveOutput
from adapters.buckets.ids import BucketIds, InBucket
from adapters.buckets.owners import (
    BucketAudit,
    BucketOwnerMover,
    BucketOwnerPurger,
    BucketSessionPurger,
    BucketTimeline,
    ForgottenMoves,
)
from adapters.buckets.queue import BucketQueue
from adapters.buckets.schedules import BucketSchedules
from adapters.buckets.sessions import BucketHiddenSessions, BucketKeyedSessions, BucketSessions
from adapters.buckets.webhooks import BucketWebhooks, WebhookRepairs
from adapters.postgres.batching.coalescer import Coalescer, StatementTurns
from adapters.postgres.buckets.node import Nodes
from adapters.postgres.buckets.node_clocks import NodeClocks
from adapters.postgres.buckets.placements import Node, Placement, Placements, PostgresBucketRegister
from adapters.postgres.buckets.pool import GATHERED, BucketGateway, bucket_gateway
from adapters.postgres.clock.probe import Fetch
from adapters.postgres.connections.connection import Statement
from adapters.postgres.migrations.connections import MigrationConnections
from adapters.postgres.retention.bucket_cleanups import BucketCleanups
from adapters.postgres.retention.functions import Pinned
from adapters.postgres.retention.history_budget import BucketBudgets
from adapters.random_ids import RandomIds
from domain.buckets.bucket_map import HOME
from domain.clock import Clock
from domain.errors import Unavailable
from domain.stats import BucketStats
from domain.storage.faults import StorageFault
from entrypoints.composition.database import READING, BucketSteps, Database
from entrypoints.composition.options import gateway_options, request_timeout_s, storage_budget
from entrypoints.server.lifespan import bounded
from entrypoints.settings.nodes import node_addresses
from entrypoints.settings.settings import Settings

_DRAIN_TIMEOUT_S = 5.0
_GATEWAY = "gateway"

_ROUTERS: Mapping[str, Callable[[Directory], object]] = {
    "sessions": BucketSessions,
    "keyed_sessions": BucketKeyedSessions,
    "hidden_sessions": BucketHiddenSessions,
    "executions": BucketExecutions,
    "keyed_executions": BucketKeyedExecutions,
    "live_output": BucketLiveOutput,
    "execution_queue": BucketQueue,
    "schedules": BucketSchedules,
    "usage": BucketUsageReader,
    "execution_counts": BucketExecutionCounts,
    "webhooks": BucketWebhooks,
    "deliveries": BucketDeliveries,
    "audit": BucketAudit,
    "purger": BucketSessionPurger,
    "owner_mover": BucketOwnerMover,
    "owner_purger": BucketOwnerPurger,
    "timeline": BucketTimeline,
}
"""What takes the place of the providers of Database."""


def distribute(container: Any, ids: providers.Provider[Any], settings: Settings) -> Directory:
    """Let a container of a process, whose `database` is that of HOME, use all buckets; return where they are."""
    database = container.database
    placements = Placements(database.gateway(), database.statements().buckets, node_addresses(settings))
    retention = _BucketRetention(database)
    parts = _BucketParts(settings, database, placements, retention)
    directory = _directory(database, settings, parts)
    database.pinned_elsewhere.override(providers.Object(partial(parts.pinned, directory)))
    retention.begin()
    routers = {name: make(directory) for name, make in _ROUTERS.items()}
    repairs = WebhookRepairs(directory, RandomIds())
    select_time = database.statements().clock.select_server_clock
    alone = partial(_fetch_alone, database.statements().migrations.set_timeouts, gateway_options(settings).dsn)
    clocks = NodeClocks(database.clock(), database.gateway(), parts.gateways, placements, select_time, alone)
    steps = BucketSteps(
        startup=[partial(_known, directory)],
        background=[directory.run, repairs.run, clocks.run, ForgottenMoves(directory).run],
        close=[directory.close, parts.nodes.close],
        probes={"buckets": partial(_facts, directory, placements, parts.gateways, database.clock(), clocks)},
        stats=partial(_stats, parts.gateways, placements, repairs, clocks),
        pools=parts.nodes.stats,
    )
    others = {
        "buckets": steps,
        "bucket_gateways": parts.gateways,
        "coalescers": parts.coalescers,
        "cleanup": retention.cleanups,
        "storage": retention.budgets,
    }
    for name, each in (routers | others).items():
        getattr(database, name).override(providers.Object(each))
    ids.override(providers.Object(BucketIds(RandomIds(), directory, secrets.choice)))
    return directory


def _directory(home: Any, settings: Settings, parts: "_BucketParts") -> Directory:
    pause = timedelta(seconds=2 * request_timeout_s(settings))
    reader = PostgresBucketRegister(home.gateway(), home.statements().buckets)
    return Directory(_storage(HOME, home, home), home.clock(), pause, reader, parts.storage)


def _fetch_alone(set_timeouts: Statement, home: str, node: Node) -> Fetch:
    """Return how to ask a node on a connection of its own."""
    return MigrationConnections(node.dsn(home), set_timeouts, READING).ask


async def _known(directory: Directory) -> None:
    """Read the buckets; a database that is away is asked again in the background."""
    with contextlib.suppress(Unavailable):
        await directory.refresh()


def _stats(
    gateways: Sequence[BucketGateway], placements: Placements, repairs: WebhookRepairs, clocks: NodeClocks
) -> BucketStats:
    away = sum(gateway.is_away for gateway in gateways)
    return BucketStats(away, placements.reads, placements.moves, repairs.compared_at, clocks.offsets_ms)


async def _facts(
    directory: Directory, placements: Placements, gateways: Sequence[BucketGateway], clock: Clock, clocks: NodeClocks
) -> Mapping[str, object]:
    """Return each bucket with its state and its node; a bucket that is away takes none of the others down."""
    try:
        now, begun = clock.now(), {bucket.number: bucket.from_at for bucket in directory.buckets.buckets}
    except Unavailable as error:
        return {"status": "failing", "reason": error.message}
    states = [
        {
            "number": each.number,
            "state": _state(each, begun, now),
            "sessions_from": begun.get(each.number),
            "node": _node(each, placements),
            "shard": _shard(each, placements),
        }
        for each in directory.all
    ]
    nodes = [
        {"node": each, "buckets": [at["number"] for at in states if at["node"] == each]} for each in clocks.workers
    ]
    facts = {"buckets": states, "nodes": nodes, "clock_offsets_ms": clocks.offsets_ms}
    reasons = [_why_away(each, placements) for each in gateways if each.is_away]
    return {"status": "degraded", "reason": " ".join(reasons), **facts} if reasons else {"status": "ok", **facts}


def _why_away(gateway: BucketGateway, placements: Placements) -> str:
    placement = placements.known(gateway.number)
    which = f"bucket {gateway.number} ({placement.node.address if placement else None})"
    if gateway.fault is StorageFault.RIGHT_MISSING:
        return f"The role lacks rights in {which}. Run `pglambda migrate up` as the owner."
    return f"The node of {which} is away."


def _node(storage: Storage, placements: Placements) -> str | None:
    """Return the address of a bucket's node; None before it is known, and for HOME, which DATABASE_URL names."""
    placement = placements.known(storage.number)
    return None if placement is None else placement.node.address


def _shard(storage: Storage, placements: Placements) -> int | None:
    """Return Citus's number of the shard of a bucket's sessions; None before it is known, and for HOME."""
    placement = placements.known(storage.number)
    return None if placement is None else placement.shards["sessions"]


def _state(storage: Storage, begun: Mapping[int, datetime], now: datetime) -> str:
    if storage.is_away():
        return "away"
    return "serving" if begun.get(storage.number, now) <= now else "announced"


@define(eq=False)
class _BucketParts:
    """Makes the adapters of buckets. Those on one node start statements of one kind in turn."""

    _settings: Settings
    _home: Any
    _placements: Placements
    _retention: "_BucketRetention"
    _turns: dict[tuple[int | None, str, bool], StatementTurns] = field(factory=dict, init=False)
    _open: dict[int, Sequence[Coalescer[Any, Any]]] = field(factory=dict, init=False)
    """The coalescers of each bucket."""
    gateways: list[BucketGateway] = field(factory=list, init=False)
    coalescers: list[Coalescer[Any, Any]] = field(init=False)
    """Those of all buckets that are open, for metrics."""

    nodes: Nodes = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.nodes = Nodes(gateway_options(self._settings), self._home.observe())
        self.coalescers = list(self._home.coalescers())
        self._placements.on_placed = self._group

    def storage(self, number: int) -> Storage:
        """Return the storage of a bucket, before its connections are opened."""
        options, observe = gateway_options(self._settings), self._home.observe()
        gateway = bucket_gateway(number, self._placements, options, observe, self.nodes)
        self.gateways.append(gateway)
        bucket = Database(settings=self._settings, observe=observe)
        shared = {
            _GATEWAY: gateway,
            "home_gateway": self._home.gateway(),
            "clock": self._home.clock(),
            "writing": self._home.writing(),
            "made_ids": InBucket(RandomIds(), number),
            "storage_budget": storage_budget(self._settings),
        }
        for name, each in shared.items():
            getattr(bucket, name).override(providers.Object(each))
        self._retention.add(number, bucket)
        return _storage(number, bucket, self._home, _OpenBucket(bucket, gateway, partial(self._share, number)))

    async def pinned(self, directory: Directory) -> Pinned:
        """Return the versions that sessions in buckets are pinned to.

        Raises StorageUnavailable or Overloaded, also while there may be buckets that are not known.
        """
        directory.hashing()
        select, found = self._home.statements().cleanup.select_pinned_versions, []
        for gateway in self.gateways:
            found += await gateway.fetch(select, {})
        return found

    async def _share(self, number: int, coalescers: Sequence[Any]) -> None:
        """Let the coalescers of a bucket start statements in turn with those of its node, as soon as it is known."""
        self.coalescers.extend(coalescers)
        self._open[number] = coalescers
        self._turn_at(None, coalescers)
        with contextlib.suppress(Unavailable):
            await self._placements.of(number)
        placement = self._placements.known(number)
        if placement is not None:
            self._group(placement)

    def _group(self, placement: Placement) -> None:
        self.nodes.retain(self._placements.nodes)
        coalescers = self._open.get(placement.number, ())
        self._turn_at(placement.node.group, coalescers, gathers=placement.gathers)

    def _turn_at(self, group: int | None, coalescers: Sequence[Coalescer[Any, Any]], *, gathers: bool = False) -> None:
        for each in coalescers:
            together = gathers and each.statement_name in GATHERED
            each.share(self._turns.setdefault((group, each.name, together), StatementTurns(together)))


@define(eq=False)
class _BucketRetention:
    """One cleanup and one budget for all buckets."""

    _home: Any
    cleanups: BucketCleanups = field(init=False)
    budgets: BucketBudgets = field(init=False)

    def begin(self) -> None:
        """Take what HOME has, before its providers are replaced."""
        self.cleanups = BucketCleanups(self._home.cleanup())
        self.budgets = BucketBudgets(self._home.storage_budget())
        self.budgets.add(self._home.storage())

    def add(self, number: int, bucket: Any) -> None:
        """Clean up another bucket, and count what it has stored."""
        self.cleanups.add(number, bucket.cleanup())
        self.budgets.add(bucket.storage())


@define(eq=False)
class _OpenBucket:
    """The connections of one bucket."""

    _database: Any
    _gateway: BucketGateway
    _share: Callable[[Sequence[Any]], Awaitable[None]]

    def is_away(self) -> bool:
        """Return whether its node did not serve a moment ago."""
        return self._gateway.is_away

    async def open(self) -> None:
        """Begin to connect."""
        await self._share(self._database.coalescers())
        await self._gateway.open()

    async def close(self) -> None:
        """End what waits and runs, within a limit."""
        closing = (bounded(each.close, _DRAIN_TIMEOUT_S)() for each in self._database.coalescers())
        await asyncio.gather(*closing)
        await self._gateway.close()


def _storage(number: int, database: Any, home: Any, running: _OpenBucket | None = None) -> Storage:
    ports = {
        "sessions": database.sessions(),
        "keyed_sessions": database.keyed_sessions(),
        "hidden_sessions": database.hidden_sessions(),
        "executions": database.executions(),
        "keyed_executions": database.keyed_executions(),
        "live_output": database.live_output(),
        "queue": database.execution_queue(),
        "schedules": database.schedules(),
        "usage": database.usage(),
        "execution_counts": database.execution_counts(),
        "webhooks": database.webhooks(),
        "deliveries": database.deliveries(),
        "audit": database.audit(),
        "purger": database.purger(),
        "owner_mover": database.owner_mover(),
        "owner_purger": database.owner_purger(),
        "timeline": database.timeline(),
    }
    if running is None:
        return Storage(number=number, **ports, functions=home.functions(), is_away=serves)
    return Storage(
        number=number,
        **ports,
        functions=home.functions(),
        is_away=running.is_away,
        open=running.open,
        close=running.close,
    )
