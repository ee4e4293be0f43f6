"""The adapters of PostgreSQL."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

from attrs import evolve, field, frozen
from dependency_injector import containers, providers

from adapters.postgres.batching.call_queue import BatchKeys
from adapters.postgres.batching.coalescer import Coalescer
from adapters.postgres.buckets.placements import dsn_at
from adapters.postgres.buckets.pool import BucketGateway
from adapters.postgres.buckets.unknown_buckets import UnknownBuckets
from adapters.postgres.clock.disciplined import ClockOptions, DisciplinedClock
from adapters.postgres.clock.probe import DatabaseClock, Fetch, NodeClock, ServerClock
from adapters.postgres.connections.observer import StatementObserver
from adapters.postgres.gateway import Gateway
from adapters.postgres.migrations.connections import MigrationConnections
from adapters.postgres.migrations.options import MigrationOptions
from adapters.postgres.migrations.schema import SchemaCheck
from adapters.postgres.repositories.api_keys import PostgresApiKeyRepository
from adapters.postgres.repositories.audit import PostgresAuditReader
from adapters.postgres.repositories.egress_rules import PostgresOwnerRules
from adapters.postgres.repositories.environments import (
    PostgresBuildQueue,
    PostgresEnvironmentRepository,
    PostgresTreeStore,
    no_use_elsewhere,
)
from adapters.postgres.repositories.executions import PostgresExecutionRepository
from adapters.postgres.repositories.files import PostgresFileRepository
from adapters.postgres.repositories.functions import PostgresFunctionRepository
from adapters.postgres.repositories.hidden_sessions import PostgresHiddenSessionRepository
from adapters.postgres.repositories.keyed_executions import PostgresKeyedExecutionRepository
from adapters.postgres.repositories.keyed_sessions import PostgresKeyedSessionRepository
from adapters.postgres.repositories.limits import PostgresRateStore, PostgresReservationStore, PostgresUsageReader
from adapters.postgres.repositories.live_output import PostgresLiveOutput
from adapters.postgres.repositories.owner_mover import OwnerMoverOptions, PostgresOwnerMover
from adapters.postgres.repositories.purges import PostgresOwnerPurger, PostgresSessionPurger
from adapters.postgres.repositories.queue import PostgresExecutionQueue
from adapters.postgres.repositories.recordings import PostgresRecordingStore
from adapters.postgres.repositories.runtime_hosts import PostgresHostDirectory
from adapters.postgres.repositories.schedules import PostgresScheduleRepository
from adapters.postgres.repositories.secrets import PostgresSecretRepository
from adapters.postgres.repositories.session_returns import PostgresReturnStore
from adapters.postgres.repositories.sessions import PostgresSessionRepository
from adapters.postgres.repositories.states import PostgresStateRepository
from adapters.postgres.repositories.takeover import PostgresTakeoverStore
from adapters.postgres.repositories.timeline import PostgresTimelineReader
from adapters.postgres.repositories.usage import PostgresExecutionCounts
from adapters.postgres.repositories.webhooks import PostgresDeliveryQueue, PostgresWebhookRepository
from adapters.postgres.retention.cleanup import Cleanup, nothing_pinned
from adapters.postgres.retention.entry_ender import EntryEnder
from adapters.postgres.retention.history_budget import HistoryBudget
from adapters.postgres.retention.usage_counter import UsageCounter
from adapters.postgres.statements.calls import ClockStatements
from adapters.postgres.statements.catalogue import Statements, load_statements
from adapters.postgres.stats import no_pools, not_distributed
from adapters.random_ids import RandomIds
from domain.idempotency import KEPT_FOR
from domain.secrets.resealing import Resealing
from domain.stats import BucketStats, PoolStats
from entrypoints.composition.checked_options import gateway_options
from entrypoints.composition.options import (
    clock_options,
    execution_options,
    function_options,
    retention,
    storage_budget,
)
from entrypoints.composition.secrets import sealer
from entrypoints.server.lifespan import Step
from entrypoints.settings.nodes import clock_source
from entrypoints.settings.settings import Settings

READING = MigrationOptions(connect_timeout_s=2.0, statement_timeout_s=1.0, socket_timeout_s=2.0)
"""The times of a reading of the clock without a gateway."""


@frozen
class BucketSteps:
    """What a distributed database adds to the start, the background work, the end, health and metrics of a process."""

    startup: Sequence[Step] = ()
    background: Sequence[Step] = ()
    close: Sequence[Step] = ()
    probes: Mapping[str, Callable[[], Awaitable[Mapping[str, object]]]] = field(factory=dict)
    stats: Callable[[], BucketStats | None] = not_distributed
    pools: Callable[[], Mapping[str, PoolStats]] = no_pools


def clock_gateways(settings: Settings) -> Sequence[Gateway]:
    """Return the gateway to the node whose clock counts; none if it is the server of DATABASE_URL."""
    source = clock_source(settings)
    if source is None:
        return ()
    home = gateway_options(settings)
    return (Gateway(evolve(home, dsn=dsn_at(*source, home.dsn), pool_size_max=1, lock_wait_pool_size_max=1)),)


def disciplined_clock(
    gateway: Gateway, sources: Sequence[Gateway], statements: ClockStatements, options: ClockOptions
) -> DisciplinedClock:
    """Return the clock of a database, before its first measurement."""
    fetches = [each.fetch for each in sources]
    return DisciplinedClock(server_clock(gateway.fetch, fetches, statements, options.probe_timeout_s), options)


def server_clock(home: Fetch, sources: Sequence[Fetch], statements: ClockStatements, timeout_s: float) -> ServerClock:
    """Return the clock that counts: that of the source if there is one, or else of home."""
    clock = DatabaseClock(home, statements, timeout_s)
    return NodeClock(clock, sources[0], statements.select_node_clock, timeout_s) if sources else clock


def time_of(home: MigrationConnections, settings: Settings, statements: ClockStatements) -> ServerClock:
    """Return the clock that counts; each reading has a connection of its own."""
    reading, source = evolve(home, options=READING), clock_source(settings)
    sources = [] if source is None else [evolve(reading, dsn=dsn_at(*source, home.dsn)).fetch]
    return server_clock(reading.fetch, sources, statements, READING.statement_timeout_s)


def _joined(*groups: Iterable[Coalescer[Any, Any]]) -> Sequence[Coalescer[Any, Any]]:
    return [coalescer for group in groups for coalescer in group]


def _unknown_buckets(settings: Settings, gateway: Gateway, statements: Statements) -> UnknownBuckets | None:
    """Return what a process without the nodes must not find."""
    return UnknownBuckets(gateway, statements.buckets.select_buckets) if settings.database_nodes is None else None


def _steps(unknown: UnknownBuckets | None) -> BucketSteps:
    return BucketSteps() if unknown is None else BucketSteps(background=[unknown.run])


class Database(containers.DeclarativeContainer):
    """The gateway, and the repositories, the cleanup and the clock that use it."""

    settings = providers.Dependency(instance_of=Settings)
    observe: providers.Dependency[StatementObserver] = providers.Dependency()

    made_ids = providers.Singleton(RandomIds)
    """Ids of attempts that the database's own work makes; those of a bucket end with its number."""

    statements = providers.Singleton(load_statements)
    gateway = providers.Singleton(Gateway, providers.Callable(gateway_options, settings), observe)
    clock_gateways = providers.Singleton(clock_gateways, settings)
    clock = providers.Singleton(
        disciplined_clock,
        gateway,
        clock_gateways,
        statements.provided.clock,
        providers.Callable(clock_options, settings),
    )
    writing = providers.Singleton(BatchKeys)
    sessions = providers.Singleton(PostgresSessionRepository, gateway, statements.provided.sessions, writing)
    hidden_sessions = providers.Singleton(PostgresHiddenSessionRepository, gateway, statements.provided.sessions)
    executions = providers.Singleton(
        PostgresExecutionRepository,
        gateway,
        statements.provided.executions,
        clock,
        writing,
        providers.Callable(execution_options, settings),
    )
    states = providers.Singleton(PostgresStateRepository, gateway, statements.provided.states)
    files = providers.Singleton(PostgresFileRepository, gateway, statements.provided.files)
    keyed_sessions = providers.Singleton(
        PostgresKeyedSessionRepository, gateway, statements.provided.keyed_calls, writing
    )
    keyed_executions = providers.Singleton(
        PostgresKeyedExecutionRepository, gateway, statements.provided.keyed_calls, executions, writing
    )
    execution_queue = providers.Singleton(
        PostgresExecutionQueue, gateway, statements, executions, writing, providers.Object(None), made_ids
    )
    schedules = providers.Singleton(PostgresScheduleRepository, gateway, statements.provided.schedules)
    live_output = providers.Singleton(PostgresLiveOutput, gateway, statements.provided.live_output)
    environment_use_elsewhere = providers.Object(no_use_elsewhere)
    environments = providers.Singleton(
        PostgresEnvironmentRepository,
        gateway,
        statements.provided.environments,
        use_elsewhere=environment_use_elsewhere,
    )
    environment_builds = providers.Singleton(PostgresBuildQueue, gateway, statements.provided.environments)
    trees = providers.Singleton(PostgresTreeStore, gateway, statements.provided.environments)
    runtime_hosts = providers.Singleton(PostgresHostDirectory, gateway, statements.provided.runtime_hosts)
    functions = providers.Singleton(
        PostgresFunctionRepository,
        gateway,
        statements.provided.functions,
        providers.Callable(function_options, settings),
    )
    api_keys = providers.Singleton(PostgresApiKeyRepository, gateway, statements.provided.api_keys)
    secrets = providers.Singleton(PostgresSecretRepository, gateway, statements.provided.secrets)
    egress_rules = providers.Singleton(PostgresOwnerRules, gateway, statements.provided.egress_rules)
    takeover_store = providers.Singleton(PostgresTakeoverStore, gateway, statements.provided.takeover)
    return_store = providers.Singleton(PostgresReturnStore, gateway, statements.provided.session_returns)
    recordings = providers.Singleton(PostgresRecordingStore, gateway, statements.provided.recordings)
    webhooks = providers.Singleton(PostgresWebhookRepository, gateway, statements.provided.webhooks)
    deliveries = providers.Singleton(PostgresDeliveryQueue, gateway, statements.provided.webhooks)
    audit = providers.Singleton(PostgresAuditReader, gateway, statements.provided.audit)
    purger = providers.Singleton(PostgresSessionPurger, gateway, statements.provided.purges, clock, KEPT_FOR)
    home_gateway: providers.Provider[Gateway | None] = providers.Object(None)
    """Where functions are, for a bucket that has none."""

    timeline = providers.Singleton(PostgresTimelineReader, gateway, statements, clock, KEPT_FOR, home_gateway)
    schema = providers.Singleton(SchemaCheck, gateway, statements.provided.migrations)
    pinned_elsewhere = providers.Object(nothing_pinned)
    storage_budget = providers.Callable(storage_budget, settings)
    storage = providers.Singleton(HistoryBudget.of, gateway, statements, storage_budget)
    cleanup = providers.Singleton(
        Cleanup,
        gateway,
        statements.provided.cleanup,
        clock,
        providers.Callable(retention, settings),
        storage,
        providers.Singleton(
            UsageCounter, gateway, statements.provided.usage, clock, settings.provided.history_retention_days
        ),
        providers.Singleton(EntryEnder, gateway, statements.provided.queue_sweeps, ids=made_ids),
        pinned_elsewhere=pinned_elsewhere,
        files=files,
    )
    coalescers = providers.Callable(
        _joined,
        sessions.provided.coalescers,
        hidden_sessions.provided.coalescers,
        executions.provided.coalescers,
        keyed_sessions.provided.coalescers,
        keyed_executions.provided.coalescers,
        execution_queue.provided.coalescers,
        live_output.provided.coalescers,
        states.provided.coalescers,
        functions.provided.coalescers,
        api_keys.provided.coalescers,
        secrets.provided.coalescers,
        egress_rules.provided.coalescers,
    )
    rates = providers.Singleton(PostgresRateStore, gateway, statements.provided.limits)
    reservations = providers.Singleton(PostgresReservationStore, gateway, statements.provided.limits)
    usage = providers.Singleton(PostgresUsageReader, gateway, statements.provided.limits)
    execution_counts = providers.Singleton(PostgresExecutionCounts, gateway, statements.provided.usage)
    sealer = providers.Singleton(sealer, settings)
    resealing = providers.Singleton(Resealing, secrets, sealer)
    owner_mover = providers.Singleton(PostgresOwnerMover, gateway, statements, clock, resealing=resealing)
    owner_purger = providers.Singleton(
        PostgresOwnerPurger,
        gateway,
        statements.provided.purges,
        clock,
        owner_mover,
        OwnerMoverOptions(),
    )
    bucket_gateways: providers.Provider[Sequence[BucketGateway]] = providers.Object(())
    unknown_buckets = providers.Singleton(_unknown_buckets, settings, gateway, statements)
    buckets: providers.Provider[BucketSteps] = providers.Singleton(_steps, unknown_buckets)
