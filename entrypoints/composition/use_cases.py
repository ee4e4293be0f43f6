"""The use cases of one HTTP worker, over its database and its runners."""

import random

from dependency_injector import containers, providers

from adapters.json_schema.compiler import JsonSchemaCompiler
from adapters.random_ids import RandomIds
from domain.audit import AuditService
from domain.concurrency.background_tasks import BackgroundTasks
from domain.concurrency.capacity_limiter import CapacityLimiter
from domain.environments.catalog import EnvironmentCatalog
from domain.environments.retention import EnvironmentRetention
from domain.environments.service import EnvironmentService
from domain.environments.watch import BuildWatch
from domain.executions.by_name import FunctionCalls
from domain.executions.function_sessions import FunctionSessions
from domain.executions.history import HistoryService
from domain.executions.means import Means
from domain.executions.running import RunningExecutions
from domain.executions.service import ExecutionService
from domain.files.run import FilesOfRuns
from domain.functions.examples import ExampleRuns
from domain.functions.params import ParamsCheck
from domain.functions.service import FunctionService
from domain.grants.ceilings import EnvironmentCeiling
from domain.grants.service import GrantService
from domain.secrets.ceiling import SecretCeiling
from domain.secrets.service import SecretService
from domain.secrets.values import SecretValues
from domain.states.service import StateService
from domain.states.slots import StateSlots
from domain.usage import UsageService
from domain.webhooks.service import WebhookService
from entrypoints.composition.checked_options import language_mapping, request_timeout_s
from entrypoints.composition.database import Database
from entrypoints.composition.egress import egress_ceilings, guarded_names
from entrypoints.composition.environments import HostEnvironments, HostPlatforms
from entrypoints.composition.files import file_service, files_ceiling
from entrypoints.composition.guards import OwnerLimits
from entrypoints.composition.options import (
    example_policy,
    execution_policy,
    function_policy,
    function_quota,
    owner_policy,
    session_policy,
    state_limits,
    state_wait_s,
    usage_bounds,
)
from entrypoints.composition.queue import Queue
from entrypoints.composition.runners import Runners
from entrypoints.composition.runtime_hosts import RegisteredHosts
from entrypoints.composition.schedules import Schedules
from entrypoints.composition.telemetry import Telemetry, observed, trace_headers
from entrypoints.composition.webhooks import Webhooks
from entrypoints.settings.environments import built_languages
from entrypoints.settings.secrets import secret_policy
from entrypoints.settings.settings import Settings
from entrypoints.settings.webhooks import signing_key, webhook_policy
from entrypoints.telemetry.metrics.sessions import CountedSessions

_RECORDINGS_MAX = 1024
"""Executions of one controller whose end is not recorded yet."""


class UseCases(containers.DeclarativeContainer):
    """The services that endpoints call; tests override their providers."""

    settings = providers.Dependency(instance_of=Settings)

    telemetry = providers.Container(Telemetry, settings=settings)
    database = providers.Container(Database, settings=settings, observe=telemetry.statements.provided.ended)
    runners = providers.Singleton(Runners.of, settings, providers.Object(trace_headers))
    observed_runners = providers.Singleton(observed, runners.provided.by_language, telemetry.executions)
    runtime_hosts = providers.Singleton(RegisteredHosts.of, settings, database.runtime_hosts, database.clock, runners)
    tasks = providers.Singleton(BackgroundTasks)
    ids = providers.Singleton(RandomIds)
    mapping = providers.Singleton(language_mapping, settings)
    limits = providers.Singleton(
        OwnerLimits, settings, database.clock, database.rates, database.usage, database.reservations
    )

    request_timeout_s = providers.Callable(request_timeout_s, settings)
    session_policy = providers.Callable(session_policy, settings)
    execution_policy = providers.Callable(execution_policy, settings)
    quotas = limits.provided.quotas
    execution_limiter = limits.provided.executions
    recording_limiter = providers.Singleton(CapacityLimiter, "the recording of an execution", _RECORDINGS_MAX)
    schemas = providers.Singleton(JsonSchemaCompiler)
    params = providers.Singleton(ParamsCheck, database.functions, schemas)
    guarded_names = providers.Singleton(guarded_names, settings)
    egress = providers.Singleton(
        egress_ceilings,
        settings,
        database.clock,
        database.egress_rules,
        guarded_names,
        runtime_hosts.provided.endpoints,
    )
    sealer = database.sealer
    secret_values = providers.Singleton(SecretValues, database.clock, database.secrets, sealer)
    secrets = providers.Singleton(
        SecretService,
        database.clock,
        ids,
        database.secrets,
        database.functions,
        sealer,
        providers.Callable(secret_policy, settings),
    )
    platforms = providers.Singleton(HostPlatforms, settings)
    environment_catalog = providers.Singleton(EnvironmentCatalog, database.clock, database.environments, platforms)
    host_environments = providers.Singleton(
        HostEnvironments.of,
        settings,
        database.clock,
        ids,
        database.environment_builds,
        database.trees,
        platforms,
        runners.provided.sandbox,
        runners.provided.remote,
    )
    environments = providers.Singleton(
        EnvironmentService,
        database.clock,
        ids,
        database.environments,
        providers.Callable(built_languages, settings),
        host_environments.provided.wake,
    )
    build_watch = providers.Singleton(BuildWatch, database.clock, database.environment_builds)
    environment_retention = providers.Singleton(
        EnvironmentRetention, database.clock, database.environments, database.trees
    )
    environment_ceiling = providers.Singleton(EnvironmentCeiling, environment_catalog)
    grants = providers.Singleton(
        GrantService,
        providers.List(
            egress,
            environment_ceiling,
            providers.Singleton(SecretCeiling, secret_values),
            providers.Singleton(files_ceiling, settings),
        ),
    )
    running = providers.Singleton(RunningExecutions)

    state_wait_s = providers.Callable(state_wait_s, settings)
    state_slots = providers.Singleton(
        StateSlots, database.states, database.clock, providers.Object(random.uniform), state_wait_s
    )
    states = providers.Singleton(
        StateService,
        database.clock,
        ids,
        database.sessions,
        database.states,
        state_slots,
        providers.Callable(state_limits, settings),
    )

    files = providers.Singleton(file_service, settings, database.clock, ids, database.files, database.storage, tasks)
    files_of_runs = providers.Singleton(FilesOfRuns, files)
    means = providers.Singleton(Means, egress, state_slots, secret_values, environment_catalog, files_of_runs)

    executions = providers.Singleton(
        ExecutionService,
        clock=database.clock,
        ids=ids,
        sessions=database.sessions,
        executions=database.executions,
        keyed=database.keyed_executions,
        runners=observed_runners,
        policy=execution_policy,
        in_flight=execution_limiter,
        unrecorded=recording_limiter,
        tasks=tasks,
        params=params,
        means=means,
        running=running,
    )
    sent_webhooks = providers.Singleton(Webhooks.of, settings, database.deliveries, database.clock)
    queue = providers.Container(
        Queue,
        settings=settings,
        database=database,
        ids=ids,
        tasks=tasks,
        probes=runners.provided.language_probes,
        params=params,
        policy=execution_policy,
        executions=executions,
        running=running,
        announce=sent_webhooks.provided.hurry,
        quotas=quotas,
        files=files_of_runs,
    )
    sessions = providers.Singleton(
        CountedSessions,
        clock=database.clock,
        ids=ids,
        sessions=database.sessions,
        keyed=database.keyed_sessions,
        purger=database.purger,
        runners=observed_runners,
        mapping=mapping,
        policy=session_policy,
        tasks=tasks,
        functions=database.functions,
        quotas=quotas,
        end_queued=queue.service.provided.end_session,
        grants=grants,
    )
    function_sessions = providers.Singleton(
        FunctionSessions,
        clock=database.clock,
        ids=ids,
        functions=database.functions,
        hidden=database.hidden_sessions,
        mapping=mapping,
        policy=session_policy,
        quotas=quotas,
        grants=grants,
    )
    calls = providers.Singleton(FunctionCalls, function_sessions, executions, database.executions)
    schedules = providers.Container(
        Schedules,
        settings=settings,
        database=database,
        ids=ids,
        function_sessions=function_sessions,
        mapping=mapping,
        params=params,
        quota=queue.quota,
        executions=execution_policy,
        wake_queue=queue.dispatcher.provided.wake,
    )
    history = providers.Singleton(HistoryService, database.sessions, database.executions, request_timeout_s)
    audit = providers.Singleton(AuditService, database.audit, request_timeout_s)
    usage = providers.Singleton(
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
    signing_key = providers.Callable(signing_key, settings)
    webhooks = providers.Singleton(
        WebhookService,
        database.clock,
        ids,
        database.webhooks,
        database.deliveries,
        signing_key,
        providers.Callable(webhook_policy, settings),
        sent_webhooks.provided.wake,
    )
    example_policy = providers.Callable(example_policy, settings)
    function_policy = providers.Callable(function_policy, settings)
    function_quota = providers.Singleton(function_quota, settings, database.functions)
    functions = providers.Singleton(
        FunctionService,
        clock=database.clock,
        ids=ids,
        functions=database.functions,
        schemas=schemas,
        runners=runners.provided.by_language,
        examples=providers.Singleton(
            ExampleRuns,
            clock=database.clock,
            ids=ids,
            schemas=schemas,
            runners=runners.provided.by_language,
            policy=example_policy,
            tasks=tasks,
            environments=environment_catalog,
        ),
        mapping=mapping,
        policy=function_policy,
        quota=function_quota,
        grants=grants,
    )
