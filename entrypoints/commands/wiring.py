"""What the command needs of the composition root."""

import importlib
from collections.abc import Sequence
from datetime import datetime
from typing import Protocol, cast

from entrypoints.settings import Settings
from entrypoints.supervision.database_server import DatabaseServer


class MigrationState(Protocol):
    """A migration and when it was applied; None when it was not."""

    @property
    def name(self) -> str:
        """The name with its number, like `0001_sessions`."""
        ...

    @property
    def applied_at(self) -> datetime | None:
        """When it was applied."""
        ...


class Migrations(Protocol):
    """Migrates one database.

    Methods raise StorageUnavailable when it cannot be reached, RuntimeError with an operator's text when they refuse.
    """

    async def status(self) -> Sequence[MigrationState]:
        """Return every migration in order."""
        ...

    async def up(self, to: int | None = None, *, dry_run: bool = False) -> Sequence[str]:
        """Apply what is missing, up to a number or to the newest; return the names, also of a dry run."""
        ...

    async def down(
        self, to: int | None = None, *, dry_run: bool = False, destroy_sessions: bool = False
    ) -> Sequence[str]:
        """Take back what is above a number, or the newest alone; return the names, also of a dry run."""
        ...


class Wiring(Protocol):
    """Makes adapters out of settings; `entrypoints.container.commands` is one."""

    def embedded_postgres(self, settings: Settings) -> DatabaseServer:
        """Return the server under DATA_DIR, started by `entrypoints.supervision.launcher.launch`."""
        ...

    def migrations(self, settings: Settings) -> Migrations:
        """Return the migrations of the settings' database."""
        ...


def container() -> Wiring:
    """Return the composition root, imported only when it is needed: it is most of the start-up time."""
    return cast("Wiring", importlib.import_module("entrypoints.container.commands"))
