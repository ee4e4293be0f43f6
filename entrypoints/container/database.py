"""Everything that talks to PostgreSQL."""

from dependency_injector import containers, providers

from adapters.postgres.cleanup import Cleanup
from adapters.postgres.clock import ClockOptions, DisciplinedClock, database_time
from adapters.postgres.executions import PostgresExecutionRepository
from adapters.postgres.gateway import Gateway
from adapters.postgres.key_set import KeySet
from adapters.postgres.schema import Schema
from adapters.postgres.sessions import PostgresSessionRepository
from adapters.postgres.statement import Statement
from adapters.postgres.statements import load_statements
from adapters.postgres.storage_keeper import StorageKeeper
from entrypoints.container.options import gateway_options, retention, storage_budget
from entrypoints.settings import Settings


def _clock(gateway: Gateway, statement: Statement) -> DisciplinedClock:
    options = ClockOptions()
    return DisciplinedClock(database_time(gateway.fetch, statement, options.probe_timeout_s), options)


class Database(containers.DeclarativeContainer):
    """The gateway, what is kept behind it, and the clock that is kept by it."""

    settings = providers.Dependency(instance_of=Settings)

    statements = providers.Singleton(load_statements)
    gateway = providers.Singleton(Gateway, providers.Callable(gateway_options, settings))
    clock = providers.Singleton(_clock, gateway, statements.provided.clock.select_clock)
    writing = providers.Singleton(KeySet)
    sessions = providers.Singleton(PostgresSessionRepository, gateway, statements.provided.sessions, writing)
    executions = providers.Singleton(
        PostgresExecutionRepository, gateway, statements.provided.executions, clock, writing
    )
    schema = providers.Singleton(Schema, gateway, statements.provided.migrations)
    storage = providers.Singleton(StorageKeeper.of, gateway, statements, providers.Callable(storage_budget, settings))
    cleanup = providers.Singleton(
        Cleanup, gateway, statements.provided.cleanup, clock, providers.Callable(retention, settings), storage
    )
