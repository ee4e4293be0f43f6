"""What the command needs of the composition root."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from domain.access.api_key_service import ApiKeyService
from domain.access.owner_move import OwnerMover
from domain.access.principal import Scope
from domain.identity import Owner
from domain.scripts.language import Language
from domain.storage.growth import StorageReport
from domain.timeline import RetentionTimes, TimelineReader
from entrypoints.cli.diagnosis.ports import DatabaseExamination, HostExamination
from entrypoints.server.database_server import DatabaseServer
from entrypoints.settings.settings import Settings


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


class DeletedRows(Protocol):
    """The rows of one kind of data that a migration deletes on its way down."""

    @property
    def kind(self) -> str:
        """The kind of data, as in the option `--destroy-KIND`."""
        ...

    @property
    def counts(self) -> Mapping[str, int]:
        """How many rows there are, by what they are."""
        ...

    @property
    def text(self) -> str:
        """The counts in words."""
        ...


class DownStep(Protocol):
    """A migration that is taken back."""

    @property
    def name(self) -> str:
        """The name with its number, like `0001_sessions`."""
        ...

    @property
    def losses(self) -> Sequence[DeletedRows]:
        """What it deletes: kinds of data that have rows."""
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
        self, to: int | None = None, *, dry_run: bool = False, destroy: Collection[str] = ()
    ) -> Sequence[DownStep]:
        """Take back what is above a number, or the newest alone; return the steps, also of a dry run.

        Refuses before the first step when one would delete data of a kind that is not in `destroy`.
        """
        ...


class AttackTrial(Protocol):
    """An attack on the sandbox, and how it ended: `verdict` is "held", "succeeded" or "unclear"."""

    @property
    def language(self) -> str:
        """The language of its scripts."""
        ...

    @property
    def category(self) -> str:
        """What it is aimed at."""
        ...

    @property
    def name(self) -> str:
        """Its name within language and category."""
        ...

    @property
    def tries(self) -> str:
        """What it tries."""
        ...

    @property
    def succeeds(self) -> str:
        """How its success would look."""
        ...

    @property
    def verdict(self) -> str:
        """How it ended."""
        ...

    @property
    def evidence(self) -> str:
        """What stopped it, or what it got."""
        ...

    @property
    def elapsed_ms(self) -> float:
        """How long it took, the look at the host included."""
        ...


class SelfTestRun(Protocol):
    """Attacks on the sandbox of this host."""

    @property
    def attacks_count(self) -> int:
        """How many there are."""
        ...

    def trials(self) -> AsyncIterator[AttackTrial]:
        """Make them one by one; raises RuntimeUnavailable when there is no sandbox that could be attacked."""
        ...


class SelfTests(Protocol):
    """Makes self tests out of settings."""

    def self_test(self, settings: Settings, languages: Sequence[Language]) -> SelfTestRun:
        """Return the attacks in these languages on a sandbox like the service's."""
        ...


class Storage(Protocol):
    """Looks at what one database stores."""

    async def report(self) -> StorageReport:
        """Return the report.

        Raises StorageUnavailable when the database cannot be reached, RuntimeError with an operator's text when it has
        no schema that could be looked at.
        """
        ...


class Wiring(SelfTests, Protocol):
    """Makes adapters out of settings; `entrypoints.composition.commands` is one."""

    def embedded_postgres(self, settings: Settings) -> DatabaseServer:
        """Return the server under DATA_DIR, started by `entrypoints.server.launcher.launch`."""
        ...

    def migrations(self, settings: Settings) -> Migrations:
        """Return the migrations of the settings' database."""
        ...

    def storage(self, settings: Settings, disk: Path | None) -> Storage:
        """Return what looks at the settings' database; `disk` is a folder on its disk, where that is this host's."""
        ...

    def token(self, settings: Settings, owner: Owner, scopes: frozenset[Scope], lifetime: timedelta) -> str:
        """Return a token that JWT_SECRET signs; raises RuntimeError with an operator's text when it cannot."""
        ...

    def keys(self, settings: Settings) -> AbstractAsyncContextManager[ApiKeyService]:
        """Return the API keys of the settings' database, while they are looked at; entering raises as `report` does."""
        ...

    def owners(self, settings: Settings) -> AbstractAsyncContextManager[OwnerMover]:
        """Return what moves the belongings of owners in the settings' database; entering raises as `report` does."""
        ...

    def database_examination(self, settings: Settings) -> AbstractAsyncContextManager[DatabaseExamination]:
        """Return what looks at the settings' database, while it is looked at; entering raises Unreached."""
        ...

    def host_examination(self, settings: Settings) -> HostExamination:
        """Return what looks at this machine."""
        ...

    def chronicler(self, settings: Settings) -> AbstractAsyncContextManager[TimelineReader]:
        """Return what reads the stories of ids in the settings' database; entering raises as `report` does."""
        ...

    def keeping(self, settings: Settings) -> RetentionTimes:
        """Return how long what has ended is kept."""
        ...

    def document(self, settings: Settings) -> str:
        """Return the OpenAPI document of a controller with these settings, as text."""
        ...
