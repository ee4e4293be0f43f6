"""The supervisor's migration, as a child process of its own."""

import sys

from domain.errors import StorageUnavailable
from entrypoints.cli.composition import container
from entrypoints.cli.wiring import Migrations
from entrypoints.settings.settings import Settings

DONE = 0
REFUSED = 1
DATABASE_AWAY = 75


async def migrate(settings: Settings) -> int:
    """Bring the settings' database to the newest schema and return the exit status."""
    return await bring_up(container().migrations(settings))


async def bring_up(migrations: Migrations) -> int:
    """Apply what is missing; say on standard error why not, and return the exit status."""
    try:
        await migrations.up()
    except StorageUnavailable as error:
        sys.stderr.write(f"{error}\n")
        return DATABASE_AWAY
    except RuntimeError as error:
        sys.stderr.write(f"{error}\n")
        return REFUSED
    return DONE
