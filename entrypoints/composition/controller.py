"""The controller: the HTTP API over sessions in PostgreSQL and runners of scripts."""

from pathlib import Path

from dependency_injector import containers, providers

from adapters.json_schema.compiler import JsonSchemaCompiler
from adapters.mapping_file import WrongMappingFile, read_mapping
from adapters.random_ids import RandomIds
from domain.concurrency.background_tasks import BackgroundTasks
from domain.concurrency.capacity_limiter import CapacityLimiter
from domain.executions.history import HistoryService
from domain.executions.params_check import ParamsCheck
from domain.executions.service import ExecutionService
from domain.functions.examples import ExampleRuns
from domain.functions.service import FunctionService
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

_UNRECORDED_MAX = 1024
"""Executions of one controller whose end is still to be recorded."""


class Controller(containers.DeclarativeContainer):
    """What one HTTP worker is made of."""

    settings = providers.Dependency(instance_of=Settings)

    observation = providers.Container(Telemetry, settings=settings)
    database = providers.Container(Database, settings=settings, observe=observation.statements.provided.ended)
    runners = providers.Singleton(Runners.of, settings, providers.Object(trace_headers))
    running = providers.Singleton(observed, runners.provided.by_language, observation.executions)
    tasks = providers.Singleton(BackgroundTasks)
    ids = providers.Singleton(RandomIds)
    schemas = providers.Singleton(JsonSchemaCompiler)
    mapping = providers.Singleton(lambda settings: _mapping(settings.runtime_mappings_file), settings)

    limiting = providers.Singleton(OwnerLimits, settings, database.clock, database.rates, database.usage)
    sessions = providers.Singleton(
        CountedSessions,
        clock=database.clock,
        ids=ids,
        sessions=database.sessions,
        keyed=database.keyed,
        runners=running,
        mapping=mapping,
        policy=providers.Callable(session_policy, settings),
        tasks=tasks,
        functions=database.functions,
        quotas=limiting.provided.quotas,
    )
    executions = providers.Singleton(
        ExecutionService,
        clock=database.clock,
        ids=ids,
        sessions=database.sessions,
        executions=database.executions,
        keyed=database.keyed,
        runners=running,
        policy=providers.Callable(execution_policy, settings),
        inside=limiting.provided.inside,
        unrecorded=providers.Singleton(CapacityLimiter, "the recording of an execution", _UNRECORDED_MAX),
        tasks=tasks,
        params=providers.Singleton(ParamsCheck, database.functions, schemas),
    )
    history = providers.Singleton(
        HistoryService,
        database.sessions,
        database.executions,
        providers.Callable(lambda settings: settings.request_timeout_ms / 1000, settings),
    )
    token_keys = providers.Singleton(published_keys, settings)
    entrance = providers.Singleton(
        Security,
        authenticated=settings.provided.authenticated,
        gateway=database.gateway,
        clock=database.clock,
        keys=database.api_keys,
        tokens=providers.Singleton(token_verifier, settings, database.clock, token_keys),
        jwks=token_keys,
        sessions=database.sessions,
        mapping=mapping,
        count=database.statements.provided.owners.select_session_count,
    )
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
            policy=providers.Callable(example_policy, settings),
            tasks=tasks,
        ),
        mapping=mapping,
        policy=providers.Callable(function_policy, settings),
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
        entrance=entrance,
    )
    figures = providers.Singleton(
        metrics_registry,
        observation.executions,
        sessions.provided.operations,
        observation.statements,
        limiting,
        providers.Singleton(
            DatabaseMetrics,
            database.gateway,
            providers.Callable(
                all_coalescers,
                database.sessions.provided.coalescers,
                database.executions.provided.coalescers,
                database.keyed.provided.coalescers,
                entrance.provided.coalescers,
            ),
            database.clock,
            database.cleanup,
            database.storage,
        ),
        providers.Singleton(SandboxMetrics, runners.provided.sandbox),
    )
    life = providers.Singleton(
        Lifespan,
        gateway=database.gateway,
        clock=database.clock,
        cleanup=database.cleanup,
        runners=runners,
        tasks=tasks,
        sessions=database.sessions,
        executions=database.executions,
        keyed=database.keyed,
        entrance=entrance,
        limiting=limiting,
        tracing=observation.tracing,
    )
    application = providers.Singleton(
        Application,
        providers.Singleton(
            Services,
            sessions=sessions,
            executions=executions,
            history=history,
            functions=functions,
            process=health,
            figures=figures,
        ),
        providers.Callable(http_options, settings),
        providers.Singleton(
            Hooks,
            life.provided.start,
            life.provided.end,
            limiting.provided.around.call(entrance.provided.knowing, entrance.provided.asking),
            providers.List(observation.requests),
            limiting.provided.charge,
            entrance.provided.caller,
        ),
    )


def create_controller(settings: Settings) -> Application:
    """Return the ASGI application of one HTTP worker; raises SettingsError for a mapping file or a key that is wrong."""
    application: Application = Controller(settings=settings).application()
    return application


def _mapping(path: Path | None) -> LanguageMapping:
    if path is None:
        return LanguageMapping()
    try:
        return read_mapping(path)
    except WrongMappingFile as error:
        raise SettingsError([f"RUNTIME_MAPPINGS_FILE: {error}"]) from error
