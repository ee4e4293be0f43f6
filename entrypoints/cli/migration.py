"""The supervisor's migration, as a child process of its own."""

import sys
from typing import TYPE_CHECKING

from domain.errors import StorageUnavailable
from entrypoints.settings.settings import Settings

if TYPE_CHECKING:
    from entrypoints.composition.commands import MigrationRunner

DONE = 0
REFUSED = 1
DATABASE_AWAY = 75


async def migrate(settings: Settings) -> int:
    """Bring the settings' database to the newest schema and return the exit status."""
    from entrypoints.composition.commands import Commands  # noqa: PLC0415  # the CLI imports it only when needed

    return await bring_up(Commands(settings=settings).migrations())


async def bring_up(migrations: "MigrationRunner") -> int:
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
