"""The commands of an operator."""

import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from attrs import frozen
from dependency_injector import providers

from adapters.buckets.directory import Directory
from adapters.embedded_postgres.backup import BaseBackup
from adapters.embedded_postgres.programs import find_programs
from adapters.embedded_postgres.restoration import LATEST, RecoveryTarget, Restoration
from adapters.embedded_postgres.unpacking import BackupLabel
from adapters.embedded_postgres.upgrade import DatabaseUpgrade
from adapters.postgres.buckets.pool import connections_of_node
from adapters.postgres.checked_gateway import CheckedGateway
from adapters.postgres.inspection import DatabaseInspector
from adapters.postgres.migrations.announcement import Announcement
from adapters.postgres.migrations.buckets import BucketStatus, ClusterNode
from adapters.postgres.migrations.database import DatabaseMigrations
from adapters.postgres.migrations.distribution import Distribution, DistributionPlan, MadeBucket, UnawareClients
from adapters.postgres.migrations.down import PlannedDown
from adapters.postgres.migrations.migration import MigrationStatus
from adapters.postgres.repositories.audit import DatabaseActs
from adapters.postgres.retention.survey import StorageSurvey
from adapters.system_clock import SystemClock
from domain.access.api_key import SECRET_BYTES
from domain.access.api_key_service import ApiKeyService
from domain.access.principal import Principal, Scope
from domain.audit import new_act
from domain.egress.owner_rule_service import OwnerRuleService
from domain.environments.service import EnvironmentService
from domain.executions.function_sessions import FunctionSessions
from domain.functions.params import ParamsCheck
from domain.idempotency import KEPT_FOR
from domain.identity import SHARED
from domain.limits.ports import Unlimited
from domain.queue.quota import QueueQuota
from domain.usage import UsageService
from domain.webhooks.service import WebhookService, leave_to_others
from entrypoints.composition.checked_options import gateway_options, language_mapping
from entrypoints.composition.database import time_of
from entrypoints.composition.embedded import embedded_options, embedded_server
from entrypoints.composition.migrations import Migrations
from entrypoints.composition.options import (
    execution_policy,
    owner_policy,
    queue_bounds,
    queue_policy,
    retention_times,
    session_policy,
    storage_budget,
    usage_bounds,
)
from entrypoints.composition.schedules import Schedules
from entrypoints.composition.takeover_commands import Later, TakeoverCommands
from entrypoints.server.database import running
from entrypoints.server.process import launch
from entrypoints.settings.environments import built_languages
from entrypoints.settings.settings import Settings
from entrypoints.settings.webhooks import signing_key, webhook_policy

__all__ = [
    "BucketStatus",
    "ClusterNode",
    "Commands",
    "DatabaseInspector",
    "DatabaseMigrations",
    "DatabaseUpgrade",
    "Distribution",
    "DistributionPlan",
    "MadeBucket",
    "MigrationStatus",
    "PlannedDown",
    "UnawareClients",
]
__all__ += ["LATEST", "BackupLabel", "RecoveryTarget", "Restoration"]


def scratch_folder(data_dir: Path) -> Path:
    """Return the folder below DATA_DIR into which backups are restored before they are put in place."""
    return data_dir / "scratch"


@frozen
class DistributedAccess:
    """Opens a database with all of its buckets, as CheckedGateway opens a plain one."""

    _home: CheckedGateway
    _buckets: Directory

    @asynccontextmanager
    async def opened(self, *options: Any) -> AsyncIterator[None]:
        """Open all of them, and close them at the end; raises what CheckedGateway.opened does."""
        async with self._home.opened(*options):
            try:
                await self._buckets.refresh()
                yield
            finally:
                await self._buckets.close()


def _access(commands: Any, home: CheckedGateway, settings: Settings) -> CheckedGateway | DistributedAccess:
    """Return the access to the database; what uses a distributed one is taken from the container after this."""
    if settings.database_nodes is None:
        return home
    distributing = Later("entrypoints.composition.distribution:distribute")
    return DistributedAccess(home, distributing(commands, commands.ids, settings))


class Commands(TakeoverCommands):
    """What one command is made of; objects that use the database need `database_access` to be open."""

    settings = TakeoverCommands.settings
    database = TakeoverCommands.database
    ids = TakeoverCommands.ids
    actor = TakeoverCommands.actor

    embedded_postgres = providers.Factory(embedded_server, settings)
    database_upgrade = providers.Factory(DatabaseUpgrade, embedded_postgres, providers.Object(running))
    restoration = providers.Factory(
        Restoration,
        providers.Callable(embedded_options, settings),
        providers.Object(launch),
        providers.Callable(scratch_folder, settings.provided.data_dir),
    )
    base_backup = providers.Factory(
        BaseBackup,
        settings.provided.database_url.reveal.call(),
        providers.Callable(find_programs),
        providers.Object(launch),
    )
    wall_clock = providers.Factory(SystemClock)
    new_act = providers.Callable(new_act, database.clock, ids, actor)
    gateway_options = providers.Callable(gateway_options, settings)
    schema = providers.Container(
        Migrations, dsn=gateway_options.provided.dsn, statements=database.statements, actor=actor
    )
    migrations = schema.whole
    distribution = providers.Factory(
        Distribution,
        schema.home,
        schema.buckets,
        database.statements,
        providers.Callable(partial, connections_of_node, gateway_options),
        providers.Factory(
            Announcement,
            schema.buckets.provided.connections,
            database.statements,
            wall_clock,
            providers.Callable(
                time_of, schema.buckets.provided.connections, settings, database.statements.provided.clock
            ),
            actor,
        ),
    )
    __self__ = providers.Self()
    database_access = providers.Factory(
        _access,
        __self__,
        providers.Factory(
            CheckedGateway,
            database.gateway,
            database.schema,
            database.clock,
            database.statements.provided.migrations.select_migrations_exist,
            database.clock_gateways,
            database.unknown_buckets,
        ),
        settings,
    )
    keys = providers.Factory(
        ApiKeyService,
        database.clock,
        ids,
        database.api_keys,
        providers.Object(lambda: secrets.token_urlsafe(SECRET_BYTES)),
        actor,
    )
    environments = providers.Factory(
        EnvironmentService, database.clock, ids, database.environments, providers.Callable(built_languages, settings)
    )
    egress_rules = providers.Factory(OwnerRuleService, database.clock, ids, database.egress_rules, actor)
    webhooks = providers.Factory(
        WebhookService,
        database.clock,
        ids,
        database.webhooks,
        database.deliveries,
        providers.Callable(signing_key, settings),
        providers.Callable(webhook_policy, settings),
        providers.Object(leave_to_others),
    )
    owner_mover = database.owner_mover
    owner_purger = database.owner_purger
    resealing = database.resealing
    stored_secrets = database.secrets
    operator = providers.Object(Principal(SHARED, frozenset({Scope.ADMIN})))
    usage = providers.Factory(
        UsageService,
        database.clock,
        database.execution_counts,
        database.usage,
        database.functions,
        database.rates,
        database.files,
        database.secrets,
        providers.Callable(owner_policy, settings),
        providers.Callable(usage_bounds, settings),
    )
    clock = database.clock
    runtime_hosts = database.runtime_hosts
    execution_queue = database.execution_queue
    execution_events = providers.Factory(
        Later("entrypoints.composition.queue:command_events"),
        database.execution_queue,
        database.clock,
        database.live_output,
    )
    queue_policy = providers.Callable(queue_policy, settings, providers.Callable(execution_policy, settings))
    mapping = providers.Callable(language_mapping, settings)
    schedule_parts = providers.Container(
        Schedules,
        settings=settings,
        database=database,
        ids=ids,
        function_sessions=providers.Singleton(
            FunctionSessions,
            clock=database.clock,
            ids=ids,
            functions=database.functions,
            hidden=database.hidden_sessions,
            mapping=mapping,
            policy=providers.Callable(session_policy, settings),
            quotas=providers.Object(Unlimited()),
        ),
        mapping=mapping,
        params=providers.Singleton(
            ParamsCheck,
            database.functions,
            providers.Singleton(Later("adapters.json_schema.compiler:JsonSchemaCompiler")),
        ),
        quota=providers.Singleton(
            QueueQuota, execution_queue, providers.Object(time.monotonic_ns), providers.Callable(queue_bounds, settings)
        ),
        executions=providers.Callable(execution_policy, settings),
        wake_queue=providers.Object(leave_to_others),
    )
    schedules = schedule_parts.service
    audit = database.audit
    database_acts = providers.Factory(DatabaseActs, database.gateway, database.statements.provided.audit)
    timeline = database.timeline
    retention_times = providers.Callable(retention_times, settings)
    storage_survey = providers.Factory(
        StorageSurvey,
        database.gateway,
        database.statements,
        retention_times.provided.sessions,
        retention_times.provided.history_days,
        KEPT_FOR,
        settings.provided.audit_retention_days,
        database.bucket_gateways,
    )
    storage_budget = providers.Callable(storage_budget, settings)
    database_inspection = providers.Callable(DatabaseInspector.connected, gateway_options, database.statements)
    host_inspector = providers.Callable(Later("entrypoints.composition.runners:HostInspector"), settings, wall_clock)
    script_examiner = providers.Callable(Later("entrypoints.composition.runners:script_examiner"), settings)
    token = providers.Callable(Later("entrypoints.composition.tokens:signed_token"), settings, wall_clock)
    document = providers.Callable(Later("entrypoints.composition.controller:api_document"), settings)
    lock_packages = providers.Callable(Later("entrypoints.composition.locking:lock_packages"), settings)
    self_test = providers.Callable(Later("entrypoints.composition.selftest:self_test"), settings)
