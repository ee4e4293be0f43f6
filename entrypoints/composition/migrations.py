"""The migrations of a database. This module imports little, because each start of a service waits for it."""

from dependency_injector import containers, providers

from adapters.postgres.migrations.buckets import BucketMigrations
from adapters.postgres.migrations.database import DatabaseMigrations
from adapters.postgres.migrations.runner import MigrationRunner
from adapters.postgres.statements.catalogue import load_statements
from adapters.system_clock import SystemClock
from entrypoints.composition.operator import operator

__all__ = ["DatabaseMigrations", "Migrations"]


class Migrations(containers.DeclarativeContainer):
    """What migrates the database at `dsn`."""

    dsn = providers.Dependency(instance_of=str)
    statements = providers.Singleton(load_statements)
    actor = providers.Singleton(operator)
    clock = providers.Factory(SystemClock)

    home = providers.Factory(MigrationRunner, dsn, statements.provided.migrations, clock, actor=actor)
    buckets = providers.Factory(BucketMigrations, dsn, statements, clock)
    whole = providers.Factory(DatabaseMigrations, home, buckets)
