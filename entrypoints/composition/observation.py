"""What a controller reports about itself: its health and its metrics."""

from collections.abc import Mapping
from typing import Any

from dependency_injector import containers, providers

from adapters.postgres.health import DatabaseHealth
from adapters.postgres.stats import DatabaseStatsReader
from adapters.postgres.write_probe import WriteProbe
from domain.environments.watch import BuildWatch
from entrypoints.composition.environments import HostEnvironments
from entrypoints.composition.webhooks import Webhooks
from entrypoints.http.endpoints.environment_health import EnvironmentHealth
from entrypoints.http.endpoints.file_health import FileHealth
from entrypoints.http.endpoints.health import HealthChecks, Probe
from entrypoints.http.endpoints.secret_health import SecretHealth
from entrypoints.settings.secrets import key_ids
from entrypoints.settings.settings import Settings
from entrypoints.telemetry.metrics.callers import CallerMetrics
from entrypoints.telemetry.metrics.database import DatabaseMetrics
from entrypoints.telemetry.metrics.egress import EgressMetrics
from entrypoints.telemetry.metrics.environments import BuildMetrics, TreeMetrics
from entrypoints.telemetry.metrics.files import FileMetrics
from entrypoints.telemetry.metrics.runtime_hosts import RuntimeStreamMetrics
from entrypoints.telemetry.metrics.sandbox import SandboxMetrics
from entrypoints.telemetry.metrics.schedules import ScheduleMetrics
from entrypoints.telemetry.metrics.scrape import metrics_registry
from entrypoints.telemetry.metrics.secrets import SecretMetrics
from entrypoints.telemetry.metrics.states import StateMetrics
from entrypoints.telemetry.metrics.webhooks import WebhookMetrics
from entrypoints.version import VERSION


def _merged(*probes: Mapping[str, Probe]) -> Mapping[str, Probe]:
    return {name: probe for each in probes for name, probe in each.items()}


def _webhook_metrics(webhooks: Webhooks) -> WebhookMetrics:
    return WebhookMetrics(lambda: webhooks.counts)


def _build_metrics(environments: HostEnvironments, watch: BuildWatch) -> BuildMetrics:
    return BuildMetrics(environments.build_stats, lambda: watch.waiting)


class Observation(containers.DeclarativeContainer):
    """The probes of `/health`, and the registry of metrics, over the parts that they observe."""

    settings = providers.Dependency(instance_of=Settings)
    telemetry = providers.DependenciesContainer()
    database = providers.DependenciesContainer()
    runners: providers.Dependency[Any] = providers.Dependency()
    security: providers.Dependency[Any] = providers.Dependency()
    limits: providers.Dependency[Any] = providers.Dependency()
    fronting: providers.Dependency[Any] = providers.Dependency()
    sessions: providers.Dependency[Any] = providers.Dependency()
    queue: providers.Dependency[Any] = providers.Dependency()
    webhooks: providers.Dependency[Any] = providers.Dependency()
    schedules: providers.Dependency[Any] = providers.Dependency()
    states: providers.Dependency[Any] = providers.Dependency()
    secrets: providers.Dependency[Any] = providers.Dependency()
    files: providers.Dependency[Any] = providers.Dependency()
    environments: providers.Dependency[Any] = providers.Dependency()
    build_watch: providers.Dependency[Any] = providers.Dependency()
    runtime_hosts: providers.Dependency[Any] = providers.Dependency()

    write_probe = providers.Singleton(WriteProbe, database.gateway, database.statements.provided.server.try_write)
    database_health = providers.Singleton(
        DatabaseHealth,
        database.gateway,
        database.schema,
        database.clock,
        database.cleanup,
        database.storage,
        write_probe,
        database.statements.provided.server.select_connections_max,
        database.unknown_buckets,
        settings.provided.database_connections,
        settings.provided.clock_source,
    )
    environment_health = providers.Singleton(
        EnvironmentHealth, build_watch, environments.provided.build_stats, environments.provided.tree_stats
    )
    file_health = providers.Singleton(FileHealth, files)
    secret_health = providers.Singleton(SecretHealth, secrets, providers.Callable(key_ids, settings))
    health = providers.Singleton(
        HealthChecks,
        VERSION,
        database_health.provided.required,
        providers.Callable(
            _merged,
            runners.provided.probes,
            database_health.provided.others,
            security.provided.probes,
            fronting.provided.probes,
            database.buckets.provided.probes,
            runtime_hosts.provided.probes,
            providers.Dict(
                environments=environment_health.provided.probe,
                files=file_health.provided.probe,
                secrets=secret_health.provided.probe,
            ),
        ),
    )
    database_stats = providers.Singleton(
        DatabaseStatsReader,
        database.gateway,
        database.coalescers,
        database.clock,
        database.cleanup,
        database.storage,
        database.bucket_gateways,
        database.buckets.provided.stats,
        database.buckets.provided.pools,
    )
    metrics = providers.Singleton(
        metrics_registry,
        telemetry.executions,
        sessions.provided.operations,
        telemetry.statements,
        providers.Singleton(
            CallerMetrics,
            limits.provided.rate_limiter,
            limits.provided.unknown_callers,
            security.provided.ring,
        ),
        providers.Singleton(DatabaseMetrics, database_stats.provided.read),
        providers.Singleton(SandboxMetrics, runners.provided.sandbox_stats),
        providers.Singleton(EgressMetrics, runners.provided.egress_stats),
        providers.Singleton(_webhook_metrics, webhooks),
        fronting.provided.metrics,
        queue.provided.metrics,
        providers.Singleton(ScheduleMetrics, schedules.provided.stats),
        providers.Singleton(StateMetrics, states.provided.stats),
        providers.Singleton(SecretMetrics, secrets.provided.stats),
        providers.Singleton(FileMetrics, files),
        providers.Singleton(_build_metrics, environments, build_watch),
        providers.Singleton(TreeMetrics, environments.provided.tree_stats),
        runtime_hosts.provided.metrics,
        providers.Singleton(RuntimeStreamMetrics, runners.provided.stream_stats),
    )
