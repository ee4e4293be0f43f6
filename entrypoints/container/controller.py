"""The controller: the HTTP API over sessions in PostgreSQL and runners of scripts."""

from pathlib import Path

from dependency_injector import containers, providers

from adapters.mapping_file import WrongMappingFile, read_mapping
from adapters.random_ids import RandomIds
from domain.execution_service import ExecutionService
from domain.language import LanguageMapping
from domain.session_service import SessionService
from domain.tasks import Places, Tasks
from entrypoints.configuration.environment import SettingsError
from entrypoints.container.database import Database
from entrypoints.container.health import Health
from entrypoints.container.life import Life
from entrypoints.container.options import execution_policy, http_options, session_policy
from entrypoints.container.runners import Runners
from entrypoints.http.application import Application, Hooks, Services
from entrypoints.settings import Settings

_EXECUTIONS_MAX = 1024
"""Executions inside one controller at once, queued ones included."""


class Controller(containers.DeclarativeContainer):
    """What one HTTP worker is made of."""

    settings = providers.Dependency(instance_of=Settings)

    database = providers.Container(Database, settings=settings)
    runners = providers.Singleton(Runners.of, settings)
    tasks = providers.Singleton(Tasks)
    ids = providers.Singleton(RandomIds)
    mapping = providers.Singleton(lambda settings: _mapping(settings.runtime_mappings_file), settings)

    sessions = providers.Singleton(
        SessionService,
        clock=database.clock,
        ids=ids,
        sessions=database.sessions,
        executions=database.executions,
        runners=runners.provided.by_language,
        mapping=mapping,
        policy=providers.Callable(session_policy, settings),
        tasks=tasks,
    )
    executions = providers.Singleton(
        ExecutionService,
        clock=database.clock,
        ids=ids,
        sessions=database.sessions,
        executions=database.executions,
        runners=runners.provided.by_language,
        policy=providers.Callable(execution_policy, settings),
        inside=providers.Singleton(Places, "an execution", _EXECUTIONS_MAX),
        unrecorded=providers.Singleton(Places, "the recording of an execution", _EXECUTIONS_MAX),
        tasks=tasks,
    )
    health = providers.Singleton(
        Health,
        gateway=database.gateway,
        statements=database.statements,
        clock=database.clock,
        schema=database.schema,
        cleanup=database.cleanup,
        storage=database.storage,
        runners=runners,
        connections=settings.provided.database_connections,
    )
    life = providers.Singleton(
        Life,
        gateway=database.gateway,
        clock=database.clock,
        cleanup=database.cleanup,
        runners=runners,
        tasks=tasks,
        sessions=database.sessions,
        executions=database.executions,
    )
    application = providers.Singleton(
        Application,
        providers.Singleton(Services, sessions=sessions, executions=executions, process=health),
        providers.Callable(http_options, settings),
        providers.Singleton(Hooks, life.provided.start, life.provided.end),
    )


def create_controller(settings: Settings) -> Application:
    """Return the ASGI application of one HTTP worker; raises SettingsError for a mapping file that is wrong."""
    application: Application = Controller(settings=settings).application()
    return application


def _mapping(path: Path | None) -> LanguageMapping:
    if path is None:
        return LanguageMapping()
    try:
        return read_mapping(path)
    except WrongMappingFile as error:
        raise SettingsError([f"RUNTIME_MAPPINGS_FILE: {error}"]) from error
