"""The migration that the supervisor runs as a child process."""

import sys
from typing import TYPE_CHECKING

from domain.errors import StorageUnavailable
from entrypoints.settings.settings import Settings

if TYPE_CHECKING:
    from entrypoints.composition.commands import DatabaseMigrations

DONE = 0
FAILED = 1
UNREACHABLE = 75


async def migrate(settings: Settings) -> int:
    """Migrate the settings' database to the newest schema, and return the exit status."""
    from entrypoints.composition.commands import Commands  # noqa: PLC0415  # the CLI imports it only when needed

    return await bring_up(Commands(settings=settings).migrations())


async def bring_up(migrations: "DatabaseMigrations") -> int:
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
