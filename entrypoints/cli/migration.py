"""The migration that the supervisor runs as a child process."""

import sys

from domain.errors import StorageUnavailable
from entrypoints.composition.migrations import DatabaseMigrations, Migrations
from entrypoints.settings.settings import Settings

DONE = 0
FAILED = 1
UNREACHABLE = 75


async def migrate(settings: Settings) -> int:
    """Migrate the settings' database to the newest schema, and return the exit status."""
    assert settings.database_url is not None, "the supervisor puts in the address of the embedded server"
    return await bring_up(Migrations(dsn=settings.database_url.reveal()).whole())


async def bring_up(migrations: DatabaseMigrations) -> int:
    """Apply the pending migrations and return the exit status; the reason of a failure goes to standard error."""
    try:
        await migrations.up()
    except StorageUnavailable as error:
        sys.stderr.write(f"{error}\n")
        return UNREACHABLE
    except RuntimeError as error:
        sys.stderr.write(f"{error}\n")
        return FAILED
    return DONE
