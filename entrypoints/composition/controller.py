"""The controller: the HTTP API over sessions in PostgreSQL and runners of scripts."""

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from dependency_injector import containers, providers
from msgspec.structs import replace

from adapters.json_schema.compiler import JsonSchemaCompiler
from adapters.postgres.anonymous_sessions import AnonymousSessions
from adapters.postgres.batching.coalescer import Coalescer
from adapters.postgres.clock.disciplined import DisciplinedClock
from adapters.postgres.gateway import Gateway
from adapters.postgres.health import DatabaseHealth
from adapters.postgres.repositories.ownership import PostgresOwnership
from adapters.postgres.retention.cleanup import Cleanup
from adapters.postgres.stats import DatabaseStatsReader
from adapters.postgres.write_probe import WriteProbe
from adapters.random_ids import RandomIds
from domain.audit import UNNAMED, AuditService
from domain.concurrency.background_tasks import BackgroundTasks
from domain.concurrency.capacity_limiter import CapacityLimiter
from domain.executions.by_name import FunctionCalls
from domain.executions.function_sessions import FunctionSessions
from domain.executions.history import HistoryService
from domain.executions.running import RunningExecutions
from domain.executions.service import ExecutionService
from domain.functions.examples import ExampleRuns
from domain.functions.params import ParamsCheck
from domain.functions.service import FunctionService
from domain.takeover.recorder import Recorder
from domain.takeover.spelling import KeptSpellings
from domain.usage import UsageService
from domain.webhooks.service import WebhookService
from entrypoints.composition.database import Database
from entrypoints.composition.first_touch import FirstTouch
from entrypoints.composition.front import Fronting
from entrypoints.composition.guards import OwnerLimits, Security, admission, guards
from entrypoints.composition.http_options import http_options, origin_options
from entrypoints.composition.options import (
    example_policy,
    execution_policy,
    function_policy,
    function_quota,
    language_mapping,
    owner_policy,
    request_timeout_s,
    session_policy,
    usage_bounds,
)
from entrypoints.composition.queue import Queue
from entrypoints.composition.runners import Runners
from entrypoints.composition.schedules import Schedules
from entrypoints.composition.session_moves import TakeoverParts
from entrypoints.composition.telemetry import Telemetry, observed, trace_headers
from entrypoints.composition.webhooks import Webhooks
from entrypoints.http.app import Api, Application, Hooks, Services
from entrypoints.http.endpoints.health import HealthChecks, Probe
from entrypoints.http.openapi.document import rendered
from entrypoints.origin.application import OriginApi, OriginHooks
from entrypoints.server.control import ORIGIN
from entrypoints.server.lifespan import Lifespan, Step, bounded, together
from entrypoints.settings.secret import Secret
from entrypoints.settings.settings import Settings
from entrypoints.settings.webhooks import signing_key, webhook_policy
from entrypoints.telemetry.metrics.callers import CallerMetrics
from entrypoints.telemetry.metrics.database import DatabaseMetrics
from entrypoints.telemetry.metrics.sandbox import SandboxMetrics
from entrypoints.telemetry.metrics.schedules import ScheduleMetrics
from entrypoints.telemetry.metrics.scrape import metrics_registry
from entrypoints.telemetry.metrics.sessions import CountedSessions
from entrypoints.telemetry.metrics.webhooks import WebhookMetrics
from entrypoints.telemetry.tracing.trace import Tracing
from entrypoints.version import VERSION

_RECORDING_TIMEOUT_S = 5.0
"""The time for recording the ends of executions after the last request."""

_RECORDINGS_MAX = 1024
"""Executions of one controller whose end is not recorded yet."""


def _lifespan(  # noqa: PLR0913, PLR0917  # the parts that start and end
    gateway: Gateway,
    clock: DisciplinedClock,
    cleanup: Cleanup,
    coalescers: Sequence[Coalescer[Any, Any]],
    runners: Runners,
    tasks: BackgroundTasks,
    security: Security,
    limits: OwnerLimits,
    tracing: Tracing,
    fronting: Fronting,
    first_touch: FirstTouch,
    queue: Sequence[Step],
    webhooks: Webhooks,
    schedules: Sequence[Step],
) -> Lifespan:
    """Return the order of the start and the end; no part that is unreachable stops a start."""
    return Lifespan(
        startup=[gateway.open, together(clock.measure, runners.open, *fronting.startup)],
        background=[
            clock.run,
            cleanup.run,
            *security.background,
            *limits.background,
            *fronting.background,
            *queue,
            *webhooks.background,
            *schedules,
        ],
        shutdown=[partial(tasks.drain, _RECORDING_TIMEOUT_S), *webhooks.shutdown, runners.close],
        close=[
            *security.close,
            *fronting.close,
            *webhooks.close,
            first_touch.close,
            *(bounded(each.close, _RECORDING_TIMEOUT_S) for each in coalescers),
            gateway.close,
            partial(asyncio.to_thread, tracing.close),
        ],
    )


def _merged(*probes: Mapping[str, Probe]) -> Mapping[str, Probe]:
    return {name: probe for each in probes for name, probe in each.items()}


def _webhook_metrics(webhooks: Webhooks) -> WebhookMetrics:
    return WebhookMetrics(lambda: webhooks.counts)


def _apis(settings: Settings, origin: OriginApi) -> Mapping[str, Api]:
    return {} if settings.origin_port is None else {ORIGIN: origin}


class Controller(containers.DeclarativeContainer):
    """What one HTTP worker is made of; tests override its providers."""

    settings = providers.Dependency(instance_of=Settings)

    telemetry = providers.Container(Telemetry, settings=settings)
    database = providers.Container(Database, settings=settings, observe=telemetry.statements.provided.ended)
    runners = providers.Singleton(Runners.of, settings, providers.Object(trace_headers))
    observed_runners = providers.Singleton(observed, runners.provided.by_language, telemetry.executions)
    tasks = providers.Singleton(BackgroundTasks)
    ids = providers.Singleton(RandomIds)
    schemas = providers.Singleton(JsonSchemaCompiler)
    mapping = providers.Singleton(language_mapping, settings)
    limits = providers.Singleton(OwnerLimits, settings, database.clock, database.rates, database.usage)

    request_timeout_s = providers.Callable(request_timeout_s, settings)
    session_policy = providers.Callable(session_policy, settings)
    execution_policy = providers.Callable(execution_policy, settings)
    quotas = limits.provided.quotas
    execution_limiter = limits.provided.executions
    recording_limiter = providers.Singleton(CapacityLimiter, "the recording of an execution", _RECORDINGS_MAX)
    example_policy = providers.Callable(example_policy, settings)
    function_policy = providers.Callable(function_policy, settings)

    params = providers.Singleton(ParamsCheck, database.functions, schemas)
    running = providers.Singleton(RunningExecutions)

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
        running=running,
    )
    sent_webhooks = providers.Singleton(Webhooks.of, settings, database.deliveries, database.clock)
    queue = providers.Container(
        Queue,
        settings=settings,
        clock=database.clock,
        ids=ids,
        tasks=tasks,
        sessions=database.sessions,
        stored=database.execution_queue,
        output=database.live_output,
        probes=runners.provided.language_probes,
        params=params,
        policy=execution_policy,
        executions=executions,
        running=running,
        webhooks=database.webhooks,
        announce=sent_webhooks.provided.hurry,
        quotas=quotas,
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
    )
    calls = providers.Singleton(FunctionCalls, function_sessions, executions, database.executions)
    schedules = providers.Container(
        Schedules,
        settings=settings,
        clock=database.clock,
        ids=ids,
        sessions=database.sessions,
        functions=database.functions,
        function_sessions=function_sessions,
        webhooks=database.webhooks,
        mapping=mapping,
        params=params,
        queue=database.execution_queue,
        quota=queue.quota,
        executions=execution_policy,
        stored=database.schedules,
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
        ),
        mapping=mapping,
        policy=function_policy,
        quota=function_quota,
    )

    anonymous_sessions = providers.Singleton(
        AnonymousSessions, database.gateway, database.statements.provided.owners.select_session_count
    )
    security = providers.Singleton(
        Security.of,
        settings,
        database.clock,
        database.api_keys,
        database.sessions,
        mapping,
        anonymous_sessions.provided.warn,
        limits.provided.unknown_callers,
    )
    first_touch = providers.Singleton(
        FirstTouch,
        settings,
        providers.Factory(
            TakeoverParts,
            database.takeover_store,
            database.return_store,
            database.clock,
            ids,
            providers.Object(UNNAMED),
        ),
        database.functions,
    )
    ownership = providers.Singleton(
        PostgresOwnership,
        database.gateway,
        database.statements.provided.takeover,
        first_touch.provided.move,
    )
    recorder = providers.Singleton(Recorder, database.recordings, database.clock, ids)
    fronting = providers.Singleton(Fronting.of, settings, ownership, mapping, recorder)
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
        settings.provided.database_connections,
    )
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
        ),
    )
    database_stats = providers.Singleton(
        DatabaseStatsReader,
        database.gateway,
        database.coalescers,
        database.clock,
        database.cleanup,
        database.storage,
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
        providers.Singleton(_webhook_metrics, sent_webhooks),
        fronting.provided.metrics,
        queue.queue.provided.metrics,
        providers.Singleton(ScheduleMetrics, schedules.dispatcher.provided.stats),
    )
    lifespan = providers.Singleton(
        _lifespan,
        database.gateway,
        database.clock,
        database.cleanup,
        database.coalescers,
        runners,
        tasks,
        security,
        limits,
        telemetry.tracing,
        fronting,
        first_touch,
        queue.background,
        sent_webhooks,
        schedules.background,
    )

    http_options = providers.Callable(http_options, settings)
    services = providers.Singleton(
        Services,
        sessions=sessions,
        executions=executions,
        function_sessions=function_sessions,
        calls=calls,
        history=history,
        queue=queue.service,
        events=queue.events,
        live=queue.live,
        schedules=schedules.service,
        functions=functions,
        audit=audit,
        usage=usage,
        webhooks=webhooks,
        process=health,
        metrics=metrics,
    )
    hooks = providers.Singleton(
        Hooks,
        lifespan.provided.start,
        lifespan.provided.end,
        queue.dispatcher.provided.drain,
        providers.Callable(guards, settings, security, limits),
        providers.List(telemetry.requests),
        limits.provided.charge,
        security.provided.caller,
    )
    spellings = providers.Singleton(KeptSpellings, database.takeover_store, request_timeout_s)
    origin_hooks = providers.Singleton(
        OriginHooks,
        providers.Callable(admission, settings, security, limits),
        security.provided.authorization,
        fronting.provided.hook,
        spellings.provided.of,
    )
    origin_api = providers.Singleton(
        OriginApi, services, http_options, providers.Callable(origin_options, settings), mapping, origin_hooks
    )
    apis = providers.Callable(_apis, settings, origin_api)
    application = providers.Singleton(Application, services, http_options, hooks, apis)


def create_controller(settings: Settings) -> Application:
    """Return the ASGI application of one HTTP worker; raises SettingsError for a wrong mapping file or key."""
    application: Application = Controller(settings=settings).application()
    return application


def api_document(settings: Settings) -> str:
    """Return the OpenAPI document of a controller with these settings; it opens no connection."""
    database_url = settings.database_url or Secret("postgresql:///")
    return rendered(create_controller(replace(settings, database_url=database_url)).document())
