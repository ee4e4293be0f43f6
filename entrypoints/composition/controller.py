"""The controller: the HTTP API over sessions in PostgreSQL and runners of scripts."""

from pathlib import Path

from dependency_injector import containers, providers

from adapters.json_schema.compiler import JsonSchemaCompiler
from adapters.mapping_file import WrongMappingFile, read_mapping
from adapters.random_ids import RandomIds
from domain.concurrency.background_tasks import BackgroundTasks
from domain.concurrency.capacity_limiter import CapacityLimiter
from domain.executions.history import HistoryService
from domain.executions.service import ExecutionService
from domain.functions.examples import ExampleRuns
from domain.functions.service import FunctionService, ParamsCheck
from domain.scripts.language import LanguageMapping
from entrypoints.composition.database import Database
from entrypoints.composition.database_metrics import DatabaseMetrics, all_coalescers
from entrypoints.composition.health import HealthReport
from entrypoints.composition.lifespan import Lifespan
from entrypoints.composition.limits import OwnerLimits
from entrypoints.composition.options import (
    example_policy,
    execution_policy,
    function_policy,
    http_options,
    request_timeout_s,
    session_policy,
)
from entrypoints.composition.runners import Runners
from entrypoints.composition.sandbox_metrics import SandboxMetrics
from entrypoints.composition.security import Security
from entrypoints.composition.telemetry import Telemetry, observed, trace_headers
from entrypoints.composition.tokens import published_keys, token_verifier
from entrypoints.http.app import Application, Hooks, Services
from entrypoints.settings.environment import SettingsError
from entrypoints.settings.settings import Settings
from entrypoints.telemetry.metrics.scrape import metrics_registry
from entrypoints.telemetry.metrics.sessions import CountedSessions

_RECORDINGS_MAX = 1024
"""Executions of one controller whose end is not recorded yet."""


def _mapping(path: Path | None) -> LanguageMapping:
    if path is None:
        return LanguageMapping()
    try:
        return read_mapping(path)
    except WrongMappingFile as error:
        raise SettingsError([f"RUNTIME_MAPPINGS_FILE: {error}"]) from error


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
    mapping = providers.Singleton(_mapping, settings.provided.runtime_mappings_file)
    limits = providers.Singleton(OwnerLimits, settings, database.clock, database.rates, database.usage)

    request_timeout_s = providers.Callable(request_timeout_s, settings)
    session_policy = providers.Callable(session_policy, settings)
    execution_policy = providers.Callable(execution_policy, settings)
    quotas = limits.provided.quotas
    execution_limiter = limits.provided.inside
    recording_limiter = providers.Singleton(CapacityLimiter, "the recording of an execution", _RECORDINGS_MAX)
    example_policy = providers.Callable(example_policy, settings)
    function_policy = providers.Callable(function_policy, settings)

    sessions = providers.Singleton(
        CountedSessions,
        clock=database.clock,
        ids=ids,
        sessions=database.sessions,
        keyed=database.keyed_sessions,
        runners=observed_runners,
        mapping=mapping,
        policy=session_policy,
        tasks=tasks,
        functions=database.functions,
        quotas=quotas,
    )
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
        params=providers.Singleton(ParamsCheck, database.functions, schemas),
    )
    history = providers.Singleton(HistoryService, database.sessions, database.executions, request_timeout_s)
    functions = providers.Singleton(
        FunctionService,
        clock=database.clock,
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
    )

    published_keys = providers.Singleton(published_keys, settings)
    security = providers.Singleton(
        Security,
        authenticated=settings.provided.authenticated,
        gateway=database.gateway,
        clock=database.clock,
        keys=database.api_keys,
        tokens=providers.Singleton(token_verifier, settings, database.clock, published_keys),
        jwks=published_keys,
        sessions=database.sessions,
        mapping=mapping,
        count=database.statements.provided.owners.select_session_count,
    )
    health = providers.Singleton(
        HealthReport,
        gateway=database.gateway,
        statements=database.statements,
        clock=database.clock,
        schema=database.schema,
        cleanup=database.cleanup,
        storage=database.storage,
        runners=runners,
        connections=settings.provided.database_connections,
        security=security,
    )
    metrics = providers.Singleton(
        metrics_registry,
        telemetry.executions,
        sessions.provided.operations,
        telemetry.statements,
        limits,
        providers.Singleton(
            DatabaseMetrics,
            database.gateway,
            providers.Callable(
                all_coalescers,
                database.sessions.provided.coalescers,
                database.executions.provided.coalescers,
                database.keyed_sessions.provided.coalescers,
                database.keyed_executions.provided.coalescers,
                security.provided.coalescers,
            ),
            database.clock,
            database.cleanup,
            database.storage,
        ),
        providers.Singleton(SandboxMetrics, runners.provided.sandbox),
    )
    lifespan = providers.Singleton(
        Lifespan,
        gateway=database.gateway,
        clock=database.clock,
        cleanup=database.cleanup,
        runners=runners,
        tasks=tasks,
        sessions=database.sessions,
        executions=database.executions,
        keyed_sessions=database.keyed_sessions,
        keyed_executions=database.keyed_executions,
        security=security,
        limits=limits,
        tracing=telemetry.tracing,
    )

    http_options = providers.Callable(http_options, settings)
    services = providers.Singleton(
        Services,
        sessions=sessions,
        executions=executions,
        history=history,
        functions=functions,
        process=health,
        metrics=metrics,
    )
    hooks = providers.Singleton(
        Hooks,
        lifespan.provided.start,
        lifespan.provided.end,
        limits.provided.around.call(security.provided.knowing, security.provided.asking),
        providers.List(telemetry.requests),
        limits.provided.charge,
        security.provided.caller,
    )
    application = providers.Singleton(Application, services, http_options, hooks)


def create_controller(settings: Settings) -> Application:
    """Return the ASGI application of one HTTP worker; raises SettingsError for a mapping file or a key that is wrong."""
    application: Application = Controller(settings=settings).application()
    return application
