"""What a process has of a distributed database: adapters for each bucket, and routers over them."""

import contextlib
import secrets
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial
from typing import Any

from dependency_injector import providers

from adapters.buckets.counts import BucketExecutionCounts, BucketUsageReader
from adapters.buckets.deliveries import BucketDeliveries
from adapters.buckets.directory import Directory
from adapters.buckets.executions import BucketExecutions, BucketKeyedExecutions, BucketLiveOutput, BucketStates
from adapters.buckets.files import BucketFiles
from adapters.buckets.ids import BucketIds
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
from adapters.postgres.buckets.node_clocks import NodeClocks
from adapters.postgres.buckets.placements import Node, Placements, PostgresBucketRegister
from adapters.postgres.clock.probe import Fetch
from adapters.postgres.connections.statement import Statement
from adapters.postgres.migrations.connections import MigrationConnections
from adapters.random_ids import RandomIds
from domain.buckets.bucket_map import HOME
from domain.errors import Unavailable
from entrypoints.composition.bucket_facts import bucket_facts, bucket_stats
from entrypoints.composition.bucket_parts import BucketParts, BucketRetention, storage_of
from entrypoints.composition.checked_options import gateway_options, request_timeout_s
from entrypoints.composition.database import READING, BucketSteps
from entrypoints.settings.nodes import node_addresses
from entrypoints.settings.settings import Settings

_ROUTERS: Mapping[str, Callable[[Directory], object]] = {
    "sessions": BucketSessions,
    "keyed_sessions": BucketKeyedSessions,
    "hidden_sessions": BucketHiddenSessions,
    "executions": BucketExecutions,
    "keyed_executions": BucketKeyedExecutions,
    "live_output": BucketLiveOutput,
    "states": BucketStates,
    "files": BucketFiles,
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
    retention = BucketRetention(database)
    parts = BucketParts(settings, database, placements, retention)
    directory = _directory(database, settings, parts)
    database.pinned_elsewhere.override(providers.Object(partial(parts.pinned, directory)))
    database.environment_use_elsewhere.override(providers.Object(partial(parts.environment_use, directory)))
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
        probes={"buckets": partial(bucket_facts, directory, placements, parts.gateways, database.clock(), clocks)},
        stats=partial(bucket_stats, parts.gateways, placements, repairs, clocks),
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


def _directory(home: Any, settings: Settings, parts: BucketParts) -> Directory:
    pause = timedelta(seconds=2 * request_timeout_s(settings))
    reader = PostgresBucketRegister(home.gateway(), home.statements().buckets)
    return Directory(storage_of(HOME, home, home), home.clock(), pause, reader, parts.storage)


def _fetch_alone(set_timeouts: Statement, home: str, node: Node) -> Fetch:
    """Return how to ask a node on a connection of its own."""
    return MigrationConnections(node.dsn(home), set_timeouts, READING).ask


async def _known(directory: Directory) -> None:
    """Read the buckets; a database that is away is asked again in the background."""
    with contextlib.suppress(Unavailable):
        await directory.refresh()
